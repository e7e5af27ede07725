"""Send a large frame, one byte at a time, and never its end."""

import os


def run():
    os.write(3, (1 << 20).to_bytes(4, "big") + b"i")
    while True:
        os.write(3, b"1")
