"""Look a name up until it is public, then connect by the name."""

import socket

from probe import tried


def connected(host, port):
    with socket.create_connection((host, port), timeout=5):
        return host


def run(port):
    socket.create_connection(("93.184.215.14", port), timeout=5).close()
    for _ in range(3):
        if socket.gethostbyname("rebound.example") == "93.184.215.14":
            break
    return {"second": tried(connected, "rebound.example", port)}
