"""Connect to names that stand for addresses of the machine and of its network."""

import socket

from probe import tried


def connected(host, port):
    with socket.create_connection((host, port), timeout=5):
        return host


def run(port):
    names = ("loopback", "private", "metadata")
    return {name: tried(connected, f"{name}.example", port) for name in names}
