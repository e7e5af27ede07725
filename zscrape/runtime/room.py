"""Free memory in one place, so that a fork that needs some copies few pages.

A process that has imported and rehearsed has free blocks wherever something has been let go
of: the next object of each size comes to lie on a page of its own, far from the header of its
pool, and a fork copies both. Here all of these are taken and never given back. What is
allocated from then on comes from pools that nobody has used, beside their headers.

It is a matter of speed alone: where an interpreter manages memory in another way, some is taken
for nothing.
"""

from __future__ import annotations

import _thread

# Of CPython's allocator for small objects (Objects/obmalloc.c).
_POOL_BYTES = 16384
_POOL_HEADER_BYTES = 48
_LARGEST_BYTES = 512
_STEP_BYTES = 16
_TRIES_COUNT = 4  # pools of a size; a quarter of a megabyte holds all that was ever seen free

_BYTES_HEADER_BYTES = 33
_LARGE = 1 << 25  # an integer that is no constant of anybody's; 32 bytes
# The interpreter makes some of its locks anew in every fork: they are no objects, but memory of
# the C library, which keeps the last few that were let go of at hand.
_LOCKS_COUNT = 200
_LOCKS_OF_A_FORK_COUNT = 8

_kept: list[object] = []


def gather() -> None:
    """Take all free blocks that lie scattered. Called once, after all that allocates much."""
    _kept.extend(_thread.allocate_lock() for _ in range(_LOCKS_COUNT))
    del _kept[-_LOCKS_OF_A_FORK_COUNT:]
    for size in range(2 * _STEP_BYTES, _LARGEST_BYTES + 1, _STEP_BYTES):
        for number in range(_TRIES_COUNT * _POOL_BYTES // size):
            block: object = bytes(size - _BYTES_HEADER_BYTES) if size > 32 else _LARGE + number
            if id(block) % _POOL_BYTES == _POOL_HEADER_BYTES:  # the first of a fresh pool
                break
            _kept.append(block)
