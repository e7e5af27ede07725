"""Ask for a core dump in every way, then crash."""

import ctypes
import resource

from probe import libc


def run():
    for limit in ((-1, -1), (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2):
        try:
            resource.setrlimit(resource.RLIMIT_CORE, limit)
        except (OSError, ValueError):
            pass
    libc.prctl(4, 1, 0, 0, 0)  # be dumpable
    ctypes.string_at(8)
