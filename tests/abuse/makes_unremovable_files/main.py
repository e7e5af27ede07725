"""Mark files as unchangeable, which only root may do; not done as root."""

import array
import fcntl
import os

from probe import tried

SET_FLAGS = 0x40086602
IMMUTABLE, APPEND = 0x10, 0x20


def mark(name, flag):
    with open(name, "w") as file:
        fcntl.ioctl(file, SET_FLAGS, array.array("l", [flag]))


def run():
    if os.geteuid() == 0:
        return {"immutable": "done: not tried as root", "append": "done: not tried as root"}
    return {"immutable": tried(mark, "a", IMMUTABLE), "append": tried(mark, "b", APPEND)}
