"""Bells: who waits is woken once, and who has gone is forgotten."""

from __future__ import annotations

import asyncio

from zscrape.gateway.events import Bell, EndBell, EventHub


async def test_ring_wakes_those_of_the_task():
    """A ring wakes all who wait for the task, and nobody else."""
    bell = Bell()
    first, second, other = bell.watch("a"), bell.watch("a"), bell.watch("b")

    bell.ring("a")

    assert first.done()
    assert second.done()
    assert not other.done()
    assert bell.waiting_count == 1


async def test_forget():
    """Who stops waiting leaves nothing behind, also when it was woken or cancelled before."""
    bell = Bell()
    left, woken, cancelled = bell.watch("a"), bell.watch("b"), bell.watch("c")
    bell.ring("b")
    cancelled.cancel()

    bell.forget("a", left)
    bell.forget("b", woken)
    bell.ring("c")

    assert bell.waiting_count == 0
    assert not left.done()


async def test_close():
    """A closed bell wakes everybody, and nobody waits at it any more."""
    bell = Bell()
    before = bell.watch("a")

    bell.close()

    assert before.done()
    assert bell.watch("a").done()
    assert bell.waiting_count == 0


async def test_hub_cuts_streams_that_do_not_end():
    """A stream that does not end by itself is cut soon after the hub closes."""
    hub = EventHub()
    ended = asyncio.Event()

    async def stream() -> None:
        guard = asyncio.timeout(None)
        try:
            async with guard:
                hub.opened(guard)
                await asyncio.Event().wait()
        except TimeoutError:
            ended.set()
        finally:
            hub.ended(guard)

    task = asyncio.create_task(stream())
    await asyncio.sleep(0)
    hub.close(grace_s=0.01)

    async with asyncio.timeout(40):
        await ended.wait()
        await task
    assert hub.stream_count == 0


async def test_hub_closes_beside_a_stream_that_is_being_cut():
    """A stream whose time is over in the same turn is left to end; the others are cut."""
    hub = EventHub()
    faults: list[BaseException] = []

    def close() -> None:
        try:
            hub.close()
        except RuntimeError as error:
            faults.append(error)

    async def stream() -> None:
        async with asyncio.timeout(0) as guard:  # it expires in the loop's next turn
            hub.opened(guard)
            asyncio.get_running_loop().call_soon(close)
            await asyncio.Event().wait()

    (ended,) = await asyncio.gather(stream(), return_exceptions=True)

    assert isinstance(ended, TimeoutError)
    assert hub.is_closed
    assert faults == []


async def test_listener_is_called_once():
    """Who listens is called at the task's next news, once, and counts among those who wait."""
    bell, heard = EndBell(), []
    bell.listen("a", lambda: heard.append("a"))
    bell.listen("b", lambda: heard.append("b"))
    bell.listen("c", lambda: heard.append("c"))
    waiting_count, is_watched = bell.waiting_count, bell.is_watched("a")

    bell.leave("b")
    for task_id in ("a", "a", "b"):
        bell.ring(task_id)
    bell.close()
    bell.listen("d", lambda: heard.append("d"))

    assert (waiting_count, is_watched) == (3, True)
    assert heard == ["a", "c", "d"]
    assert bell.waiting_count == 0
