"""The filter that hands a script's outgoing addresses to a supervisor, who acts in its place.

A seccomp filter cannot follow a pointer, so it cannot judge an address. This one stops every
system call that carries one (`connect`, `sendto` with an address, `sendmsg`, `sendmmsg`) and
lets another process, which holds the listener of the filter, perform it on a copy. It needs
no privileges, and everything that this process executes or forks inherits it.

What else could reach an address is refused by the filter itself: TCP fast open (data and
address in one call), source routes (they name another first hop), sockets of other families
and protocols (SCTP connects by `setsockopt`), io_uring (system calls that no filter sees),
and `pidfd_getfd` (which could take the listener from a process that holds it).

It is installed in the image that `launch.py prepare` throws away. Until the supervisor has
the listener, this process does nothing but write to and read from descriptors, which the
filter does not stop: there is nothing that could wait for a supervisor who is not there yet.

Sources: seccomp_unotify(2), linux/audit.h, the kernel's tables of system calls.
"""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

from zscrape.runtime import syscalls
from zscrape.runtime.filters import (
    ALLOW,
    FLAG_NEW_LISTENER,
    IF_ANY_BIT,
    IF_EQUAL,
    NOTIFY,
    Filter,
    Program,
    refuse,
)

_MSG_FASTOPEN = 0x20000000
_TYPE_MASK = 0xF  # what SOCK_NONBLOCK and SOCK_CLOEXEC are not part of
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
_STREAM, _DATAGRAM = 1, 2
# IP (whatever fits the type), ICMP (ping), TCP, UDP, ICMPv6, MPTCP.
_PROTOCOLS = (0, 1, 6, 17, 58, 262)
_IP_LEVEL, _IPV6_LEVEL = 0, 41
_IP_OPTIONS = 4
# IPV6_2292RTHDR, IPV6_2292PKTOPTIONS (which can hold one), IPV6_RTHDR.
_IPV6_ROUTES = (5, 6, 57)


class _Machine(NamedTuple):
    """What differs between processor architectures."""

    connect: int
    sendto: int
    sendmsg: int
    sendmmsg: int
    socket: int
    setsockopt: int
    io_uring_setup: int = 425
    pidfd_getfd: int = 438


MACHINES = {
    "x86_64": _Machine(42, 44, 46, 307, 41, 54),
    "aarch64": _Machine(203, 206, 211, 269, 198, 208),
}


def build_filter(machine: str, *, has_messages: bool = True) -> bytes:
    """Return the filter for a processor architecture, as `os.uname().machine` names it.

    Without `has_messages` it leaves `sendmsg` and `sendmmsg` alone. That is for browsers, whose
    processes speak to each other by thousands of them, over sockets that reach nobody else. The
    price: with these calls a script can then send datagrams (not open connections) to any
    address.

    Raises:
        OSError: It is not known for this architecture.
    """
    program = Program(machine)
    calls = MACHINES[machine]
    program.jump(IF_EQUAL, calls.connect, "notify")
    program.jump(IF_EQUAL, calls.sendto, "sendto")
    program.jump(IF_EQUAL, calls.sendmsg, "sendmsg")
    program.jump(IF_EQUAL, calls.sendmmsg, "sendmmsg")
    program.jump(IF_EQUAL, calls.socket, "socket")
    program.jump(IF_EQUAL, calls.setsockopt, "setsockopt")
    program.jump(IF_EQUAL, calls.io_uring_setup, "absent")
    program.jump(IF_EQUAL, calls.pidfd_getfd, "forbid", "allow")
    _add_sends(program, has_messages)
    _add_socket(program)
    _add_setsockopt(program)
    for place, result in (
        ("allow", ALLOW),
        ("notify", NOTIFY),
        ("forbid", refuse(errno.EPERM)),
        ("deny", refuse(errno.EACCES)),
        ("absent", refuse(errno.ENOSYS)),
    ):
        program.place(place)
        program.end(result)
    return program.assemble()


def _add_sends(program: Program, has_messages: bool) -> None:
    """Judge sends by what is in registers: flags, and whether there is an address at all."""
    message = "notify" if has_messages else "allow"
    program.place("sendto")
    program.load_argument(3)
    program.jump(IF_ANY_BIT, _MSG_FASTOPEN, "forbid")
    program.load_argument(4)
    program.jump(IF_EQUAL, 0, "", "notify")
    program.load_argument(4, is_high=True)
    program.jump(IF_EQUAL, 0, "allow", "notify")
    program.place("sendmsg")
    program.load_argument(2)
    program.jump(IF_ANY_BIT, _MSG_FASTOPEN, "forbid", message)
    program.place("sendmmsg")
    program.load_argument(3)
    program.jump(IF_ANY_BIT, _MSG_FASTOPEN, "forbid", message)


def _add_socket(program: Program) -> None:
    program.place("socket")
    program.load_argument(0)
    program.jump(IF_EQUAL, _UNIX, "allow")
    program.jump(IF_EQUAL, _NETLINK, "allow")
    program.jump(IF_EQUAL, _INET, "inet")
    program.jump(IF_EQUAL, _INET6, "", "deny")
    program.place("inet")
    program.load_argument(1)
    program.keep_bits(_TYPE_MASK)
    program.jump(IF_EQUAL, _STREAM, "protocol")
    program.jump(IF_EQUAL, _DATAGRAM, "", "deny")
    program.place("protocol")
    program.load_argument(2)
    for protocol in _PROTOCOLS:
        program.jump(IF_EQUAL, protocol, "allow")
    program.jump(IF_EQUAL, _PROTOCOLS[0], "allow", "deny")


def _add_setsockopt(program: Program) -> None:
    program.place("setsockopt")
    program.load_argument(1)
    program.jump(IF_EQUAL, _IPV6_LEVEL, "ipv6")
    program.jump(IF_EQUAL, _IP_LEVEL, "", "allow")
    program.load_argument(2)
    program.jump(IF_EQUAL, _IP_OPTIONS, "forbid", "allow")
    program.place("ipv6")
    program.load_argument(2)
    for option in _IPV6_ROUTES:
        program.jump(IF_EQUAL, option, "forbid")
    program.jump(IF_EQUAL, _IPV6_ROUTES[0], "forbid", "allow")


def install(*, has_messages: bool = True) -> int:
    """Put the filter on this process for good; return the descriptor of its listener.

    It must have taken on no-new-privileges before, and must not have a second thread.

    Raises:
        OSError: The kernel has no such filters, or another one has a listener already.
    """
    code = build_filter(syscalls.MACHINE, has_messages=has_messages)
    return Filter(code, FLAG_NEW_LISTENER).install()


def hand_over(control_fd: int, answer_fd: int, *, has_messages: bool = True) -> None:
    """Install the filter and return once its listener is in other hands, and in no other.

    Says `L number` on the control descriptor; whoever reads it takes the descriptor of that
    number from this process, gives it to a supervisor and then writes one byte to the pipe
    whose other end is `answer_fd`.

    Raises:
        OSError: The filter cannot be installed, or nobody has taken the listener.
    """
    listener_fd = install(has_messages=has_messages)
    os.write(control_fd, b"L %d" % listener_fd)
    is_taken = os.read(answer_fd, 1) != b""
    os.close(listener_fd)
    os.close(answer_fd)
    if not is_taken:
        raise OSError(errno.ECHILD, "network filter: its supervisor did not take it")
