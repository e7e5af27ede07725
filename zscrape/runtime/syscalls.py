"""System calls that the standard library does not have, by their numbers.

Only for Linux on x86-64 and on ARM64: their tables agree from number 424 on, what is older
is listed for both. Sources: the kernel's `syscall_64.tbl` and `asm-generic/unistd.h`.
"""

from __future__ import annotations

import ctypes
import os

X86_64 = "x86_64"
AARCH64 = "aarch64"
MACHINE = os.uname().machine

PRCTL = {X86_64: 157, AARCH64: 167}.get(MACHINE, -1)
SECCOMP = {X86_64: 317, AARCH64: 277}.get(MACHINE, -1)
_PIVOT_ROOT = {X86_64: 155, AARCH64: 41}
LANDLOCK_CREATE_RULESET = 444
LANDLOCK_ADD_RULE = 445
LANDLOCK_RESTRICT_SELF = 446
LANDLOCK_PATH_BENEATH = 1
IO_URING_SETUP = 425
IO_URING_REGISTER = 427
REGISTER_BUFFERS = 0  # what the latter is to do
_MOUNT_SETATTR = 442

PR_SET_NO_NEW_PRIVS = 38
PR_SET_CHILD_SUBREAPER = 36
PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4

_libc = ctypes.CDLL(None, use_errno=True)
# With numbers of 32 bits and bytes; a result below zero is a refusal, see `error_of`. A child
# calls this where it can: each function of ours around it is two pages more that it copies.
call = _syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_long = ctypes.c_long


def is_known_machine() -> bool:
    """True iff the numbers here are those of this machine."""
    return MACHINE in (X86_64, AARCH64)


def _checked(result: int, name: str) -> int:
    if result < 0:
        raise error_of(name)
    return result


def error_of(name: str) -> OSError:
    """Return why the last system call of this thread was refused."""
    number = ctypes.get_errno()
    return OSError(number, f"{name}: {os.strerror(number)}")


# Words of a call that are registers; a number of 32 bits in memory has no other half.
_IN_REGISTERS_COUNT = 6


def _argument(place: int, value: int | bytes) -> int | bytes | ctypes.c_long:
    """Return what is passed on in one piece: a plain number is taken for one of 32 bits."""
    is_small = isinstance(value, int) and -(2**31) <= value < 2**31
    if isinstance(value, int) and not (is_small and place < _IN_REGISTERS_COUNT):
        return _long(value)
    return value


class Prepared:
    """A system call whose arguments have been made, to be called in a fork.

    Making them there would write to many pages that are still shared: those faults take far
    longer than most calls.
    """

    __slots__ = ("_call", "_name")

    def __init__(self, name: str, number: int, *arguments: int | bytes) -> None:
        self._name = name
        self._call = (number, *(_argument(*each) for each in enumerate(arguments, 1)))

    def __call__(self) -> int:
        """Call it; return its result.

        Raises:
            OSError: The kernel refuses.
        """
        result: int = _syscall(*self._call)
        return result if result >= 0 else _checked(result, self._name)


NOTHING = (PRCTL, PR_GET_DUMPABLE, 0, 0, 0, 0)  # to rehearse a call


def prctl(option: int, argument: int = 0) -> int:
    """Set an attribute of this process.

    Raises:
        OSError: The kernel refuses it or does not have it.
    """
    return _checked(_libc.prctl(option, _long(argument), _long(0), _long(0), _long(0)), "prctl")


def landlock_abi() -> int:
    """Return the version of Landlock that the kernel has; 0 for none."""
    result: int = _syscall(_long(LANDLOCK_CREATE_RULESET), None, _long(0), 1)
    return max(result, 0)


def landlock_add_rule(ruleset_fd: int, rule: bytes) -> None:
    """Add a rule for what lies beneath a path.

    Raises:
        OSError: The kernel refuses it.
    """
    result = _syscall(LANDLOCK_ADD_RULE, ruleset_fd, LANDLOCK_PATH_BENEATH, rule, 0)
    if result < 0:
        _checked(result, "landlock rule")


def unshare(flags: int) -> None:
    """Leave namespaces for new ones.

    Raises:
        OSError: This process may not.
    """
    _checked(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """Mount something.

    Raises:
        OSError: It cannot be mounted; `filename` is the target.
    """
    arguments = (source.encode(), target.encode(), kind.encode())
    if _libc.mount(*arguments, ctypes.c_ulong(flags), options.encode()) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def unmount(target: str, flags: int) -> None:
    """Unmount something.

    Raises:
        OSError: It cannot be unmounted.
    """
    _checked(_libc.umount2(target.encode(), flags), "umount2")


def mount_setattr(target: str, *, is_recursive: bool, attributes: int) -> None:
    """Set attributes (`MOUNT_ATTR_*`) of a mount, or of all that are mounted below it, too.

    Raises:
        OSError: The kernel refuses or does not have it (it came with 5.12).
    """
    at_fdcwd, at_recursive = -100, 0x8000
    words = (attributes, 0, 0, 0)  # struct mount_attr: set, clear, propagation, user namespace
    told = b"".join(word.to_bytes(8, "little") for word in words)
    result = _syscall(
        *(_long(_MOUNT_SETATTR), at_fdcwd, target.encode()),
        *(at_recursive if is_recursive else 0, told, _long(len(told))),
    )
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def pivot_root(new_root: str, put_old: str) -> None:
    """Make a mount the root of this mount namespace.

    Raises:
        OSError: It is none, or this process may not.
    """
    number = _long(_PIVOT_ROOT[MACHINE])
    _checked(_syscall(number, new_root.encode(), put_old.encode()), "pivot_root")


def drop_capabilities() -> None:
    """Give up every right that root has beyond those of its user number, for good.

    Raises:
        OSError: The kernel refuses.
    """
    version_3, this_process = 0x20080522, 0
    header = version_3.to_bytes(4, "little") + this_process.to_bytes(4, "little")
    _checked(_libc.capset(header, bytes(24)), "capset")
