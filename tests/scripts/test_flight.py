"""One piece of work per key."""

from __future__ import annotations

import asyncio

import pytest

from zscrape.scripts.flight import Flights


async def test_keys_do_not_wait_for_each_other() -> None:
    """Work for one key goes on while another's waits."""
    flights: Flights[str, str] = Flights()
    gate = asyncio.Event()

    async def slow() -> str:
        await gate.wait()
        return "slow"

    async def quick() -> str:
        gate.set()
        return "quick"

    waiting = asyncio.create_task(flights.join("a", slow))

    assert await flights.join("b", quick) == "quick"
    assert await waiting == "slow"


async def test_a_failure_reaches_all_and_is_not_kept() -> None:
    """Everybody who waited gets the error; the next caller starts anew."""
    flights: Flights[str, int] = Flights()
    count = 0

    async def work() -> int:
        nonlocal count
        count += 1
        await asyncio.sleep(0)
        if count == 1:
            raise ValueError("first")
        return count

    failed = await asyncio.gather(
        *[flights.join("a", work) for _ in range(3)], return_exceptions=True
    )

    assert [str(each) for each in failed] == ["first"] * 3
    assert await flights.join("a", work) == 2


async def test_a_failure_that_nobody_waits_for_is_not_complained_about() -> None:
    """When the only caller has given up, the error of the work is dropped quietly."""
    flights: Flights[str, int] = Flights()
    gate, ended = asyncio.Event(), asyncio.Event()

    async def work() -> int:
        await gate.wait()
        ended.set()
        raise ValueError("nobody hears this")

    caller = asyncio.create_task(flights.join("a", work))
    await asyncio.sleep(0)
    caller.cancel()
    gate.set()
    await ended.wait()

    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_closing_ends_what_runs() -> None:
    """After closing nothing runs any more, and who waited is told."""
    flights: Flights[str, int] = Flights()
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> int:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            ended.set()
        return 1

    caller = asyncio.create_task(flights.join("a", work))
    await begun.wait()

    await flights.close()

    assert ended.is_set()
    with pytest.raises(asyncio.CancelledError):
        await caller
