"""Send records of every kind that are nested a hundred thousand deep."""

import os

DEEP = b"[" * 100_000 + b"]" * 100_000


def run():
    for kind, body in (
        (b"l", b'{"level":"info","message":"x","value":' + DEEP + b"}"),
        (b"p", b'{"fraction":0.5,"text":"x","value":' + DEEP + b"}"),
        (b"i", DEEP),
    ):
        frame = (len(body) + 1).to_bytes(4, "big") + kind + body
        while frame:
            frame = frame[os.write(3, frame) :]
    return 1
