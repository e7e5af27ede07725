"""Take memory by private anonymous maps."""

import mmap

from probe import tried

SAFETY_BYTES = 400_000_000


def fill():
    kept = []
    size = 0
    while size < SAFETY_BYTES:
        kept.append(mmap.mmap(-1, 1 << 24, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        for at in range(0, 1 << 24, 4096):
            kept[-1][at] = 1
        size += 1 << 24
    return size


def run():
    return {"mapped": tried(fill)}
