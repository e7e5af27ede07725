"""Reserve space in many files, each within its limit."""

import os
import time

SAFETY_COUNT = 22  # a third more than a folder may hold
ONE_BYTES = 60_000_000


def run():
    for number in range(SAFETY_COUNT):
        handle = os.open(f"{number}", os.O_CREAT | os.O_RDWR)
        os.posix_fallocate(handle, 0, ONE_BYTES)
        os.close(handle)
    time.sleep(10)
