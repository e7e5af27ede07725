"""The clock of an attempt that waits for a person: it stands, and the task's own end does not."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from tests.worker.conftest import Stage
from zscrape.model import OutcomeCode
from zscrape.wire import Ask, Tell
from zscrape.worker.alarms import Alarms, Sleeper
from zscrape.worker.guard import Guard
from zscrape.worker.parking import Clock


class Time(asyncio.SelectorEventLoop):
    """A loop that is never run: its time is what a test says."""

    now = 100.0

    def time(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def loop():
    """Return a loop whose time stands."""
    loop = Time()
    yield loop
    loop.close()


class Noted(Alarms):
    """Notes the moments that are set: none is told as infinite."""

    def __init__(self, loop: Time) -> None:
        super().__init__(loop)
        self.told: list[float] = []

    def set(self, sleeper: Sleeper, at: float) -> None:
        """Note a moment."""
        self.told.append(at)

    def clear(self, sleeper: Sleeper) -> None:
        """Note that there is none any more."""
        self.told.append(float("inf"))


def clock_in(
    loop: Time, limit_s: float, deadline: tuple[float, float] | None = None
) -> tuple[Clock, list[float]]:
    """Return the clock of an attempt that begins now, and the ends that it was given."""
    alarms = Noted(loop)
    guard = Guard(alarms, 1.0, deadline)
    if deadline is not None:
        guard.lift()
    guard.limit(loop.now + limit_s, limit_s)
    return Clock(loop, guard, ends_at=loop.now + limit_s, limit_s=limit_s), alarms.told


def test_the_clock_stands(loop: Time) -> None:
    """What was left before the question is left after the answer."""
    clock, told = clock_in(loop, 30.0)
    loop.now += 10
    clock.park(1)
    loop.now += 1000
    clock.unpark(1)

    assert told == [130.0, float("inf"), 1130.0]


def test_it_goes_on_after_the_last_answer(loop: Time) -> None:
    """Questions of several threads are one wait; an answer to nothing changes nothing."""
    clock, told = clock_in(loop, 30.0)
    clock.park(1)
    clock.park(2)
    loop.now += 50
    clock.unpark(1)
    clock.unpark(7)
    loop.now += 50
    clock.unpark(2)

    assert told[-1] == 230.0
    assert len(told) == 3


def test_the_end_of_the_task_stays(loop: Time) -> None:
    """A task's whole life ends when it was to, whoever is asked."""
    clock, told = clock_in(loop, 30.0, (150.0, 50.0))
    clock.park(1)
    loop.now += 40
    clock.unpark(1)

    assert told == [150.0, 130.0, 150.0, 150.0]
    assert clock_in(loop, 30.0, (150.0, 50.0))[1] == [150.0, 150.0]


@pytest.mark.asyncio(loop_scope="session")
async def test_waiting_for_a_person_uses_up_no_time(stage: Stage) -> None:
    """A script that waits longer than its time limit goes on, and knows what it has left."""
    asked = asyncio.Event()
    held: list[Ask] = []

    def keep(ask: Ask) -> None:
        held.append(ask)
        asked.set()

    stage.answer = keep
    ran = stage.begin(
        stage.write("""
        def run(ctx):
            told = ctx.ask("Which code?", fields=["code"])
            return [told, ctx.deadline > 0]
        """),
        timeout_s=5.0,
    )
    await asked.wait()
    await asyncio.sleep(5.5)
    (ask,) = held
    stage.slots.tell(Tell(ask.task_id, ask.attempt, ask.request, b'{"code":"1"}'))
    await ran.finished.wait()

    assert ran.outcome.code == OutcomeCode.OK
    assert ran.data == [{"code": "1"}, True]
    assert msgspec.json.decode(ask.body) == {"prompt": "Which code?", "fields": {"code": {}}}
