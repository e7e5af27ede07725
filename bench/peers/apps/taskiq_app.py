"""Taskiq: two processes, a list in Redis as queue, results in Redis."""

import os

from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

WORKERS = ["python -m taskiq worker taskiq_app:broker --workers 2 --log-level ERROR"]
broker = ListQueueBroker(os.environ["REDIS"]).with_result_backend(
    RedisAsyncResultBackend(os.environ["REDIS"])
)
is_started = False


@broker.task
async def noop():
    """Do nothing."""


async def call():
    """Ask for one and wait for it."""
    global is_started
    if not is_started:
        await broker.startup()
        is_started = True
    asked = await noop.kiq()
    await asked.wait_result(check_interval=0.001, timeout=60)
