"""RQ: two workers, each of which forks for every job."""

import os

from redis import Redis
from rq import Queue

from noop_module import noop

WORKERS = [f"python -m rq.cli worker --quiet --url {os.environ['REDIS']}"] * 2
queue = Queue(connection=Redis.from_url(os.environ["REDIS"]))


def submit():
    """Ask for one."""
    return queue.enqueue(noop)


def wait(asked):
    """Wait for it: blocked on its stream of results."""
    asked.latest_result(timeout=60)
