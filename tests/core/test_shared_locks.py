"""Keys that a task of another gateway holds: who asks for one here waits for it."""

from __future__ import annotations

import pytest

from tests.core.rig import Rig, facts, spec
from zscrape.core.effects import TaskFinished
from zscrape.core.history import History
from zscrape.errors.requests import LockHeld
from zscrape.model import LockRequest, Overlap

SKIP = LockRequest("key", Overlap.SKIP)
LINE = LockRequest("key", Overlap.QUEUE_ALL)


def held() -> Rig:
    """Return a rig with a worker, and a key that is held elsewhere."""
    rig = Rig()
    rig.join("a", slots=2)
    rig.call(rig.dispatcher.hold_back, "key", holder="far")
    return rig


def test_a_key_held_elsewhere_names_its_holder() -> None:
    """Who would not wait is refused with the other gateway's task."""
    rig = held()

    with pytest.raises(LockHeld) as caught:
        rig.submit("t", lock=SKIP)

    assert (caught.value.key, caught.value.holder) == ("key", "far")
    assert rig.dispatcher.held_keys() == {}


def test_the_first_in_line_has_the_key_when_it_comes_free() -> None:
    """It waits with a reason that names the holder of now, then runs; the next one after it."""
    rig = held()
    waiting = rig.runs([*rig.submit("t", lock=LINE), *rig.submit("u", lock=LINE)])
    rig.call(rig.dispatcher.hold_back, "key", holder="farther")
    why = rig.why("t")
    first = rig.dispatcher.held_back()

    begun = rig.runs(rig.call(rig.dispatcher.let_in, "key"))
    here = rig.dispatcher.held_keys()
    rig.call(rig.dispatcher.hold_back, "key", holder="far")  # too late: it is held here
    after = rig.runs(rig.done("a", "t"))

    assert waiting == []
    assert why[0] == "lock_held"
    assert why[1]["holder"] == "farther"
    assert first == {"key": "t"}
    assert begun == [("a", "t", 1)]
    assert here == {"key": "t"}
    assert after == [("a", "u", 1)]


def test_a_key_that_nobody_asks_after_comes_free_by_itself() -> None:
    """It is held back for a lease and its margin only; asked for again, for as long again."""
    rig = held()
    rig.pass_time(8.0, "a")
    rig.call(rig.dispatcher.hold_back, "key", holder="far")
    rig.submit("t", lock=LINE)

    early = rig.pass_time(19.0, "a")
    late = rig.pass_time(21.0, "a")

    assert rig.runs(early) == []
    assert facts(early, TaskFinished) == []
    assert rig.runs(late) == [("a", "t", 1)]
    assert rig.dispatcher.held_back() == {}


def test_the_holder_that_is_taken_over_keeps_its_key() -> None:
    """When the other gateway dies its running task has the key here, before those in line."""
    rig = held()
    rig.submit("t", lock=LINE)
    restore = rig.dispatcher.restore
    adopted = History(is_adopted=True)

    taken = rig.call(restore, spec("far", lock=LINE), attempt=1, worker_id="a", history=adopted)
    here = rig.dispatcher.held_keys()
    rig.call(rig.dispatcher.let_in, "key")
    rig.beat("a", ("far", 1), limit=2)
    after = rig.runs(rig.done("a", "far"))

    assert rig.runs(taken) == []
    assert here == {"key": "far"}
    assert after == [("a", "t", 1)]


def test_a_key_that_is_not_held_back_is_let_alone() -> None:
    """Letting in where nothing is held back changes nothing."""
    rig = Rig()

    effects = rig.call(rig.dispatcher.let_in, "key")

    assert effects == []
