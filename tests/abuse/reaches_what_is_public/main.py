"""Connect to a public address, and to a name of it: this must work."""

import socket

from probe import tried


def connected(host, port):
    with socket.create_connection((host, port), timeout=5) as link:
        return len(link.getpeername())


def run(port):
    return {
        "address": tried(connected, "93.184.215.14", port),
        "name": tried(connected, "public.example", port),
    }
