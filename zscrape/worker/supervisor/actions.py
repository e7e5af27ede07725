"""What the supervisor does for a script: connect, and send, on copies that nobody can change.

An action is tried with `act` until it gives a result. None of them may wait: a socket that
would make it wait raises one of `NOT_YET`, and whoever serves tries again later.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import socket
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from zscrape.worker.supervisor import kernel
from zscrape.worker.supervisor.judge import Judge, family_of

NOT_YET: Final = frozenset({errno.EINPROGRESS, errno.EALREADY, errno.EAGAIN, errno.EINTR})

# A socket that is told not to wait answers in microseconds. One that does wait was told
# otherwise between our two system calls, by a thread of its owner: this ends that.
_STUCK_AFTER_S = 0.005
_SO_DOMAIN: Final = 39
_INTERNET: Final = (socket.AF_INET, socket.AF_INET6)
_TIME: Final = struct.Struct("=qq")


class SocketTampered(Exception):
    """Raised when a socket was made to wait while it was being connected."""


class Subject:
    """The socket of a call: our own descriptor of it, and what does not change about it."""

    def __init__(self, fd: int, tid: int) -> None:
        self.fd = fd
        self.tid = tid
        self.taken: list[int] = []  # descriptors that a message carries, ours as well
        try:
            # Given all three, Python does not look them up, and they do not matter to it here.
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=fd)
        except OSError:  # it is no socket
            os.close(fd)
            raise
        self.domain = self.socket.getsockopt(socket.SOL_SOCKET, _SO_DOMAIN)
        self.type = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)

    @property
    def is_internet(self) -> bool:
        """True iff it is a socket of IPv4 or IPv6."""
        return self.domain in _INTERNET

    def is_patient(self) -> bool:
        """True iff its owner wants to wait when it must."""
        return not fcntl.fcntl(self.fd, fcntl.F_GETFL) & os.O_NONBLOCK

    def patience_s(self) -> float | None:
        """Return how long its owner wants to wait at most; None is for ever."""
        told = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIME.size)
        seconds, microseconds = _TIME.unpack(told)
        return seconds + microseconds / 1e6 or None

    def check_domain(self) -> None:
        """Accept sockets of the internet and of this machine's files only.

        Raises:
            OSError: It is of another kind.
        """
        if not self.is_internet and self.domain != socket.AF_UNIX:
            raise OSError(errno.EACCES, "")

    def close(self) -> None:
        """Give up our descriptors."""
        self.socket.close()
        for fd in self.taken:
            os.close(fd)


class Connect:
    """A `connect`."""

    def __init__(self, subject: Subject, address: bytes, judge: Judge) -> None:
        self.subject = subject
        self.is_patient = subject.is_patient()
        self.is_polled = subject.is_internet
        self._judge = judge
        self._address = address
        if family_of(address) == socket.AF_UNSPEC:  # part from whom it was connected to
            self._address = address[:16]
        elif subject.is_internet:
            self._address = judge.check_internet(address)

    def act(self) -> int:
        """Begin to connect, or look how far it is; return 0 when it is.

        Raises:
            OSError: It failed, or not yet.
            SocketTampered: It was made to wait.
        """
        fd = self.subject.fd
        if self.subject.is_internet or family_of(self._address) == socket.AF_UNSPEC:
            self._connect(fd, self._address)
        else:
            with self._judge.find_socket(self.subject.tid, self._address) as found:
                self._connect(fd, found)
        return 0

    def _connect(self, fd: int, address: bytes) -> None:
        if self.subject.type == socket.SOCK_DGRAM:  # never waits
            kernel.connect(fd, address)
            return
        with _hurried(fd):
            try:
                kernel.connect(fd, address)
            except InterruptedError:
                raise SocketTampered from None

    def give_up(self) -> int:
        """Return the result when the owner's own time limit has come."""
        return -errno.EINPROGRESS if self.subject.is_internet else -errno.EAGAIN


class Message(NamedTuple):
    """What is to be sent, and where to; `control` as it is in memory."""

    content: bytes
    flags: int
    address: bytes = b""
    control: bytes = b""


class Send:
    """A `sendto` or a `sendmsg`."""

    def __init__(self, subject: Subject, messages: list[Message], judge: Judge) -> None:
        self.subject = subject
        self.is_patient = subject.is_patient() and not messages[0].flags & socket.MSG_DONTWAIT
        # Whether the queue of a named Unix socket has room cannot be waited for.
        self.is_polled = subject.is_internet or subject.type != socket.SOCK_DGRAM
        self._judge = judge
        self._messages = [self._judged(message) for message in messages]

    def _judged(self, message: Message) -> Message:
        if not message.address:
            return message
        if self.subject.type != socket.SOCK_DGRAM:
            # Only datagrams go to where they are addressed: a connection ignores it.
            return message._replace(address=b"")
        if self.subject.is_internet:
            return message._replace(address=self._judge.check_internet(message.address))
        return message  # a file: found when it is sent to

    def act(self) -> int:
        """Send; return how many bytes were taken.

        Raises:
            OSError: Nothing was sent, or not yet.
        """
        return self._send(self._messages[0])

    def _send(self, message: Message) -> int:
        flags = message.flags | socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
        if not message.address or self.subject.is_internet:
            return self._send_to(message.address, message, flags)
        with self._judge.find_socket(self.subject.tid, message.address) as found:
            return self._send_to(found, message, flags)

    def _send_to(self, address: bytes, message: Message, flags: int) -> int:
        fd, content, control = self.subject.fd, message.content, message.control
        if control:
            return kernel.send_with_control(fd, content, flags, address, control)
        return kernel.send(fd, content, flags, address)

    def give_up(self) -> int:
        """Return the result when the owner's own time limit has come."""
        return -errno.EAGAIN


class SendMany(Send):
    """A `sendmmsg`, which tells its caller how much was sent of each message."""

    def __init__(
        self, subject: Subject, messages: list[Message], judge: Judge, told_at: list[int]
    ) -> None:
        super().__init__(subject, messages, judge)
        self._told_at = told_at

    def act(self) -> int:
        """Send as many as can be sent; return how many messages that were.

        Raises:
            OSError: None was sent, or not yet.
        """
        done_count = 0
        for message, at in zip(self._messages, self._told_at, strict=True):
            try:
                count = self._send(message)
            except OSError:
                if not done_count:
                    raise
                break
            kernel.write(self.subject.tid, at, struct.pack("=I", count))
            done_count += 1
        return done_count


@contextlib.contextmanager
def _hurried(fd: int) -> Iterator[None]:
    """Keep a socket from waiting, and this process from waiting with it if it does."""
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    is_changed = not flags & os.O_NONBLOCK
    if is_changed:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    signal.setitimer(signal.ITIMER_REAL, _STUCK_AFTER_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if is_changed:
            fcntl.fcntl(fd, fcntl.F_SETFL, flags)
