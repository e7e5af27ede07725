"""Read what the worker and its template hold."""

import os

from probe import call, read, unless_root


def handle(pid):
    return call("pidfd_getfd", call("pidfd_open", pid, 0), 0, 0)


def run(worker_pid, template_pids):
    up = os.getppid()
    return {
        "worker_environ": unless_root(read, f"/proc/{worker_pid}/environ"),
        "template_environ": unless_root(read, f"/proc/{template_pids[0]}/environ"),
        "parent_environ": unless_root(read, f"/proc/{up}/environ"),
        "worker_memory": unless_root(read, f"/proc/{worker_pid}/maps"),
        "parent_memory": unless_root(read, f"/proc/{up}/maps"),
        "worker_handle": unless_root(handle, worker_pid),
        "parent_handle": unless_root(handle, up),
        "worker_root": unless_root(os.listdir, f"/proc/{worker_pid}/root/root"),
    }
