"""Take memory by shared anonymous maps, and keep it."""

import mmap
import time

from probe import tried

SAFETY_BYTES = 400_000_000
PIECE_BYTES = 1 << 24


def fill():
    kept = []
    for _ in range(SAFETY_BYTES // PIECE_BYTES):
        kept.append(mmap.mmap(-1, PIECE_BYTES))
        for at in range(0, PIECE_BYTES, 4096):
            kept[-1][at] = 1
    time.sleep(5)
    return "96000000"


def run():
    return {"shared": tried(fill)}
