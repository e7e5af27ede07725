"""What a restarted gateway knows of its tasks, and what waits for a store that writes behind."""

from __future__ import annotations

from typing import Any

from tests.core.rig import OK, Rig, facts, sends, spec
from zscrape.core.dispatcher import Dispatcher
from zscrape.core.effects import TaskFinished, TaskQueued
from zscrape.core.history import History
from zscrape.core.storenotes import NOTE_DELAY_S, NOTE_LARGE_BYTES, NOTE_SOON_S
from zscrape.model import (
    HeartbeatPolicy,
    LockRequest,
    Outcome,
    OutcomeCode,
    QueuePolicy,
    RetryPolicy,
)
from zscrape.wire import Ack, Done, Refused, Stored

BLOCKED = Outcome(OutcomeCode.BLOCKED)
TWICE = RetryPolicy(2, (1.0,), on=frozenset({OutcomeCode.BLOCKED}))


def restored(history: History, **asked: Any) -> Rig:
    """Return a rig with a worker and a task from before the restart."""
    rig = Rig()
    rig.join("a")
    rig.call(
        rig.dispatcher.restore,
        spec("t", **asked),
        attempt=2,
        worker_id=None,
        history=history,
    )
    return rig


def test_a_deadline_goes_on_over_a_restart() -> None:
    """Of a task's whole life so much has passed as before the restart."""
    rig = Rig()
    history = History(age_s=20.0)
    rig.call(
        rig.dispatcher.restore,
        spec("t", deadline_s=30.0, match_timeout_s=300.0),
        attempt=0,
        worker_id=None,
        history=history,
    )

    early = rig.pass_time(9.5)
    late = rig.pass_time(10.5)

    assert facts(early, TaskFinished) == []
    assert [end.outcome.code for end in facts(late, TaskFinished)] == [OutcomeCode.TIMEOUT]


def test_a_rest_goes_on_over_a_restart() -> None:
    """A task that was to be tried again is tried when it is due, as the next of its tries."""
    history = History(try_count=1, rest_s=5.0, last_code=OutcomeCode.BLOCKED)
    rig = restored(history, retry=TWICE)

    early = rig.pass_time(4.5, "a")
    late = rig.pass_time(5.5, "a")
    rig.hear("a", Done("t", 3, BLOCKED, 0, ()))
    rig.pass_time(7.5, "a")
    last = rig.hear("a", Done("t", 4, BLOCKED, 0, ()))

    assert rig.runs(early) == []
    assert rig.runs(late) == [("a", "t", 3)]
    assert facts(last, TaskFinished)[0].outcome.fields == {"try_count": 3}


def test_workers_lost_before_the_restart_count() -> None:
    """A task that takes workers down does not begin anew with every restart."""
    rig = restored(History(lost_count=2))

    effects = rig.pass_time(20.0)

    ends = facts(effects, TaskFinished)
    assert [end.outcome.code for end in ends] == [OutcomeCode.WORKER_LOST]


def last_attempt() -> Rig:
    """Return a rig that waits for the end of an attempt that is to be the last."""
    rig = Rig()
    rig.call(
        rig.dispatcher.restore,
        spec("t", retry=TWICE),
        attempt=1,
        worker_id="a",
        history=History(is_last=True),
    )
    return rig


def test_the_end_of_a_last_attempt_is_its_own() -> None:
    """An attempt that nobody waits for any more is adopted, and ends as it ends."""
    rig = last_attempt()
    rig.join("a", running=(("t", 1),))

    effects = rig.hear("a", Done("t", 1, BLOCKED, 0, ()))

    assert facts(effects, TaskQueued) == []
    assert facts(effects, TaskFinished) == [TaskFinished("t", 1, "a", BLOCKED)]


def test_a_lost_last_attempt_is_not_repeated() -> None:
    """Without anyone who has it the task ends as lost."""
    rig = last_attempt()

    effects = rig.join("a")

    assert rig.runs(effects) == []
    assert [end.outcome.code for end in facts(effects, TaskFinished)] == [OutcomeCode.WORKER_LOST]


def test_a_refused_last_attempt_is_not_repeated() -> None:
    """Nor when its worker has it and does not take it after all."""
    rig = last_attempt()
    rig.join("a", running=(("t", 1),))

    effects = rig.hear("a", Refused("t", 1, "full"))

    assert rig.runs(effects) == []
    assert [end.outcome.code for end in facts(effects, TaskFinished)] == [OutcomeCode.WORKER_LOST]


# ---- a store that writes behind ------------------------------------------------------


def behind() -> Rig:
    """Return a rig with a worker and a store that writes behind."""
    rig = Rig()
    rig.dispatcher = Dispatcher(
        gateway_id="g",
        boot="b1",
        heartbeat=HeartbeatPolicy(),
        queue=QueuePolicy(),
        is_store_behind=True,
    )
    rig.join("a")
    return rig


def test_an_outcome_is_acknowledged_once_it_is_stored() -> None:
    """Until the shell says so the worker keeps the outcome, and a repetition changes nothing."""
    rig = behind()
    rig.submit("t")
    first = rig.done("a", "t")
    again = rig.hear("a", Done("t", 1, OK, 0, ()))
    silent = rig.pass_time(NOTE_DELAY_S * 2, "a")

    stored = rig.call(rig.dispatcher.stored, [("t", 1)])
    told = rig.pass_time(NOTE_DELAY_S * 4, "a")
    late = rig.hear("a", Done("t", 1, OK, 0, ()))

    assert sends([*first, *again, *silent, *stored], Stored) == []
    assert sends([*first, *again], Ack) == []
    assert sends(told, Stored) == [Stored((("t", 1),))]
    assert sends(late, Ack) == [Ack("t", 1, "stale")]


def test_a_large_outcome_is_acknowledged_soon_once_it_is_stored() -> None:
    """What fills a worker's memory is told as soon as it may be forgotten."""
    rig = behind()
    rig.submit("t")
    rig.done("a", "t", outcome=Outcome(OutcomeCode.OK, b" " * NOTE_LARGE_BYTES))

    rig.call(rig.dispatcher.stored, [("t", 1)])

    assert sends(rig.tick(rig.now + NOTE_SOON_S), Stored) == [Stored((("t", 1),))]


def test_a_draining_gateway_waits_for_no_company() -> None:
    """Workers wait for the last acknowledgements, so they are told soon."""
    rig = behind()
    rig.submit("t")
    rig.done("a", "t")
    rig.call(rig.dispatcher.stored, [("t", 1)])

    rig.dispatcher.refuse_new(now=rig.now)

    assert sends(rig.tick(rig.now + NOTE_SOON_S), Stored) == [Stored((("t", 1),))]


def test_what_no_worker_said_is_told_to_none() -> None:
    """That a task's end is stored means nothing to workers if none of them has spoken it."""
    rig = behind()
    rig.submit("t")
    rig.cancel("t")

    rig.call(rig.dispatcher.stored, [("t", 1)])

    assert sends(rig.pass_time(NOTE_DELAY_S * 2, "a"), Stored) == []


def test_a_held_run_is_no_silence() -> None:
    """An attempt whose number is being stored is not taken for lost, however long it takes."""
    rig = behind()
    rig.submit("t")
    rig.dispatcher.held("t", 1)

    waiting = rig.pass_time(20.0, "a")
    is_current = rig.dispatcher.sent("t", 1, now=rig.now)
    gone = rig.pass_time(24.5, "a")

    assert facts(waiting, TaskQueued) == []
    assert is_current
    assert [fact.code for fact in facts(gone, TaskQueued)] == [OutcomeCode.WORKER_LOST]


def test_a_held_run_that_is_over_does_not_leave() -> None:
    """What was cancelled while its number was being stored is never sent."""
    rig = behind()
    rig.submit("t")
    rig.dispatcher.held("t", 1)
    rig.cancel("t")

    assert not rig.dispatcher.sent("t", 1, now=rig.now)
    rig.dispatcher.held("t", 1)
    rig.submit("u", lock=LockRequest("key"))
    rig.dispatcher.held("u", 7)
    assert not rig.dispatcher.sent("u", 7, now=rig.now)
