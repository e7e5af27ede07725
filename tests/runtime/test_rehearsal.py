"""What a child hears and tells around a rehearsal."""

from __future__ import annotations

import gc
import json
import marshal
import socket
import sys

import pytest

from zscrape.runtime import channel as frames, child, limits, rehearsal
from zscrape.runtime.channel import Channel
from zscrape.runtime.said import Said

_REQUEST = frames.REQUEST + b"request"
_FRAME = len(_REQUEST).to_bytes(4, "big") + _REQUEST


@pytest.mark.parametrize(
    ("told", "heard"),
    [
        (frames.AT_REST, b""),
        (frames.AT_REST * 2, b""),
        (frames.AT_REST + _FRAME, b"request"),
        (frames.AT_REST * 2 + _FRAME, b"request"),
    ],
)
def test_a_request_overtakes_the_word_that_there_is_time(told: bytes, heard: bytes) -> None:
    """The word alone is nothing; once the request is there it no longer matters."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(told)

        assert Channel(theirs.fileno()).receive() == heard


def test_time_used_ahead_is_no_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process has used before its attempt is not told as the attempt's."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setitem(sys.modules, "main", sys)
    monkeypatch.setattr(child, "ahead_us", limits.usage(*limits.used())[0])
    code = marshal.dumps(compile("def run(): pass", "main.py", "exec"))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        request = rehearsal._request_of("/", "main.py", b"{}", code)
        child.answer(Said(Channel(theirs.fileno()), 0), request, None)
        told = ours.recv(4096)
    gc.enable()
    head = json.loads(told[9 : told.rindex(b"}") + 1])

    assert head["code"] == "ok"
    assert head["cpu_us"] < child.ahead_us
