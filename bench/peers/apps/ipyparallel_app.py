"""ipyparallel: a controller and two engines, over ZeroMQ."""

import ipyparallel

from noop_module import noop

WORKERS = []
cluster = view = None


def open_up():
    """Start controller and engines."""
    global cluster, view
    cluster = ipyparallel.Cluster(n=2, log_level=40)
    view = cluster.start_and_connect_sync().load_balanced_view()


def submit():
    """Ask for one."""
    return view.apply_async(noop)


def wait(asked):
    """Wait for it."""
    asked.get(timeout=60)


def close():
    """End what was started."""
    cluster.stop_cluster_sync()
