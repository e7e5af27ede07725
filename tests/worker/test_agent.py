"""What an agent does for its link, without a gateway."""

from __future__ import annotations

import asyncio
import time
from math import inf
from typing import Any, cast

import pytest

from zscrape.core.effects import LinkEffect
from zscrape.worker.agent import Agent


class _Waiting:
    """A link that has one thing to do, at some moment."""

    def __init__(self, in_s: float) -> None:
        self.due_at = time.monotonic() + in_s
        self.look_count = 0
        self.done = asyncio.Event()

    def grant(self, count: int, *, now: float) -> list[LinkEffect]:
        """Something was said: nothing follows from it."""
        return []

    def tick(self, *, now: float) -> list[LinkEffect]:
        """Do it if it is due."""
        self.look_count += 1
        if self.due_at <= now:
            self.due_at = inf
            self.done.set()
        return []


class _Idle:
    is_shared = False

    def balance(self) -> None:
        """There is nothing to share."""


async def _looks(in_s: float) -> int:
    """Return how often a link was looked at until it had done what it waited to do."""
    link = _Waiting(in_s)
    agent = Agent(
        cast(Any, link),
        credentials=cast(Any, None),
        on_fact=lambda _: None,
        on_silence=lambda _: None,
        warm=tuple,
    )
    agent._work = cast(Any, _Idle())
    try:
        agent.grant(1)
        await link.done.wait()
    finally:
        agent.close()
    return link.look_count


def test_a_moment_is_waited_for_and_not_looked_for() -> None:
    """Whatever part of a millisecond it is away from those that timers count."""
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        counts = [runner.run(_looks(0.002 + part / 10_000)) for part in range(10)]

    assert max(counts) <= 5  # a loop that is late itself may wait again
