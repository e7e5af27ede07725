"""Claim to have used more than there is."""

import os


def run():
    head = b'{"code":"ok","cpu_us":99999999999999999999,"memory_bytes":-5}'
    body = len(head).to_bytes(4, "big") + head + b"1"
    os.write(3, (len(body) + 1).to_bytes(4, "big") + b"r" + body)
    os.read(3, 1)
