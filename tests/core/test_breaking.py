"""Breaking a lock: its holder ends at once, the key is free once the attempt is over."""

from __future__ import annotations

import pytest

from tests.core.rig import Rig, facts
from zscrape.core.effects import DispatcherEffect, TaskFinished
from zscrape.core.snapshots import LockSnapshot
from zscrape.errors.requests import NotFound
from zscrape.model import LockRequest, OutcomeCode, Overlap
from zscrape.wire import Cancel

ALL = LockRequest("key", Overlap.QUEUE_ALL)


def held(rig: Rig) -> list[LockSnapshot]:
    """Return the locks that are held."""
    return rig.dispatcher.locks(now=rig.now)


def break_it(rig: Rig, *, is_forced: bool = False) -> list[DispatcherEffect]:
    """Break the one key of these tests."""
    effects = rig.dispatcher.break_lock("key", is_forced=is_forced, now=rig.now)
    rig.dispatcher.check()
    return effects


def test_locks_are_told(rig: Rig) -> None:
    """Who holds a key, since when, by which number, and who waits for it."""
    rig.submit("t1", lock=ALL)
    rig.submit("t2", lock=ALL)
    rig.now += 2.5

    [lock] = held(rig)

    assert (lock.key, lock.holder, lock.age_s, lock.waiting) == ("key", "t1", 2.5, ("t2",))
    assert not lock.is_closing


def test_a_key_that_nobody_holds_cannot_be_broken(rig: Rig) -> None:
    """There is nothing to break, and that is told."""
    with pytest.raises(NotFound):
        rig.dispatcher.break_lock("key", is_forced=False, now=rig.now)


def test_a_holder_that_never_ran_is_free_at_once(rig: Rig) -> None:
    """Without an attempt the next in line has the key right away, by a higher number."""
    rig.submit("t1", lock=ALL)
    rig.submit("t2", lock=ALL)
    [before] = held(rig)

    effects = break_it(rig)

    [lock] = held(rig)
    [finished] = facts(effects, TaskFinished)
    assert finished.outcome.code is OutcomeCode.CANCELLED
    assert finished.outcome.fields["what"] == "lock_broken"
    assert lock.holder == "t2"
    assert lock.fence > before.fence


def test_a_running_holder_keeps_the_key_until_it_is_over(rig: Rig) -> None:
    """The attempt is told to stop; until its worker says so nobody else has the key."""
    rig.join("a", 2)
    rig.submit("t1", lock=ALL)
    rig.submit("t2", lock=ALL)

    effects = break_it(rig)

    assert any(isinstance(getattr(each, "message", None), Cancel) for each in effects)
    assert [(lock.holder, lock.is_closing) for lock in held(rig)] == [("t1", True)]
    rig.done("a", "t1")
    assert [(lock.holder, lock.is_closing) for lock in held(rig)] == [("t2", False)]


def test_force_frees_the_key_at_once(rig: Rig) -> None:
    """By force the next in line has it now, and the old attempt's end changes nothing."""
    rig.join("a", 2)
    rig.submit("t1", lock=ALL)
    rig.submit("t2", lock=ALL)

    effects = break_it(rig, is_forced=True)

    assert rig.runs(effects) == [("a", "t2", 1)]
    assert [lock.holder for lock in held(rig)] == ["t2"]
    rig.done("a", "t1")
    assert [lock.holder for lock in held(rig)] == ["t2"]
    rig.dispatcher.check()


def test_force_frees_what_a_lost_worker_has_kept(rig: Rig) -> None:
    """A key that waits for the lease of a lost attempt is free at once by force."""
    rig.dispatcher.restore_lock("key", holder="t0", now=rig.now)
    rig.submit("t1", lock=ALL)

    break_it(rig)
    assert [lock.holder for lock in held(rig)] == ["t0"]
    break_it(rig, is_forced=True)

    assert [lock.holder for lock in held(rig)] == ["t1"]


def test_force_frees_one_key_alone(rig: Rig) -> None:
    """What other attempts keep, on a worker or on one that is lost, stays kept."""
    rig.join("a", 2)
    rig.dispatcher.restore_lock("strange", holder="t9", now=rig.now)
    rig.submit("t1", lock=ALL)
    rig.submit("t2", lock=LockRequest("other"))
    rig.cancel("t2")

    break_it(rig, is_forced=True)

    assert sorted(lock.key for lock in held(rig)) == ["other", "strange"]


def test_force_looks_only_for_its_own_among_the_lost(rig: Rig) -> None:
    """Of attempts whose workers are lost, the one that keeps the key is let go of."""
    rig.join("a", 2)
    rig.submit("t1", lock=LockRequest("other"))
    rig.submit("t2", lock=ALL)
    rig.cancel("t1")
    rig.cancel("t2")
    rig.dispatcher.expel("a", now=rig.now)

    break_it(rig, is_forced=True)

    assert [lock.key for lock in held(rig)] == ["other"]


@pytest.mark.parametrize("is_forced", [False, True])
def test_a_key_that_is_held_back_is_not_broken_here(rig: Rig, is_forced: bool) -> None:
    """Its holder is another gateway's: who waits here goes on waiting, by force or not."""
    rig.call(rig.dispatcher.hold_back, "key", holder="far")
    rig.submit("t1", lock=ALL)

    effects = break_it(rig, is_forced=is_forced)
    rig.call(rig.dispatcher.hold_back, "key", holder="farther")

    [lock] = held(rig)
    assert effects == []
    assert (lock.holder, lock.waiting, lock.is_far) == ("farther", ("t1",), True)
    rig.call(rig.dispatcher.let_in, "key")
    assert [(lock.holder, lock.is_far) for lock in held(rig)] == [("t1", False)]
