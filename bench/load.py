"""A small HTTP load generator on raw sockets: what it costs must not hide what it measures."""

from __future__ import annotations

import selectors
import socket
import time
from statistics import quantiles

_HEADER_END = b"\r\n\r\n"
_READ_BYTES = 65_536  # with 262,144 each read maps its memory anew: 20 us for 3 (measured)
COMPLETED, QUEUED = b'"status":"completed"', b'"status":"queued"'


class Connection:
    """One keep-alive connection that sends the same request again and again."""

    def __init__(self, host: str, port: int, request: bytes) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._head = b""  # of an answer, until it is whole
        self._parts: list[bytes] = []  # of its body
        self._left_bytes = 0
        self.sent_at = 0.0

    def send(self) -> None:
        """Send the request."""
        self._head, self._parts = b"", []
        self.sent_at = time.perf_counter()
        self.socket.sendall(self._request)

    def receive(self) -> bytes | None:
        """Read what is there; the body once the answer is whole, else None."""
        chunk = self.socket.recv(_READ_BYTES)
        if not chunk:
            raise ConnectionError("the server closed the connection")
        if not self._parts:
            self._head += chunk
            head, found, chunk = self._head.partition(_HEADER_END)
            if not found:
                return None
            if not head.startswith(b"HTTP/1.1 20"):
                raise RuntimeError(f"unexpected answer: {self._head[:400]!r}")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._left_bytes = int(length)
        self._parts.append(chunk)
        self._left_bytes -= len(chunk)
        return None if self._left_bytes > 0 else b"".join(self._parts)


def request_bytes(host: str, port: int, path: str, body: bytes, key: str) -> bytes:
    """Return a whole POST request."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def ask(host: str, port: int, request: bytes) -> bytes:
    """Send one request and return the body of its answer."""
    connection = Connection(host, port, request)
    connection.send()
    while (body := connection.receive()) is None:
        pass
    connection.socket.close()
    return body


def drive(
    host: str,
    port: int,
    request: bytes,
    *,
    in_flight: int,
    seconds: float,
    wanted: bytes = COMPLETED,
) -> list[float]:
    """Keep `in_flight` requests open for `seconds`; returns the latency of each, in seconds.

    Raises:
        RuntimeError: An answer has nothing of what is wanted of it.
    """
    latencies: list[float] = []
    with selectors.DefaultSelector() as selector:
        connections = [Connection(host, port, request) for _ in range(in_flight)]
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send()
        end_at = time.perf_counter() + seconds
        while time.perf_counter() < end_at:
            for key, _ in selector.select(1.0):
                connection = key.data
                body = connection.receive()
                if body is not None:
                    if wanted not in body:
                        raise RuntimeError(f"a task that failed: {body[:400]!r}")
                    latencies.append(time.perf_counter() - connection.sent_at)
                    connection.send()
        for connection in connections:
            selector.unregister(connection.socket)
            connection.socket.close()
    return latencies


def drive_at(
    host: str,
    port: int,
    request: bytes,
    *,
    rate_per_s: float,
    seconds: float,
    connection_count: int,
) -> tuple[list[float], float]:
    """Send requests when they are due, evenly spaced, whether or not others are answered.

    Returns:
        The latency of each in seconds, from the moment at which it was due (however late a
        connection was free), and how many were answered per second until the last one was.

    Raises:
        RuntimeError: A task did not complete.
    """
    latencies: list[float] = []
    total = max(int(rate_per_s * seconds), 2)
    due_at: dict[Connection, float] = {}
    # epoll waits for whole milliseconds.
    with selectors.SelectSelector() as selector:
        free = [Connection(host, port, request) for _ in range(connection_count)]
        for connection in free:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        everyone = list(free)
        began_at = time.perf_counter()
        sent_count = 0
        while len(latencies) < total:
            next_at = began_at + sent_count / rate_per_s
            while free and sent_count < total and next_at <= time.perf_counter():
                connection = free.pop()
                due_at[connection] = next_at
                connection.send()
                sent_count += 1
                next_at = began_at + sent_count / rate_per_s
            is_waiting = bool(free) and sent_count < total
            timeout_s = max(next_at - time.perf_counter(), 0.0) if is_waiting else 1.0
            for key, _ in selector.select(timeout_s):
                connection = key.data
                body = connection.receive()
                if body is not None:
                    if COMPLETED not in body:
                        raise RuntimeError(f"a task that failed: {body[:400]!r}")
                    latencies.append(time.perf_counter() - due_at.pop(connection))
                    free.append(connection)
        took_s = time.perf_counter() - began_at
        for connection in everyone:
            selector.unregister(connection.socket)
            connection.socket.close()
    return latencies, total / took_s


def percentile(values: list[float], percent: int) -> float:
    """Return a percentile of at least two values."""
    return quantiles(values, n=100, method="inclusive")[percent - 1]
