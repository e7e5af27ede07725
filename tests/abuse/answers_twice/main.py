"""Send a good answer, then another, then nonsense."""

import os


def answer(data):
    head = b'{"code":"ok"}'
    body = len(head).to_bytes(4, "big") + head + data
    os.write(3, (len(body) + 1).to_bytes(4, "big") + b"r" + body)


def run():
    try:
        answer(b"1")
        answer(b"2")
        os.write(3, b"\xff" * 100_000)
    except OSError:
        pass
    return 3
