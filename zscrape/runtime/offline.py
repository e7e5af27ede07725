"""A child without a network: no socket of the internet can be made in it, by whatever means.

The kernel asks a filter at every system call (`seccomp`, classic BPF): `socket` for any family
but those of this machine is refused with EACCES, and so is `io_uring`, which could make
sockets behind the filter's back. A system call of another architecture ends the process: its
numbers mean something else. Whatever is started from here on inherits the filter.

Source: Documentation/userspace-api/seccomp_filter.rst, and audit.h, filter.h, seccomp.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 22, 38
_MODE_FILTER = 2
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
# Of `struct seccomp_data`. Both architectures keep the low half of an argument first.
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
# Name in uname: the architecture for audit, the number of `socket`.
_ARCHITECTURES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
_IO_URING_SETUP = 425
_X32_BIT = 0x40000000  # x86-64 has a second table of calls from here on
_AF_UNIX, _AF_NETLINK = 1, 16  # the latter tells a process about this machine


class _Program(ctypes.Structure):
    _fields_ = (("count", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def forbid_inet() -> None:
    """Take the network from this process and everything it starts, for good.

    Raises:
        OSError: The kernel refuses, or this architecture is not known here.
    """
    program = inet_filter(os.uname().machine)
    libc = ctypes.CDLL(None, use_errno=True)
    wanted = _Program(len(program) // 8, program)
    _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _check(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(wanted), 0, 0))


def inet_filter(machine: str) -> bytes:
    """Return the filter for an architecture, by its name in `uname`.

    Raises:
        OSError: It is not known here.
    """
    if machine not in _ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"network none is not made for {machine}")
    architecture, socket_number = _ARCHITECTURES[machine]
    return b"".join(
        (
            _instruction(_LOAD, _ARCHITECTURE_AT),
            _instruction(_EQUAL, architecture, 1, 0),
            _instruction(_RETURN, _KILL_PROCESS),
            _instruction(_LOAD, _NUMBER_AT),
            _instruction(_AT_LEAST, _X32_BIT, 0, 1),
            _instruction(_RETURN, _KILL_PROCESS),
            _instruction(_EQUAL, _IO_URING_SETUP, 5, 0),
            _instruction(_EQUAL, socket_number, 0, 3),
            _instruction(_LOAD, _FIRST_ARGUMENT_AT),
            _instruction(_EQUAL, _AF_UNIX, 1, 0),
            _instruction(_EQUAL, _AF_NETLINK, 0, 1),
            _instruction(_RETURN, _ALLOW),
            _instruction(_RETURN, _ERRNO | errno.EACCES),
        )
    )


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")
