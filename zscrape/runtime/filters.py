"""Programs for the kernel's classic BPF machine, which `seccomp` asks at every system call.

A filter is inherited by all that its process starts and can never be taken off. It sees the
number of a call and its arguments, not what they point to. Every program here begins the
same way: a call of another architecture ends the process, since its numbers mean something
else, and so does one of the second table that x86-64 has (x32).

Sources: Documentation/userspace-api/seccomp_filter.rst, and audit.h, filter.h, seccomp.h.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from zscrape.runtime import syscalls
from zscrape.runtime.syscalls import AARCH64, X86_64

ALLOW = 0x7FFF0000
NOTIFY = 0x7FC00000
KILL = 0x80000000
_ERRNO = 0x00050000

IF_EQUAL, IF_AT_LEAST, IF_ANY_BIT = 0x15, 0x35, 0x45  # BPF_JMP | BPF_J.. | BPF_K
_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
_RETURN = 0x06

# struct seccomp_data, whose words are read in the machine's (little endian) order.
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_ARCHITECTURES = {X86_64: 0xC000003E, AARCH64: 0xC00000B7}
_X32_BIT = 0x40000000

_SET_MODE_FILTER = 1
FLAG_NEW_LISTENER = 8


def refuse(number: int) -> int:
    """Return the result that ends a call with an errno."""
    return _ERRNO | number


class Program:
    """A program in the making, which begins with the number of a call: jumps name their places."""

    def __init__(self, machine: str) -> None:
        """Begin one for a processor architecture, as `os.uname().machine` names it.

        Raises:
            OSError: It is not known for this architecture.
        """
        if machine not in _ARCHITECTURES:
            raise OSError(errno.ENOSYS, f"there are no filters for {machine}")
        self.machine = machine
        self._lines: list[tuple[int, int, str, str]] = []
        self._places: dict[str, int] = {}
        self._load(_ARCHITECTURE_AT)
        self.end_unless(IF_EQUAL, _ARCHITECTURES[machine], KILL)
        self._load(_NUMBER_AT)
        if machine == X86_64:
            self.end_if(IF_AT_LEAST, _X32_BIT, KILL)

    def place(self, name: str) -> None:
        """Name the next instruction. Only places further down can be jumped to."""
        self._places[name] = len(self._lines)

    def new_name(self) -> str:
        """Return a name for a place that nobody else has."""
        return f"#{len(self._lines)}"

    def _load(self, offset: int) -> None:
        self._lines.append((_LOAD, offset, "", ""))

    def load_argument(self, index: int, *, is_high: bool = False) -> None:
        """Read one half of an argument of the call."""
        self._load(_ARGUMENTS_AT + 8 * index + 4 * is_high)

    def keep_bits(self, mask: int) -> None:
        """Clear all other bits of the word that was read."""
        self._lines.append((_AND, mask, "", ""))

    def jump(self, kind: int, value: int, then: str = "", otherwise: str = "") -> None:
        """Go to a place by a comparison; an empty name is the next instruction."""
        self._lines.append((kind, value, then, otherwise))

    def end(self, result: int) -> None:
        """Answer."""
        self._lines.append((_RETURN, result, "", ""))

    def end_if(self, kind: int, value: int, result: int) -> None:
        """Answer if a comparison holds, else go on."""
        name = self.new_name()
        self.jump(kind, value, "", name)
        self.end(result)
        self.place(name)

    def end_unless(self, kind: int, value: int, result: int) -> None:
        """Answer unless a comparison holds, then go on."""
        name = self.new_name()
        self.jump(kind, value, name, "")
        self.end(result)
        self.place(name)

    def assemble(self) -> bytes:
        """Return the instructions as the kernel reads them."""

        def distance(name: str, line: int) -> int:
            return self._places[name] - line - 1 if name else 0

        return b"".join(
            struct.pack("=HBBI", code, distance(then, at), distance(otherwise, at), value)
            for at, (code, value, then, otherwise) in enumerate(self._lines)
        )


class Filter:
    """A program that only has to be installed: what that takes is made here, once.

    `call` is what `install` calls, for as long as this object is there.
    """

    def __init__(self, code: bytes, flags: int = 0) -> None:
        self._kept = ctypes.create_string_buffer(code, len(code))
        # struct sock_fprog: count and pointer, with the padding between them.
        header = struct.pack("=HxxxxxxQ", len(code) // 8, ctypes.addressof(self._kept))
        self.call = syscalls.Prepared("seccomp", syscalls.SECCOMP, _SET_MODE_FILTER, flags, header)

    def install(self) -> int:
        """Put it on this process for good; return the descriptor of its listener, if it has one.

        Raises:
            OSError: The kernel has no filters, or this process may not install one.
        """
        return self.call()
