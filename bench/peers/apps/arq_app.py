"""arq: two processes that look for work every 5 ms (by default it would be 500)."""

import os

from arq import create_pool
from arq.connections import RedisSettings

WORKERS = ["python -m arq arq_app.WorkerSettings"] * 2
settings = RedisSettings.from_dsn(os.environ["REDIS"])
pool = None


async def noop(ctx):
    """Do nothing."""


class WorkerSettings:
    """What arq reads."""

    functions = [noop]
    redis_settings = settings
    poll_delay = 0.005
    keep_result = 60


async def call():
    """Ask for one and wait for it."""
    global pool
    if pool is None:
        pool = await create_pool(settings)
    asked = await pool.enqueue_job("noop")
    await asked.result(timeout=60, poll_delay=0.002)
