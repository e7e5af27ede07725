"""Locks: what becomes of tasks that ask for a key, and when a key is free again."""

from __future__ import annotations

import pytest

from tests.core.rig import OK, Rig, facts, sends
from zscrape.core.effects import TaskFinished, TaskQueued
from zscrape.errors.requests import LockHeld
from zscrape.model import LockRequest, Outcome, OutcomeCode, Overlap, RetryPolicy
from zscrape.wire import Ack, Cancel, Goodbye, Refused

CANCELLED = Outcome(OutcomeCode.CANCELLED)


def lock(overlap: Overlap = Overlap.QUEUE_ALL) -> LockRequest:
    """Return a request for the one key of these tests."""
    return LockRequest("key", overlap)


def test_skip_is_refused_naming_the_holder(rig: Rig) -> None:
    """A task that would not wait is refused, with who holds the key and for how long."""
    rig.submit("t1", lock=lock())
    rig.now = 1.5

    with pytest.raises(LockHeld) as refusal:
        rig.submit("t2", lock=lock(Overlap.SKIP))

    assert refusal.value.fields == {"key": "key", "holder": "t1", "age_s": 1.5}
    assert rig.dispatcher.snapshot(now=1.5).queued_count == 1


def test_queue_one_waits_unless_one_waits(rig: Rig) -> None:
    """One task may wait behind the holder; the next is refused."""
    rig.submit("t1", lock=lock(Overlap.QUEUE_ONE))
    rig.submit("t2", lock=lock(Overlap.QUEUE_ONE))

    with pytest.raises(LockHeld):
        rig.submit("t3", lock=lock(Overlap.QUEUE_ONE))

    assert rig.why("t2") == ("lock_held", {"key": "key", "holder": "t1", "ahead_count": 0})


def test_line_is_served_in_order(rig: Rig) -> None:
    """Tasks behind a lock run one after the other, whatever slots are free."""
    rig.join("a", 5)
    runs = [rig.runs(rig.submit(name, lock=lock())) for name in ("t1", "t2", "t3")]

    second = rig.done("a", "t1")
    third = rig.done("a", "t2")

    assert runs == [[("a", "t1", 1)], [], []]
    assert rig.runs(second) == [("a", "t2", 1)]
    assert rig.runs(third) == [("a", "t3", 1)]


def test_cancel_leaves_the_line(rig: Rig) -> None:
    """A cancelled task in line makes room for the one behind it."""
    rig.join("a")
    for name in ("t1", "t2", "t3"):
        rig.submit(name, lock=lock())
    rig.cancel("t2")

    assert rig.runs(rig.done("a", "t1")) == [("a", "t3", 1)]


def test_allow_ignores_the_key(rig: Rig) -> None:
    """A task that allows overlap runs beside the holder and has no lease."""
    rig.join("a", 2)
    rig.submit("t1", lock=lock())

    effects = rig.submit("t2", lock=lock(Overlap.ALLOW))

    assert rig.runs(effects) == [("a", "t2", 1)]


def test_replace_cancels_holder_and_line(rig: Rig) -> None:
    """The newcomer runs once the holder's attempt is really gone, and nobody runs before."""
    rig.join("a", 2)
    for name in ("t1", "t2"):
        rig.submit(name, lock=lock())

    replaced = rig.submit("t3", lock=lock(Overlap.REPLACE))
    gone = rig.done("a", "t1", outcome=CANCELLED)

    assert sends(replaced, Cancel) == [Cancel("t1", 1)]
    assert {each.task_id for each in facts(replaced, TaskFinished)} == {"t1", "t2"}
    assert rig.runs(replaced) == []
    assert sends(gone, Ack) == [Ack("t1", 1, "stale")]
    assert rig.runs(gone) == [("a", "t3", 1)]


def test_replace_of_a_waiting_holder_runs_at_once(rig: Rig) -> None:
    """A holder that never ran frees its key at once; a free key is just taken."""
    rig.submit("t1", lock=lock(Overlap.REPLACE))
    rig.submit("t2", lock=lock(Overlap.REPLACE))

    assert rig.runs(rig.join("a")) == [("a", "t2", 1)]


def test_replace_while_the_key_is_closing(rig: Rig) -> None:
    """When the holder has ended but its attempt has not, the newcomer stands in line."""
    rig.join("a", 2)
    rig.submit("t1", lock=lock())
    rig.cancel("t1")

    effects = rig.submit("t2", lock=lock(Overlap.REPLACE))

    assert rig.runs(effects) == []
    assert rig.why("t2")[1]["holder"] == "t1"
    assert rig.runs(rig.hear("a", Refused("t1", 1, "stale"))) == [("a", "t2", 1)]


def test_lost_locked_attempt_rests_until_its_lease_ends(rig: Rig) -> None:
    """A task with a lock is given away only when its lost worker must have ended it."""
    rig.join("a")
    rig.submit("t", lock=lock())
    rig.tick(1.0)
    rig.beat("a", ("t", 1))
    rig.join("b")

    lost = rig.pass_time(5.0, "b")
    early = rig.pass_time(12.5, "b")
    late = rig.pass_time(13.5, "b")

    queued = facts(lost, TaskQueued)[0]
    assert queued.code is OutcomeCode.WORKER_LOST
    assert queued.delay_s == pytest.approx(9.0)  # beat at 1 s, lease 10 s, margin 2 s, lost at 4 s
    assert rig.runs(early) == []
    assert rig.runs(late) == [("b", "t", 2)]


def test_lost_locked_attempt_is_explained(rig: Rig) -> None:
    """While the lease runs, `explain` names the worker that was lost."""
    rig.join("a")
    rig.submit("t", lock=lock())
    rig.tick(3.0)

    reason, fields = rig.why("t")

    assert reason == "lease"
    assert fields == {"attempt": 1, "worker_id": "a", "delay_s": 9.0}


def test_cancel_during_the_lease_keeps_the_key(rig: Rig) -> None:
    """Cancelling a task whose attempt may run on does not free its key before the lease ends."""
    rig.join("a")
    rig.submit("t1", lock=lock())
    rig.tick(3.0)
    rig.cancel("t1")
    rig.join("b")
    rig.submit("t2", lock=lock())

    assert rig.runs(rig.pass_time(11.5, "b")) == []
    assert rig.runs(rig.pass_time(12.5, "b")) == [("b", "t2", 1)]


def test_key_outlives_the_worker_of_a_cancelled_attempt(rig: Rig) -> None:
    """When the worker of a cancelled attempt is lost, its key waits for the lease to end."""
    rig.join("a")
    rig.submit("t1", lock=lock())
    rig.cancel("t1")
    rig.submit("t2", lock=lock(), match_timeout_s=60.0)
    rig.tick(3.0)
    rig.join("b")

    assert rig.runs(rig.pass_time(11.5, "b")) == []
    assert rig.runs(rig.pass_time(12.5, "b")) == [("b", "t2", 1)]


def test_key_of_a_cancelled_attempt_waits_when_the_worker_returns_without_it(rig: Rig) -> None:
    """A return that does not list a cancelled attempt is no proof that it cannot start any more."""
    rig.join("a")
    rig.submit("t1", lock=lock())
    rig.cancel("t1")
    rig.submit("t2", lock=lock())

    returned = rig.join("a", peer="a2", connection=2)

    assert rig.runs(returned) == []


def test_goodbye_frees_the_key_of_a_cancelled_attempt(rig: Rig) -> None:
    """A worker that leaves in good order has ended what it had: the key is free."""
    rig.join("a")
    rig.submit("t1", lock=lock())
    rig.cancel("t1")
    rig.submit("t2", lock=lock())
    rig.join("b")

    assert rig.runs(rig.hear("a", Goodbye("s1"))) == [("b", "t2", 1)]


def test_task_that_lost_too_many_workers_keeps_its_key_for_the_lease(rig: Rig) -> None:
    """The last loss ends the task, but its attempt may run on: the key waits."""
    rig.submit("t1", lock=lock())
    for name in ("a", "b"):
        rig.join(name)
        rig.hear(name, Goodbye("s1"))
    rig.join("c")
    rig.submit("t2", lock=lock(), match_timeout_s=60.0)
    ended = rig.tick(3.0)
    rig.join("d")

    assert facts(ended, TaskFinished)[0].outcome.code is OutcomeCode.WORKER_LOST
    assert rig.runs(rig.pass_time(11.5, "d")) == []
    assert rig.runs(rig.pass_time(12.5, "d")) == [("d", "t2", 1)]


def test_resting_task_keeps_its_key(rig: Rig) -> None:
    """Between two tries the key stays with the task."""
    rig.join("a")
    retry = RetryPolicy(1, (0.5,), on=frozenset({OutcomeCode.BLOCKED}))
    rig.submit("t1", lock=lock(), retry=retry)
    rig.submit("t2", lock=lock())
    rig.done("a", "t1", outcome=Outcome(OutcomeCode.BLOCKED))

    assert rig.why("t2")[1]["holder"] == "t1"
    rig.tick(0.5)
    assert rig.runs(rig.done("a", "t1", 2, OK)) == [("a", "t2", 1)]


def test_task_in_line_expires(rig: Rig) -> None:
    """Time in line is time waited: `schedule_timeout_s` bounds it."""
    rig.join("a")
    rig.submit("t1", lock=lock())
    rig.submit("t2", lock=lock(), schedule_timeout_s=2.0)

    effects = rig.tick(2.0)

    assert facts(effects, TaskFinished)[0].outcome.code is OutcomeCode.EXPIRED
    assert rig.runs(rig.done("a", "t1")) == []
