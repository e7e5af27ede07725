"""Workers that answer at once: what is left is what the gateway itself costs.

    python -m bench.workers HOME COUNT SLOTS [DATA_BYTES]

One process that speaks for many workers, each by a key and a connection of its own. It joins
by the token in the gateway's home folder, says when all are welcome, and then beats for them
each second and answers every Run with its outcome. It ends with its standard input.
"""

from __future__ import annotations

import select
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import zmq

from zscrape import wire
from zscrape.config import JOIN_FILE, JoinToken, parse_token
from zscrape.config.keyfiles import KeyPair, new_pair, pair_of
from zscrape.model import Outcome, OutcomeCode, WorkerFacts
from zscrape.worker.agent import DEALER_OPTIONS

_NOBLOCK = int(zmq.NOBLOCK)
_BEAT_S = 1.0
_STDIN = 0


class _Worker:
    """One worker of many."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], token: JoinToken, number: int, slots: int
    ) -> None:
        self.id, self._slots = f"simulated-{number:04}", slots
        self._seq = 0
        pair = new_pair()
        joining = _dial(context, token, pair_of(token.secret))
        joining.send(wire.encode(wire.Join(wire.PROTOCOL, self.id, pair.public)))
        answer = wire.decode_gateway(joining.recv())
        assert answer == wire.Joined(self.id), answer
        joining.close()
        self.socket = _dial(context, token, pair)
        hello = wire.Hello(
            wire.PROTOCOL, self.id, "1", slots, slots, ("linux",), WorkerFacts(), connection=1
        )
        self.socket.send(wire.encode(hello))
        while not isinstance(wire.decode_gateway(self.socket.recv()), wire.Welcome):
            pass

    def beat(self) -> None:
        """Tell that it lives."""
        self._seq += 1
        self.socket.send(wire.encode(wire.Heartbeat("1", self._seq, self._slots)), _NOBLOCK)

    def answer(self, outcome: Outcome) -> None:
        """End every attempt that has come; the descriptor tells of news once."""
        while True:
            try:
                message = wire.decode_gateway(self.socket.recv(_NOBLOCK))
            except zmq.Again:
                return
            if type(message) is wire.Run:
                done = wire.Done(message.task_id, message.attempt, outcome)
                self.socket.send(wire.encode(done), _NOBLOCK)


def _dial(
    context: zmq.Context[zmq.Socket[bytes]], token: JoinToken, pair: KeyPair
) -> zmq.Socket[bytes]:
    socket = context.socket(zmq.DEALER)
    for option, value in DEALER_OPTIONS:
        socket.setsockopt(option, value)
    socket.setsockopt(zmq.CURVE_SERVERKEY, token.server_keys[0])
    socket.setsockopt(zmq.CURVE_PUBLICKEY, pair.public)
    socket.setsockopt(zmq.CURVE_SECRETKEY, pair.secret)
    socket.setsockopt(zmq.RCVTIMEO, 30_000)
    socket.setsockopt(zmq.SNDTIMEO, 30_000)
    socket.connect(token.addresses[0])
    return socket


def _serve(home: Path, count: int, slots: int, data_bytes: int) -> None:
    token = parse_token(tomllib.loads((home / JOIN_FILE).read_text())["token"])
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    context.max_sockets = 2 * count + 10
    workers = [_Worker(context, token, number, slots) for number in range(count)]
    data = b'"' + b"x" * (data_bytes - 2) + b'"' if data_bytes else b"null"
    outcome = Outcome(OutcomeCode.OK, data, run_s=0.001)
    poller = select.epoll()
    poller.register(_STDIN, select.EPOLLIN | select.EPOLLHUP)
    by_descriptor = {int(worker.socket.fileno()): worker for worker in workers}
    for descriptor in by_descriptor:
        poller.register(descriptor, select.EPOLLIN | select.EPOLLET)
    print("ready", flush=True)
    for worker in workers:
        worker.answer(outcome)
    # Spread over the second, as workers are that were not started by one hand.
    gap_s, next_at, turn = _BEAT_S / count, time.monotonic(), 0
    while True:
        for descriptor, _ in poller.poll(max(0.0, next_at - time.monotonic())):
            if descriptor == _STDIN:
                context.destroy(linger=0)
                return
            by_descriptor[descriptor].answer(outcome)
        while next_at <= time.monotonic():
            workers[turn % count].beat()
            workers[turn % count].answer(outcome)  # a send may have eaten the news of a message
            turn, next_at = turn + 1, next_at + gap_s


@contextmanager
def simulated(home: Path, count: int, *, slots: int, data_bytes: int = 0) -> Iterator[int]:
    """Run workers of a gateway as one process beside this one; yields its id."""
    command = [sys.executable, "-m", "bench.workers", str(home), str(count), str(slots)]
    process = subprocess.Popen(
        [*command, str(data_bytes)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), *(int(each) for each in sys.argv[2:5]))
