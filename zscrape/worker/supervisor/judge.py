"""Where a supervised script may connect or send to: by rules for the internet, by place for files.

What is returned is what must then be used: the address that was looked at, never the one that
the script could still change.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_network

from zscrape.worker.addresses import AddressPolicy, Ranges, Rule
from zscrape.worker.supervisor import kernel

_REMEMBERED_COUNT = 4096
_INET_SIZE = 16  # struct sockaddr_in
_INET6_LEAST_SIZE = 24  # struct sockaddr_in6 without a scope, which the kernel accepts
_INET6_SIZE = 28
_FAMILY_SIZE = 2


class _ToldPolicy(AddressPolicy):
    """A policy made from the rules of another one, which is in the worker."""

    def __init__(self, ranges: Ranges) -> None:
        self._ipv4, self._ipv6 = ranges


def tell_policy(policy: AddressPolicy) -> list[list[list[str | int]]]:
    """Return a policy's rules as JSON can hold them."""
    return [
        [[str(rule.network), rule.verdict, rule.port, rule.inside_at] for rule in rules]
        for rules in policy.ranges()
    ]


def hear_policy(told: list[list[list[str | int]]]) -> AddressPolicy:
    """Return the policy whose rules `tell_policy` gave."""
    ipv4, ipv6 = (
        tuple(Rule(ip_network(network), *rest) for network, *rest in rules)  # type: ignore[arg-type]
        for rules in told
    )
    return _ToldPolicy(Ranges(ipv4, ipv6))


class Judge:
    """Decides about addresses."""

    def __init__(self, policy: AddressPolicy, scratch_root: str) -> None:
        self._policy = policy
        self._root = os.fsencode(scratch_root).rstrip(b"/") + b"/"
        self._is_root = os.geteuid() == 0
        self._allows = functools.lru_cache(_REMEMBERED_COUNT)(self._look_up)

    def check_internet(self, address: bytes) -> bytes:
        """Return an address that may be used, without what may follow it.

        Raises:
            OSError: EACCES if it may not, EINVAL or EAFNOSUPPORT if it is none.
        """
        family = family_of(address)
        if family == socket.AF_INET:
            is_whole, used = len(address) >= _INET_SIZE, address[:_INET_SIZE]
            ip = used[4:8]
        elif family == socket.AF_INET6:
            is_whole, used = len(address) >= _INET6_LEAST_SIZE, address[:_INET6_SIZE]
            ip = used[8:24]
        else:
            raise OSError(errno.EAFNOSUPPORT, "")
        if not is_whole:
            raise OSError(errno.EINVAL, "")
        if not self._allows(ip, int.from_bytes(used[2:4], "big")):
            raise OSError(errno.EACCES, "")
        return used

    def _look_up(self, ip: bytes, port: int) -> bool:
        address = IPv4Address(ip) if len(ip) == 4 else IPv6Address(ip)
        return self._policy.allows(address, port)

    @contextlib.contextmanager
    def find_socket(self, tid: int, address: bytes) -> Iterator[bytes]:
        """Give an address that stands for the very socket file which a thread has named.

        It must be in the folder of an attempt, reached without a link, and, where each attempt
        has a user of its own, in a folder of that user: this process may have more rights.

        Raises:
            OSError: It may not be used, or there is none.
        """
        if family_of(address) != socket.AF_UNIX:
            raise OSError(errno.EINVAL, "")
        path = address[_FAMILY_SIZE:]
        if not path or path[0] == 0:  # unnamed or abstract: no folder says whose it is
            raise OSError(errno.EACCES, "")
        path = path.split(b"\0", 1)[0]
        if path[:1] != b"/":
            path = os.readlink(b"/proc/%d/cwd" % tid) + b"/" + path  # noqa: PTH115 - bytes
        if not path.startswith(self._root):
            raise OSError(errno.EACCES, "")
        fd = self._open(tid, path.removeprefix(self._root).lstrip(b"/"))
        try:
            yield struct.pack("=H", socket.AF_UNIX) + b"/proc/self/fd/%d\0" % fd
        finally:
            os.close(fd)

    def _open(self, tid: int, path: bytes) -> int:
        root_fd = os.open(self._root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            folder_fd = kernel.open_below(root_fd, path.split(b"/", 1)[0])
            try:
                if self._is_root and os.fstat(folder_fd).st_uid != _user_of(tid):
                    raise OSError(errno.EACCES, "")
                return kernel.open_below(folder_fd, path.partition(b"/")[2].lstrip(b"/"))
            finally:
                os.close(folder_fd)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                raise
            raise OSError(errno.EACCES, "") from error
        finally:
            os.close(root_fd)


def family_of(address: bytes) -> int:
    """Return the family that an address says it is of.

    Raises:
        OSError: EINVAL: it is too short to say.
    """
    if len(address) < _FAMILY_SIZE:
        raise OSError(errno.EINVAL, "")
    family: int = struct.unpack_from("=H", address)[0]
    return family


def _user_of(tid: int) -> int:
    with open(f"/proc/{tid}/status", "rb") as status:  # noqa: PTH123 - hot
        line = next(line for line in status if line.startswith(b"Uid:"))
    return int(line.split()[2])  # the effective one
