"""`check()` bites: each broken invariant is found and named."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.core.rig import Rig
from zscrape.core.lives import Lives
from zscrape.core.task import MOVES, Place
from zscrape.model import LockRequest, Overlap


def lose_the_worker(lives: Lives) -> None:
    """Forget a worker that has an attempt."""
    del lives.pool.workers["a"]


def overcommit(lives: Lives) -> None:
    """Let a worker have fewer slots than attempts."""
    lives.pool.workers["a"].slots = 0


def keep_a_final_task(lives: Lives) -> None:
    """Keep a task that has ended."""
    lives.tasks["running"].place = Place.FINAL


def hide_a_free_slot(lives: Lives) -> None:
    """Give a worker room and tell nobody."""
    lives.pool.workers["a"].slots = lives.pool.workers["a"].limit = 2
    lives.pool.rate(lives.pool.workers["a"])


def oversleep(lives: Lives) -> None:
    """Forget to look at a task."""
    lives.deadlines.clear(lives.tasks["waiting"])


def hold_twice(lives: Lives) -> None:
    """Say that a lock is held by one who stands in its line."""
    lives.locks.by_key["key"].holder = "second"


def miscount(lives: Lives) -> None:
    """Count a running task that is none."""
    lives.running_count += 1


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lose_the_worker, "belongs to exactly one known worker"),
        (overcommit, "0 <= in flight <= slots"),
        (keep_a_final_task, "a final task is forgotten"),
        (hide_a_free_slot, "has a free slot that a task waits for"),
        (oversleep, "is looked at in time"),
        (hold_twice, "holds its lock or stands in line"),
        (miscount, "running tasks are counted"),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
def test_broken_invariant_is_named(rig: Rig, break_it: Callable[[Lives], None], words: str) -> None:
    """A dispatcher whose state was tampered with does not pass its own check."""
    rig.join("a")
    rig.submit("running")
    rig.submit("waiting")
    rig.submit("first", lock=LockRequest("key", Overlap.QUEUE_ALL))
    rig.submit("second", lock=LockRequest("key", Overlap.QUEUE_ALL))

    break_it(rig.dispatcher._lives)

    with pytest.raises(AssertionError, match=words):
        rig.dispatcher.check()


def test_impossible_move_changes_nothing(rig: Rig) -> None:
    """The table of moves is the law: another move raises and leaves the task where it was."""
    rig.submit("t")
    task = rig.dispatcher._lives.tasks["t"]

    with pytest.raises(AssertionError, match="no move QUEUE -> REST"):
        task.move(Place.REST)

    assert task.place is Place.QUEUE


def test_every_place_leads_to_the_end() -> None:
    """From everywhere a task can be ended, and from the end nowhere."""
    assert MOVES[Place.FINAL] == frozenset()
    for place in set(Place) - {Place.NEW, Place.FINAL}:
        assert Place.FINAL in MOVES[place]
