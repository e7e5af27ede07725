"""Answer with the code of somebody else."""

import os


def run():
    head = b'{"code":"worker_lost"}'
    body = len(head).to_bytes(4, "big") + head
    os.write(3, (len(body) + 1).to_bytes(4, "big") + b"r" + body)
    os.read(3, 1)
