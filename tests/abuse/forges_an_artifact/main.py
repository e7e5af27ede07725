"""Send a file with a name that leaves its folder."""

import os
import random

NAMES = ("../../x", "/etc/x", "..", "a/b", "", "x" * 5000, "a\\u0000b", "\\ud800")


def run():
    name = random.choice(NAMES)
    body = '{"name":"%s","size":3,"content_type":"a/b","sha256":"%s","data":"YWJj"}' % (
        name,
        "0" * 64,
    )
    frame = body.encode()
    os.write(3, (len(frame) + 1).to_bytes(4, "big") + b"a" + frame)
    os.read(3, 1)
