"""What a template holds in huge pages: its forks inherit an entry for two megabytes, not 512.

Code: a fork does not inherit where pages of files are mapped. Each child finds the code that it
runs again, sixteen pages with a fault, and gives each of them back when it ends. So the template
copies its code to memory of no file and puts that in the place of the file's: the same bytes at
the same addresses, which nothing can write to. Objects: a fork copies an entry for each of their
pages, which for those of a large image is half of what it takes.

The price is a copy of the code for each template, and that profilers, which go by the names of
mapped files, do not know it. Where the kernel refuses any of it, all stays as it was.

What there is may be found ahead: looking for it leaves holes in a heap, enlarging does not.

Sources: Intel's "Runtime Performance Optimization Blueprint: Large Code Pages"; madvise(2);
the kernel's Documentation/admin-guide/mm/pagemap.rst.
"""

from __future__ import annotations

import ctypes
import os

from zscrape.runtime import syscalls

BLOCK_BYTES = 2 * 1024 * 1024  # a huge page, where a page has 4 KiB
_NUMBERS = {"mmap": 9, "mprotect": 10, "munmap": 11, "mremap": 25, "madvise": 28}  # of x86-64
_READ, _WRITE, _EXECUTE = 1, 2, 4
_PRIVATE_ANONYMOUS = 0x22
_COLLAPSE = 25  # into huge pages now, or tell why not; since Linux 6.1
_MAY_MOVE_FIXED = 3
_PAGE_BYTES = 4096
_ENTRY_BYTES = 8  # of /proc/self/pagemap, for a page
_PRESENT = 0x80  # in the last byte of an entry
_WORTH_COUNT = 256  # pages of a block that must be there: the others begin to take memory


class _Mapping:
    """What a line of /proc/self/maps tells. A named tuple would take more memory than the rest."""

    __slots__ = ("base", "end", "file", "rights", "start")

    def __init__(self, start: int, end: int, base: int, rights: str, file: str) -> None:
        self.start, self.end = start, end
        self.base = base  # where the beginning of the file would be
        self.rights, self.file = rights, file


def find_code() -> tuple[int, int]:
    """Return where this interpreter's code begins and ends, as far as it fills huge pages.

    Nothing where they are not known to be of this size.
    """
    return _blocks(_mappings()) if _is_known_machine() else (0, 0)


def enlarge_code(start: int, end: int) -> int:
    """Put what `find_code` has found into huge pages; return how many bytes the kernel granted."""
    size = end - start
    if size <= 0:
        return 0
    try:
        copy = _blocks_of_memory(size)
    except OSError:
        return 0
    try:
        ctypes.memmove(copy, start, size)
        _call("madvise", copy, size, _COLLAPSE)
        _call("mprotect", copy, size, _READ | _EXECUTE)
        _call("mremap", copy, size, size, _MAY_MOVE_FIXED, start)
    except OSError:
        _call("munmap", copy, size)
        return 0
    return size


def _blocks_of_memory(size: int) -> int:
    """Return the address of new memory that begins with a block, and has nothing beside it.

    What is too much goes now: once the blocks have moved, others may have taken their place.
    """
    begin = _call("mmap", 0, size + BLOCK_BYTES, _READ | _WRITE, _PRIVATE_ANONYMOUS, -1, 0)
    first = _up(begin)
    for start, end in ((begin, first), (first + size, begin + size + BLOCK_BYTES)):
        if start < end:
            _call("munmap", start, end - start)
    return first


def find_objects() -> list[int]:
    """Return where blocks of what this process has made begin, if most of them is there.

    None where huge pages are not known to be of this size, or nobody may look.
    """
    if not _is_known_machine():
        return []
    blocks = [
        block
        for each in _mappings()
        if each.rights == "rw-p" and each.file in ("", "[heap]\n")
        for block in range(_up(each.start), each.end - BLOCK_BYTES + 1, BLOCK_BYTES)
    ]
    try:
        return [block for block in blocks if _is_worth_it(block)]
    except OSError:
        return []


def enlarge_objects(blocks: list[int]) -> int:
    """Put what `find_objects` has found into huge pages; return how many bytes that are."""
    return sum(map(_collapsed_bytes, blocks))


def _is_known_machine() -> bool:
    return syscalls.MACHINE == syscalls.X86_64 and os.sysconf("SC_PAGE_SIZE") == _PAGE_BYTES


def _is_worth_it(block: int) -> bool:
    with open("/proc/self/pagemap", "rb", buffering=0) as file:  # noqa: PTH123 - pathlib is not loaded here
        file.seek(block // _PAGE_BYTES * _ENTRY_BYTES)
        told = file.read(BLOCK_BYTES // _PAGE_BYTES * _ENTRY_BYTES)
    return sum(1 for last in told[7::_ENTRY_BYTES] if last & _PRESENT) >= _WORTH_COUNT


def _collapsed_bytes(block: int) -> int:
    try:
        _call("madvise", block, BLOCK_BYTES, _COLLAPSE)
    except OSError:  # no huge page is free, or the kernel knows no such thing
        return 0
    return BLOCK_BYTES


def _blocks(mappings: list[_Mapping]) -> tuple[int, int]:
    """Return where the whole blocks begin and end in what is mapped of the interpreter's file.

    With its code goes what is only read, as far as that lies in memory as it does in the file.
    """
    known = ctypes.cast(ctypes.pythonapi.Py_GetVersion, ctypes.c_void_p).value or 0
    code = next((each for each in mappings if each.start <= known < each.end), None)
    if code is None:
        return 0, 0
    start = end = 0
    for each in mappings:
        if each.file != code.file or each.base != code.base:
            continue
        if not each.rights.startswith("r-"):  # between its parts there may be what nobody may read
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
