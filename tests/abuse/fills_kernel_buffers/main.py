"""Fill every buffer that the kernel keeps for descriptors."""

import os
import select
import socket


def fill(number):
    os.set_blocking(number, False)
    try:
        while True:
            os.write(number, b"x" * 65536)
    except OSError:
        pass


def run():
    kept = []
    try:
        while True:
            left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            kept.append((left, right))
            left.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 24)
            fill(left.fileno())
            kept.append(os.pipe())
            fill(kept[-1][1])
            kept.append(select.epoll())
    except OSError:
        return len(kept)
