"""What an agent does for its link, without a gateway."""

from __future__ import annotations

import asyncio
import time
from math import inf
from typing import Any, cast

import pytest

from zscrape.core.effects import LinkEffect, Start
from zscrape.model import Pin, RunSpec
from zscrape.wire import Run
from zscrape.worker.agent import Agent
from zscrape.worker.assignment import Assignment


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
    def balance(self) -> None:
        """There is nothing to share."""


def _agent(link: _Waiting | _Refusing) -> Agent:
    return Agent(
        cast(Any, link),
        credentials=cast(Any, None),
        on_fact=lambda _: None,
        on_silence=lambda _: None,
        warm=tuple,
    )


class _Refusing:
    """A link that sends one attempt before there is a slot for it, and hears it refused."""

    due_at = inf

    def __init__(self) -> None:
        self.refused: list[tuple[str, int, str]] = []

    def grant(self, count: int, *, now: float) -> list[LinkEffect]:
        """The gateway has sent an attempt meanwhile."""
        spec = RunSpec(Pin("r", "script", "1.0.0", "sha256:0"), reuse_count=2)
        return [Start(Run("t", 1, 1, None, 0, spec, b"{}"), None, is_ahead=True)]

    def refuse(self, task_id: str, attempt: int, reason: str, *, now: float) -> list[LinkEffect]:
        """Keep what is refused."""
        self.refused.append((task_id, attempt, reason))
        return []


class _Full(_Idle):
    def begin(self, assignment: Assignment, agent: Agent) -> None:
        """There is no slot, and none comes."""
        assert assignment.give_back is not None
        assignment.give_back()


async def _refusals() -> list[tuple[str, int, str]]:
    """Return what an agent without a slot refuses."""
    link = _Refusing()
    agent = _agent(link)
    agent._work = cast(Any, _Full())
    agent.grant(1)
    agent.close()
    return link.refused


def test_what_finds_no_slot_goes_back_to_the_gateway() -> None:
    """It is refused as in any race for the last slot, which costs its task no retry."""
    assert asyncio.run(_refusals()) == [("t", 1, "full")]


async def _looks(in_s: float) -> int:
    """Return how often a link was looked at until it had done what it waited to do."""
    link = _Waiting(in_s)
    agent = _agent(link)
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
