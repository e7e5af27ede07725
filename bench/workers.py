"""Workers that answer at once: what is left is what the gateway itself costs.

    python -m bench.workers HOME COUNT SLOTS [DATA_BYTES]

One process that speaks for many workers, each by a key and a connection of its own. It joins
by the token in the gateway's home folder, says when all are welcome, and then answers every beat
of the gateway with theirs, as a worker does, and every Run with its outcome. It ends with its
standard input.
"""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.curve import CurveClient
from zscrape import wire
from zscrape.config import JOIN_FILE, JoinToken, parse_token
from zscrape.config.keyfiles import KeyPair, new_pair, pair_of
from zscrape.model import Outcome, OutcomeCode, WorkerFacts

_BEAT_S = 1.0
_UNASKED_S = 1.25  # as `zscrape.core.link`: a beat of the gateway is answered
_STDIN = 0
_READ_BYTES = 65_536  # as in `bench.load`
_PATIENCE_S = 30.0


class Wire:
    """One encrypted connection to a gateway, and the bytes of its messages."""

    def __init__(self, endpoint: str, server_key: bytes, pair: KeyPair) -> None:
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        self.socket = socket.create_connection((host.strip("[]"), int(port)), _PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._curve = CurveClient(server_key, pair)
        self._ready: list[bytes] = []
        self.flush()
        while not self._curve.is_open:
            self._ready += self.receive()

    def receive(self) -> list[bytes]:
        """Return the messages that one read has completed."""
        data = self.socket.recv(_READ_BYTES)
        if not data:
            raise ConnectionError("the gateway has closed the connection")
        messages = self._curve.receive(data)
        self.flush()
        return messages

    def write(self, bodies: Iterable[bytes]) -> None:
        """Send messages in one write."""
        self._write(b"".join(map(self._curve.message, bodies)))

    def flush(self) -> None:
        """Send what the protocol itself has to say."""
        self._write(self._curve.taken())

    def _write(self, data: bytes) -> None:
        if data:
            self.socket.sendall(data)


class _Line(Wire):
    """One connection of a worker."""

    def __init__(self, token: JoinToken, pair: KeyPair) -> None:
        super().__init__(token.addresses[0], token.server_keys[0], pair)

    def ask(self, message: wire.Spoken) -> wire.Answered:
        """Send a message and return the first answer."""
        self.send([message])
        while not self._ready:
            self._ready += self.receive()
        return wire.decode_gateway(self._ready.pop(0))

    def send(self, messages: list[wire.Spoken]) -> None:
        """Send messages in one write."""
        self.write(map(wire.encode, messages))


class _Worker:
    """One worker of many."""

    def __init__(self, token: JoinToken, number: int, slots: int) -> None:
        self._id, self._slots = f"simulated-{number:04}", slots
        self._seq = 0
        self._speak_at = 0.0
        pair = new_pair()
        joining = _Line(token, pair_of(token.secret))
        answer = joining.ask(wire.Join(wire.PROTOCOL, self._id, pair.public))
        assert answer == wire.Joined(self._id), answer
        joining.socket.close()
        self.line = _Line(token, pair)
        self._hello = wire.Hello(
            wire.PROTOCOL, self._id, "1", slots, slots, ("linux",), WorkerFacts(), connection=1
        )
        answer = self.line.ask(self._hello)
        assert isinstance(answer, wire.Welcome), answer

    def beat(self) -> None:
        """Tell that it lives, unless it has answered its gateway's beat just now."""
        if self._speak_at <= time.monotonic():
            self.line.send([self._heartbeat()])

    def _heartbeat(self) -> wire.Heartbeat:
        self._seq += 1
        self._speak_at = time.monotonic() + _UNASKED_S
        return wire.Heartbeat("1", self._seq, self._slots)

    def answer(self, outcome: Outcome) -> None:
        """End every attempt that has come."""
        said: list[wire.Spoken] = []
        for frame in self.line.receive():
            message = wire.decode_gateway(frame)
            if type(message) is wire.Run:
                said.append(wire.Done(message.task_id, message.attempt, outcome))
            elif type(message) is wire.GatewayHeartbeat:
                said.append(self._heartbeat())
            elif type(message) is wire.Who:  # its beats came too late
                said.append(self._hello)
        if said:
            self.line.send(said)


class _Herd:
    """All of them, in one loop."""

    def __init__(self, data_bytes: int) -> None:
        data = b'"' + b"x" * (data_bytes - 2) + b'"' if data_bytes else b"null"
        self._outcome = Outcome(OutcomeCode.OK, data, run_s=0.001)
        self._workers: list[_Worker] = []
        self._by_descriptor: dict[int, _Worker] = {}
        self._poller = select.epoll()
        self._poller.register(_STDIN, select.EPOLLIN | select.EPOLLHUP)
        self._turn = 0
        self._beat_at = time.monotonic()
        self.is_over = False

    def add(self, worker: _Worker) -> None:
        """Speak for one more."""
        self._workers.append(worker)
        self._by_descriptor[worker.line.socket.fileno()] = worker
        self._poller.register(worker.line.socket.fileno(), select.EPOLLIN)

    def turn(self, timeout_s: float | None = None) -> None:
        """Answer what has come, and beat for those whose time it is."""
        if timeout_s is None:
            timeout_s = max(0.0, self._beat_at - time.monotonic())
        for descriptor, _ in self._poller.poll(timeout_s):
            if descriptor == _STDIN:
                self.is_over = True
            else:
                self._by_descriptor[descriptor].answer(self._outcome)
        # Spread over the second, as workers are that were not started by one hand.
        while self._beat_at <= time.monotonic():
            self._workers[self._turn % len(self._workers)].beat()
            self._turn += 1
            self._beat_at += _BEAT_S / len(self._workers)


def _serve(home: Path, count: int, slots: int, data_bytes: int) -> None:
    token = parse_token(tomllib.loads((home / JOIN_FILE).read_text())["token"])
    herd = _Herd(data_bytes)
    for number in range(count):
        herd.add(_Worker(token, number, slots))
        herd.turn(0.0)
    print("ready", flush=True)
    while not herd.is_over:
        herd.turn()


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
