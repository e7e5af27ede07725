"""Claim a frame of two gigabytes, and begin to send it."""

import os


def run():
    os.write(3, b"\x7f\xff\xff\xffr")
    try:
        while True:
            os.write(3, b"x" * 65536)
    except OSError:
        os._exit(0)
