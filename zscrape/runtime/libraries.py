"""What is only read of a template's libraries, in one mapping for each in place of four.

A fork copies a description of each mapping, and the end of the child takes it back: with the
default kit, of two hundred and forty, most of them of some forty libraries. Of a library its code
has one, what comes before it another, its constants a third, and those that the linker has filled
in a fourth, whose pages are no longer the file's: these the fork copies, too. So the bytes of all
four are put into a file of memory, which is mapped where they were, to be read and executed.

The price is a copy of them for each template, that constants can be executed, and that profilers,
which go by the names of mapped files, do not know them. Where the kernel refuses, all stays as it
was. The linker must have filled in all (`LD_BIND_NOW`).

Where a script has the template's user and there is no Landlock, it can open the file while the
template holds it. So nothing is mapped before the file is sealed, and found to be what was written.

Sources: memfd_create(2), fcntl(2), "File sealing".
"""

from __future__ import annotations

import ctypes
import os

from zscrape.runtime import syscalls
from zscrape.runtime.mappings import (
    EXECUTE,
    READ,
    Mapping,
    is_known_machine,
    map_file,
    mappings,
)

_bytes_of = ctypes.string_at
# By x86-64's number: nothing is joined elsewhere. The seals, no smaller, no larger, no writing.
_FCNTL, _ADD_SEALS, _SEALS = 72, 1033, 0x1 | 0x2 | 0x4 | 0x8
_MOST_BYTES = 1024 * 1024  # of a library: of a large one the copy costs more than it is worth


def make_file() -> int:
    """Return the descriptor of an empty file of memory, kept by an exec; -1: there is none."""
    try:
        fd = os.memfd_create("libraries", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError:
        return -1
    os.set_inheritable(fd, True)
    return fd


def join(fd: int) -> int:
    """Put them into the file of memory that `fd` names; return how many mappings fewer there are.

    Nobody can write to that file again.
    """
    if fd < 0 or not is_known_machine():
        return 0
    fewer, offset = 0, 0
    try:
        wanted: list[tuple[int, int, int]] = []  # address, size, and how many mappings it was
        for parts in _libraries():
            start, size = parts[0].start, parts[-1].end - parts[0].start
            if size <= _MOST_BYTES:
                if os.pwrite(fd, _bytes_of(start, size), offset) < size:
                    return 0
                wanted.append((start, size, len(parts)))
                offset += size
        if syscalls.call(_FCNTL, fd, _ADD_SEALS, _SEALS) < 0:
            return 0
        offset = 0
        for start, size, parts_count in wanted:
            if os.pread(fd, size, offset) != _bytes_of(start, size):  # others write to it
                return fewer
            map_file(start, size, READ | EXECUTE, fd, offset)
            offset += size
            fewer += parts_count - 1
    except (OSError, MemoryError):  # those that are joined are as good as before
        return fewer
    return fewer


def _libraries() -> list[list[Mapping]]:
    """Return what is only read of each file with code, where it lies side by side."""
    found: list[list[Mapping]] = []
    for each in mappings():
        if each.rights not in ("r--p", "r-xp") or not each.file.startswith("/"):
            continue
        last = found[-1][-1] if found else None
        if last is not None and (last.file, last.end) == (each.file, each.start):
            found[-1].append(each)
        else:
            found.append([each])
    return [parts for parts in found if len(parts) > 1 and any(p.rights == "r-xp" for p in parts)]
