"""Send forged items of one digit, as fast as it goes."""

import os


def run():
    frames = b"\0\0\0\x02i1" * 10_000
    while True:
        os.write(3, frames)
