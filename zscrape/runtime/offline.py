"""A child without a network: no socket of the internet can be made in it, by whatever means.

A filter refuses `socket` for any family but those of this machine with EACCES, and `io_uring`,
which could make sockets behind the filter's back. Whatever is started from here on inherits it.
"""

from __future__ import annotations

import errno
import os

from zscrape.runtime import syscalls
from zscrape.runtime.filters import ALLOW, IF_EQUAL, Filter, Program, refuse

_SOCKET = {syscalls.X86_64: 41, syscalls.AARCH64: 198}
_IO_URING_SETUP = 425
_AF_UNIX, _AF_NETLINK = 1, 16  # the latter tells a process about this machine


def forbid_inet() -> None:
    """Take the network from this process and everything it starts, for good.

    Raises:
        OSError: The kernel refuses, or this architecture is not known here.
    """
    code = inet_filter(os.uname().machine)
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    Filter(code).install()


def inet_filter(machine: str) -> bytes:
    """Return the filter for an architecture, by its name in `uname`.

    Raises:
        OSError: It is not known here.
    """
    program = Program(machine)
    program.jump(IF_EQUAL, _IO_URING_SETUP, "deny")
    program.jump(IF_EQUAL, _SOCKET[machine], "", "allow")
    program.load_argument(0)
    program.jump(IF_EQUAL, _AF_UNIX, "allow")
    program.jump(IF_EQUAL, _AF_NETLINK, "allow")
    program.place("deny")
    program.end(refuse(errno.EACCES))
    program.place("allow")
    program.end(ALLOW)
    return program.assemble()
