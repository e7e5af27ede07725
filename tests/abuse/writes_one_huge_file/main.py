"""Write, stretch and reserve a file beyond its limit, and write far behind its end."""

import os

from probe import tried

SAFETY_COUNT = 100


def written():
    with open("one", "wb", buffering=0) as file:
        for _ in range(SAFETY_COUNT):
            file.write(b"x" * 100_000)


def far():
    with open("four", "wb", buffering=0) as file:
        file.seek(10**12)
        file.write(b"x")


def run():
    two = os.open("two", os.O_CREAT | os.O_RDWR)
    three = os.open("three", os.O_CREAT | os.O_RDWR)
    return {
        "written": tried(written),
        "stretched": tried(os.ftruncate, two, 10**12),
        "reserved": tried(os.posix_fallocate, three, 0, 10**8),
        "far": tried(far),
    }
