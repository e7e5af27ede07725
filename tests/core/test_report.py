"""`explain` and `snapshot`: every waiting reason has words, and the counts are right."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.core.rig import Rig
from zscrape.core import report
from zscrape.core.entities import Task
from zscrape.core.task import Place
from zscrape.messages import CATALOGUE, placeholders, text
from zscrape.messages.explain import EXPLAIN
from zscrape.model import LockRequest, Outcome, OutcomeCode, Overlap, RetryPolicy
from zscrape.wire import Refused, Started


def no_worker(rig: Rig) -> None:
    """Nobody has joined."""
    rig.submit("t")


def no_matching_worker(rig: Rig) -> None:
    """Tags are there, but no worker has them all."""
    rig.join("a", tags=("kr",))
    rig.join("b", programs=("ffmpeg",))
    rig.submit("t", requires=frozenset({"kr", "program:ffmpeg"}))


def cannot_run(rig: Rig) -> None:
    """The only worker has refused the script for good."""
    rig.join("a")
    rig.submit("t")
    rig.hear("a", Refused("t", 1, "cannot"))


def slots_busy(rig: Rig) -> None:
    """One runs, one waits, and `t` is behind it."""
    rig.join("a")
    for name in ("t1", "t2", "t"):
        rig.submit(name)
    rig.submit("other", requires=frozenset({"absent"}))


def browsers_busy(rig: Rig) -> None:
    """One runs with the only browser slot, and `t` waits for it."""
    rig.join("a", 4, browser_slots=1)
    rig.submit("t1", kit=("browser",))
    rig.submit("t", kit=("browser",))


def lock_held(rig: Rig) -> None:
    """`t` is second in the line."""
    for name in ("t1", "t2", "t"):
        rig.submit(name, lock=LockRequest("key", Overlap.QUEUE_ALL))


def retry_later(rig: Rig) -> None:
    """A try has failed."""
    rig.join("a")
    rig.submit("t", retry=RetryPolicy(1, (10.0,), on=frozenset({OutcomeCode.BLOCKED})))
    rig.done("a", "t", outcome=Outcome(OutcomeCode.BLOCKED))


def lease(rig: Rig) -> None:
    """A worker was lost with a lock."""
    rig.join("a")
    rig.submit("t", lock=LockRequest("key"))
    rig.tick(3.0)


def assigned(rig: Rig) -> None:
    """A worker prepares it."""
    rig.join("a")
    rig.submit("t")


def running(rig: Rig) -> None:
    """A worker runs it."""
    rig.join("a")
    rig.submit("t")
    rig.hear("a", Started("t", 1))


def person(rig: Rig) -> None:
    """Its attempt has ended to wait for a person."""
    rig.join("a")
    rig.submit("t")
    rig.done("a", "t", outcome=Outcome(OutcomeCode.CANCELLED, parked_on="h-1"))


SCENES: list[Callable[[Rig], None]] = [
    no_worker,
    no_matching_worker,
    cannot_run,
    slots_busy,
    browsers_busy,
    lock_held,
    retry_later,
    lease,
    assigned,
    running,
    person,
]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_every_reason_is_told_with_all_its_fields(rig: Rig, scene: Callable[[Rig], None]) -> None:
    """Whatever a task waits for, `explain` names it and fills the catalogue's placeholders."""
    scene(rig)

    told = rig.dispatcher.explain("t", now=rig.now)

    assert told is not None
    assert told.reason == scene.__name__
    key = f"explain.{told.reason}"
    assert placeholders(CATALOGUE[key].en) == told.fields.keys()
    assert "{" not in text(key, "ko", **told.fields)
    assert rig.dispatcher.snapshot(now=rig.now) is not None


def test_every_reason_of_the_catalogue_has_a_scene() -> None:
    """No reason is promised that the dispatcher never gives; some are the gateway's own."""
    reasons = {f"explain.{scene.__name__}" for scene in SCENES}

    told_by_gateway = {"finished", "elsewhere", "site_wait"}
    assert reasons | {f"explain.{reason}" for reason in told_by_gateway} == EXPLAIN.keys()


def test_ahead_and_missing_are_exact(rig: Rig) -> None:
    """`slots_busy` counts only tasks that compete; `no_matching_worker` names what to add."""
    slots_busy(rig)

    assert rig.why("t") == ("slots_busy", {"slot_count": 1, "worker_count": 1, "ahead_count": 1})
    assert rig.why("other") == ("no_matching_worker", {"missing": "absent", "worker_count": 1})


def test_tags_that_no_worker_has_together_are_all_missing(rig: Rig) -> None:
    """When each tag exists somewhere but never together, all are named."""
    no_matching_worker(rig)

    assert rig.why("t")[1] == {"missing": "kr, program:ffmpeg", "worker_count": 2}


def test_unknown_and_ended_tasks_have_no_explanation(rig: Rig) -> None:
    """The store knows about ended tasks; the dispatcher has forgotten them."""
    assert rig.dispatcher.explain("never", now=0.0) is None


def test_task_in_no_line_cannot_say_whose(rig: Rig) -> None:
    """A task at LINE without a lock is an impossible state, and is said to be."""
    rig.submit("t")
    lives = rig.dispatcher._lives
    task: Task = lives.tasks["t"]
    task.place = Place.LINE

    with pytest.raises(AssertionError, match="stands in no line"):
        report.explain(lives, "t", now=0.0)


def test_snapshot_counts(rig: Rig) -> None:
    """Queued, assigned, running, slots and the longest wait are told as they are."""
    rig.join("a", 2, warm=("sha256:0",))
    rig.submit("t1")
    rig.hear("a", Started("t1", 1))
    rig.submit("t2")
    rig.now = 1.0
    rig.submit("t3")
    rig.join("b", 4, is_draining=True)

    snapshot = rig.dispatcher.snapshot(now=2.5)

    assert (snapshot.queued_count, snapshot.assigned_count, snapshot.running_count) == (1, 1, 1)
    assert (snapshot.slot_count, snapshot.free_slot_count) == (2, 0)
    assert snapshot.oldest_queued_s == 1.5
    assert snapshot.workers[0].running == (("t1", 1), ("t2", 1))
    assert snapshot.workers[0].warm_count == 1
    assert snapshot.workers[0].last_heard_s == 2.5


def test_empty_snapshot(rig: Rig) -> None:
    """With nothing there, everything is zero."""
    snapshot = rig.dispatcher.snapshot(now=9.0)

    assert (snapshot.queued_count, snapshot.slot_count, snapshot.oldest_queued_s) == (0, 0, 0.0)
