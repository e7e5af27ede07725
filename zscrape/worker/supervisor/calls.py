"""From a waiting system call to an action: every argument copied once, and judged as copied.

The call itself never goes on (SECCOMP_USER_NOTIF_FLAG_CONTINUE is not used): the kernel would
read its arguments again, and by then another thread may have put another address into that
memory, or another socket under that number.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable
from typing import Final

from zscrape.runtime.notify import MACHINES
from zscrape.worker.supervisor import kernel
from zscrape.worker.supervisor.actions import Connect, Message, Send, SendMany, Subject
from zscrape.worker.supervisor.judge import Judge
from zscrape.worker.supervisor.kernel import Notification, Part

_ADDRESS_LIMIT_BYTES = 128  # struct sockaddr_storage: the kernel takes no more either
_CONTENT_LIMIT_BYTES = 65536
_CONTROL_LIMIT_BYTES = 8192
_PARTS_LIMIT_COUNT = 1024  # UIO_MAXIOV
_MESSAGES_LIMIT_COUNT = 8  # per call; `sendmmsg` may always do fewer than it was given

_HEADER: Final = struct.Struct(kernel.HEADER_FORMAT)
_MANY_SIZE: Final = _HEADER.size + 8  # struct mmsghdr: and what was sent of it
_PIECE: Final = struct.Struct("=QQ")  # struct iovec
_CONTROL: Final = struct.Struct("=Qii")  # struct cmsghdr

# What a caller may ask of a send. Not MSG_ZEROCOPY, which is promised for memory of its own.
_FLAGS: Final = (
    socket.MSG_OOB
    | socket.MSG_DONTROUTE
    | socket.MSG_DONTWAIT
    | socket.MSG_EOR
    | socket.MSG_CONFIRM
    | socket.MSG_NOSIGNAL
    | socket.MSG_MORE
)
_ZEROCOPY: Final = 0x4000000
# IP_TOS, IPV6_TCLASS, UDP_SEGMENT: what QUIC libraries send along. Routes and sources, and
# what this process may have rights for and the script has not, are not passed on.
_HARMLESS_CONTROL: Final = frozenset({(0, 1), (41, 67), (17, 103)})


class Reader:
    """Makes actions of calls."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        machine = MACHINES[os.uname().machine]
        self._makers: dict[int, Callable[[Notification, Subject, int], Connect | Send]] = {
            machine.connect: self._connect,
            machine.sendto: self._sendto,
            machine.sendmsg: self._sendmsg,
            machine.sendmmsg: self._sendmmsg,
        }

    def read(self, call: Notification) -> Connect | Send:
        """Return what a call asks for, and if it may be done; the action owns its socket.

        The caller must make sure that the call still waits before it acts.

        Raises:
            OSError: What the call ends with.
        """
        if not call.tid:  # in a process namespace that cannot be seen from here
            raise OSError(errno.EACCES, "")
        pidfd = kernel.open_thread(call.tid)
        try:
            subject = Subject(kernel.take_fd(pidfd, _as_int(call.arguments[0])), call.tid)
            try:
                subject.check_domain()
                return self._makers[call.number](call, subject, pidfd)
            except BaseException:
                subject.close()
                raise
        finally:
            os.close(pidfd)

    def _connect(self, call: Notification, subject: Subject, _pidfd: int) -> Connect:
        return Connect(subject, _read_address(call.tid, *call.arguments[1:3]), self._judge)

    def _sendto(self, call: Notification, subject: Subject, _pidfd: int) -> Send:
        _fd, at, size_bytes, flags, address_at, address_size = call.arguments
        content = _read_content(call.tid, [Part(at, size_bytes)], subject)
        address = _read_address(call.tid, address_at, address_size)
        return Send(subject, [Message(content, _check_flags(flags), address)], self._judge)

    def _sendmsg(self, call: Notification, subject: Subject, pidfd: int) -> Send:
        _fd, at, flags, *_ = call.arguments
        header = _HEADER.unpack(kernel.read(call.tid, at, _HEADER.size))
        message = _read_message(header, _check_flags(flags), subject, pidfd)
        return Send(subject, [message], self._judge)

    def _sendmmsg(self, call: Notification, subject: Subject, pidfd: int) -> Send:
        _fd, at, count, flags, *_ = call.arguments
        count = min(count & 0xFFFFFFFF, _MESSAGES_LIMIT_COUNT)
        if not count:
            raise OSError(errno.EINVAL, "")
        flags = _check_flags(flags)
        starts = range(at, at + count * _MANY_SIZE, _MANY_SIZE)
        headers = kernel.read_parts(call.tid, [Part(start, _HEADER.size) for start in starts])
        messages: list[Message] = []
        held_bytes = 0
        for header in _HEADER.iter_unpack(headers):
            if held_bytes >= _CONTENT_LIMIT_BYTES:
                break
            messages.append(_read_message(header, flags, subject, pidfd))
            held_bytes += len(messages[-1].content)
        told_at = [start + _HEADER.size for start in starts[: len(messages)]]
        return SendMany(subject, messages, self._judge, told_at)


def _read_message(header: tuple[int, ...], flags: int, subject: Subject, pidfd: int) -> Message:
    address_at, address_size, parts_at, parts_count, control_at, control_size, _ = header
    if parts_count > _PARTS_LIMIT_COUNT:
        raise OSError(errno.EMSGSIZE, "")
    parts = kernel.read(subject.tid, parts_at, parts_count * _PIECE.size)
    content = _read_content(
        subject.tid, [Part(*each) for each in _PIECE.iter_unpack(parts)], subject
    )
    address = _read_address(subject.tid, address_at, address_size)
    control = b""
    if control_at and control_size:
        if control_size > _CONTROL_LIMIT_BYTES:
            raise OSError(errno.ENOBUFS, "")
        control = _pass_on(kernel.read(subject.tid, control_at, control_size), subject, pidfd)
    return Message(content, flags, address, control)


def _read_address(tid: int, at: int, size_bytes: int) -> bytes:
    size_bytes = _as_int(size_bytes)
    if not 0 <= size_bytes <= _ADDRESS_LIMIT_BYTES:
        raise OSError(errno.EINVAL, "")
    return kernel.read(tid, at, size_bytes) if at else b""


def _read_content(tid: int, parts: list[Part], subject: Subject) -> bytes:
    """Return what is to be sent: of a stream at most so much, for which it may be cut."""
    left_bytes = _CONTENT_LIMIT_BYTES
    kept = []
    for part in parts:
        size_bytes = min(part.size_bytes, left_bytes)
        if size_bytes < part.size_bytes and subject.type != socket.SOCK_STREAM:
            raise OSError(errno.EMSGSIZE, "")
        if size_bytes:
            kept.append(Part(part.at, size_bytes))
            left_bytes -= size_bytes
    return kernel.read_parts(tid, kept) if kept else b""


def _pass_on(control: bytes, subject: Subject, pidfd: int) -> bytes:
    """Return control messages that say the same when this process sends them."""
    passed = b""
    while len(control) >= _CONTROL.size:
        size_bytes, level, kind = _CONTROL.unpack_from(control)
        if not _CONTROL.size <= size_bytes <= len(control):
            raise OSError(errno.EINVAL, "")
        content = control[_CONTROL.size : size_bytes]
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS) and not subject.is_internet:
            content = _take_all(content, subject, pidfd)
        elif (level, kind) not in _HARMLESS_CONTROL or not subject.is_internet:
            raise OSError(errno.EPERM, "")
        padding = bytes(-len(content) % 8)
        passed += _CONTROL.pack(_CONTROL.size + len(content), level, kind) + content + padding
        control = control[size_bytes + -size_bytes % 8 :]
    return passed


def _take_all(content: bytes, subject: Subject, pidfd: int) -> bytes:
    ours = []
    for (fd,) in struct.iter_unpack("=i", content[: len(content) // 4 * 4]):
        subject.taken.append(kernel.take_fd(pidfd, fd))
        ours.append(subject.taken[-1])
    return struct.pack(f"={len(ours)}i", *ours)


def _check_flags(flags: int) -> int:
    flags &= 0xFFFFFFFF
    if flags & _ZEROCOPY:
        raise OSError(errno.ENOBUFS, "")  # what the kernel says when it cannot: send without
    return flags & _FLAGS


def _as_int(argument: int) -> int:
    """Return a 64-bit register as the `int` that the kernel sees in it."""
    low = argument & 0xFFFFFFFF
    return low - (1 << 32) if low >> 31 else low
