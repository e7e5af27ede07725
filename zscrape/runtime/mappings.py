"""What is mapped into this process, and the system calls that change it: these on x86-64 only.

Sources: proc(5), mmap(2), mremap(2), madvise(2).
"""

from __future__ import annotations

import os

from zscrape.runtime import syscalls

BLOCK_BYTES = 2 * 1024 * 1024  # a huge page, where a page has 4 KiB
_PAGE_BYTES = 4096
READ, _WRITE, EXECUTE = 1, 2, 4
_MMAP, _MPROTECT, _MUNMAP, _MREMAP, _MADVISE = 9, 10, 11, 25, 28
_PRIVATE_ANONYMOUS = 0x22
_PRIVATE_FIXED = 0x12
_COLLAPSE = 25  # into huge pages now, or tell why not; since Linux 6.1
_MAY_MOVE_FIXED = 3


class Mapping:
    """What a line of /proc/self/maps tells. A named tuple would take more memory than the rest."""

    __slots__ = ("base", "end", "file", "rights", "start")

    def __init__(self, start: int, end: int, base: int, rights: str, file: str) -> None:
        self.start, self.end = start, end
        self.base = base  # where the beginning of the file would be
        self.rights, self.file = rights, file


def is_known_machine() -> bool:
    """True iff the numbers here are those of this machine."""
    return syscalls.MACHINE == syscalls.X86_64 and os.sysconf("SC_PAGE_SIZE") == _PAGE_BYTES


def mappings() -> list[Mapping]:
    """Return all of them, by address."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - pathlib is not loaded here
        return [mapping_of(line) for line in file]


def mapping_of(line: str) -> Mapping:
    """Return what is told by a line of /proc/self/maps, or by such a one of /proc/self/smaps."""
    place, rights, offset, _device, _inode, *name = line.rstrip("\n").split(None, 5)
    start, end = (int(word, 16) for word in place.split("-"))
    base = start - int(offset, 16)
    return Mapping(start, end, base, rights, name[0] if name else "")


def up(address: int) -> int:
    """Return the address of the first block that begins there or later."""
    return -(-address // BLOCK_BYTES) * BLOCK_BYTES


def memory(size: int) -> int:
    """Return the address of new memory.

    Raises:
        OSError: There is none; so all the others here, where the kernel refuses.
    """
    return _call("mmap", _MMAP, 0, size, READ | _WRITE, _PRIVATE_ANONYMOUS, -1, 0)


def blocks_of_memory(size: int) -> int:
    """Return the address of new memory that begins with a block, and has nothing beside it.

    What is too much goes now: once the blocks have moved, others may have taken their place.
    """
    begin = memory(size + BLOCK_BYTES)
    first = up(begin)
    for start, end in ((begin, first), (first + size, begin + size + BLOCK_BYTES)):
        if start < end:
            unmap(start, end - start)
    return first


def map_file(start: int, size: int, rights: int, fd: int, offset: int) -> None:
    """Map a part of a file to where something is, which goes; who writes there gets a copy."""
    _call("mmap", _MMAP, start, size, rights, _PRIVATE_FIXED, fd, offset)


def unmap(start: int, size: int) -> None:
    """Give memory back."""
    _call("munmap", _MUNMAP, start, size)


def collapse(start: int, size: int) -> None:
    """Put memory into huge pages, or raise."""
    _call("madvise", _MADVISE, start, size, _COLLAPSE)


def protect(start: int, size: int, rights: int) -> None:
    """Set what may be done with memory."""
    _call("mprotect", _MPROTECT, start, size, rights)


def moving(start: int, size: int, to: int) -> tuple[int, ...]:
    """Return the system call that moves memory to where something is, which goes."""
    return _MREMAP, start, size, size, _MAY_MOVE_FIXED, to


def move(start: int, size: int, to: int) -> None:
    """Move memory to where something is, which goes."""
    _call("mremap", *moving(start, size, to))


def _call(name: str, *words: int) -> int:
    return syscalls.Prepared(name, *words)()
