"""Asking the gateway, over a channel whose other end is the test."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from zscrape.runtime import channel as frames
from zscrape.runtime.asking import ASK_LIMIT_BYTES, Asking, AskRefused


class Worker:
    """The other end of a channel."""

    def __init__(self) -> None:
        ours, self._socket = socket.socketpair()
        self._ours = ours
        self._file = self._socket.makefile("rb")
        self.asking = Asking(frames.Channel(ours.fileno()))

    def heard(self) -> dict[str, Any]:
        """Return the next question."""
        size = int.from_bytes(self._file.read(4), "big")
        frame = self._file.read(size)
        assert frame[:1] == frames.ASK
        asked: dict[str, Any] = json.loads(frame[1:])
        return asked

    def tell(self, request: int, body: Any, code: str = "", *, pieces: int = 1) -> None:
        """Answer a question, in so many writes."""
        told = frames.TELL + json.dumps({"request": request, "code": code, "body": body}).encode()
        data = len(told).to_bytes(4, "big") + told
        step = -(-len(data) // pieces)
        for at in range(0, len(data), step):
            self._socket.sendall(data[at : at + step])

    def hang_up(self) -> None:
        """Close this end."""
        self._file.close()
        self._socket.close()

    def close(self) -> None:
        """Close both ends."""
        self.hang_up()
        self._ours.close()


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A channel, its end closed with the test."""
    made = Worker()
    yield made
    made.close()


def test_answer_comes_back(worker: Worker) -> None:
    """A question is answered with what the gateway says, in whatever pieces that arrives."""
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(worker.asking.ask, "state", {"key": "쪽"})
        asked = worker.heard()
        worker.tell(asked["request"], {"value": [1]}, pieces=5)
        told = answer.result(20)

    assert asked == {"request": 1, "kind": "state", "body": {"key": "쪽"}}
    assert told == {"value": [1]}


def test_refusal_is_raised_with_its_code(worker: Worker) -> None:
    """What the gateway refuses is an error that a script can tell by its code."""
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(worker.asking.ask, "state", {})
        worker.tell(worker.heard()["request"], {"message": "no such key"}, "not_found")
        with pytest.raises(AskRefused, match="no such key") as caught:
            answer.result(20)

    assert caught.value.code == "not_found"


def test_threads_get_their_own_answers(worker: Worker) -> None:
    """Many threads ask at once and are answered in another order."""
    with ThreadPoolExecutor(20) as pool:
        answers = {n: pool.submit(worker.asking.ask, "state", {"n": n}) for n in range(20)}
        asked = [worker.heard() for _ in range(20)]
        for each in reversed(asked):
            worker.tell(each["request"], each["body"]["n"])
        told = {n: answer.result(20) for n, answer in answers.items()}

    assert told == {n: n for n in range(20)}


def test_silence_ends_in_a_timeout(worker: Worker) -> None:
    """Who does not want to wait is told, and its late answer reaches nobody."""
    with pytest.raises(TimeoutError):
        worker.asking.ask("state", {"n": 1}, timeout_s=0.01)
    late = worker.heard()
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(worker.asking.ask, "state", {"n": 2})
        worker.tell(late["request"], "late")
        worker.tell(worker.heard()["request"], "in time")
        told = answer.result(20)

    assert told == "in time"


def test_worker_that_hangs_up_is_an_error(worker: Worker) -> None:
    """Nobody waits for an answer that cannot come."""
    worker.hang_up()

    with pytest.raises(BrokenPipeError):
        worker.asking.ask("state", {})


def test_too_much_is_not_asked(worker: Worker) -> None:
    """A question that no gateway would take is an error before it leaves."""
    with pytest.raises(ValueError, match="too many to ask"):
        worker.asking.ask("state", "x" * ASK_LIMIT_BYTES)


def test_process_that_a_script_forks_cannot_ask(worker: Worker) -> None:
    """The channel is the attempt's own: two processes would take each other's answers."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            worker.asking.ask("state", {})
        except RuntimeError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    told = os.read(reader, 1000)
    os.close(reader)

    assert b"first process" in told
