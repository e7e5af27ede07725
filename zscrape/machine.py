"""The machine that this process runs on: its memory, and how busy it is.

Linux tells both in two files. What asks psutil on other systems would be 0.8 MB of each idle
gateway and worker.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from zscrape.model import KIB, MIB
from zscrape.onuse import on_use

if TYPE_CHECKING:
    import ctypes

    import psutil
else:
    ctypes, psutil = on_use("ctypes"), on_use("psutil")

_IS_LINUX: Final = sys.platform == "linux"
_MEMORY: Final = Path("/proc/meminfo")
_MEMORY_FIELDS: Final = frozenset({"MemTotal", "MemAvailable"})
_PROCESSORS: Final = Path("/proc/stat")
# Fields of the first line of /proc/stat, proc(5). Behind these eight stands the time of guests,
# which is in the time of users already.
_FIELD_COUNT: Final = 8
_IDLE, _WAITS_FOR_DISK = 3, 4
# Of mallopt(3): what is free at the end of a heap goes back once it is more than this, and what is
# larger than that never comes from a heap.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KEPT_BYTES: Final = 32 * MIB
_OF_HEAP_BYTES: Final = 8 * MIB


def memory_bytes() -> int:
    """Return how much memory the machine has."""
    if not _IS_LINUX:
        return psutil.virtual_memory().total
    return _memory()["MemTotal"]


def memory_percent() -> float:
    """Return how much of its memory is in use: not to be had without swapping."""
    if not _IS_LINUX:
        return psutil.virtual_memory().percent
    told = _memory()
    total, available = told["MemTotal"], told.get("MemAvailable")
    if available is None:  # before Linux 3.14, and where /proc is emulated
        return psutil.virtual_memory().percent
    return round(max(0.0, 100.0 * (total - available) / total), 1)


class Processors:
    """How busy the machine's processors are between two looks, the first of them now."""

    def __init__(self) -> None:
        self._seen = _times()

    def percent(self) -> float:
        """Return it since the last call; 0.0 where no time was counted in between."""
        busy_before, all_before = self._seen
        self._seen = busy, all_now = _times()
        passed = all_now - all_before
        return round(max(0.0, 100.0 * (busy - busy_before) / passed), 1) if passed > 0 else 0.0


def _memory() -> dict[str, int]:
    """Return the bytes that there are and, where the kernel tells, those that could be had."""
    lines = dict(line.split(":", 1) for line in _MEMORY.read_text("ascii").splitlines())
    return {name: int(lines[name].split()[0]) * KIB for name in _MEMORY_FIELDS & lines.keys()}


def _times() -> tuple[float, float]:
    """Return the time that all processors have worked, and that has passed for them."""
    if not _IS_LINUX:
        told = psutil.cpu_times()
        return sum(told) - told.idle, sum(told)
    with _PROCESSORS.open("rb") as file:
        times = [int(word) for word in file.readline().split()[1 : _FIELD_COUNT + 1]]
    return sum(times) - times[_IDLE] - times[_WAITS_FOR_DISK], sum(times)


def share_heaps() -> None:
    """Have all threads but the first one share a heap; to be called before there are others.

    The C library would make each its own, up to eight for each processor: 0.1 MB and more for
    every thread that has ever asked for memory. Whoever has told the C library how many there are
    to be is left with that.
    """
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    if "MALLOC_ARENA_MAX" not in os.environ and "malloc.arena_max" not in tunables:
        _set_options({_ARENA_MAX: 2})


@cache
def keep_freed_memory() -> None:
    """Keep some of what is freed for what comes next; to be called when large messages come.

    Each is held for milliseconds, in some copies. The C library would give the memory of one back
    to the system at once, and the next would find it page by page. Who never hears one holds no
    more than before.
    """
    _set_options({_TRIM_THRESHOLD: _KEPT_BYTES, _MMAP_THRESHOLD: _OF_HEAP_BYTES})


def _set_options(options: dict[int, int]) -> None:
    if not _IS_LINUX:
        return
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, ImportError):  # another C library, or a Python built without ctypes
        return
    for option, value in options.items():
        set_option(option, value)
