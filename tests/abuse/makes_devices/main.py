"""Make a device node; open those that there are, for reading."""

import glob
import os

from probe import unless_root


def opened(path):
    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))


def made():
    os.mknod("disk", 0o600 | 0o020000, os.makedev(1, 1))
    opened("disk")


def run():
    disks = glob.glob("/dev/[sv]d[a-z]") + glob.glob("/dev/nvme*") or ["/dev/missing"]
    return {
        "made": unless_root(made),
        "memory": unless_root(opened, "/dev/mem"),
        "log": unless_root(opened, "/dev/kmsg"),
        "disk": unless_root(opened, disks[0]),
        "fuse": unless_root(os.open, "/dev/fuse", os.O_RDWR),
        "kvm": unless_root(os.open, "/dev/kvm", os.O_RDWR),
        "tunnel": unless_root(os.open, "/dev/net/tun", os.O_RDWR),
        "loop": unless_root(os.open, "/dev/loop-control", os.O_RDWR),
    }
