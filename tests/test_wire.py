"""The wire: what is sent is what is heard, and nothing else is heard."""

from __future__ import annotations

import contextlib
import typing
from enum import Enum
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from zscrape import wire
from zscrape.errors import WireError
from zscrape.model import Outcome, OutcomeCode
from zscrape.wire import Hello, Reject, decode_gateway, decode_worker, encode

WORKER = typing.get_args(wire.WorkerMessage)
GATEWAY = typing.get_args(wire.GatewayMessage)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Return values of any type that a message has, so that a new message is tested as well."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    simple = {
        str: st.text(max_size=8),
        bytes: st.binary(max_size=8),
        bool: st.booleans(),
        int: st.integers(-(2**63), 2**64 - 1),
        float: st.floats(allow_nan=False),
        type(None): st.none(),
    }
    if kind in simple:
        return simple[kind]
    if origin is None:
        return st.sampled_from(kind) if issubclass(kind, Enum) else struct(kind)
    if origin is typing.Literal:
        return st.sampled_from(inner)
    if inner[-1] is Ellipsis:
        return st.lists(values(inner[0]), max_size=3).map(tuple)
    parts = [values(each) for each in inner]
    if origin is dict:
        return st.dictionaries(*parts, max_size=3)
    return st.tuples(*parts) if origin is tuple else st.one_of(parts)


def struct(kind: type) -> st.SearchStrategy[Any]:
    """Return values of a struct."""
    fields = msgspec.structs.fields(kind)
    return st.builds(kind, **{field.name: values(field.type) for field in fields})


@settings(max_examples=300)
@given(st.one_of([struct(kind) for kind in WORKER]))
def test_worker_messages_survive_the_wire(message: Any) -> None:
    """Every message of a worker is read back as it was."""
    assert decode_worker(encode(message)) == message


@settings(max_examples=300)
@given(st.one_of([struct(kind) for kind in GATEWAY]))
def test_gateway_messages_survive_the_wire(message: Any) -> None:
    """Every message of a gateway is read back as it was."""
    assert decode_gateway(encode(message)) == message


@given(st.binary(max_size=200))
def test_garbage_is_one_kind_of_error(frame: bytes) -> None:
    """Whatever bytes come, reading them gives a message or a `WireError`, never anything else."""
    for decode in (decode_worker, decode_gateway):
        with contextlib.suppress(WireError):
            decode(frame)


@given(st.one_of([struct(kind) for kind in (*WORKER, *GATEWAY)]), st.data())
def test_damaged_messages_are_one_kind_of_error(message: Any, data: st.DataObject) -> None:
    """A frame that was cut or has a flipped byte raises nothing but `WireError`."""
    frame = bytearray(encode(message))
    place = data.draw(st.integers(0, len(frame) - 1))
    frame[place] ^= data.draw(st.integers(1, 255))
    for damaged in (bytes(frame), bytes(frame[:place])):
        for decode in (decode_worker, decode_gateway):
            with contextlib.suppress(WireError):
                decode(damaged)


@pytest.mark.parametrize(
    "frame",
    [
        b"\x91" * 100_000,  # nested arrays without end
        b"\x92\xa5Hello\xa2\xff\xfe",  # text that is not UTF-8
        b"\x9c\xa5Hello\xcf" + b"\xff" * 8,  # a number beyond 63 bits, then nothing
        b"",
    ],
)
def test_frames_that_break_decoders(frame: bytes) -> None:
    """Deep nesting, bad text, huge numbers and empty frames are refused like any garbage."""
    with pytest.raises(WireError):
        decode_worker(frame)
    with pytest.raises(WireError):
        decode_gateway(frame)


@pytest.mark.parametrize("message", [wire.Goodbye("s"), wire.Started("t", 1)])
def test_gateway_does_not_speak_as_a_worker(message: Any) -> None:
    """Each end reads only what the other may say."""
    with pytest.raises(WireError):
        decode_gateway(encode(message))


def test_beats_of_both_ends_share_a_tag_but_not_a_meaning() -> None:
    """`Heartbeat` is one word on the wire, read by each end as the other's."""
    beat = wire.GatewayHeartbeat("boot", 3)

    assert msgspec.msgpack.decode(encode(beat))[0] == "Heartbeat"
    assert decode_gateway(encode(beat)) == beat


def test_missing_trailing_fields_take_their_defaults() -> None:
    """An older end that does not know the newest fields is understood."""
    old = msgspec.msgpack.encode(["Hello", 1, "w", "s", 2, 2])
    done = msgspec.msgpack.encode(["Done", "t", 1, ["ok"]])

    assert decode_worker(old) == Hello(1, "w", "s", 2, 2)
    assert decode_worker(done) == wire.Done("t", 1, Outcome(OutcomeCode.OK))


def test_unknown_trailing_fields_are_ignored() -> None:
    """A newer end that says more is understood."""
    newer = msgspec.msgpack.encode(["Reject", "protocol", "detail", "and more"])

    assert decode_gateway(newer) == Reject("protocol", "detail")


def test_words_that_never_change() -> None:
    """Any two versions can refuse each other: Hello begins with the protocol, Reject is fixed."""
    hello = msgspec.msgpack.decode(encode(Hello(9, "w", "s", 1, 1)))
    reject = msgspec.msgpack.decode(encode(Reject("protocol", "why")))

    assert hello[:2] == ["Hello", 9]
    assert reject == ["Reject", "protocol", "why"]
