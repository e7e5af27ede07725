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
    PAGE_BYTES,
    Mapping,
    blocks_of_memory,
    collapse,
    is_known_machine,
    mappings,
    memory,
    moving,
    unmap,
    up,
)

_WORTH_BYTES = 64 * 1024
_WORTH_SHARE = 0.8  # of a mapping's pages must be there: the others begin to take memory
_ENTRY_BYTES = 8  # of /proc/self/pagemap, for a page
_PRESENT = 0x80  # in the last byte of an entry

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
        parts = [(each.start, each.end - each.start) for each in mappings() if _is_worth_it(each)]
        return _gather(library, parts) if parts else 0
    except OSError:
        return 0


def _is_worth_it(mapping: Mapping) -> bool:
    """True iff it is memory of ours, and nearly all there. Not the stack: this stands on it."""
    size = mapping.end - mapping.start
    if mapping.rights != "rw-p" or mapping.file == "[stack]" or size < _WORTH_BYTES:
        return False
    with open("/proc/self/pagemap", "rb", buffering=0) as file:  # noqa: PTH123 - pathlib is not loaded here
        file.seek(mapping.start // PAGE_BYTES * _ENTRY_BYTES)
        told = file.read(size // PAGE_BYTES * _ENTRY_BYTES)
    there = sum(1 for last in told[7::_ENTRY_BYTES] if last & _PRESENT)
    return there * PAGE_BYTES >= size * _WORTH_SHARE


def _gather(library: ctypes.CDLL, parts: list[tuple[int, int]]) -> int:
    size = sum(part_size for _start, part_size in parts)
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
