"""The child's end of its channel: what is long arrives as what is short does."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

import pytest

from zscrape.runtime import channel as frames
from zscrape.runtime.channel import Channel
from zscrape.runtime.encode import Pieces, array_of, document_of


@pytest.mark.parametrize(
    "value",
    [
        "short",
        "x" * 65_536,
        "x" * 65_537,
        "x" * (65_536 * 5),  # whole pieces
        "x" * 1_000_001,
        'with "quotes" and\nlines ' * 40_000,
        "나다" * 200_000,
        [{"name": f"row {number}", "price": number / 4} for number in range(20_000)],
    ],
    ids=["short", "plain", "long", "whole pieces", "odd", "escaped", "of no ASCII", "rows"],
)
@pytest.mark.parametrize("head", [b"", b"head" * 3])
def test_an_answer_arrives_whole_however_it_is_told(value: Any, head: bytes) -> None:
    """Its frame has the length that it claims, and its document is the value."""
    ours, theirs = socket.socketpair()
    heard: list[bytes] = []

    def hear() -> None:
        while data := ours.recv(100_000):
            heard.append(data)

    listener = threading.Thread(target=hear)
    listener.start()
    with ours:
        with theirs:
            Channel(theirs.fileno()).send(frames.ANSWER, head, document_of(value))
        listener.join()
    frame = b"".join(heard)

    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert frame[4:5] == frames.ANSWER
    assert frame[5:].startswith(head)
    assert json.loads(frame[5 + len(head) :]) == value


def test_a_long_document_knows_its_size() -> None:
    """Limits are held to it before it has become bytes."""
    document = document_of("x" * 300_000)

    assert isinstance(document, Pieces)
    assert len(document) == len(b"".join(document)) == 300_002


@pytest.mark.parametrize("count", [1, 2, 5_000, 5_001, 9_973])
@pytest.mark.parametrize("size_bytes", [10, 100, 70_000])
def test_items_are_one_array_however_many_there_are(count: int, size_bytes: int) -> None:
    """What is added while they are sent is none of them, and their size is told right."""
    bodies = [b'"%b"' % (b"x" * size_bytes)] * (count if size_bytes < 1000 else count % 100 + 1)
    whole = b"[" + b",".join(bodies) + b"]"
    array = array_of(bodies)
    size = len(array)
    bodies.append(b'"later"')

    assert size == len(whole)
    assert (array if isinstance(array, bytes) else b"".join(array)) == whole
