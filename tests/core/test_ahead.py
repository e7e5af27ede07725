"""Short attempts that are sent before their worker has a slot for them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.rig import OK, Rig, sends
from zscrape.core.effects import DispatcherEffect, TaskFinished
from zscrape.model import LockRequest, Outcome, OutcomeCode
from zscrape.wire import Cancel, Drain, Refused, Reject, Run

SHORT = Outcome(OutcomeCode.OK, data=b"1", run_s=0.001)
LONG = Outcome(OutcomeCode.OK, data=b"1", run_s=1.0)


def runs(effects: list[DispatcherEffect]) -> list[str]:
    """Return the tasks that are sent to a worker, in order."""
    return [run.task_id for run in sends(effects, Run)]


def submit(rig: Rig, *names: str, **asked: Any) -> None:
    """Accept tasks of a script that asks for `reuse`, unless something else is said."""
    for name in names:
        rig.submit(name, **{"reuse_count": 9, **asked})


def test_the_next_ones_follow_a_short_attempt(rig: Rig) -> None:
    """The slot that came free is filled, and two more come, up to what the worker lets lie."""
    rig.join("a", 2, ahead=3)
    submit(rig, *"bcdefghi")

    first = rig.done("a", "b", outcome=SHORT)
    second = rig.done("a", "c", outcome=SHORT)

    assert runs(first) == ["d", "e", "f"]
    assert runs(second) == ["g", "h"]
    assert runs(rig.done("a", "d", outcome=SHORT)) == ["i"]
    worker = rig.dispatcher.snapshot(now=rig.now).workers[0]
    assert (worker.in_flight_count, len(worker.running)) == (2, 5)


def test_nothing_follows_a_long_attempt(rig: Rig) -> None:
    """What would lie behind long attempts waits where any worker can have it."""
    rig.join("a", 1, ahead=3)
    submit(rig, *"bcde")

    assert runs(rig.done("a", "b", outcome=LONG)) == ["c"]


@pytest.mark.parametrize(
    "asked",
    [{"reuse_count": 1}, {"lock": LockRequest("k")}, {"kit": ("browser",)}],
    ids=["fresh process", "lock", "browser"],
)
def test_only_what_may_lie_is_sent_ahead(rig: Rig, asked: dict[str, Any]) -> None:
    """What asks for no reuse, holds a lock or needs a browser waits, and is not overtaken."""
    rig.join("a", 1, ahead=3, browser_slots=3)
    submit(rig, "b", "c")
    submit(rig, "d", **asked)
    submit(rig, "e")

    assert runs(rig.done("a", "b", outcome=SHORT)) == ["c"]
    assert runs(rig.done("a", "c", outcome=SHORT)) == ["d", "e"]


def test_nothing_lies_at_a_worker_that_takes_less(rig: Rig) -> None:
    """A worker that has declined work gets none beyond what it takes."""
    rig.join("a", 2, ahead=3)
    submit(rig, *"bcdef")
    rig.beat("a", ("b", 1), ("c", 1), limit=1)

    assert runs(rig.done("a", "b", outcome=SHORT)) == []
    assert runs(rig.done("a", "c", outcome=SHORT)) == ["d"]


def test_what_is_given_back_waits_in_its_place(rig: Rig) -> None:
    """Nothing more is sent ahead until another short attempt has ended there."""
    rig.join("a", 1, ahead=3)
    submit(rig, *"bcdef")
    rig.done("a", "b", outcome=SHORT)

    back = rig.hear("a", Refused("d", 1, "full")) + rig.hear("a", Refused("e", 1, "full"))

    assert runs(back) == []
    assert rig.dispatcher.snapshot(now=rig.now).queued_count == 3
    assert runs(rig.beat("a", ("c", 1))) == []
    assert runs(rig.done("a", "c", outcome=SHORT)) == ["d", "e", "f"]


def test_what_lies_is_listed_and_cancelled_as_any(rig: Rig) -> None:
    """A beat may list more than there are slots; one of them that is cancelled is told to end."""
    rig.join("a", 1, ahead=2)
    submit(rig, *"bcde")
    rig.done("a", "b", outcome=SHORT)

    rig.beat("a", ("c", 1), ("d", 1), ("e", 1))
    effects = rig.cancel("e")

    assert sends(effects, Cancel) == [Cancel("e", 1)]
    assert runs(rig.done("a", "c", outcome=SHORT)) == []
    assert [type(each) for each in rig.done("a", "d", outcome=OK)].count(TaskFinished) == 1


def test_what_lies_goes_on_behind_a_new_connection(rig: Rig) -> None:
    """A worker that comes back has what it says it has, beyond its slots too."""
    rig.join("a", 1, ahead=2)
    submit(rig, *"bcd")
    rig.done("a", "b", outcome=SHORT)

    rig.join("a", 1, ahead=2, connection=1, peer="a2", running=(("c", 1), ("d", 1)))

    assert rig.dispatcher.snapshot(now=rig.now).workers[0].running == (("c", 1), ("d", 1))
    assert sends(rig.call(rig.dispatcher.drain_worker, "a", True), Drain) == [Drain(True)]


@pytest.mark.parametrize("ahead", [-1, 10_001])
def test_ahead_has_bounds(rig: Rig, ahead: int) -> None:
    """A Hello that lets too many lie, or less than none, is no Hello."""
    rejected = sends(rig.join("a", 1, ahead=ahead), Reject)

    assert [each.reason for each in rejected] == ["hello_invalid"]
