"""The interpreter's code in huge pages, for the forks of a template.

A fork does not inherit where pages of files are mapped: each child finds the code that it runs
again, sixteen pages with a fault, and each of those is given back when it ends. Memory of no
file in huge pages is inherited as it is, an entry for two megabytes. So the template copies its
code to such memory and puts that in the place of the file's: the same bytes at the same
addresses, which nothing can write to. Measured: a fifth of what a small child costs.

The price is a copy of the code for each template, and that profilers, which go by the names of
mapped files, do not know it. Where the kernel refuses any of it, all stays as it was.

Sources: Intel's "Runtime Performance Optimization Blueprint: Large Code Pages"; madvise(2).
"""

from __future__ import annotations

import ctypes
import os
from typing import NamedTuple

from zscrape.runtime import syscalls

BLOCK_BYTES = 2 * 1024 * 1024  # a huge page, where a page has 4 KiB
_NUMBERS = {"mmap": 9, "mprotect": 10, "munmap": 11, "mremap": 25, "madvise": 28}  # of x86-64
_READ, _WRITE, _EXECUTE = 1, 2, 4
_PRIVATE_ANONYMOUS = 0x22
_COLLAPSE = 25  # into huge pages now, or tell why not; since Linux 6.1
_MAY_MOVE_FIXED = 3


class _Mapping(NamedTuple):
    start: int
    end: int
    base: int  # where the beginning of the file would be
    rights: str
    file: str


def enlarge() -> int:
    """Put this interpreter's code into huge pages; return how many bytes that are.

    None where they are not known to be of this size, or the code does not fill one.

    Raises:
        OSError: The kernel refuses.
    """
    if syscalls.MACHINE != syscalls.X86_64 or os.sysconf("SC_PAGE_SIZE") != 4096:
        return 0
    start, end = _blocks(_mappings())
    size = end - start
    if size <= 0:
        return 0
    room = size + BLOCK_BYTES
    begin = _call("mmap", 0, room, _READ | _WRITE, _PRIVATE_ANONYMOUS, -1, 0)
    try:
        copy = _up(begin)
        ctypes.memmove(copy, start, size)
        _call("madvise", copy, size, _COLLAPSE)
        _call("mprotect", copy, size, _READ | _EXECUTE)
        _call("mremap", copy, size, size, _MAY_MOVE_FIXED, start)
    finally:
        _call("munmap", begin, room)  # what has moved is there no more
    return size


def _blocks(mappings: list[_Mapping]) -> tuple[int, int]:
    """Return where the whole blocks begin and end in what is mapped of the interpreter's file.

    With its code goes what is only read, as far as that lies in memory as it does in the file.
    """
    known = ctypes.cast(ctypes.pythonapi.Py_GetVersion, ctypes.c_void_p).value or 0
    code = next(each for each in mappings if each.start <= known < each.end)
    start = end = 0
    for each in mappings:
        if each.file != code.file or each.base != code.base or "w" in each.rights:
            continue
        if each.start != end:
            if start <= known < end:
                break
            start = each.start
        end = each.end
    return _up(start), end // BLOCK_BYTES * BLOCK_BYTES


def _mappings() -> list[_Mapping]:
    found = []
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - pathlib is not loaded here
        for line in file:
            place, rights, offset, _device, _inode, *name = line.split(None, 5)
            start, end = (int(word, 16) for word in place.split("-"))
            base = start - int(offset, 16)
            found.append(_Mapping(start, end, base, rights, name[0] if name else ""))
    return found


def _up(address: int) -> int:
    return -(-address // BLOCK_BYTES) * BLOCK_BYTES


def _call(name: str, *arguments: int) -> int:
    return syscalls.Prepared(name, _NUMBERS[name], *arguments)()
