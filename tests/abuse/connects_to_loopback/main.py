"""Connect to the loopback service by every way to write its address."""

import socket

from probe import tried


def connected(host, port):
    with socket.create_connection((host, port), timeout=3) as link:
        link.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return link.recv(100)


def run(port):
    hosts = {
        "usual": "127.0.0.1",
        "other": "127.0.0.2",
        "name": "localhost",
        "six": "::1",
        "mapped": "::ffff:127.0.0.1",
        "any": "0.0.0.0",
        "any_six": "::",
        "number": "2130706433",
        "short": "127.1",
    }
    return {name: tried(connected, host, port) for name, host in hosts.items()}
