"""Raise every limit."""

import os
import resource

from probe import apart, tried

FREE = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def lift(kind, pid=0):
    before = resource.prlimit(pid, kind)
    if before == FREE:
        raise PermissionError(1, "there is no such limit: nothing to raise")
    try:
        resource.prlimit(pid, kind, FREE)
    except ValueError as error:
        raise PermissionError(1, str(error)) from error
    return resource.prlimit(pid, kind)


def run():
    return {
        "memory": tried(lift, resource.RLIMIT_DATA),
        "space": tried(lift, resource.RLIMIT_AS),
        "files": tried(lift, resource.RLIMIT_NOFILE),
        "size": tried(lift, resource.RLIMIT_FSIZE),
        "processor": tried(lift, resource.RLIMIT_CPU),
        "processes": tried(lift, resource.RLIMIT_NPROC),
        "core": tried(lift, resource.RLIMIT_CORE),
        "from_below": apart(lift, resource.RLIMIT_DATA, os.getpid()),
    }
