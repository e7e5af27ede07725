"""Dask.distributed: a scheduler and two processes with a thread each."""

from dask.distributed import Client, LocalCluster

from noop_module import noop

WORKERS = []
client = None


def open_up():
    """Start scheduler and workers."""
    global client
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    client = Client(cluster)


def submit():
    """Ask for one."""
    return client.submit(noop, pure=False)


def wait(asked):
    """Wait for it."""
    asked.result(timeout=60)


def close():
    """End what was started."""
    cluster = client.cluster
    client.close()
    cluster.close()
