"""Set what the worker has to what it has: harmless, if it should work."""

import os
import resource

from probe import unless_root


def keep(pid):
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    return resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


def run(worker_pid, template_pids):
    return {
        "limits": unless_root(keep, worker_pid),
        "template": unless_root(keep, template_pids[0]),
        "parent": unless_root(keep, os.getppid()),
    }
