"""The log says what has happened, and a flood of garbage does not flood it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from zscrape.core.effects import Ignored, TaskStarted, WorkerJoined
from zscrape.gateway.facts import FactTeller, tell


class Log:
    """Keeps lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def bind(self) -> Log:
        """Return the same log."""
        return self

    def is_enabled_for(self, level: int) -> bool:
        """Say that debug lines are not asked for."""
        return level > logging.DEBUG

    def info(self, event: str, **fields: Any) -> None:
        """Keep a line."""
        self.lines.append((event, fields))

    def counts(self) -> list[int]:
        """Return what each line says was held back before it."""
        return [fields["suppressed_count"] for _, fields in self.lines]


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the moment."""
        return self.now


@pytest.fixture
def log() -> Log:
    """An empty log."""
    return Log()


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def teller(log: Log, clock: Clock) -> FactTeller:
    """A teller to which nobody else listens."""
    made = FactTeller(log, clock=clock)
    made.listen(lambda fact: None)
    return made


def garbage(reason: str = "not msgpack") -> Ignored:
    """Return the fact of a frame that was no message."""
    return Ignored(b"x", "garbage", reason)


def test_a_flood_is_one_line_in_ten_seconds(teller: FactTeller, log: Log, clock: Clock) -> None:
    """The first message that is ignored is told at once, the rest as a count with the next line."""
    for _ in range(1_000):
        tell(garbage(), teller.hearers)
    first = list(log.counts())
    clock.now += 10.0
    tell(garbage(), teller.hearers)

    assert first == [0]
    assert log.counts() == [0, 999]


def test_another_reason_is_told_at_once(teller: FactTeller, log: Log) -> None:
    """What one stranger floods with does not hide what another does."""
    for fact in (garbage(), garbage(), garbage("two frames"), Ignored(b"x", "Hello", "protocol")):
        tell(fact, teller.hearers)

    told = [(fields["kind"], fields["reason"]) for _, fields in log.lines]
    assert told == [
        ("garbage", "not msgpack"),
        ("garbage", "two frames"),
        ("Hello", "protocol"),
    ]


def test_reasons_without_end_share_a_line(teller: FactTeller, log: Log, clock: Clock) -> None:
    """A flood that never repeats itself is bounded too, and stays so when its time has passed."""
    for number in range(1_000):
        tell(garbage(str(number)), teller.hearers)
    first_count = len(log.lines)
    clock.now += 10.0
    for number in range(1_000):
        tell(garbage(f"again {number}"), teller.hearers)

    assert first_count == 33
    assert len(log.lines) <= 2 * 33
    assert sum(log.counts()) > 900


def test_every_fact_reaches_the_listener(log: Log, clock: Clock) -> None:
    """What the log holds back is still told to the service."""
    heard: list[object] = []
    teller = FactTeller(log, clock=clock)
    teller.listen(heard.append)

    for _ in range(3):
        tell(garbage(), teller.hearers)
    tell(WorkerJoined("w", False), teller.hearers)

    assert len(heard) == 4


def test_a_fact_goes_to_those_whom_it_concerns(teller: FactTeller) -> None:
    """Whoever listens to some kinds hears those alone, in the order of listening."""
    heard: list[str] = []
    teller.listen(lambda fact: heard.append("joins"), (WorkerJoined,))
    teller.listen(lambda fact: heard.append("all"))

    tell(TaskStarted("t", 1, "w"), teller.hearers)
    tell(WorkerJoined("w", is_return=False), teller.hearers)

    assert heard == ["all", "joins", "all"]


def test_a_fact_that_nobody_hears_is_a_fault(log: Log, clock: Clock) -> None:
    """Before anybody listens no fact of a task is lost in silence."""
    with pytest.raises(KeyError):
        tell(TaskStarted("t", 1, "w"), FactTeller(log, clock=clock).hearers)
