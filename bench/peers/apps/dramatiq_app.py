"""Dramatiq: two processes with a thread each, results in Redis."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

WORKERS = ["python -m dramatiq -p 2 -t 1 dramatiq_app"]
broker = RedisBroker(url=os.environ["REDIS"])
broker.add_middleware(Results(backend=RedisBackend(url=os.environ["REDIS"])))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def noop():
    """Do nothing."""


def submit():
    """Ask for one."""
    return noop.send()


def wait(asked):
    """Wait for it."""
    asked.get_result(block=True, timeout=60_000)
