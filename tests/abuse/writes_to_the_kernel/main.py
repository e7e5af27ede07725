"""Open the kernel's files for writing, without writing."""

import glob
import os

from probe import unless_root


def opened(*paths):
    found = [path for pattern in paths for path in glob.glob(pattern)]
    error = FileNotFoundError(2, "")
    for path in found:
        try:
            os.close(os.open(path, os.O_WRONLY))
        except OSError as refused:
            error = refused
        else:
            return path
    raise error


def own_score():
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("-900")


def run():
    return {
        "core": unless_root(opened, "/proc/sys/kernel/core_pattern"),
        "trigger": unless_root(opened, "/proc/sysrq-trigger"),
        "modprobe": unless_root(opened, "/proc/sys/kernel/modprobe"),
        "groups": unless_root(
            opened, "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/*/cgroup.procs"
        ),
        "agent": unless_root(opened, "/sys/fs/cgroup/*/release_agent"),
        "score": unless_root(own_score),
        "power": unless_root(opened, "/sys/power/state", "/sys/kernel/uevent_helper"),
    }
