"""What a template has made, in large pieces of memory, at the addresses where it was.

A fork copies an entry for each page that the process has made, and notes with the page that it is
shared; the end of the child takes both back. For pages that were taken one by one this is work
for each; those of one large piece (a folio, of two megabytes) the kernel treats in runs. A child
that writes to one of them copies that one, as ever.

The kernel makes such pieces at addresses that are multiples of their size, where next to nothing
of an interpreter lies. So what lies elsewhere is copied into new ones, and those are moved to where
it was. Nothing may be written between the two, and an interpreter writes with every step that it
takes: a chain of contexts of the C library calls both, one after the other.

Where any of this is not to be had, all stays as it was.

Sources: makecontext(3), mremap(2), madvise(2); the kernel's Documentation/mm/transhuge.rst, and
`copy_present_ptes` and `zap_present_ptes` of its mm/memory.c, since Linux 6.9.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # `signal` without the enums around it
import ctypes
import os
from typing import TypeAlias

from zscrape.runtime.mappings import (
    BLOCK_BYTES,
    Mapping,
    blocks_of_memory,
    collapse,
    is_known_machine,
    mapping_of,
    memory,
    moving,
    unmap,
    up,
)

_WORTH_BYTES = 64 * 1024
_MOST_BYTES = 32 * 1024 * 1024  # what forks of before go on to hold of the old is theirs alone
_WORTH_SHARE = 0.8  # of a mapping's pages must be there: the others begin to take memory
_SPECIAL = {"wf", "dc", "lo"}  # empty in forks, not in forks at all, locked

# A `ucontext_t` of x86-64, and where in it stands which one follows, and where its stack is.
_CONTEXT_BYTES = 4096
_NEXT_AT, _STACK_AT, _STACK_SIZE_AT = 8, 16, 32
_STACK_BYTES = 28 * 1024

# A function of the C library and its arguments: at most six, all of them numbers.
_Step: TypeAlias = "tuple[object, tuple[int, ...]]"


def gather() -> int:
    """Put what this process has made into large pieces; return how many bytes that are.

    It must have one thread: what others write meanwhile would be lost.
    """
    library = ctypes.CDLL(None)
    has_others = len(os.listdir("/proc/self/task")) > 1  # noqa: PTH208 - pathlib is not loaded here
    if has_others or not is_known_machine() or not hasattr(library, "makecontext"):
        return 0
    try:
        parts = _worth_it()
        size = sum(part_size for _start, part_size in parts)
        return _gather(library, parts, size) if 0 < size <= _MOST_BYTES else 0
    except OSError:
        return 0


def _worth_it() -> list[tuple[int, int]]:
    """Return where memory of ours lies that is nearly all there, and how many bytes it has."""
    parts: list[tuple[int, int]] = []
    mapping, there = Mapping(0, 0, 0, "", ""), 0
    with open("/proc/self/smaps", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - pathlib is not loaded here
        for line in file:
            if not line[0].isupper():  # a new one; what it is told by follows
                mapping = mapping_of(line)
            elif line.startswith("Rss:"):
                there = int(line.split()[1]) * 1024
            elif line.startswith("VmFlags:") and _is_worth_it(mapping, there, line.split()):
                parts.append((mapping.start, mapping.end - mapping.start))
    return parts


def _is_worth_it(mapping: Mapping, there: int, flags: list[str]) -> bool:
    # Not the stack: this stands on it.
    if mapping.rights != "rw-p" or mapping.file == "[stack]" or not _SPECIAL.isdisjoint(flags):
        return False
    size = mapping.end - mapping.start
    return size >= _WORTH_BYTES and there >= size * _WORTH_SHARE


def _gather(library: ctypes.CDLL, parts: list[tuple[int, int]], size: int) -> int:
    whole = up(size)
    area = blocks_of_memory(whole)
    steps: list[_Step] = []
    copy = area
    for start, part_size in parts:
        steps.append((library.memmove, (copy, start, part_size)))
        steps.append((library.syscall, moving(copy, part_size, start)))
        copy += part_size
    try:
        for block in range(area, area + whole, BLOCK_BYTES):
            ctypes.memset(block, 0, 1)  # where nothing is, there is nothing to collapse
            collapse(block, BLOCK_BYTES)
        _take(library, steps)
    except OSError:
        unmap(area, whole)
        raise
    if size < whole:
        unmap(copy, whole - size)
    return size


def _take(library: ctypes.CDLL, steps: list[_Step]) -> None:
    """Call one after the other, with no step of the interpreter and no signal between them."""
    frame = _CONTEXT_BYTES + _STACK_BYTES
    here = memory(frame * (len(steps) + 1))
    blocked = _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
    for number, (function, arguments) in enumerate(steps, 1):
        context = here + number * frame
        library.getcontext(ctypes.c_void_p(context))
        is_last = number == len(steps)
        _put(context + _NEXT_AT, here if is_last else context + frame)
        _put(context + _STACK_AT, context + _CONTEXT_BYTES)
        _put(context + _STACK_SIZE_AT, _STACK_BYTES)
        words = map(ctypes.c_long, arguments)
        library.makecontext(ctypes.c_void_p(context), function, len(arguments), *words)
    library.swapcontext(ctypes.c_void_p(here), ctypes.c_void_p(here + frame))
    _signal.pthread_sigmask(_signal.SIG_SETMASK, blocked)
    unmap(here, frame * (len(steps) + 1))


def _put(address: int, value: int) -> None:
    ctypes.c_long.from_address(address).value = value
