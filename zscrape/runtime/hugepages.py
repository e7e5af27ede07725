"""A template's code in huge pages: its forks inherit an entry for two megabytes, not 512.

A fork does not inherit where pages of files are mapped. Each child finds the code that it runs
again, sixteen pages with a fault, and gives each of them back when it ends. So the template copies
the interpreter's code to memory of no file, and puts that in the place of the file's: the same
bytes at the same addresses, which nothing can write to. With it goes what is only read, as far as
that lies in memory as it does in the file.

The price is a copy of the code for each template, and that profilers, which go by the names of
mapped files, do not know it. Where the kernel refuses any of it, all stays as it was.

What there is may be found ahead: looking for it leaves holes in a heap, enlarging does not.

Source: Intel's "Runtime Performance Optimization Blueprint: Large Code Pages".
"""

from __future__ import annotations

import ctypes

from zscrape.runtime.mappings import (
    BLOCK_BYTES,
    EXECUTE,
    READ,
    Mapping,
    blocks_of_memory,
    collapse,
    is_known_machine,
    mappings,
    move,
    protect,
    unmap,
    up,
)


def find_code() -> tuple[int, int]:
    """Return where this interpreter's code begins and ends, as far as it fills huge pages.

    Nothing where they are not known to be of this size.
    """
    return _blocks(mappings()) if is_known_machine() else (0, 0)


def enlarge_code(start: int, end: int) -> int:
    """Put what `find_code` has found into huge pages; return how many bytes the kernel granted."""
    size = end - start
    if size <= 0:
        return 0
    try:
        copy = blocks_of_memory(size)
    except OSError:
        return 0
    try:
        ctypes.memmove(copy, start, size)
        collapse(copy, size)
        protect(copy, size, READ | EXECUTE)
        move(copy, size, start)
    except OSError:
        unmap(copy, size)
        return 0
    return size


def _blocks(parts: list[Mapping]) -> tuple[int, int]:
    """Return where the whole blocks begin and end in what is mapped of the interpreter's file.

    With its code goes what is only read, as far as that lies in memory as it does in the file.
    """
    known = ctypes.cast(ctypes.pythonapi.Py_GetVersion, ctypes.c_void_p).value or 0
    code = next((each for each in parts if each.start <= known < each.end), None)
    if code is None:
        return 0, 0
    start = end = 0
    for each in parts:
        if each.file != code.file or each.base != code.base:
            continue
        if not each.rights.startswith("r-"):  # between its parts there may be what nobody may read
            continue
        if each.start != end:
            if start <= known < end:
                break
            start = each.start
        end = each.end
    return up(start), end // BLOCK_BYTES * BLOCK_BYTES
