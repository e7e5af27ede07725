"""Attempts that change gateways: one takes a dead one's tasks over, and asks who runs them."""

from __future__ import annotations

from typing import Any

from tests.core.rig import OK, Rig, facts, sends, spec
from tests.core.test_link import LOG, Bench, run, welcome
from zscrape.core.effects import LinkEffect, Seek, SendUp, TaskFinished, TaskQueued, TaskStarted
from zscrape.core.history import History
from zscrape.model import LockRequest, OutcomeCode
from zscrape.wire import Cancel, Claim, Done, Events, Heartbeat, Refused, Started

ADOPTED = History(is_adopted=True)
CLAIM = Claim("t", 2)


def adopting(rig: Rig, **asked: Any) -> list[Claim]:
    """Let a dispatcher take over a task of which worker `a` perhaps runs the second attempt."""
    restore = rig.dispatcher.restore
    effects = rig.call(restore, spec("t", **asked), attempt=2, worker_id="a", history=ADOPTED)
    return sends(effects, Claim)


def test_a_worker_goes_on_for_the_gateway_that_has_the_task_now() -> None:
    """The worker that is there is asked at once; what it lists fills its slot."""
    rig = Rig()
    rig.join("a")

    asked = adopting(rig)
    rig.beat("a", ("t", 2))
    waiting = rig.runs(rig.submit("other"))
    ended = rig.done("a", "t", 2)

    assert asked == [CLAIM]
    assert waiting == []
    assert [end.outcome for end in facts(ended, TaskFinished)] == [OK]
    assert rig.runs(ended) == [("a", "other", 1)]


def test_an_outcome_is_taken_from_the_other_gateways_outbox() -> None:
    """What had ended meanwhile is answered by its outcome, with its start."""
    rig = Rig()
    rig.join("a")
    adopting(rig)

    rig.hear("a", Started("t", 2))
    ended = rig.done("a", "t", 2)

    assert [end.worker_id for end in facts(ended, TaskFinished)] == ["a"]
    assert rig.beat("a") == []


def test_what_never_arrived_is_run_again_at_once() -> None:
    """The worker does not have it: the next attempt costs the task nothing, and no waiting."""
    rig = Rig()
    rig.join("a")
    adopting(rig)

    effects = rig.hear("a", Refused("t", 2, "stale"))

    assert rig.runs(effects) == [("a", "t", 3)]
    assert [fact.code for fact in facts(effects, TaskQueued)] == [None]


def test_a_worker_that_comes_later_is_asked_then() -> None:
    """It dials in without listing the attempt: that is another link's, and no loss."""
    rig = Rig()
    early = adopting(rig)

    joined = rig.join("a")
    rig.beat("a", ("t", 2))
    begun = rig.hear("a", Events("t", 2, 0, LOG))

    assert early == []
    assert sends(joined, Claim) == [CLAIM]
    assert facts(joined, TaskQueued) == []
    assert len(facts(begun, TaskStarted)) == 1


def test_a_worker_that_never_answers_loses_the_attempt() -> None:
    """It is asked with every beat; after a lease and its margin the task goes elsewhere."""
    rig = Rig()
    rig.join("a", limit=0)
    rig.join("b")
    adopting(rig)

    early = rig.pass_time(11.5, "a", "b")
    late = rig.pass_time(13.5, "a", "b")

    assert len(sends(early, Claim)) >= 10
    assert rig.runs(early) == []
    assert [fact.code for fact in facts(late, TaskQueued)] == [OutcomeCode.WORKER_LOST]
    assert [task_id for _, task_id, _ in rig.runs(late)] == ["t"]


def test_a_cancelled_one_is_fetched_and_ended() -> None:
    """Its end is told at once; the worker is asked for the attempt, and told to end it."""
    rig = Rig()
    rig.join("a")
    adopting(rig, lock=LockRequest("key"))

    effects = rig.cancel("t")

    assert sends(effects, Claim) == [CLAIM]
    assert sends(effects, Cancel) == [Cancel("t", 2)]
    assert [end.outcome.code for end in facts(effects, TaskFinished)] == [OutcomeCode.CANCELLED]


def test_no_slot_is_counted_twice() -> None:
    """While all slots are thought to be taken the claim stands; it is settled by a later beat."""
    rig = Rig()
    rig.join("a")
    rig.submit("other")
    adopting(rig)

    rig.beat("a", ("t", 2))
    rig.hear("a", Refused("other", 1, "full"))
    rig.beat("a", ("t", 2))
    ended = rig.done("a", "t", 2)

    assert len(facts(ended, TaskFinished)) == 1


# ---- the worker's half ---------------------------------------------------------------


def joined() -> Bench:
    """Return a link that is welcome."""
    bench = Bench()
    bench.open()
    bench.hear(welcome())
    return bench


def messages(effects: list[LinkEffect]) -> list[object]:
    """Return what is sent."""
    return [effect.message for effect in effects if isinstance(effect, SendUp)]


def test_an_attempt_moves_to_another_link() -> None:
    """The old link lets go of it and never starts it again; the new one tells all of it."""
    old, new = joined(), joined()
    old.hear(run())
    old.call(old.link.started, "t", 1)
    old.call(old.link.emit, "t", 1, LOG)
    sought = new.hear(Claim("t", 1))
    assert old.link.has(("t", 1))

    errand = old.link.part(("t", 1))
    assert errand is not None
    told = messages(new.call(new.link.take, errand))
    moved = old.link.running, new.link.running
    again = old.hear(run())
    ended = messages(new.call(new.link.finished, "t", 1, OK))

    assert sought == [Seek("t", 1)]
    assert moved == ((), (("t", 1),))
    assert [type(message) for message in told] == [Heartbeat, Started]
    assert again == []
    assert ended == [Done("t", 1, OK, len(LOG))]


def test_an_outcome_moves_to_another_link() -> None:
    """What has ended is sent by the new link, until that gateway has it."""
    old, new = joined(), joined()
    old.hear(run())
    old.call(old.link.finished, "t", 1, OK)

    errand = old.link.part(("t", 1))
    assert errand is not None
    told = messages(new.call(new.link.take, errand))
    repeated = messages(new.hear(Claim("t", 1)))

    assert told == repeated == [Done("t", 1, OK)]
    assert not old.link.has(("t", 1))


def test_what_the_gateway_asks_for_may_be_its_own() -> None:
    """An attempt that runs on this very link is told again by a beat."""
    bench = joined()
    bench.hear(run())

    told = messages(bench.hear(Claim("t", 1)))

    assert [type(message) for message in told] == [Heartbeat]


def test_what_is_nowhere_is_said_and_never_starts() -> None:
    """An order of the gateway that is gone, which arrives late, is not followed."""
    old, new = joined(), joined()

    nothing = old.link.part(("t", 1))
    told = messages(new.call(new.link.lack, ("t", 1)))
    late = [*old.hear(run()), *new.hear(run())]

    assert nothing is None
    assert told == [Refused("t", 1, "stale")]
    assert late == []


def test_what_is_being_ended_stays() -> None:
    """An attempt that nobody wants ends where it is: only then the gateway may know."""
    bench = joined()
    bench.hear(run(lease_ms=10_000))
    bench.tick(8.5)

    assert bench.link.part(("t", 1)) is None
    assert bench.link.running == (("t", 1),)


def test_a_link_that_is_not_welcome_yet_takes_it_all_the_same() -> None:
    """It tells of the attempt with its next Hello."""
    old, new = joined(), Bench()
    old.hear(run())
    new.open()
    errand = old.link.part(("t", 1))
    assert errand is not None

    told = messages(new.call(new.link.take, errand))

    assert told == []
    assert new.link.running == (("t", 1),)
