"""What encryption costs on the link: our messages over bare socket pairs, with CURVE and without.

A ROUTER here sends Run, a DEALER in another process answers Done, some of them in flight, as a
gateway and its worker do. Only the sockets differ. What that means for a task is the time that
it adds to one, beside the time that the whole path takes (`path`).
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from statistics import median

import zmq
from zmq.utils import z85

from zscrape import wire
from zscrape.config.keyfiles import KeyPair, new_pair
from zscrape.gateway.handshakes import close_in
from zscrape.gateway.routeroptions import ROUTER_OPTIONS
from zscrape.model import Outcome, OutcomeCode, Pin, RunSpec
from zscrape.worker.agent import DEALER_OPTIONS

ROUND_COUNT = 5
ROUND_S = 1.0
IN_FLIGHT_COUNT = 16
_PIN = Pin("scripts", "price_watch", "1.4.2", "sha256:" + "0" * 64)
_RUN = wire.Run("0193aaaa-0000-7000-8000-000000000000", 1, 1, 300_000, 0, RunSpec(_PIN), b"{}")
_DATA = b'[{"name": "item", "price": 12.5}]' * 8


def _answer(endpoint: str, keys: list[str]) -> None:
    """Answer every Run with a Done, until the other side has gone."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.DEALER)
    for option, value in DEALER_OPTIONS:
        socket.setsockopt(option, value)
    for option, key in zip(
        (zmq.CURVE_SERVERKEY, zmq.CURVE_PUBLICKEY, zmq.CURVE_SECRETKEY), keys, strict=False
    ):
        socket.setsockopt(option, z85.decode(key))
    socket.setsockopt(zmq.RCVTIMEO, 60_000)
    socket.connect(endpoint)
    socket.setsockopt(zmq.SNDTIMEO, 5_000)
    socket.send(wire.encode(wire.Goodbye("here")))
    while True:
        run = wire.decode_gateway(socket.recv())
        assert isinstance(run, wire.Run)
        done = wire.Done(run.task_id, run.attempt, Outcome(OutcomeCode.OK, _DATA, run_s=0.01))
        socket.send(wire.encode(done))


class _Pair:
    """A ROUTER and its DEALER in another process."""

    def __init__(self, *, is_encrypted: bool) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        for option, value in ROUTER_OPTIONS:
            self._socket.setsockopt(option, value)
        keys: list[str] = []
        if is_encrypted:
            keys = self._encrypt()
        self._socket.bind("tcp://127.0.0.1:*")
        endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
        self._other = subprocess.Popen(
            [sys.executable, "-m", "bench.link", endpoint, *keys], stderr=subprocess.DEVNULL
        )
        self._peer, _ = self._socket.recv_multipart()

    def _encrypt(self) -> list[str]:
        server, client = new_pair(), new_pair()
        zap = self._context.socket(zmq.REP)
        zap.bind("inproc://zeromq.zap.01")
        threading.Thread(target=_admit_one, args=(zap,), daemon=True).start()
        close_in(self._socket, server)
        return [_z85(server.public), *_z85_pair(client)]

    def rate(self) -> float:
        """Return how many tasks a second go out and come back."""
        for _ in range(IN_FLIGHT_COUNT):
            self._send()
        count = 0
        ends_at = time.perf_counter() + ROUND_S
        while time.perf_counter() < ends_at:
            self._receive()
            self._send()
            count += 1
        for _ in range(IN_FLIGHT_COUNT):
            self._receive()
        return count / ROUND_S

    def _send(self) -> None:
        self._socket.send_multipart([self._peer, wire.encode(_RUN)])

    def _receive(self) -> None:
        wire.decode_worker(self._socket.recv_multipart()[1])

    def close(self) -> None:
        """Let go of both sides."""
        self._other.kill()
        self._other.wait()
        self._context.destroy(linger=0)


def _admit_one(zap: zmq.Socket[bytes]) -> None:
    question = zap.recv_multipart()
    zap.send_multipart([b"1.0", question[1], b"200", b"", b"worker", b""])
    zap.close()


def _z85(key: bytes) -> str:
    return str(z85.encode(key).decode())


def _z85_pair(pair: KeyPair) -> list[str]:
    return [_z85(pair.public), _z85(pair.secret)]


def measure() -> dict[str, float]:
    """Return medians over interleaved rounds, and what encryption adds to a task."""
    pairs = {"plain": _Pair(is_encrypted=False), "curve": _Pair(is_encrypted=True)}
    rates: dict[str, list[float]] = {name: [] for name in pairs}
    try:
        for pair in pairs.values():
            pair.rate()  # warm
        for _ in range(ROUND_COUNT):
            for name, pair in pairs.items():
                rates[name].append(pair.rate())
    finally:
        for pair in pairs.values():
            pair.close()
    plain, curve = median(rates["plain"]), median(rates["curve"])
    return {
        "plain_per_s": plain,
        "curve_per_s": curve,
        "curve_ratio": curve / plain,
        "curve_added_us": (1 / curve - 1 / plain) * 1e6,
    }


if __name__ == "__main__":
    _answer(sys.argv[1], sys.argv[2:])
