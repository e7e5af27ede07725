"""Tasks that wait for a person without a slot: parked, woken, and taken up after a restart."""

from __future__ import annotations

import pytest

from tests.core.rig import Rig, spec
from zscrape.core.effects import TaskFinished, TaskQueued
from zscrape.core.history import History
from zscrape.model import LockRequest, Outcome, OutcomeCode, Overlap, RetryPolicy

PARKED = Outcome(OutcomeCode.CANCELLED, parked_on="h-1")
LOCK = LockRequest("k", Overlap.QUEUE_ALL)


def test_a_parked_task_frees_its_slot_and_goes_on_when_it_is_woken(rig: Rig) -> None:
    """Another task runs in its slot; woken it is tried anew, and no retry is counted."""
    rig.join("w1")
    rig.submit("a", retry=RetryPolicy(0))
    rig.submit("b")

    parked = rig.done("w1", "a", outcome=PARKED)
    why = rig.why("a")
    told = rig.dispatcher.snapshot(now=rig.now)
    woken = rig.call(rig.dispatcher.wake, "a")
    runs = rig.runs(rig.done("w1", "b"))
    ended = rig.done("w1", "a", 2)

    assert TaskQueued("a", 1, parked_on="h-1") in parked
    assert rig.runs(parked) == [("w1", "b", 1)]
    assert why == ("person", {"attempt": 1, "handoff": "h-1", "worker_id": "-"})
    assert (told.queued_count, told.assigned_count, told.running_count) == (0, 1, 0)
    assert TaskQueued("a", 1) in woken
    assert runs == [("w1", "a", 2)]
    assert [each.outcome.code for each in ended if isinstance(each, TaskFinished)] == ["ok"]


def test_only_a_parked_task_is_woken(rig: Rig) -> None:
    """Waking one that runs, or that nobody knows, changes nothing."""
    rig.join("w1")
    rig.submit("a")

    effects = [*rig.call(rig.dispatcher.wake, "a"), *rig.call(rig.dispatcher.wake, "x")]

    assert effects == []


def test_a_parked_task_keeps_its_lock_until_it_is_cancelled(rig: Rig) -> None:
    """Nobody else runs under its key meanwhile; cancelled, it gives the key on at once."""
    rig.join("w1", slots=2)
    rig.submit("a", lock=LOCK)
    rig.submit("b", lock=LOCK)

    parked = rig.runs(rig.done("w1", "a", outcome=PARKED))
    cancelled = rig.cancel("a")

    assert parked == []
    assert [each.task_id for each in cancelled if isinstance(each, TaskFinished)] == ["a"]
    assert rig.runs(cancelled) == [("w1", "b", 1)]


def test_the_end_of_the_whole_life_does_not_stand_still(rig: Rig) -> None:
    """A deadline ends a parked task; no slot's waiting time does."""
    rig.join("w1")
    rig.submit("a", deadline_s=60.0, schedule_timeout_s=5.0)
    rig.done("w1", "a", outcome=PARKED)

    early = rig.pass_time(rig.now + 50.0, "w1")
    late = rig.pass_time(rig.now + 20.0, "w1")

    assert [each for each in early if isinstance(each, TaskFinished)] == []
    assert [e.outcome.code for e in late if isinstance(e, TaskFinished)] == ["timeout"]


def test_without_a_next_attempt_there_is_no_parking(rig: Rig) -> None:
    """A task for which nobody waits any more ends in place of being parked."""
    rig.call(
        rig.dispatcher.restore,
        spec("a", lock=LOCK),
        attempt=1,
        worker_id="w1",
        history=History(is_last=True),
    )
    rig.join("w1", running=(("a", 1),))

    ended = rig.done("w1", "a", outcome=PARKED)

    assert [e.outcome.code for e in ended if isinstance(e, TaskFinished)] == ["cancelled"]


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_parked_task_is_parked_after_a_restart(rig: Rig, is_shared: bool) -> None:
    """It holds its lock, also one that was held back for it, and waits until it is woken."""
    if is_shared:
        rig.call(rig.dispatcher.hold_back, "k", holder="a")
    rig.join("w1")
    history = History(parked_on="h-1")
    restored = rig.call(
        rig.dispatcher.restore, spec("a", lock=LOCK), attempt=1, worker_id=None, history=history
    )
    blocked = rig.runs(rig.submit("b", lock=LOCK))
    woken = rig.runs(rig.call(rig.dispatcher.wake, "a"))

    assert TaskQueued("a", 1, parked_on="h-1") in restored
    assert blocked == []
    assert woken == [("w1", "a", 2)]


def test_a_parked_task_without_its_lock_waits_for_that(rig: Rig) -> None:
    """Where another task has the key by now it stands in line, and asks again when it runs."""
    rig.join("w1")
    rig.submit("b", lock=LOCK)
    rig.call(
        rig.dispatcher.restore,
        spec("a", lock=LOCK),
        attempt=1,
        worker_id=None,
        history=History(parked_on="h-1"),
    )

    why = rig.why("a")[0]
    runs = rig.runs(rig.done("w1", "b"))

    assert why == "lock_held"
    assert runs == [("w1", "a", 2)]


def test_a_parked_task_without_a_lock_is_parked_after_a_restart(rig: Rig) -> None:
    """It waits for nothing but its person."""
    rig.join("w1")
    history = History(parked_on="h-1")
    rig.call(rig.dispatcher.restore, spec("a"), attempt=1, worker_id=None, history=history)

    assert rig.runs(rig.call(rig.dispatcher.wake, "a")) == [("w1", "a", 2)]
