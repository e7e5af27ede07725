"""Huey: two processes that are used again, Redis; it tells of results by a blocking read."""

import os

from huey import RedisHuey

WORKERS = ["huey_consumer huey_app.huey -k process -w 2 -q"]
huey = RedisHuey("bench", url=os.environ["REDIS"], notify_result=True)


@huey.task()
def noop():
    """Do nothing; the result must be something, or it is not kept."""
    return True


def submit():
    """Ask for one."""
    return noop()


def wait(asked):
    """Wait for it."""
    asked.get(blocking=True, timeout=60)
