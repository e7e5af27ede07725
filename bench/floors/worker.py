"""The worker of the floors: one loop between a DEALER and what runs the tasks.

    python -m bench.floors.worker ENDPOINT KEY FOLDER WAY

FOLDER has `main.py`, whose `run` is the task, and may have `warm.py`, which a template imports
before it forks. WAY: `fork`, a fresh process for each; `reuse`, one process for all of them;
`inside`, here, with no isolation at all. As many run at once as ours has slots.
"""

from __future__ import annotations

import _socket
import array
import select
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from marshal import dumps
from pathlib import Path
from typing import Any

import msgspec
import zmq

from bench.floors import forks, template
from bench.floors.gateway import NUMBER_BYTES
from zscrape.config.keyfiles import new_pair

SLOT_COUNT = 4
_SPARE_COUNT, _BATCH_COUNT = 8, 6  # as ours has for four slots
_FOR_EVER_COUNT = 1 << 62
_NOBLOCK = int(zmq.NOBLOCK)
_MORE = int(zmq.SNDMORE) | _NOBLOCK
_EVENTS, _POLLIN = int(zmq.EVENTS), int(zmq.POLLIN)
_SIZE_BYTES = 4
_READ_BYTES = 65_536


class _Link:
    """The DEALER."""

    def __init__(self, endpoint: str, key: bytes) -> None:
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        pair = new_pair()
        self._socket.setsockopt(zmq.CURVE_SERVERKEY, key)
        self._socket.setsockopt(zmq.CURVE_PUBLICKEY, pair.public)
        self._socket.setsockopt(zmq.CURVE_SECRETKEY, pair.secret)
        self._socket.connect(endpoint)
        self.fd = int(self._socket.fileno())

    def greet(self) -> None:
        """Tell that tasks may come."""
        self._socket.send(b"here")

    def answer(self, number: bytes, data: bytes) -> None:
        """Send the data of a task."""
        self._socket.send(number + data, _NOBLOCK)

    def answer_large(self, number: bytes, data: bytearray) -> None:
        """Send it without copying it."""
        self._socket.send(number, _MORE)
        self._socket.send(data, _NOBLOCK, copy=False)

    def drain(self, begin: Callable[[bytes, bytes], None]) -> None:
        """Begin every task that has come."""
        receive, get = self._socket.recv, self._socket.get
        while int(get(_EVENTS)) & _POLLIN:
            frame = receive(_NOBLOCK)
            begin(frame[:NUMBER_BYTES], frame[NUMBER_BYTES:])


class _Inside:
    """Runs tasks in this process."""

    def __init__(self, link: _Link, folder: Path) -> None:
        names: dict[str, Any] = {}
        exec(compile((folder / "main.py").read_text(), "main", "exec"), names)
        self._link, self._run = link, names["run"]

    def run(self) -> None:
        """Run what comes, until this process is killed."""
        poller = select.epoll()
        poller.register(self._link.fd, select.EPOLLIN)
        while True:
            self._link.drain(self._answer)
            poller.poll()

    def _answer(self, number: bytes, body: bytes) -> None:
        parameters = msgspec.json.decode(body)["parameters"]
        self._link.answer(number, msgspec.json.encode(self._run(**parameters)))


class _Template:
    """A template and its spares."""

    def __init__(self, folder: Path, lives_count: int) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._spares: deque[_socket.socket] = deque()
        with theirs:
            descriptor = theirs.fileno()
            is_warm = (folder / "warm.py").exists()
            command = forks.command(template.__name__, *(() if is_warm else ("-S",)))
            arguments = [str(descriptor), str(lives_count), *([str(folder)] if is_warm else [])]
            subprocess.Popen(
                [*command, *arguments],
                pass_fds=(descriptor,),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={"LD_BIND_NOW": "1"},  # as ours is started
            )
        assert self._control.recv(16) == b"ready"

    def take(self) -> _socket.socket:
        """Return the channel of a child that waits, or is about to."""
        if not self._spares:
            self._fork()
        return self._spares.popleft()

    def refill(self) -> None:
        """Have as many forked as have been taken, once that is a batch."""
        if len(self._spares) <= _SPARE_COUNT - _BATCH_COUNT:
            self._fork()

    def _fork(self) -> None:
        theirs = []
        for _ in range(_BATCH_COUNT):
            ours, other = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
            self._spares.append(ours)
            theirs.append(other)
        descriptors = array.array("i", [each.fileno() for each in theirs])
        self._control.sendmsg([b"F"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptors)])
        for each in theirs:
            each.close()


class _Children:
    """Runs tasks in processes of their own, each once or again and again."""

    def __init__(self, link: _Link, folder: Path, *, is_reused: bool) -> None:
        self._link = link
        self._code = dumps(compile((folder / "main.py").read_text(), "main", "exec"))
        self._is_reused = is_reused
        self._template = _Template(folder, _FOR_EVER_COUNT if is_reused else 1)
        self._poller = select.epoll()
        self._wires: dict[int, _socket.socket] = {}
        self._numbers: dict[int, deque[bytes]] = {}  # of the tasks that each owes, in order
        self._waiting: deque[tuple[bytes, bytes]] = deque()
        self._poller.register(link.fd, select.EPOLLIN)
        self._poller.register(0, select.EPOLLHUP)
        if is_reused:
            self._add(self._template.take())

    def run(self) -> None:
        """Begin what comes and answer what is over, until the standard input is closed."""
        poll, is_own = self._poller.poll, {self._link.fd, 0}.__contains__
        while True:
            # Before the wait: the descriptor tells only of what comes after a look found nothing.
            self._link.drain(self._begin)
            if not self._is_reused:
                self._template.refill()
            for descriptor, _ in poll():
                if not is_own(descriptor):
                    self._end(descriptor)
                elif not descriptor:
                    return

    def _add(self, wire: _socket.socket) -> int:
        descriptor = wire.fileno()
        self._wires[descriptor], self._numbers[descriptor] = wire, deque()
        self._poller.register(descriptor, select.EPOLLIN)
        return descriptor

    def _begin(self, number: bytes, body: bytes) -> None:
        if self._is_reused:
            (descriptor,) = self._wires
        elif len(self._wires) < SLOT_COUNT:
            descriptor = self._add(self._template.take())
        else:
            self._waiting.append((number, body))
            return
        said = dumps((self._code, msgspec.json.decode(body)["parameters"]))
        self._numbers[descriptor].append(number)
        self._wires[descriptor].sendall(len(said).to_bytes(_SIZE_BYTES, "big") + said)

    def _end(self, descriptor: int) -> None:
        wire, numbers = self._wires[descriptor], self._numbers[descriptor]
        said = wire.recv(_READ_BYTES)
        if not said:
            raise RuntimeError("a child has ended without an answer")
        at = 0
        while at < len(said):
            if len(said) - at < _SIZE_BYTES:
                said += wire.recv(_SIZE_BYTES - len(said) + at, _socket.MSG_WAITALL)
            begin = at + _SIZE_BYTES
            at = begin + int.from_bytes(said[at:begin], "big")
            if at <= len(said):
                self._link.answer(numbers.popleft(), said[begin:at])
            else:  # the rest is being written
                data, has_count = bytearray(at - begin), len(said) - begin
                data[:has_count] = said[begin:]
                wire.recv_into(memoryview(data)[has_count:], 0, _socket.MSG_WAITALL)
                self._link.answer_large(numbers.popleft(), data)
        if not self._is_reused:
            wire.close()
            del self._wires[descriptor], self._numbers[descriptor]
            if self._waiting:
                self._begin(*self._waiting.popleft())


def main(endpoint: str, key: str, folder: str, way: str) -> None:
    """Work until the standard input is closed."""
    link = _Link(endpoint, bytes.fromhex(key))
    if way == "inside":
        link.greet()
        _Inside(link, Path(folder)).run()
        return
    children = _Children(link, Path(folder), is_reused=way == "reuse")
    link.greet()
    children.run()


if __name__ == "__main__":
    main(*sys.argv[1:5])
