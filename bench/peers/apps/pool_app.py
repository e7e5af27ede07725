"""multiprocessing.Pool of the standard library: two processes, a new one for each task."""

import multiprocessing

from noop_module import noop

WORKERS = []
pool = None


def open_up():
    """Start it."""
    global pool
    pool = multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1)


def submit():
    """Ask for one."""
    return pool.apply_async(noop)


def wait(asked):
    """Wait for it."""
    asked.get(60)


def close():
    """End it."""
    pool.terminate()
    pool.join()
