"""Reach for the machine with a manifest that asks for it."""

import socket

from probe import tried


def connected(host, port):
    with socket.create_connection((host, port), timeout=3):
        return host


def run(port):
    return {
        "loopback": tried(connected, "127.0.0.1", port),
        "private": tried(connected, "10.0.0.1", port),
    }
