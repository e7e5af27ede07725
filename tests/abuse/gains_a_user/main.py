"""Become root, or keep what root has."""

import ctypes
import os

from probe import apart, checked, libc


def capabilities():
    head = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)(*[0xFFFFFFFF] * 6)
    number = 126 if os.uname().machine == "x86_64" else 91
    return checked(libc.syscall(ctypes.c_long(number), head, data))


def bounding():
    """Ask whether this process may do anything that only root may: read the clock's owner."""
    with open("/proc/self/status") as file:
        told = dict(line.rstrip().split(":\t", 1) for line in file if ":\t" in line)
    if int(told["CapEff"], 16) == 0 and int(told["CapPrm"], 16) == 0:
        raise PermissionError(1, "no capability")
    return told["CapEff"]


def by_file():
    open("mine", "w").close()
    os.chown("mine", 0, 0)


def run():
    return {
        "user": apart(os.setuid, 0),
        "group": apart(os.setgid, 0),
        "groups": apart(os.setgroups, [0]),
        "effective": apart(os.setresuid, 0, 0, 0),
        "capabilities": apart(capabilities),
        "bounding": apart(bounding),
        "by_file": apart(by_file),
    }
