"""Ask, with the signal that does nothing, whether others can be signalled."""

import ctypes
import os

from probe import call, checked, libc, tried, unless_root


def run(worker_pid, template_pids, gateway_pid, tester_pid):
    def by_pidfd():
        handle = call("pidfd_open", worker_pid, 0)
        return checked(libc.syscall(ctypes.c_long(424), handle, 0, None, 0))

    def by_thread():
        return checked(libc.tgkill(worker_pid, worker_pid, 0))

    told = [tried(os.kill, pid, 0) for pid in template_pids]
    return {
        "worker": unless_root(os.kill, worker_pid, 0),
        "templates": next((each for each in told if each.startswith("done")), told[0]),
        "gateway": unless_root(os.kill, gateway_pid, 0),
        "tester": unless_root(os.kill, tester_pid, 0),
        "by_descriptor": unless_root(by_pidfd),
        "by_thread": unless_root(by_thread),
        "queued": unless_root(lambda: checked(libc.sigqueue(worker_pid, 0, None))),
    }
