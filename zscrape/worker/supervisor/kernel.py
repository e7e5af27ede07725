"""The system calls of the supervisor for which Python has no words.

Sources: seccomp_unotify(2), process_vm_readv(2), pidfd_getfd(2), openat2(2), prctl(2).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from typing import Final, NamedTuple

# ioctl numbers hold the size of what they exchange: struct seccomp_notif (80 bytes), struct
# seccomp_notif_resp (24), and an identity (8).
_NOTIF_RECV: Final = 0xC0502100
_NOTIF_SEND: Final = 0xC0182101
_NOTIF_ID_VALID: Final = 0x40082102
_NOTIF_SET_FLAGS: Final = 0x40082104
_SYNC_WAKE_UP: Final = 1
_NOTIF: Final = struct.Struct("=QIIiIQ6Q")
_ANSWER: Final = struct.Struct("=QqiI")
_IDENTITY: Final = struct.Struct("=Q")

HEADER_FORMAT: Final = "=QIxxxxQQQQixxxx"  # struct msghdr

_PIDFD_GETFD: Final = 438
_OPENAT2: Final = 437
_PIDFD_THREAD: Final = os.O_EXCL
_RESOLVE_NO_MAGICLINKS, _RESOLVE_NO_SYMLINKS, _RESOLVE_BENEATH = 2, 4, 8
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_readv, _writev = _libc.process_vm_readv, _libc.process_vm_writev
for _function in (_readv, _writev):
    _function.restype = ctypes.c_ssize_t
    _function.argtypes = (
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_ulong,
        ctypes.c_void_p,
        ctypes.c_ulong,
        ctypes.c_ulong,
    )
_connect = _libc.connect
_connect.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
_sendto = _libc.sendto
_sendto.restype = ctypes.c_ssize_t
_sendto.argtypes = (
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_uint,
)

_sendmsg = _libc.sendmsg
_sendmsg.restype = ctypes.c_ssize_t
_sendmsg.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int)


class Notification(NamedTuple):
    """A system call that waits for an answer."""

    id: int
    tid: int  # the thread that made it, as this process sees it; 0 if it cannot be seen
    number: int
    arguments: tuple[int, ...]


class Part(NamedTuple):
    """A piece of another process's memory."""

    at: int
    size_bytes: int


def receive(listener_fd: int) -> Notification | None:
    """Return the next call that waits, or None if the one that woke us has gone."""
    room = bytearray(_NOTIF.size)
    try:
        fcntl.ioctl(listener_fd, _NOTIF_RECV, room, True)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINTR):
            return None
        raise
    id_, tid, _flags, number, _arch, _at, *arguments = _NOTIF.unpack(room)
    return Notification(id_, tid, number, tuple(arguments))


def answer(listener_fd: int, id_: int, result: int) -> None:
    """End a call with a result, or with an errno if that is negative; it may have gone."""
    value, error = (result, 0) if result >= 0 else (0, result)
    try:
        fcntl.ioctl(listener_fd, _NOTIF_SEND, _ANSWER.pack(id_, value, error, 0))
    except OSError as problem:
        if problem.errno != errno.ENOENT:
            raise


def is_waiting(listener_fd: int, id_: int) -> bool:
    """True iff that call still waits; then all that was read by its thread's number is its own."""
    try:
        fcntl.ioctl(listener_fd, _NOTIF_ID_VALID, _IDENTITY.pack(id_))
    except OSError:
        return False
    return True


def prefer_one_processor(listener_fd: int) -> None:
    """Have the kernel switch straight between caller and supervisor, where it can (6.6)."""
    try:
        fcntl.ioctl(listener_fd, _NOTIF_SET_FLAGS, _SYNC_WAKE_UP)
    except OSError:
        return


def read_parts(tid: int, parts: list[Part]) -> bytes:
    """Return pieces of a thread's memory, one after the other.

    Raises:
        OSError: Not all of it can be read.
    """
    size_bytes = sum(part.size_bytes for part in parts)
    room = ctypes.create_string_buffer(size_bytes)
    ours = struct.pack("=QQ", ctypes.addressof(room), size_bytes)
    theirs = b"".join(struct.pack("=QQ", *part) for part in parts)
    count = _readv(tid, ours, 1, theirs, len(parts), 0)
    if count != size_bytes:
        raise _error() if count < 0 else OSError(errno.EFAULT, "")
    return room.raw


def read(tid: int, at: int, size_bytes: int) -> bytes:
    """Return a piece of a thread's memory.

    Raises:
        OSError: Not all of it can be read.
    """
    return read_parts(tid, [Part(at, size_bytes)]) if size_bytes else b""


def write(tid: int, at: int, content: bytes) -> None:
    """Change a thread's memory.

    Raises:
        OSError: It cannot be written.
    """
    ours = struct.pack("=QQ", ctypes.addressof(room := _buffer(content)), len(content))
    if _writev(tid, ours, 1, struct.pack("=QQ", at, len(content)), 1, 0) != len(room):
        raise OSError(errno.EFAULT, "")


def open_thread(tid: int) -> int:
    """Return a descriptor of the process that a thread belongs to, if possible of the thread.

    Threads share their descriptors unless one of them has asked not to, so before Linux 6.9,
    which can tell them apart, the process is as good.

    Raises:
        OSError: It has gone.
    """
    try:
        return os.pidfd_open(tid, _PIDFD_THREAD)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    with open(f"/proc/{tid}/status", "rb") as status:  # noqa: PTH123 - hot
        line = next(line for line in status if line.startswith(b"Tgid:"))
    return os.pidfd_open(int(line.split()[1]))


def take_fd(pidfd: int, fd: int) -> int:
    """Return a copy of another process's descriptor.

    Raises:
        OSError: It has no such descriptor, or its memory is not ours to look into.
    """
    copy: int = _syscall(
        ctypes.c_long(_PIDFD_GETFD), ctypes.c_int(pidfd), ctypes.c_int(fd), ctypes.c_uint(0)
    )
    if copy < 0:
        raise _error()
    return copy


def take_listener(pid: int, fd: int) -> int:
    """Return our own descriptor of the listener that a process has under this number.

    Raises:
        OSError: It may not be taken, for example where only a process's parents may look into
            it and this one is none (`kernel.yama.ptrace_scope`).
    """
    pidfd = os.pidfd_open(pid)
    try:
        return take_fd(pidfd, fd)
    finally:
        os.close(pidfd)


def connect(fd: int, address: bytes) -> None:
    """Connect, once: unlike Python's own it does not wait when it was interrupted.

    Raises:
        OSError: It did not connect, or not yet.
    """
    if _connect(fd, address, len(address)) < 0:
        raise _error()


def send(fd: int, content: bytes, flags: int, address: bytes) -> int:
    """Send to a raw address; return how much was taken.

    Raises:
        OSError: Nothing was sent.
    """
    count: int = _sendto(fd, content, len(content), flags, address or None, len(address))
    if count < 0:
        raise _error()
    return count


def send_with_control(fd: int, content: bytes, flags: int, address: bytes, control: bytes) -> int:
    """Send with control messages, as they are in memory; return how much was taken.

    Raises:
        OSError: Nothing was sent.
    """
    held = [_buffer(each) for each in (address, content, control)]
    name, payload, extra = (ctypes.addressof(each) for each in held)
    piece = _buffer(struct.pack("=QQ", payload, len(content)))
    header = struct.pack(
        HEADER_FORMAT,
        name if address else 0,
        len(address),
        ctypes.addressof(piece),
        1,
        extra,
        len(control),
        0,
    )
    count: int = _sendmsg(fd, header, flags)
    if count < 0:
        raise _error()
    return count


def open_below(folder_fd: int, path: bytes) -> int:
    """Return a descriptor that names a file and no more; no link of the path is followed.

    Raises:
        OSError: There is none, or the path leads out of the folder.
    """
    resolve = _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_MAGICLINKS
    how = struct.pack("=QQQ", os.O_PATH | os.O_CLOEXEC, 0, resolve)
    fd: int = _syscall(
        ctypes.c_long(_OPENAT2),
        ctypes.c_int(folder_fd),
        ctypes.c_char_p(path),
        ctypes.c_char_p(how),
        ctypes.c_size_t(len(how)),
    )
    if fd < 0:
        raise _error()
    return fd


def end_with_parent() -> None:
    """Have this process killed when the thread that started it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0)


def hide_memory() -> None:
    """Keep other processes of this user from tracing this one or taking its descriptors."""
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _buffer(content: bytes) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(content, len(content))


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
