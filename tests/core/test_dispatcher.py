"""Attempts and tasks, as the dispatcher hears of them."""

from __future__ import annotations

import pytest

from tests.core.rig import OK, Rig, decisions, facts, sends, spec
from zscrape.core.effects import (
    GiveScript,
    Ignored,
    Send,
    TaskAssigned,
    TaskFinished,
    TaskQueued,
    TaskRecords,
    TaskStarted,
)
from zscrape.core.storenotes import (
    NOTE_DELAY_S,
    NOTE_LARGE_BYTES,
    NOTE_LIMIT_COUNT,
    NOTE_SOON_S,
)
from zscrape.errors.refusals import Draining, QueueFull
from zscrape.errors.requests import NotFound
from zscrape.model import (
    HeartbeatPolicy,
    LockRequest,
    Outcome,
    OutcomeCode,
    Overlap,
    QueuePolicy,
    Record,
    RetryPolicy,
)
from zscrape.wire import (
    Ack,
    Cancel,
    Done,
    Drain,
    Events,
    GatewayHeartbeat,
    Goodbye,
    Need,
    Prepare,
    Refused,
    Run,
    Started,
    Stored,
)

BLOCKED = Outcome(OutcomeCode.BLOCKED)
LOG = tuple(Record("log", 0.0, str(number).encode()) for number in range(4))


def test_task_goes_to_a_free_worker_at_once(rig: Rig) -> None:
    """A task is accepted, assigned and sent in one call when a slot is free; one fact tells so."""
    rig.join("a")

    effects = rig.submit("t", deadline_s=2.5)

    run = Run("t", 1, 0, 2500, 0, spec("t").run, b"{}")
    assert effects == [TaskAssigned("t", 1, "a", is_accepted=True), Send(b"a", run)]


def test_whole_life_of_a_task(rig: Rig) -> None:
    """Started, records and outcome become facts, and soon the worker hears that it is stored."""
    rig.join("a")
    rig.submit("t")

    assert rig.hear("a", Started("t", 1)) == [TaskStarted("t", 1, "a")]
    assert rig.hear("a", Events("t", 1, 0, LOG[:1])) == [TaskRecords("t", 1, 0, LOG[:1])]
    assert rig.done("a", "t", first_index=1, records=LOG[1:2]) == [
        TaskRecords("t", 1, 1, LOG[1:2]),
        TaskFinished("t", 1, "a", OK),
    ]
    assert rig.dispatcher.explain("t", now=0.0) is None
    assert Send(b"a", Stored((("t", 1),))) in rig.tick(NOTE_DELAY_S)


def test_there_are_tasks_until_the_last_has_ended(rig: Rig) -> None:
    """Whoever may rest while nothing is open can ask."""
    rig.join("a")

    steps = [bool(rig.dispatcher.tasks)]
    rig.submit("t")
    steps.append(bool(rig.dispatcher.tasks))
    rig.done("a", "t")

    assert [*steps, bool(rig.dispatcher.tasks)] == [False, True, False]


def test_outcome_implies_the_start(rig: Rig) -> None:
    """A script that ran and ended before its worker told the start has started all the same."""
    rig.join("a")
    rig.submit("t")

    ended = Outcome(OutcomeCode.OK, b"1", run_s=0.001)
    effects = rig.hear("a", Done("t", 1, ended))

    assert effects == [TaskFinished("t", 1, "a", ended, has_begun=True)]


def test_failure_implies_the_start(rig: Rig) -> None:
    """Also one that failed has started, whether it is tried again or not; it is told once."""
    rig.join("a", slots=2)
    rig.submit("again", retry=RetryPolicy(max_count=1, on=frozenset({OutcomeCode.BLOCKED})))
    rig.submit("once")
    failed = Outcome(OutcomeCode.BLOCKED, run_s=0.001)

    again = rig.hear("a", Done("again", 1, failed))
    once = rig.hear("a", Done("once", 1, failed))

    assert [type(effect) for effect in again] == [TaskStarted, TaskQueued]
    assert once == [TaskStarted("once", 1, "a"), TaskFinished("once", 1, "a", failed)]


def test_end_tells_by_which_id_others_know_the_call(rig: Rig) -> None:
    """Whoever logs an end need look up nothing."""
    rig.join("a")
    rig.submit("t", trace_id="order-42")

    (ended,) = facts(rig.done("a", "t"), TaskFinished)

    assert ended.trace_id == "order-42"


def test_many_outcomes_are_acknowledged_in_one_message(rig: Rig) -> None:
    """A worker hears of its stored outcomes together, and at once when there are many."""
    rig.join("a", slots=NOTE_LIMIT_COUNT + 2)
    for number in range(NOTE_LIMIT_COUNT + 2):
        rig.submit(f"t{number}")
    effects = [
        effect for number in range(NOTE_LIMIT_COUNT + 2) for effect in rig.done("a", f"t{number}")
    ]
    rest = rig.tick(NOTE_DELAY_S)

    told = [message.attempts for message in sends([*effects, *rest], Stored)]
    assert [len(attempts) for attempts in told] == [NOTE_LIMIT_COUNT, 2]


def test_large_outcome_is_acknowledged_sooner(rig: Rig) -> None:
    """What fills a worker's memory it may forget without waiting for others."""
    rig.join("a", 2)
    rig.submit("small")
    rig.submit("large")
    rig.done("a", "small")
    untold = rig.tick(NOTE_SOON_S)
    rig.done("a", "large", outcome=Outcome(OutcomeCode.OK, b" " * NOTE_LARGE_BYTES))
    told = rig.tick(rig.now + NOTE_SOON_S)

    assert sends(untold, Stored) == []
    assert sends(told, Stored) == [Stored((("small", 1), ("large", 1)))]


def test_leaving_worker_is_told_of_its_outcomes_sooner(rig: Rig) -> None:
    """A worker that is about to go waits for the acknowledgement of its last outcomes."""
    rig.join("a", 2)
    rig.submit("before")
    rig.submit("after")
    rig.done("a", "before")
    rig.beat("a", ("after", 1), limit=2, is_draining=True)
    first = rig.tick(rig.now + NOTE_SOON_S)
    rig.done("a", "after")
    second = rig.tick(rig.now + NOTE_SOON_S)

    assert sends(first, Stored) == [Stored((("before", 1),))]
    assert sends(second, Stored) == [Stored((("after", 1),))]


def test_outcomes_are_acknowledged_right_before_the_next_beat(rig: Rig) -> None:
    """What leaves with a beat costs no packet and wakes nobody on its own."""
    rig.join("a")
    rig.join("b")
    rig.submit("t")
    rig.done("a", "t")

    told = [(send.peer, type(send.message)) for send in rig.tick(1.0) if isinstance(send, Send)]

    assert told == [(b"a", Stored), (b"a", GatewayHeartbeat), (b"b", GatewayHeartbeat)]


def test_outcomes_are_acknowledged_although_no_beat_comes() -> None:
    """Beats may be rare: a worker is told in time, and others when theirs has come."""
    rig = Rig(heartbeat=HeartbeatPolicy(interval_s=10.0, lease_s=60.0))
    rig.join("a")
    rig.join("b")
    told = []
    for at, name in ((0.0, "a"), (NOTE_DELAY_S / 2, "b")):
        rig.tick(at)
        rig.submit(name)
        rig.done(name, name)
    for at in (NOTE_DELAY_S, NOTE_DELAY_S * 1.5):
        told.append(sends(rig.tick(at), Stored))

    assert told == [[Stored((("a", 1),))], [Stored((("b", 1),))]]


def test_lost_worker_is_not_told_of_its_outcomes(rig: Rig) -> None:
    """Whoever has left before its outcomes are acknowledged is not spoken to."""
    rig.join("a")
    rig.submit("t")
    rig.done("a", "t")
    rig.hear("a", Goodbye("s1"))
    rig.join("b")

    assert sends(rig.tick(NOTE_DELAY_S), Stored) == []


def test_freed_slot_gets_the_next_task(rig: Rig) -> None:
    """The end of an attempt gives its slot to the first that waits."""
    rig.join("a")
    rig.submit("t1")
    rig.submit("t2")
    rig.submit("t3")

    effects = rig.done("a", "t1")

    assert rig.runs(effects) == [("a", "t2", 1)]


def test_higher_priority_goes_first_and_equals_in_order(rig: Rig) -> None:
    """Waiting tasks run by priority, then by order of acceptance."""
    rig.submit("low", priority=-1)
    rig.submit("first")
    rig.submit("second")
    rig.submit("high", priority=9)

    effects = rig.join("a", 4)

    assert [task_id for _, task_id, _ in rig.runs(effects)] == ["high", "first", "second", "low"]


def test_task_id_is_accepted_once(rig: Rig) -> None:
    """Submitting a known id is the caller's mistake and changes nothing."""
    rig.submit("t")

    with pytest.raises(ValueError, match="known already"):
        rig.submit("t")

    assert rig.dispatcher.snapshot(now=0.0).queued_count == 1


def test_full_queue_refuses_and_changes_nothing() -> None:
    """As many tasks wait as the policy says; one more is refused."""
    rig = Rig(QueuePolicy(limit_count=1))
    rig.submit("t1")

    with pytest.raises(QueueFull) as refusal:
        rig.submit("t2")

    assert refusal.value.limit_count == 1
    assert rig.dispatcher.snapshot(now=0.0).queued_count == 1


def test_draining_gateway_refuses_new_tasks_only(rig: Rig) -> None:
    """After `refuse_new` nothing is accepted, and what was accepted goes on."""
    rig.submit("t1")
    rig.dispatcher.refuse_new(now=0.0)

    with pytest.raises(Draining):
        rig.submit("t2")

    assert rig.runs(rig.join("a")) == [("a", "t1", 1)]


# ---- fencing -------------------------------------------------------------------------


def test_superseded_messages_change_nothing(rig: Rig) -> None:
    """Started, records and refusals of another attempt are ignored; an outcome is told stale."""
    rig.join("a")
    rig.submit("t")
    before = rig.dispatcher.snapshot(now=0.0)

    said = [
        rig.hear("a", Started("t", 2)),
        rig.hear("a", Events("t", 7, 0, LOG)),
        rig.hear("a", Refused("t", 2, "full")),
        rig.done("a", "other"),
    ]

    kinds = ["Started", "Events", "Refused", "Done"]
    assert [effects[-1] for effects in said] == [
        Ignored(b"a", kind, "superseded") for kind in kinds
    ]
    assert sends(said[3], Ack) == [Ack("other", 1, "stale")]
    assert rig.dispatcher.snapshot(now=0.0) == before


def test_worker_cannot_answer_for_another(rig: Rig) -> None:
    """The right attempt number from the wrong worker is fenced."""
    rig.join("a")
    rig.submit("t")
    rig.join("b")

    effects = rig.done("b", "t")

    assert decisions(effects) == [
        Send(b"b", Ack("t", 1, "stale")),
        Ignored(b"b", "Done", "superseded"),
    ]


def test_repeated_outcome_is_stale(rig: Rig) -> None:
    """The worker repeats an outcome until it hears an Ack: the second one changes nothing."""
    rig.join("a")
    rig.submit("t")
    rig.done("a", "t")

    effects = rig.done("a", "t")

    assert not facts(effects, TaskFinished)
    assert sends(effects, Ack) == [Ack("t", 1, "stale")]


def test_started_is_told_once(rig: Rig) -> None:
    """A worker that returns says again what has begun; that is no news."""
    rig.join("a")
    rig.submit("t")
    rig.hear("a", Started("t", 1))

    effects = rig.hear("a", Started("t", 1))

    assert effects == [Ignored(b"a", "Started", "duplicate")]


# ---- records -------------------------------------------------------------------------


def test_gap_among_records_is_asked_for(rig: Rig) -> None:
    """Records are told in order without gaps: what is missing is asked for, overlap is cut."""
    rig.join("a")
    rig.submit("t")

    gap = rig.hear("a", Events("t", 1, 1, LOG[1:2]))
    healed = rig.hear("a", Events("t", 1, 0, LOG[:2]))
    overlap = rig.hear("a", Events("t", 1, 1, LOG[1:3]))
    repeated = rig.hear("a", Events("t", 1, 0, LOG[:2]))

    assert gap == [TaskStarted("t", 1, "a"), Send(b"a", Ack("t", 1, "resend", 0))]
    assert healed == [TaskRecords("t", 1, 0, LOG[:2])]
    assert overlap == [TaskRecords("t", 1, 2, LOG[2:3])]
    assert repeated == []


def test_outcome_after_a_gap_waits_for_the_records(rig: Rig) -> None:
    """An outcome is not accepted before the records that came before it."""
    rig.join("a")
    rig.submit("t")

    early = rig.done("a", "t", first_index=2, records=LOG[2:3])
    whole = rig.done("a", "t", first_index=0, records=LOG[:3])

    assert early == [Send(b"a", Ack("t", 1, "resend", 0))]
    assert facts(whole, TaskRecords) == [TaskRecords("t", 1, 0, LOG[:3])]
    assert facts(whole, TaskFinished) == [TaskFinished("t", 1, "a", OK)]


# ---- refusals ------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["full", "stale"])
def test_full_worker_gets_nothing_until_its_next_beat(rig: Rig, reason: str) -> None:
    """A refusal costs the task nothing, and the worker is left alone until it says more."""
    rig.join("a")
    rig.submit("t")

    refused = rig.hear("a", Refused("t", 1, reason))  # type: ignore[arg-type]
    beaten = rig.beat("a")

    assert refused == [TaskQueued("t", 1)]
    assert rig.runs(beaten) == [("a", "t", 2)]


def test_draining_worker_hands_back(rig: Rig) -> None:
    """A worker that refuses because it drains gets nothing; the task goes elsewhere."""
    rig.join("a")
    rig.submit("t")
    rig.join("b")

    effects = rig.hear("a", Refused("t", 1, "draining"))

    assert rig.runs(effects) == [("b", "t", 2)]
    assert rig.dispatcher.snapshot(now=0.0).workers[0].status == "draining"


def test_worker_that_cannot_run_a_script_never_gets_it_again(rig: Rig) -> None:
    """`cannot` bars this worker from this digest; another one gets the task."""
    rig.join("a", 2)
    rig.submit("t")
    rig.join("b", 2)

    effects = rig.hear("a", Refused("t", 1, "cannot", Outcome(OutcomeCode.ENVIRONMENT_ERROR)))
    again = rig.submit("t2")
    other = rig.submit("t3", digest="sha256:1", prefers=frozenset())

    assert effects[0] == TaskQueued("t", 1, OutcomeCode.ENVIRONMENT_ERROR)
    assert rig.runs(effects) == [("b", "t", 2)]
    assert rig.runs(again) == [("b", "t2", 1)]
    assert rig.runs(other) == [("a", "t3", 1)]


def test_outcome_of_the_last_worker_that_cannot_is_the_tasks(rig: Rig) -> None:
    """When no other worker is left to try, why the last one cannot ends the task."""
    rig.join("a")
    rig.submit("t")

    effects = rig.hear("a", Refused("t", 1, "cannot", Outcome(OutcomeCode.ENVIRONMENT_ERROR)))

    finished = facts(effects, TaskFinished)
    assert finished == [TaskFinished("t", 1, "a", Outcome(OutcomeCode.ENVIRONMENT_ERROR))]


def test_cannot_without_outcome_waits_for_another_worker(rig: Rig) -> None:
    """A worker that only says that it cannot leaves the task in the queue, which says why."""
    rig.join("a")
    rig.submit("t")

    rig.hear("a", Refused("t", 1, "cannot"))

    assert rig.why("t") == ("cannot_run", {"script_name": "script", "version": "1.0.0"})


# ---- retry ---------------------------------------------------------------------------


def test_failure_is_tried_again_after_a_rest(rig: Rig) -> None:
    """A code that the policy names puts the task to rest, and then back into the queue."""
    rig.join("a")
    retry = RetryPolicy(max_count=1, backoff_s=(10.0,), on=frozenset({OutcomeCode.BLOCKED}))
    rig.submit("t", retry=retry)

    effects = rig.done("a", "t", outcome=BLOCKED)

    queued = facts(effects, TaskQueued)[0]
    assert (queued.attempt, queued.code) == (1, OutcomeCode.BLOCKED)
    assert 0.0 < queued.delay_s <= 10.0
    assert rig.why("t")[0] == "retry_later"
    rested = rig.pass_time(11.0, "a", step_s=0.5)
    assert rig.runs(rested) == [("a", "t", 2)]


SCRAPING = (
    *(OutcomeCode.BLOCKED, OutcomeCode.CAPTCHA_REQUIRED, OutcomeCode.ROBOTS_DISALLOWED),
    *(OutcomeCode.LOGIN_EXPIRED, OutcomeCode.EMPTY_RESULT, OutcomeCode.RATE_LIMITED),
)


@pytest.mark.parametrize("code", SCRAPING)
def test_each_end_of_scraping_may_be_tried_again(rig: Rig, code: OutcomeCode) -> None:
    """A policy that names the code tries again; one that names all others does not."""
    rig.join("a", slots=2)
    rig.submit("named", retry=RetryPolicy(max_count=1, backoff_s=(), on=frozenset({code})))
    others = frozenset(SCRAPING) - {code}
    rig.submit("other", retry=RetryPolicy(max_count=1, backoff_s=(), on=others))

    named = rig.done("a", "named", outcome=Outcome(code))
    other = rig.done("a", "other", outcome=Outcome(code))

    assert [each.code for each in facts(named, TaskQueued)] == [code]
    assert [each.outcome.code for each in facts(other, TaskFinished)] == [code]


ROUTED = RetryPolicy(
    max_count=3,
    backoff_s=(),
    on=frozenset(SCRAPING),
    routes={
        OutcomeCode.BLOCKED: frozenset({"proxies"}),
        OutcomeCode.CAPTCHA_REQUIRED: frozenset({"browser"}),
    },
)


def test_a_code_sends_further_tries_to_workers_with_a_tag(rig: Rig) -> None:
    """What was blocked goes on where there are proxies; what is met there adds to that."""
    rig.join("plain")
    rig.submit("t", retry=ROUTED)
    rig.join("far", tags=("proxies",))
    rig.join("full", tags=("proxies", "browser"))
    rig.submit("elsewhere", requires=frozenset({"browser"}))

    rig.done("plain", "t", outcome=BLOCKED)
    blocked = rig.runs(rig.tick(0.1))
    rig.done("far", "t", 2, Outcome(OutcomeCode.CAPTCHA_REQUIRED))
    met = rig.runs(rig.tick(0.2))
    freed = rig.runs(rig.done("full", "elsewhere"))

    assert blocked == [("far", "t", 2)]
    assert met == []
    assert freed == [("full", "t", 3)]


def test_a_code_without_a_route_may_go_anywhere(rig: Rig) -> None:
    """Other failures are tried again where there is room."""
    rig.join("plain")
    rig.submit("t", retry=ROUTED)

    rig.done("plain", "t", outcome=Outcome(OutcomeCode.EMPTY_RESULT))

    assert rig.runs(rig.tick(0.1)) == [("plain", "t", 2)]


def test_a_route_that_leads_nowhere_is_told(rig: Rig) -> None:
    """Without a worker that has the tag the task ends naming it."""
    rig.join("plain")
    rig.submit("t", retry=ROUTED, schedule_timeout_s=5.0)
    rig.done("plain", "t", outcome=BLOCKED)

    effects = rig.pass_time(6.0, "plain")

    (finished,) = facts(effects, TaskFinished)
    assert finished.outcome.code is OutcomeCode.NO_MATCHING_WORKER
    assert finished.outcome.fields == {"missing": "proxies"}


def test_a_resting_task_says_what_went_wrong(rig: Rig) -> None:
    """What the script raised is told while the task rests, cut to what a person reads."""
    rig.join("a")
    retry = RetryPolicy(max_count=1, backoff_s=(10.0,), on=frozenset({OutcomeCode.SCRIPT_ERROR}))
    rig.submit("t", retry=retry)
    raised = Outcome(OutcomeCode.SCRIPT_ERROR, error_type="ValueError", error_message="x" * 9_000)

    effects = rig.done("a", "t", outcome=raised)

    message = facts(effects, TaskQueued)[0].message
    assert message.startswith("ValueError: xxx")
    assert len(message) == 2_000


def test_exhausted_retries_keep_the_last_outcome(rig: Rig) -> None:
    """When no try is left, the last outcome stands and says how many there were."""
    rig.join("a")
    retry = RetryPolicy(max_count=1, backoff_s=(), on=frozenset({OutcomeCode.BLOCKED}))
    rig.submit("t", retry=retry)
    rig.done("a", "t", outcome=BLOCKED)
    rig.tick(0.1)

    effects = rig.done("a", "t", 2, Outcome(OutcomeCode.BLOCKED, fields={"error_message": "403"}))

    finished = facts(effects, TaskFinished)[0]
    assert finished.outcome.code is OutcomeCode.BLOCKED
    assert finished.outcome.fields == {"error_message": "403", "try_count": 2}
    assert finished.dropped_reason == "retry_exhausted"


def test_attempts_that_end_their_templates_are_poison(rig: Rig) -> None:
    """The third attempt that took its template with it is the last, whatever tries are left."""
    rig.join("a")
    deadly = Outcome(OutcomeCode.CRASHED, fields={"reason": "gone", "lost_with": "template"})
    policy = RetryPolicy(max_count=9, backoff_s=(), on=frozenset({OutcomeCode.CRASHED}))
    rig.submit("t", retry=policy)
    for attempt in (1, 2):
        rig.done("a", "t", attempt, deadly)
        rig.tick(rig.now + 0.1)

    effects = rig.done("a", "t", 3, deadly)

    finished = facts(effects, TaskFinished)[0]
    assert finished.dropped_reason == "poison"
    assert finished.outcome.fields["lost_count"] == 3


def test_lost_workers_and_lost_templates_count_together(rig: Rig) -> None:
    """Two lost workers and a lost template make a poison task; a plain crash counts for nothing."""
    policy = RetryPolicy(max_count=9, backoff_s=(), on=frozenset({OutcomeCode.CRASHED}))
    rig.submit("t", retry=policy)
    for name in ("w1", "w2"):
        rig.join(name)
        rig.hear(name, Goodbye("s1"))
    rig.join("a")
    rig.done("a", "t", 3, Outcome(OutcomeCode.CRASHED, fields={"reason": "SIGSEGV"}))
    rig.tick(rig.now + 0.1)

    deadly = Outcome(OutcomeCode.CRASHED, fields={"reason": "gone", "lost_with": "template"})
    effects = rig.done("a", "t", 4, deadly)

    assert facts(effects, TaskFinished)[0].dropped_reason == "poison"


def test_other_failures_are_final(rig: Rig) -> None:
    """A code that the policy does not name ends the task."""
    rig.join("a")
    rig.submit("t", retry=RetryPolicy(max_count=3, on=frozenset({OutcomeCode.TIMEOUT})))

    effects = rig.done("a", "t", outcome=BLOCKED)

    assert facts(effects, TaskFinished) == [TaskFinished("t", 1, "a", BLOCKED)]


# ---- cancel --------------------------------------------------------------------------


def test_cancel_of_a_waiting_task_ends_it_at_once(rig: Rig) -> None:
    """A queued task is cancelled without a word to any worker; a second cancel does nothing."""
    rig.submit("t")

    effects = rig.cancel("t")

    assert effects == [TaskFinished("t", 0, None, Outcome(OutcomeCode.CANCELLED))]
    assert rig.cancel("t") == []
    assert rig.runs(rig.join("a")) == []


def test_cancelled_attempt_holds_its_slot_until_it_is_gone(rig: Rig) -> None:
    """The task ends at once, the slot is free when the worker says that the attempt is."""
    rig.join("a")
    rig.submit("t1")
    rig.submit("t2")

    cancelled = rig.cancel("t1")
    rig.beat("a", ("t1", 1))
    done = rig.done("a", "t1", outcome=Outcome(OutcomeCode.CANCELLED))

    assert cancelled == [
        Send(b"a", Cancel("t1", 1)),
        TaskFinished("t1", 1, None, Outcome(OutcomeCode.CANCELLED)),
    ]
    assert sends(done, Ack) == [Ack("t1", 1, "stale")]
    assert rig.runs(done) == [("a", "t2", 1)]


def test_cancel_is_repeated_until_it_is_heard(rig: Rig) -> None:
    """Every beat repeats the Cancel; a beat that lists the attempt no more frees the slot."""
    rig.join("a")
    rig.submit("t1")
    rig.submit("t2")
    rig.cancel("t1")

    unheard = rig.beat("a")
    listed = rig.beat("a", ("t1", 1))
    gone = rig.beat("a")

    assert sends(unheard, Cancel) == sends(listed, Cancel) == [Cancel("t1", 1)]
    assert rig.runs(unheard) == rig.runs(listed) == []
    assert rig.runs(gone) == [("a", "t2", 1)]


def test_cancel_of_a_resting_task_ends_it(rig: Rig) -> None:
    """A task that rests before its next try is cancelled at once."""
    rig.join("a")
    rig.submit("t", retry=RetryPolicy(max_count=1, on=frozenset({OutcomeCode.BLOCKED})))
    rig.done("a", "t", outcome=BLOCKED)

    effects = rig.cancel("t")

    assert facts(effects, TaskFinished) == [
        TaskFinished("t", 1, None, Outcome(OutcomeCode.CANCELLED))
    ]


# ---- time ----------------------------------------------------------------------------


def test_deadline_ends_a_waiting_task(rig: Rig) -> None:
    """`deadline_s` bounds the whole life, waiting included."""
    rig.submit("t", deadline_s=2.0, match_timeout_s=60.0)

    effects = rig.tick(2.0)

    timeout = Outcome(OutcomeCode.TIMEOUT, fields={"limit_s": 2.0})
    assert effects == [TaskFinished("t", 0, None, timeout)]


def test_deadline_ends_a_running_task(rig: Rig) -> None:
    """`deadline_s` cancels the attempt with the code that becomes its outcome."""
    rig.join("a")
    rig.submit("t", deadline_s=2.0)

    effects = decisions(rig.tick(2.0))

    assert effects == [
        Send(b"a", Cancel("t", 1, OutcomeCode.TIMEOUT)),
        TaskFinished("t", 1, None, Outcome(OutcomeCode.TIMEOUT, fields={"limit_s": 2.0})),
    ]


def test_task_that_waited_too_long_expires(rig: Rig) -> None:
    """`schedule_timeout_s` without a free slot ends a task that some worker could run."""
    rig.join("a")
    rig.submit("t1")
    rig.submit("t2", schedule_timeout_s=2.0)

    effects = rig.tick(2.0)

    expired = Outcome(OutcomeCode.EXPIRED, fields={"limit_s": 2.0})
    assert facts(effects, TaskFinished) == [TaskFinished("t2", 0, None, expired)]


def test_task_that_nobody_fits_is_told_soon(rig: Rig) -> None:
    """After `match_timeout_s` without any worker that fits, the task ends, naming what lacks."""
    rig.join("a", tags=("kr",))
    rig.submit("t", requires=frozenset({"kr", "gpu", "arm"}), match_timeout_s=1.0)

    effects = rig.tick(1.0)

    missing = Outcome(OutcomeCode.NO_MATCHING_WORKER, fields={"missing": "arm, gpu"})
    assert facts(effects, TaskFinished) == [TaskFinished("t", 0, None, missing)]


def test_worker_that_fits_in_time_stops_the_match_clock(rig: Rig) -> None:
    """A task that someone could run at `match_timeout_s` waits on, until `schedule_timeout_s`."""
    rig.join("a")
    rig.submit("t1")
    rig.submit("t2", match_timeout_s=0.5, schedule_timeout_s=2.0)
    rig.hear("a", Goodbye("s1"))

    at_match = rig.tick(0.6)
    rig.submit("t3", match_timeout_s=60.0, schedule_timeout_s=1.0)
    at_schedule = rig.tick(3.0)

    missing = Outcome(OutcomeCode.NO_MATCHING_WORKER, fields={"missing": "worker"})
    assert facts(at_match, TaskFinished) == [TaskFinished("t2", 0, None, missing)]
    assert facts(at_schedule, TaskFinished) == [TaskFinished("t3", 0, None, missing)]
    assert rig.dispatcher.explain("t1", now=3.0) is not None


def test_script_that_every_worker_refused_is_named(rig: Rig) -> None:
    """When tags fit but no worker can run the script, the script is what is missing."""
    rig.join("a")
    rig.submit("t", schedule_timeout_s=1.0)
    rig.hear("a", Refused("t", 1, "cannot"))

    effects = rig.tick(1.0)

    assert facts(effects, TaskFinished)[0].outcome.fields == {"missing": "script@1.0.0"}


def test_lost_task_waits_anew(rig: Rig) -> None:
    """The time a task ran is not time it waited: a loss restarts `schedule_timeout_s`."""
    rig.join("a")
    rig.submit("t", schedule_timeout_s=2.0)
    for second in range(1, 10):
        rig.tick(float(second))
        rig.beat("a", ("t", 1))
    rig.hear("a", Goodbye("s1"))

    assert facts(rig.tick(10.5), TaskFinished) == []
    assert len(facts(rig.tick(11.5), TaskFinished)) == 1


def test_deadlines_of_one_moment_are_all_kept(rig: Rig) -> None:
    """A task that gets a lock and times out in the same moment is not given to the free slot."""
    rig.join("a")
    rig.submit("t0", deadline_s=2.0)
    for name in ("t1", "t2"):
        rig.submit(name, deadline_s=2.0, lock=LockRequest("k", Overlap.QUEUE_ALL))

    effects = rig.tick(2.0)

    assert [each.task_id for each in facts(effects, TaskFinished)] == ["t0", "t1", "t2"]
    assert rig.runs(effects) == []


# ---- operators and workers' questions ------------------------------------------------


def test_drained_worker_gets_nothing_until_resumed(rig: Rig) -> None:
    """Draining is told to the worker and kept with every beat; resuming brings work at once."""
    rig.join("a")

    drained = rig.call(rig.dispatcher.drain_worker, "a", True)
    waiting = rig.submit("t")
    resumed = rig.call(rig.dispatcher.drain_worker, "a", False)

    assert drained == [Send(b"a", Drain(True))]
    assert rig.runs(waiting) == []
    assert resumed[0] == Send(b"a", Drain(False))
    assert rig.runs(resumed) == [("a", "t", 1)]


def test_draining_an_unknown_worker_is_an_error(rig: Rig) -> None:
    """An operator who mistypes an id hears so."""
    with pytest.raises(NotFound) as error:
        rig.call(rig.dispatcher.drain_worker, "nobody", True)

    assert error.value.fields == {"kind": "worker", "name": "nobody"}


def test_need_is_passed_on(rig: Rig) -> None:
    """A worker's question for a script's bytes is the shell's to answer."""
    rig.join("a")

    effects = rig.hear("a", Need(3, "script", "sha256:0"))

    assert effects == [GiveScript(b"a", "a", 3, "sha256:0")]


def test_workers_are_told_to_get_ready(rig: Rig) -> None:
    """Whoever could run a script is told so; one that is leaving or unknown is not."""
    rig.join("a", tags=("kr",))
    rig.join("b")
    rig.join("c", tags=("kr",))
    rig.beat("c", limit=1, is_draining=True)
    run = spec("t").run
    worker_ids = rig.dispatcher.matching(frozenset({"kr"}))

    effects = rig.call(rig.dispatcher.prefetch, run, [*worker_ids, "nobody"])

    assert worker_ids == ("a",)
    assert rig.dispatcher.matching(frozenset()) == ("a", "b")
    assert effects == [Send(b"a", Prepare(run))]


def test_where_a_script_is_ready_is_known(rig: Rig) -> None:
    """Workers tell which scripts they have verified."""
    rig.join("a")
    rig.join("b")
    rig.beat("b", limit=1, warm=("sha256:0",))

    assert rig.dispatcher.warm_on("sha256:0") == ("b",)
    assert rig.dispatcher.warm_on("sha256:1") == ()


def test_deadline_is_none_while_nothing_waits(rig: Rig) -> None:
    """Without tasks and workers no timer is needed; with a worker, the next beat is one."""
    assert rig.dispatcher.next_deadline() is None
    rig.submit("t", lock=LockRequest("k"))
    assert rig.dispatcher.next_deadline() == 3.0
    rig.join("a")
    assert rig.dispatcher.next_deadline() == 1.0
