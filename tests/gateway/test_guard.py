"""The guard of the link's connections, against peers that speak ZMTP by hand.

libzmq itself sends nothing of a message before it is whole; whoever writes a client of its own
can do otherwise. What the guard looks at is the same with and without encryption.
"""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import AsyncIterator

import pytest
import zmq

from tests.gateway.conftest import until
from zscrape.gateway.guard import FIRST_LIMIT_BYTES, Guard
from zscrape.model import MIB

_GREETING = b"\xff" + b"\x00" * 8 + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\x00") + b"\x00" * 32
_READY = b"\x05READY" + b"\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"
_MORE = b"\x03" + struct.pack(">Q", MIB) + bytes(MIB)  # a long frame, and another one follows


class Guarded:
    """A ROUTER without encryption, and what its guard has told."""

    def __init__(self) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.cut: list[tuple[str, str]] = []
        self.heard: dict[int, int] = {}
        self.guard = Guard(
            self.socket,
            heard=lambda descriptor: self.heard.get(descriptor, 0),
            on_cut=lambda address, reason: self.cut.append((address, reason)),
        )
        self.socket.bind("tcp://127.0.0.1:*")
        endpoint = self.socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
        self.port = int(endpoint.rpartition(":")[2])
        self.guard.start(self.port)

    async def dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection after its handshake."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(_GREETING + b"\x04" + bytes([len(_READY)]) + _READY)
        await reader.readexactly(64)
        return reader, writer

    def close(self) -> None:
        """Let go of everything."""
        self.guard.stop()
        self.context.destroy(linger=0)


@pytest.fixture
async def guarded(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Guarded]:
    """A guarded socket."""
    monkeypatch.setattr("zscrape.gateway.guard._LOOK_S", 0.02)
    guarded = Guarded()
    yield guarded
    guarded.close()


async def send_without_end(writer: asyncio.StreamWriter, limit_bytes: int) -> int:
    """Send frames that announce another one; returns how many bytes left before the cut."""
    sent_bytes = 0
    try:
        while sent_bytes < limit_bytes:
            writer.write(_MORE)
            await writer.drain()
            sent_bytes += len(_MORE)
            await asyncio.sleep(0)
    except ConnectionError:
        pass
    return sent_bytes


async def test_a_message_without_an_end_is_cut(guarded: Guarded) -> None:
    """Frames that go on for ever end with their connection, long before they fill memory."""
    _, writer = await guarded.dial()

    sent_bytes = await send_without_end(writer, 4_000 * MIB)
    await until(lambda: bool(guarded.cut))
    writer.close()

    assert guarded.cut[0] == ("127.0.0.1", "no end of a message")
    assert FIRST_LIMIT_BYTES < sent_bytes < 4_000 * MIB


async def test_whoever_comes_to_an_end_may_send_more(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each message that was read allows another one of the largest size, while memory grows."""
    monkeypatch.setattr("zscrape.gateway.guard.LIMIT_BYTES", 8 * MIB)
    monkeypatch.setattr("zscrape.gateway.guard._GROWTH_BYTES", -(1 << 40))
    _, writer = await guarded.dial()
    await until(lambda: bool(guarded.guard._connections))
    (descriptor,) = guarded.guard._connections

    for count in range(1, 5):
        guarded.heard[descriptor] = count
        await until(lambda: guarded.guard._connections[descriptor].heard_count == count)  # noqa: B023
        await send_without_end(writer, 3 * MIB)
    before = [*guarded.cut]
    await send_without_end(writer, 4_000 * MIB)
    writer.close()

    assert before == []
    assert guarded.cut[0] == ("127.0.0.1", "no end of a message")


async def test_whoever_speaks_is_not_asked_about_while_memory_stays(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fleet that beats costs the guard no call of the kernel; one that is silent does."""
    asked_for: list[int] = []

    def ask(descriptor: int) -> int:
        asked_for.append(descriptor)
        return 0

    monkeypatch.setattr("zscrape.gateway.guard._GROWTH_BYTES", 1 << 40)
    monkeypatch.setattr("zscrape.gateway.guard._SKIPPED_COUNT", 0)
    connections = [await guarded.dial(), await guarded.dial()]
    await until(lambda: len(guarded.guard._connections) == 2)
    talker, listener = guarded.guard._connections
    counts = itertools.count(1)
    monkeypatch.setattr(guarded.guard, "_heard", lambda each: next(counts) * (each == talker))

    monkeypatch.setattr("zscrape.gateway.guard._received_bytes", ask)
    await until(lambda: len(asked_for) > 2)
    for _, writer in connections:
        writer.close()

    assert set(asked_for) == {listener}


async def test_whoever_spoke_once_may_not_send_without_end(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even so slowly that the memory of the gateway hardly grows."""
    monkeypatch.setattr("zscrape.gateway.guard.LIMIT_BYTES", 8 * MIB)
    monkeypatch.setattr("zscrape.gateway.guard._GROWTH_BYTES", 1 << 40)
    monkeypatch.setattr("zscrape.gateway.guard._SKIPPED_COUNT", 0)
    _, writer = await guarded.dial()
    await until(lambda: bool(guarded.guard._connections))
    (descriptor,) = guarded.guard._connections
    guarded.heard[descriptor] = 1

    await send_without_end(writer, 4_000 * MIB)
    writer.close()

    assert guarded.cut[0] == ("127.0.0.1", "no end of a message")


async def test_what_another_connection_has_said_is_not_counted(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Descriptors are used again: whoever has one now has said nothing yet."""
    monkeypatch.setattr("zscrape.gateway.guard._GROWTH_BYTES", 1 << 40)
    monkeypatch.setattr("zscrape.gateway.guard._SKIPPED_COUNT", 0)
    monkeypatch.setattr(guarded.guard, "_heard", lambda _descriptor: 7)
    _, writer = await guarded.dial()
    await until(lambda: bool(guarded.guard._connections))
    (connection,) = guarded.guard._connections.values()
    assert connection.heard_count == 7

    monkeypatch.setattr(guarded.guard, "_heard", lambda _descriptor: 0)
    await until(lambda: connection.heard_count == 0)
    writer.close()


async def test_closed_connections_are_forgotten(guarded: Guarded) -> None:
    """Who has gone counts no more."""
    for _ in range(5):
        _, writer = await guarded.dial()
        writer.close()
    await until(lambda: not guarded.guard._connections)

    assert guarded.cut == []
