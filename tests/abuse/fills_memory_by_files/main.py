"""Fill files that are in memory: nameless ones, and those in the folder for them."""

import os
import time

from probe import tried

SAFETY_BYTES = 300_000_000
PIECE = b"x" * (1 << 20)


def fill(handle):
    try:
        for _ in range(SAFETY_BYTES // len(PIECE)):
            os.write(handle, PIECE)
        time.sleep(4)
    finally:
        os.close(handle)


def shared(folder):
    path = f"{folder}/zscrape-abuse-memory"
    handle = os.open(path, os.O_CREAT | os.O_RDWR)
    os.unlink(path)
    fill(handle)


def anonymous():
    handles = [os.memfd_create("abuse") for _ in range(5)]
    for handle in handles:
        os.write(handle, b"x")
        for _ in range(55):
            os.write(handle, PIECE)
    time.sleep(4)


def run():
    return {
        "anonymous": tried(anonymous),
        "shared": tried(shared, "/dev/shm"),
        "queue": tried(shared, "/dev/mqueue"),
    }
