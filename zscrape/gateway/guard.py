"""Keeps connections of the link from costing more than they may.

libzmq limits one frame, not one message: frames without end that announce another one fill
the memory of whoever waits for the last (190 MB in seconds, measured). It has no limit of
connections either, and at the end of the process's descriptors its listener spins. What the
kernel counts of a connection's bytes, and what has been read of its messages, tell the two
apart: a connection that goes on sending and never comes to the end of a message is cut. As
long as this process's memory does not grow the kernel is asked now and then, and only of
connections that have come to no end since.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import zmq
from msgspec import Struct

from zscrape.gateway.severing import Remote, remote_of, sever
from zscrape.model import MIB
from zscrape.monitor import event_of
from zscrape.wire import FRAME_LIMIT_BYTES

CONNECTION_LIMIT_COUNT: Final = 4_096
# Before its first message is whole: a Hello with all that it may carry is a tenth of that.
FIRST_LIMIT_BYTES: Final = 4 * MIB
# Without the end of a message: the largest one, its encryption, and what is on its way.
LIMIT_BYTES: Final = 2 * FRAME_LIMIT_BYTES
_LOOK_S: Final = 0.5
# The kernel is asked about every connection (10 us each) when the memory has grown by this much
# since it was asked last, or after so many looks.
_GROWTH_BYTES: Final = 4 * MIB
_SKIPPED_COUNT: Final = 9
_UNRECKONED: Final = -1
_MEMORY: Final = Path("/proc/self/statm")
# `tcpi_bytes_received` of struct tcp_info (linux/tcp.h), since Linux 4.1.
_RECEIVED: Final = struct.Struct("=128xQ")
_EVENTS: Final = int(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED)


class _Connection(Struct):
    remote: Remote | None
    heard_count: int = 0
    # Of all that it has sent; or `_UNRECKONED` since a message has come to its end.
    allowed_bytes: int = FIRST_LIMIT_BYTES


class Guard:
    """Watches the connections of one bound socket; made and used in one running loop.

    `heard` tells how many messages were read from a descriptor's connection; `on_cut` hears
    the address of one that was cut, and why.
    """

    def __init__(
        self,
        watched: zmq.Socket[bytes],
        *,
        heard: Callable[[int], int],
        on_cut: Callable[[str, str], None],
        limit_count: int = CONNECTION_LIMIT_COUNT,
    ) -> None:
        self._watched = watched
        self._heard = heard
        self._on_cut = on_cut
        self._limit_count = min(limit_count, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self._connections: dict[int, _Connection] = {}
        self._port = 0
        self._loop = asyncio.get_running_loop()
        self._monitor: Any = watched.get_monitor_socket(_EVENTS)
        self._timer: asyncio.TimerHandle | None = None
        self._resident_bytes = 0  # when the kernel was asked last
        self._skipped_count = 0

    def start(self, port: int) -> None:
        """Watch whoever dials `port`."""
        self._port = port
        self._loop.add_reader(self._monitor.fileno(), self._drain)
        self._drain()
        self._look()

    def stop(self) -> None:
        """Watch no longer; to be called before the context is destroyed."""
        self._loop.remove_reader(self._monitor.fileno())
        if self._timer is not None:
            self._timer.cancel()
        self._watched.disable_monitor()  # else libzmq would wait for somebody to read
        self._monitor.close(linger=0)

    def _drain(self) -> None:
        while not self._monitor.closed:
            try:
                event, descriptor = event_of(self._monitor.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                return
            if event == zmq.EVENT_ACCEPTED:
                self._accepted(descriptor)
            else:
                self._connections.pop(descriptor, None)

    def _accepted(self, descriptor: int) -> None:
        # What was read of a connection that had this number before does not count.
        known_count = self._heard(descriptor)
        connection = _Connection(remote_of(descriptor), known_count)
        self._connections[descriptor] = connection
        if len(self._connections) > self._limit_count:
            self._cut(descriptor, connection, "too many connections")

    def _look(self) -> None:
        """Cut who has sent more than may be without coming to an end."""
        self._timer = self._loop.call_later(_LOOK_S, self._look)
        resident_bytes = _resident_bytes()
        is_calm = 0 < resident_bytes < self._resident_bytes + _GROWTH_BYTES
        if is_calm and self._skipped_count < _SKIPPED_COUNT:
            self._skipped_count += 1
            return
        self._resident_bytes, self._skipped_count = resident_bytes, 0
        for descriptor, connection in [*self._connections.items()]:
            heard_count = self._heard(descriptor)
            has_spoken = heard_count != connection.heard_count
            if has_spoken and is_calm:  # a worker that beats: the kernel is asked once it is silent
                connection.heard_count, connection.allowed_bytes = heard_count, _UNRECKONED
                continue
            received_bytes = _received_bytes(descriptor)
            if has_spoken or connection.allowed_bytes == _UNRECKONED:
                connection.heard_count = heard_count
                connection.allowed_bytes = received_bytes + LIMIT_BYTES
            elif received_bytes > connection.allowed_bytes:
                self._cut(descriptor, connection, "no end of a message")

    def _cut(self, descriptor: int, connection: _Connection, reason: str) -> None:
        if sever(descriptor, connection.remote, self._port):
            self._on_cut(connection.remote[0] if connection.remote else "", reason)


def _received_bytes(descriptor: int) -> int:
    """Return what the kernel has taken from a connection; 0 when there is none any more."""
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
        told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RECEIVED.size)
        if len(told) == _RECEIVED.size:
            return int(_RECEIVED.unpack(told)[0])
    return 0


def _resident_bytes() -> int:
    """Return what this process has in memory; 0 where the system does not tell."""
    with suppress(OSError):
        return int(_MEMORY.read_text().split()[1]) * resource.getpagesize()
    return 0
