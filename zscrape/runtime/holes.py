"""Free places among what a template holds, taken before its first fork.

What was imported and tried out leaves holes all over the heap, and the C library hands out the
small ones first, several of a size at once: a child that parses a page would write to a hundred
pages of memory, which it has to copy, to get what fits into a few. With no hole left it gets new
memory, side by side.

Only where the library is glibc: others have other heaps. The interpreter's own pools are `room`'s.
"""

from __future__ import annotations

import ctypes

_SMALL_BYTES = 1032  # up to here there is a list of holes for each size, by steps
_STEP_BYTES = 16
_LARGE_BYTES = 64 * 1024


class _Heap(ctypes.Structure):
    """What `mallinfo2` tells."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks"),
            *("fordblks", "keepcost"),
        )
    )


def fill() -> int:
    """Take every free place for good, large ones piece by piece; return how many bytes."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallinfo2"):
        return 0
    library.mallinfo2.restype = _Heap
    for function in (library.sbrk, library.malloc):
        function.restype = ctypes.c_void_p
    library.malloc.argtypes = (ctypes.c_size_t,)
    library.free.argtypes = (ctypes.c_void_p,)
    library.free(library.malloc(_LARGE_BYTES))  # neighbours that are free become one
    new_from = library.sbrk(0) - library.mallinfo2().keepcost
    filled_bytes = 0
    for size_bytes in range(_SMALL_BYTES, 0, -_STEP_BYTES):
        while (place := library.malloc(size_bytes)) is not None and place < new_from:
            filled_bytes += size_bytes
        library.free(place)
    return filled_bytes
