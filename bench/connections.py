"""What a connection that says nothing holds: HTTP connections that are kept open, by hundreds."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import psutil

from bench.store import gateway

CONNECTION_COUNT = 500  # each asks once, so that all that a connection needs is there
_ASK = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def _held_kb(pid: int) -> float:
    return float(psutil.Process(pid).memory_full_info().pss / 1e3)


def _open(address: str) -> socket.socket:
    url = urlsplit(f"//{address}")
    assert url.hostname is not None
    assert url.port is not None
    connection = socket.create_connection((url.hostname, url.port), timeout=10)
    connection.sendall(_ASK)
    if not connection.recv(4096).startswith(b"HTTP/1.1 200"):
        raise RuntimeError("the gateway is not well")
    return connection


def measure() -> dict[str, float]:
    """Return what a gateway holds alone and with connections, and per connection."""
    with gateway() as running:
        pid = running.process.pid
        warm = [_open(running.address) for _ in range(20)]
        alone_kb = _held_kb(pid)
        opened = [_open(running.address) for _ in range(CONNECTION_COUNT)]
        held_kb = _held_kb(pid)
        for connection in (*warm, *opened):
            connection.close()
    return {
        "alone_mb": alone_kb / 1e3,
        "held_mb": held_kb / 1e3,
        "per_connection_kb": (held_kb - alone_kb) / CONNECTION_COUNT,
    }
