"""The kernel's programs (eBPF): a few instructions by hand, loaded and attached to a cgroup.

Source: Documentation/bpf/standardization/instruction-set.rst and include/uapi/linux/bpf.h of
Linux 6.x. The system call is made by ctypes: there is no package that does it without a
compiler on the worker.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from enum import IntEnum
from typing import Final

_SYSCALL_NUMBERS: Final = {"x86_64": 321, "aarch64": 280}
_PROG_LOAD, _PROG_ATTACH = 5, 8
# Programs above and below in the tree are asked as well: ours only ever forbids more.
_ALLOW_MULTI: Final = 2
_LOG_SIZE_BYTES: Final = 65536
_LICENSE: Final = ctypes.create_string_buffer(b"Apache-2.0")
_libc = ctypes.CDLL(None, use_errno=True)


class BpfFailed(OSError):
    """Raised when the kernel does not take a program; the text says which step and why."""


class ProgramType(IntEnum):
    """What a program is asked about."""

    CGROUP_SOCK = 9
    CGROUP_SOCK_ADDR = 18


class Hook(IntEnum):
    """When a program is asked."""

    INET_SOCK_CREATE = 2
    INET4_CONNECT = 10
    INET6_CONNECT = 11
    UDP4_SENDMSG = 14
    UDP6_SENDMSG = 15


# ---- instructions --------------------------------------------------------------------


def _instruction(code: int, to: int = 0, source: int = 0, jump: int = 0, value: int = 0) -> bytes:
    return struct.pack("=BBhI", code, to | source << 4, jump, value & 0xFFFFFFFF)


def load_word(to: int, offset_bytes: int) -> bytes:
    """Read four bytes of what the program is told (register 1)."""
    return _instruction(0x61, to, 1, offset_bytes)


def to_big_endian(to: int, bits: int) -> bytes:
    """Turn what came in the order of the network into a number; the rest becomes 0."""
    return _instruction(0xDC, to, value=bits)


def move(to: int, source: int) -> bytes:
    """Copy a register of 32 bits."""
    return _instruction(0xBC, to, source)


def mask(to: int, bits: int) -> bytes:
    """Keep these of 32 bits."""
    return _instruction(0x54, to, value=bits)


def combine(to: int, source: int) -> bytes:
    """Add the bits of another register of 32 bits."""
    return _instruction(0x4C, to, source)


def shift_left(to: int, count: int) -> bytes:
    """Shift 32 bits towards the high end."""
    return _instruction(0x64, to, value=count)


def shift_right(to: int, count: int) -> bytes:
    """Shift 32 bits towards the low end."""
    return _instruction(0x74, to, value=count)


def skip_unless(register: int, value: int, count: int) -> bytes:
    """Leave `count` instructions out unless the 32 bits of a register are this value."""
    return _instruction(0x56, register, jump=count, value=value)


def skip(count: int) -> bytes:
    """Leave `count` instructions out."""
    return _instruction(0x05, jump=count)


def answer(value: int) -> bytes:
    """End the program: 1 lets it pass, 0 refuses with EPERM."""
    return _instruction(0xB7, 0, value=value) + _instruction(0x95)


# ---- system calls --------------------------------------------------------------------


class _Load(ctypes.Structure):
    _fields_ = (
        ("program_type", ctypes.c_uint32),
        ("instruction_count", ctypes.c_uint32),
        ("instructions", ctypes.c_uint64),
        ("license", ctypes.c_uint64),
        ("log_level", ctypes.c_uint32),
        ("log_size", ctypes.c_uint32),
        ("log", ctypes.c_uint64),
        ("kernel_version", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("name", ctypes.c_char * 16),
        ("interface", ctypes.c_uint32),
        ("hook", ctypes.c_uint32),
    )


class _Attach(ctypes.Structure):
    _fields_ = (
        ("target_fd", ctypes.c_uint32),
        ("program_fd", ctypes.c_uint32),
        ("hook", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
    )


def load(kind: ProgramType, hook: Hook, program: bytes) -> int:
    """Give a program to the kernel; return its descriptor.

    Raises:
        BpfFailed: The kernel has no such programs, does not let us, or refuses this one.
    """
    code = ctypes.create_string_buffer(program, len(program))
    wanted = _Load(
        program_type=kind,
        instruction_count=len(program) // 8,
        instructions=ctypes.addressof(code),
        license=ctypes.addressof(_LICENSE),
        name=b"zscrape",
        hook=hook,
    )
    try:
        return _bpf(_PROG_LOAD, wanted)
    except BpfFailed as error:
        if error.errno not in (22, 13):  # EINVAL, EACCES: the verifier has something to say
            raise
    log = ctypes.create_string_buffer(_LOG_SIZE_BYTES)
    wanted.log_level, wanted.log_size, wanted.log = 1, _LOG_SIZE_BYTES, ctypes.addressof(log)
    try:
        return _bpf(_PROG_LOAD, wanted)
    except BpfFailed as error:
        said = log.value.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise BpfFailed(error.errno, f"{error.strerror} {said}".strip()) from error


def attach(program_fd: int, cgroup_fd: int, hook: Hook) -> None:
    """Have a program asked for everything in a cgroup, until that cgroup is removed.

    Raises:
        BpfFailed: The kernel does not let us, or a program above ours wants to be the only one.
    """
    flags = _ALLOW_MULTI
    _bpf(_PROG_ATTACH, _Attach(target_fd=cgroup_fd, program_fd=program_fd, hook=hook, flags=flags))


def _bpf(command: int, wanted: ctypes.Structure) -> int:
    number = _SYSCALL_NUMBERS.get(platform.machine())
    if number is None:
        raise BpfFailed(0, f"not made for {platform.machine()}")
    size = ctypes.sizeof(wanted)
    result: int = _libc.syscall(number, command, ctypes.byref(wanted), size)
    if result < 0:
        code = ctypes.get_errno()
        raise BpfFailed(code, f"bpf({command}): {os.strerror(code)}")
    return result
