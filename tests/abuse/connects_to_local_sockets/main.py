"""Connect to sockets that are open to everybody on the machine."""

import socket

from probe import tried


def connected(name):
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(name)
        return len(name)


def run(path, abstract):
    return {"path": tried(connected, path), "abstract": tried(connected, f"\0{abstract}")}
