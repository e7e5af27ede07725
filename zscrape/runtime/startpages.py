"""Pages of files that a process has before it from its start, and will not look at again.

To start means to run through half of the interpreter and of the libraries once. Each page of
their files that was touched, and the fifteen beside it, stays mapped, and counts as this process's
memory, for as long as the process is; what it goes on to use is a third of them. Those that are let
go are still in the system's cache, which gives them back at a touch, and can be taken from there
when memory is short.

Sources: proc(5), madvise(2).
"""

from __future__ import annotations

import ctypes
import sys

TYPE_CHECKING = False  # `typing` itself would be dear to load for a template
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DONT_NEED = 4  # MADV_DONTNEED


def let_go() -> None:
    """Let go of them all; those that are in use come back with the next touch."""
    if sys.platform != "linux":
        return
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    with open("/proc/self/smaps", encoding="utf-8", errors="replace") as lines:  # noqa: PTH123 - pathlib is not loaded in a template
        spans = list(spans_of_files(lines))
    for start, end in spans:
        madvise(start, end - start, _DONT_NEED)  # a refusal, as of locked ones, costs nothing


def spans_of_files(lines: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Yield from where to where files are mapped as they are: nothing in memory alone gets lost.

    These cannot be written to, and nothing was before that became so, as it is where the linker
    has put addresses in.

    Args:
        lines: Those of a /proc/PID/smaps.
    """
    span: tuple[int, int] | None = None
    for line in lines:
        name, *words = line.split()
        if not name.endswith(":"):  # the line of a mapping, before those of its figures
            start, end = (int(address, 16) for address in name.split("-"))
            rights, _offset, _device, inode = words[:4]
            span = (start, end) if inode != "0" and "w" not in rights else None
        elif name == "Anonymous:" and span is not None and words[0] == "0":
            yield span
