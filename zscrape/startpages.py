"""Code of libraries that only a start has run, and that a process lets go of afterwards.

A start runs through much of the interpreter and of its libraries once. Each page of their code
that it has touched, and the fifteen around it, stays mapped and counts as the process's memory,
though it holds what the file does; the process goes on to use a part of it. What is let go of
comes back from the system's cache at the next touch.

Only copies of what files hold can be lost, whatever other threads do meanwhile:

* only libraries that are held here for good: nothing else can come to lie where they are;
* only where the loader has mapped them, and only code, which nobody writes to;
* only if no page of it is the process's own, in memory or swapped out: a debugger, for one, puts
  instructions of its own in.

Sources: proc(5), dlopen(3), dlinfo(3), madvise(2).
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from msgspec import Struct

from zscrape.onuse import on_use

if TYPE_CHECKING:
    import ctypes
else:
    ctypes = on_use("ctypes")

_MAPPINGS: Final = Path("/proc/self/maps")
_PAGES: Final = Path("/proc/self/pagemap")
_CODE: Final = "r-xp"
_DONT_NEED: Final = 4  # MADV_DONTNEED
_LINK_MAP: Final = 2  # RTLD_DI_LINKMAP: what the loader knows; where a library begins comes first
# A word of pagemap for each page: whether it is in memory, swapped out, or as it is in its file.
_WORD_BYTES: Final = 8
_IN_MEMORY, _SWAPPED, _OF_FILE = 1 << 63, 1 << 62, 1 << 61


class _Code(Struct, frozen=True):
    """Where code of a file is mapped."""

    path: str
    start: int
    end: int
    file_start: int  # where the file's first byte would be


def let_go() -> int:
    """Let go of the code of all libraries; return of how many bytes.

    0 where the system has not what this takes.

    Raises:
        OSError: The system does not tell what is mapped.
    """
    if sys.platform != "linux":
        return 0
    try:
        library = ctypes.CDLL(None)
        dlopen, dlinfo, madvise = library.dlopen, library.dlinfo, library.madvise
    except (AttributeError, ImportError):  # another C library, or a Python built without ctypes
        return 0
    dlopen.argtypes, dlopen.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
    dlinfo.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    held = {path: _hold(path, dlopen, dlinfo) for path in {each.path for each in _mapped_code()}}
    size = 0
    with _PAGES.open("rb") as pages:
        for code in _mapped_code():  # as it is now that they cannot go
            if code.file_start == held.get(code.path) and is_of_file(pages, code.start, code.end):
                is_refused = madvise(code.start, code.end - code.start, _DONT_NEED) != 0
                size += 0 if is_refused else code.end - code.start
    return size


def _mapped_code() -> Iterator[_Code]:
    """Yield where code of files is mapped."""
    with _MAPPINGS.open(encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
        for line in lines:
            span, rights, offset, _device, _inode, *path = line.rstrip("\n").split(None, 5)
            if rights == _CODE and path and path[0].startswith("/"):
                start, end = (int(address, 16) for address in span.split("-"))
                yield _Code(path[0], start, end, start - int(offset, 16))


def _hold(path: str, dlopen: Callable[..., int | None], dlinfo: Callable[..., int]) -> int | None:
    """Have a library stay for as long as the process does; return where it begins.

    None if the loader has none from this file: it was replaced, or is the program itself.
    """
    library = dlopen(os.fsencode(path), os.RTLD_NOLOAD | os.RTLD_LAZY)
    known = ctypes.c_void_p()
    if library is None or dlinfo(library, _LINK_MAP, ctypes.byref(known)) or known.value is None:
        return None
    return ctypes.c_size_t.from_address(known.value).value


def is_of_file(pages: BinaryIO, start: int, end: int) -> bool:
    """True iff no page from address `start` to `end` is the process's own; `pages`: its pagemap."""
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    page_count = (end - start) // page_bytes
    pages.seek(start // page_bytes * _WORD_BYTES)
    told = pages.read(page_count * _WORD_BYTES)
    if len(told) < page_count * _WORD_BYTES:  # not known: an emulated /proc
        return False
    words = struct.unpack(f"{page_count}Q", told)
    return not any(word & _SWAPPED or (word & _IN_MEMORY and not word & _OF_FILE) for word in words)
