"""What is told to all who watch the overview: made once, and told to each."""

from __future__ import annotations

import pytest

from zscrape.gateway.events import EventHub
from zscrape.gateway.feed import Feed


async def test_all_who_watch_are_told_the_same_reading():
    """Two who watch cost one reading, and it is told once something has happened."""
    hub, made = EventHub(), 0
    feed = Feed(hub)

    async def make() -> bytes:
        nonlocal made
        made += 1
        return b"%d" % made

    with feed.joined(make), feed.joined(make):
        first = await feed.next()
        one, other = feed.next(), feed.next()
        hub.news.ring("t")
        told = [await one, await other]

    assert first == b"event: overview\ndata: 1\n\n"
    assert told == [b"event: overview\ndata: 2\n\n"] * 2
    assert made == 2
    assert hub.news.waiting_count <= 1


async def test_a_reading_that_fails_is_told_to_who_waits_and_to_nobody_later():
    """A store that cannot be read ends the streams; who joins after that is served."""
    feed = Feed(EventHub())

    async def fail() -> bytes:
        raise OSError("gone")

    async def make() -> bytes:
        return b"back"

    with feed.joined(fail), pytest.raises(OSError, match="gone"):
        await feed.next()
    with feed.joined(make):
        told = await feed.next()

    assert told == b"event: overview\ndata: back\n\n"


async def test_who_watches_is_told_when_the_gateway_closes():
    """An empty frame ends the waiting of each."""
    hub = EventHub()
    feed = Feed(hub)

    async def make() -> bytes:
        return b"1"

    with feed.joined(make):
        await feed.next()
        last = feed.next()
        hub.close()
        told = await last

    assert told == b""
