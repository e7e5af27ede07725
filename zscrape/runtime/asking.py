"""Asking the gateway while a script runs, and waiting for what it says.

Threads of a script may all ask; whoever waits reads for the others too. A process that the
script forks has a copy of this, but the channel is not its own: only the attempt itself asks.
"""

from __future__ import annotations

import json
import os
import select
import time
from typing import Any

from zscrape.runtime import channel as frames
from zscrape.runtime.encode import to_json

ASK_LIMIT_BYTES = 256 * 1024
# As many as the worker allows, one below: `WAITING_LIMIT_COUNT` threads may wait at once.
WAITING_LIMIT_COUNT = 63
_READ_BYTES = 65536
_LOOK_S = 0.05  # how long who waits while another reads may sleep past its answer


class AskRefused(Exception):
    """Raised when the gateway does not answer what was asked. `code` is stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message or code)
        self.code = code
        self.message = message


class Asking:
    """Questions of one attempt, over the channel to its worker."""

    def __init__(self, channel: frames.Channel) -> None:
        import threading

        self._channel = channel
        self._pid = os.getpid()
        self._count = self._told_count = 0
        self._waiting: dict[int, Any] = {}  # the answer by number; None: not yet
        self._has_news = threading.Condition()
        self._is_reading = False
        self._held = b""

    @property
    def is_settled(self) -> bool:
        """True iff every question was answered, and nothing else has come."""
        return self._told_count == self._count and not self._held

    def ask(self, kind: str, body: Any, *, timeout_s: float | None = None) -> Any:
        """Ask, and return what the gateway says.

        Args:
            kind: What is asked for; the gateway knows who answers it.
            body: Anything with a JSON form of at most 256 KiB.
            timeout_s: How long to wait for an answer; by default, for as long as the attempt
                may run.

        Raises:
            AskRefused: The gateway refuses, and says why.
            TimeoutError: There was no answer in time.
            ValueError: It is too large, or too many threads ask at once.
            RuntimeError: This is not the attempt's own process.
        """
        if os.getpid() != self._pid:
            raise RuntimeError("only the script's first process can ask the gateway")
        payload = to_json(body)
        if len(payload) > ASK_LIMIT_BYTES:
            raise ValueError(f"{len(payload)} bytes are too many to ask; {ASK_LIMIT_BYTES} may be")
        request = self._open()
        try:
            head = b'{"request":%d,"kind":%b,"body":' % (request, to_json(kind))
            self._channel.send(frames.ASK, head + payload + b"}")
            told = self._wait(request, timeout_s)
        finally:
            with self._has_news:
                self._waiting.pop(request, None)
        if told["code"]:
            raise AskRefused(told["code"], told["body"].get("message", ""))
        return told["body"]

    def _open(self) -> int:
        with self._has_news:
            if len(self._waiting) >= WAITING_LIMIT_COUNT:
                raise ValueError(f"more than {WAITING_LIMIT_COUNT} threads ask at once")
            self._count += 1
            self._waiting[self._count] = None
            return self._count

    def _wait(self, request: int, timeout_s: float | None) -> Any:
        ends_at = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            with self._has_news:
                if self._waiting[request] is not None:
                    return self._waiting[request]
                left_s = None if ends_at is None else ends_at - time.monotonic()
                if left_s is not None and left_s <= 0:
                    raise TimeoutError(f"the gateway has not answered in {timeout_s} s")
                if self._is_reading:
                    self._has_news.wait(_LOOK_S if left_s is None else min(left_s, _LOOK_S))
                    continue
                self._is_reading = True
            try:
                self._read(left_s)
            finally:
                with self._has_news:
                    self._is_reading = False
                    self._has_news.notify_all()

    def _read(self, limit_s: float | None) -> None:
        """Take what has come; return after the first answer, or when the time is up."""
        fd = self._channel.fd
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        if not poll.poll(None if limit_s is None else max(limit_s, 0) * 1000):
            return
        data = os.read(fd, _READ_BYTES)
        if not data:
            raise BrokenPipeError("the worker is gone")
        self._held += data
        while len(self._held) >= 4:
            end = 4 + int.from_bytes(self._held[:4], "big")
            if len(self._held) < end:
                return
            frame, self._held = self._held[5:end], self._held[end:]
            told = json.loads(frame)
            self._told_count += 1
            with self._has_news:
                if told["request"] in self._waiting:
                    self._waiting[told["request"]] = told
