"""Raise the own priority, by every means."""

import os

from probe import call, unless_root


def run(worker_pid):
    return {
        "nicer": unless_root(os.setpriority, os.PRIO_PROCESS, 0, -10),
        "realtime": unless_root(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1)),
        "io": unless_root(call, "ioprio_set", 1, 0, 1 << 13),
    }
