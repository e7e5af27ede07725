"""Connect to the ports of the cluster itself."""

import socket

from probe import tried


def connected(port):
    with socket.create_connection(("127.0.0.1", port), timeout=3):
        return port


def run(http_port, link_port):
    return {"http": tried(connected, http_port), "link": tried(connected, link_port)}
