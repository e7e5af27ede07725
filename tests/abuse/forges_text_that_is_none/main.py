"""Send an item that is no text, or not the text of a value."""

import os
import random

BODIES = (b'"\xff\xfe"', b'"\xed\xa0\x80"', b"1e999999", b"NaN", b"-", b'"\\ud800')


def run():
    body = random.choice(BODIES)
    frame = (len(body) + 1).to_bytes(4, "big") + b"i" + body
    while frame:
        frame = frame[os.write(3, frame) :]
    os.read(3, 1)
