"""Celery: prefork, two processes that are used again; Redis as broker and for results."""

import os

from celery import Celery

app = Celery("bench", broker=os.environ["REDIS"], backend=os.environ["REDIS"])
app.conf.update(worker_prefetch_multiplier=4, broker_connection_retry_on_startup=True)

_WORKER = "python -m celery -A celery_app worker -P prefork -c 2 --without-gossip --without-mingle"
WORKERS = [f"{_WORKER} --without-heartbeat -l ERROR"]


@app.task
def noop():
    """Do nothing."""


def submit():
    """Ask for one."""
    return noop.delay()


def wait(asked):
    """Wait for it."""
    asked.get(timeout=60, interval=0.001)
