"""The baseline of a thousand workers: a ROUTER that knows nothing of them.

It takes everybody in, says that it lives each second, and has them answer messages in turn: what
libzmq, its encryption and a loop in Python cost, and nothing else.
"""

from __future__ import annotations

import asyncio
from collections import deque

import zmq

from zscrape import wire
from zscrape.gateway.handshakes import Handshakes, close_in
from zscrape.gateway.linkkeys import LinkKeys
from zscrape.gateway.routeroptions import ROUTER_OPTIONS
from zscrape.model import Pin, RunSpec

RUN = RunSpec(Pin("scripts", "noop", "1.0.0", "sha256:" + "0" * 64))
_NOBLOCK = int(zmq.NOBLOCK)
_MORE = int(zmq.SNDMORE) | _NOBLOCK
_EVENTS, _POLLIN = int(zmq.EVENTS), int(zmq.POLLIN)
_DRAIN_LIMIT_COUNT = 64
_BEAT_S = 1.0
_TAG = slice(2, 6)  # of a message: behind the heads of its array and of its name
_WELCOME = wire.encode(wire.Welcome("bare", "1", 1_000, 3, 10_000))
_BEAT = wire.encode(wire.GatewayHeartbeat("1", 1))
_RUN = wire.encode(wire.Run("0193aaaa-0000-7000-8000-000000000000", 1, 1, 300_000, 0, RUN, b"{}"))


class BareRouter:
    """One socket; made and used in one running loop."""

    def __init__(self, keys: LinkKeys) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._handshakes = Handshakes(
            self._context, admits=lambda _key: "anybody", on_refused=lambda _address: None
        )
        self._loop = asyncio.get_running_loop()
        self._peers: deque[bytes] = deque()  # whose turn it is comes first
        self._timer: asyncio.TimerHandle | None = None
        self.answered_count = 0
        close_in(self._socket, keys.pair)
        for option, value in ROUTER_OPTIONS:
            self._socket.setsockopt(option, value)
        self._socket.bind("tcp://127.0.0.1:*")
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
        self._loop.add_reader(self._socket.fileno(), self._drain)
        self._beat()

    def begin(self, in_flight: int) -> None:
        """Have so many messages answered, again and again."""
        for _ in range(in_flight):
            self._ask()
        self._loop.call_soon(self._drain)

    def stop(self) -> None:
        """Close it."""
        self._loop.remove_reader(self._socket.fileno())
        self._handshakes.stop()
        if self._timer is not None:
            self._timer.cancel()
        self._context.destroy(linger=0)

    def _beat(self) -> None:
        self._timer = self._loop.call_later(_BEAT_S, self._beat)
        for peer in [*self._peers]:
            self._send(peer, _BEAT)
        if int(self._socket.getsockopt(_EVENTS)) & _POLLIN:
            self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        for _ in range(_DRAIN_LIMIT_COUNT):
            if self._socket.closed:
                return
            try:
                peer = self._socket.recv(_NOBLOCK)
            except zmq.Again:
                return
            frame = self._socket.recv(_NOBLOCK)
            if frame[_TAG] == b"Done":
                self.answered_count += 1
                self._ask()
            elif frame[_TAG] in (b"Join", b"Hell"):
                self._let_in(peer, frame)
        self._loop.call_soon(self._drain)

    def _let_in(self, peer: bytes, frame: bytes) -> None:
        said = wire.decode_worker(frame)
        if isinstance(said, wire.Join):
            self._send(peer, wire.encode(wire.Joined(said.worker_id)))
        else:
            self._peers.append(peer)
            self._send(peer, _WELCOME)

    def _ask(self) -> None:
        if self._peers:  # none at the end, when all have gone
            self._peers.rotate(-1)
            self._send(self._peers[-1], _RUN)

    def _send(self, peer: bytes, frame: bytes) -> None:
        try:
            self._socket.send(peer, _MORE)
            self._socket.send(frame, _NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._peers.remove(peer)
