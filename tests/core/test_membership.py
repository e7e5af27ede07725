"""Workers joining, living and being lost, as the dispatcher hears of them."""

from __future__ import annotations

import pytest

from tests.core.rig import OK, Rig, decisions, facts, sends, spec
from zscrape.core.effects import (
    Ignored,
    Send,
    TaskAdopted,
    TaskFinished,
    TaskQueued,
    TaskRecords,
    TaskStarted,
    WorkerJoined,
    WorkerLost,
    WorkerSuspected,
)
from zscrape.core.history import History
from zscrape.core.snapshots import WorkerStatus
from zscrape.model import Load, LockRequest, Outcome, OutcomeCode, Overlap, Record, WorkerFacts
from zscrape.wire import (
    PROTOCOL,
    Ack,
    Cancel,
    Done,
    Events,
    GatewayHeartbeat,
    Goodbye,
    Heartbeat,
    Hello,
    Reject,
    Run,
    Started,
    Stored,
    Welcome,
    Who,
)

LOCK = LockRequest("key")


def welcome(*keep: tuple[str, int], is_draining: bool = False) -> Welcome:
    """Return what the rig's gateway says to a worker that joins."""
    return Welcome("g", "b1", 1000, 3, 10_000, keep, is_draining)


# ---- joining -------------------------------------------------------------------------


def test_hello_is_welcomed(rig: Rig) -> None:
    """A new worker hears who the gateway is and what time limits hold."""
    effects = rig.join("a", 2, tags=("kr",), programs=("chromium",))

    assert effects == [WorkerJoined("a", False), Send(b"a", welcome())]
    (worker,) = rig.dispatcher.snapshot(now=0.0).workers
    assert (worker.id, worker.status, worker.slots) == ("a", WorkerStatus.LIVE, 2)
    assert worker.tags == ("kr",)


def test_stranger_is_asked_who_it_is(rig: Rig) -> None:
    """A message of an unknown connection changes nothing but asks for a Hello."""
    effects = rig.hear("x", Started("t", 1))

    assert effects == [Send(b"x", Who()), Ignored(b"x", "Started", "unknown_session")]
    assert rig.hear("x", Goodbye("s")) == [Ignored(b"x", "Goodbye", "unknown_session")]


@pytest.mark.parametrize(
    ("hello", "reason"),
    [
        ({"protocol": 99}, "protocol"),
        ({"slots": 0}, "hello_invalid"),
        ({"limit": -1}, "hello_invalid"),
        ({"running": (("t", 1), ("u", 1))}, "hello_invalid"),
    ],
)
def test_impossible_hello_is_rejected(rig: Rig, hello: dict[str, object], reason: str) -> None:
    """Another protocol, no slots or more attempts than slots: never accepted, clearly said."""
    effects = rig.join("a", **hello)  # type: ignore[arg-type]

    assert [message.reason for message in sends(effects, Reject)] == [reason]
    assert effects[-1] == Ignored(b"a", "Hello", reason)
    assert rig.dispatcher.snapshot(now=0.0).workers == ()


def test_connection_speaks_for_one_worker(rig: Rig) -> None:
    """A second worker id on the same connection is rejected; the first one stays."""
    rig.join("a")

    effects = rig.join("b", peer="a")

    assert [message.reason for message in sends(effects, Reject)] == ["hello_invalid"]
    assert [worker.id for worker in rig.dispatcher.snapshot(now=0.0).workers] == ["a"]


def test_repeated_hello_keeps_what_was_sent_meanwhile(rig: Rig) -> None:
    """A Hello sent before the first Welcome arrived does not take attempts for lost."""
    rig.join("a")
    rig.submit("t")

    effects = rig.join("a")

    assert effects == [Send(b"a", welcome(("t", 1)))]
    assert rig.why("t")[0] == "assigned"


def test_late_hello_of_an_earlier_connection_is_ignored(rig: Rig) -> None:
    """A Hello overtaken by that of a later connection does not bind the worker back."""
    rig.join("a", peer="new", connection=2)

    effects = rig.join("a", peer="old", connection=1)

    assert effects == [Ignored(b"old", "Hello", "superseded")]


def test_return_on_a_new_connection_keeps_what_still_runs(rig: Rig) -> None:
    """The same session on a new connection keeps what it lists; the rest runs again."""
    rig.join("a", 3)
    for name in ("t1", "t2", "t3"):
        rig.submit(name)
    rig.hear("a", Started("t1", 1))

    effects = rig.join(
        "a", 3, peer="a2", connection=2, running=(("t1", 1), ("x", 4)), finished=(("t2", 1),)
    )

    assert facts(effects, WorkerJoined) == [WorkerJoined("a", True)]
    assert sends(effects, Welcome) == [welcome(("t1", 1), ("t2", 1))]
    assert facts(effects, TaskQueued) == [TaskQueued("t3", 1, OutcomeCode.WORKER_LOST)]
    assert rig.runs(effects) == [("a2", "t3", 2)]
    (worker,) = rig.dispatcher.snapshot(now=0.0).workers
    assert worker.in_flight_count == 3  # t1, t3, and x that nobody wants


def test_owed_outcome_is_taken(rig: Rig) -> None:
    """An outcome that a returning worker says it owes is the task's when it comes."""
    rig.join("a")
    rig.submit("t")
    rig.join("a", peer="a2", connection=2, finished=(("t", 1),))

    effects = rig.hear("a2", Done("t", 1, OK))

    assert facts(effects, TaskFinished) == [TaskFinished("t", 1, "a", OK)]


def test_cancel_of_an_owed_outcome_needs_no_word(rig: Rig) -> None:
    """A task whose attempt is over already is cancelled without a Cancel; its outcome is stale."""
    rig.join("a")
    rig.submit("t")
    rig.join("a", peer="a2", connection=2, finished=(("t", 1),))

    effects = rig.cancel("t")

    assert effects == [TaskFinished("t", 1, None, Outcome(OutcomeCode.CANCELLED))]
    assert sends(rig.hear("a2", Done("t", 1, OK)), Ack) == [Ack("t", 1, "stale")]


def test_new_session_replaces_the_old_one(rig: Rig) -> None:
    """A restarted worker's old attempts are gone, and run again."""
    rig.join("a")
    rig.submit("t")

    effects = rig.join("a", session="s2", peer="a2")

    assert facts(effects, WorkerLost) == [WorkerLost("a", "replaced", (("t", 1),))]
    assert rig.runs(effects) == [("a2", "t", 2)]


def test_two_processes_with_one_id_do_not_push_each_other_out(rig: Rig) -> None:
    """Once the newer process has shown that it lives, the older one is told to go."""
    rig.join("a", session="s1", peer="a1")
    rig.join("a", session="s2", peer="a2")
    back = rig.join("a", session="s1", peer="a1", connection=2)
    again = rig.join("a", session="s2", peer="a2", connection=2)
    rig.beat("a2", session="s2", seq=1)

    rejected = rig.join("a", session="s1", peer="a1", connection=3)

    assert facts(back, WorkerJoined) == facts(again, WorkerJoined) == [WorkerJoined("a", False)]
    assert [message.reason for message in sends(rejected, Reject)] == ["replaced"]


def test_goodbye_gives_attempts_back_at_once(rig: Rig) -> None:
    """A worker that leaves has ended what it had, locks included."""
    rig.join("a", 2)
    rig.submit("t1", lock=LOCK)
    rig.submit("t2", lock=LockRequest("other"))
    rig.cancel("t2")
    rig.join("b")

    effects = rig.hear("a", Goodbye("s1"))

    assert effects[0] == WorkerLost("a", "left", (("t1", 1),))
    assert rig.runs(effects) == [("b", "t1", 2)]


def test_goodbye_of_another_session_is_ignored(rig: Rig) -> None:
    """Only the session that is known can leave."""
    rig.join("a")

    effects = rig.hear("a", Goodbye("s0"))

    assert effects == [Ignored(b"a", "Goodbye", "unknown_session")]


def test_expelled_worker_loses_what_it_ran(rig: Rig) -> None:
    """Who may no longer be a worker is lost at once; one that is not known is none."""
    rig.join("a")
    rig.submit("t1")
    rig.join("b")

    effects = rig.dispatcher.expel("a", now=rig.now)

    assert effects[0] == WorkerLost("a", "revoked", (("t1", 1),))
    assert rig.runs(effects) == [("b", "t1", 2)]
    assert rig.dispatcher.expel("nobody", now=rig.now) == []


# ---- liveness ------------------------------------------------------------------------


def test_gateway_beats_every_interval(rig: Rig) -> None:
    """Every worker hears each interval the last beat heard, the demand, and its draining."""
    rig.join("a")
    rig.beat("a", load=Load(50.0, 25.0))
    rig.submit("t", requires=frozenset({"absent"}))

    effects = rig.tick(1.0)

    assert effects == [Send(b"a", GatewayHeartbeat("b1", 1, 1, False))]
    assert rig.dispatcher.snapshot(now=1.0).workers[0].load == Load(50.0, 25.0)


@pytest.mark.parametrize(
    ("task_count", "told_counts"),
    [(1, [64, 64, 64, 64, 44]), (0, [300, 0, 0, 0, 0])],
    ids=["at_work", "at_rest"],
)
def test_fleet_is_told_in_parts(rig: Rig, task_count: int, told_counts: list[int]) -> None:
    """Many workers hear a beat once each interval, some now and some a little later."""
    names = [f"w{number}" for number in range(300)]
    for name in names:
        rig.join(name)
    for number in range(task_count):
        rig.submit(f"t{number}")

    parts = [rig.tick(1.0 + step * 0.051) for step in range(15)]

    beats = [[beat.peer.decode() for beat in part if isinstance(beat, Send)] for part in parts]
    assert [len(part) for part in beats] == told_counts + [0] * 10
    assert [name for part in beats for name in part] == names
    assert len(sends(rig.tick(2.0), GatewayHeartbeat)) == told_counts[0]


def test_worker_that_left_is_not_told(rig: Rig) -> None:
    """Who has gone before its part of a fleet is told hears nothing; who is left, does."""
    for number in range(70):
        rig.join(f"w{number}")
    rig.submit("t")
    rig.tick(1.0)
    rig.hear("w65", Goodbye("s1"))

    told = rig.tick(1.05)

    assert len(sends(told, GatewayHeartbeat)) == 5


def test_fleet_that_is_urged_is_told_at_once(rig: Rig) -> None:
    """Waiting tasks are no matter of parts: whoever may have room hears of them now."""
    for number in range(100):
        rig.join(f"w{number}")
        rig.beat(f"w{number}", limit=0)
    rig.tick(1.0)
    rig.submit("t")

    told = rig.tick(1.01)

    assert len(sends(told, GatewayHeartbeat)) == 100


def test_fleet_is_told_the_faster_the_later_it_is(rig: Rig) -> None:
    """A gateway that begins a round of beats late keeps nobody waiting for its turn."""
    for number in range(300):
        rig.join(f"w{number}")

    told = rig.dispatcher.tick(now=1.24)

    assert len(sends(told, GatewayHeartbeat)) == 300


def test_worker_of_a_large_fleet_is_never_left_long_without_a_beat(rig: Rig) -> None:
    """However a fleet is told, at once, at work or at rest, each hears of its gateway soon."""
    names = [f"w{number}" for number in range(1_300)]
    for name in names:
        rig.dispatcher.receive(
            name.encode(),
            Hello(PROTOCOL, name, "s1", 1, 0, (), WorkerFacts()),
            now=0.0,
        )
    told_at = dict.fromkeys(names, 0.0)
    gaps_s: list[float] = []
    parts: list[int] = []
    parts_at_work: list[int] = []
    for step in range(1, 3_400):
        now = step / 200
        effects = rig.dispatcher.tick(now=now)
        if step == 1_405:
            effects += rig.dispatcher.submit(spec("t"), now=now)
            effects += rig.dispatcher.tick(now=now)
        if step == 2_605:
            parts_at_work, parts = parts[-20:], []
            effects += rig.dispatcher.cancel("t", now=now)
        told = [
            each.peer.decode()
            for each in effects
            if isinstance(each, Send) and isinstance(each.message, GatewayHeartbeat)
        ]
        gaps_s += [now - told_at[name] for name in told]
        told_at |= dict.fromkeys(told, now)
        parts += [len(told)] if told else []
        if told:
            for name in told:
                beat = Heartbeat("s1", step, 0, ())
                rig.dispatcher.receive(name.encode(), beat, now=now)

    assert max(gaps_s) <= 1.26
    assert max(parts_at_work) <= 100
    assert sum(parts[-2:]) == len(names)


def test_silent_worker_loses_its_task_to_another(rig: Rig) -> None:
    """A task runs elsewhere once its worker has been silent for three intervals."""
    rig.join("a")
    rig.submit("t")
    rig.join("b")

    effects = decisions(rig.pass_time(3.0, "b"))

    assert effects[0] == WorkerLost("a", "silent", (("t", 1),))
    assert facts(effects, TaskQueued) == [TaskQueued("t", 1, OutcomeCode.WORKER_LOST)]
    assert rig.runs(effects) == [("b", "t", 2)]


def test_beats_that_do_not_come_are_counted(rig: Rig) -> None:
    """Each interval without a word of a worker counts; one that beats in time does not."""
    rig.join("a")
    rig.join("b")

    rig.pass_time(2.0, "a", "b")
    before = rig.dispatcher.snapshot(now=2.0).missed_beat_count
    rig.pass_time(6.0, "b")

    assert before == 0
    assert rig.dispatcher.snapshot(now=6.0).missed_beat_count in (1, 2)


def test_gateway_that_stood_still_forgives(rig: Rig) -> None:
    """After a standstill workers have their whole time again, and so have their attempts."""
    rig.join("a")
    rig.submit("t")

    rig.now = 60.0
    rig.dispatcher.resumed(now=60.0)
    calm = decisions(rig.tick(62.9))
    rig.beat("a", limit=1)  # sent before the task came: it does not list it
    calm += decisions(rig.tick(62.95))
    late = decisions(rig.pass_time(66.0))

    assert calm == []
    assert isinstance(late[0], WorkerLost)


def test_any_message_is_a_sign_of_life(rig: Rig) -> None:
    """A worker that is heard is not lost, whatever it says."""
    rig.join("a")
    rig.submit("t")
    rig.tick(2.5)
    rig.hear("a", Started("t", 1))

    effects = rig.tick(5.0)

    assert not facts(effects, WorkerLost)


def test_unreachable_worker_is_lost_sooner(rig: Rig) -> None:
    """A broken connection makes a worker suspect: nothing new, and one interval to come back."""
    rig.join("a", 2)
    rig.submit("t")

    suspected = rig.call(rig.dispatcher.unreachable, b"a")
    again = rig.call(rig.dispatcher.unreachable, b"a")
    waiting = rig.submit("t2")
    status = rig.dispatcher.snapshot(now=0.0).workers[0].status
    lost = rig.tick(1.0)

    assert suspected == [WorkerSuspected("a")]
    assert again == rig.call(rig.dispatcher.unreachable, b"nobody") == []
    assert rig.runs(waiting) == []
    assert status is WorkerStatus.SUSPECT
    assert facts(lost, WorkerLost) == [WorkerLost("a", "unreachable", (("t", 1),))]


def test_suspect_that_is_heard_is_asked_and_comes_back(rig: Rig) -> None:
    """A beat on a connection that seemed broken asks for a Hello, which revives the worker."""
    rig.join("a", 2)
    rig.submit("t")
    rig.call(rig.dispatcher.unreachable, b"a")
    rig.submit("t2")

    asked = rig.beat("a", ("t", 1), limit=2)
    revived = rig.join("a", 2)

    assert sends(asked, Who) == [Who()]
    assert facts(revived, WorkerJoined) == [WorkerJoined("a", True)]
    assert sends(revived, Welcome) == [welcome(("t", 1))]
    assert rig.runs(revived) == [("a", "t2", 1)]


def test_beat_of_another_session_or_an_old_one_changes_nothing(rig: Rig) -> None:
    """Beats of a wrong session are asked who they are; doubled and late ones are ignored."""
    rig.join("a")
    rig.beat("a", seq=5)

    wrong = rig.beat("a", session="s0", seq=6)
    late = rig.beat("a", seq=5, limit=0)

    assert wrong == [Send(b"a", Who()), Ignored(b"a", "Heartbeat", "unknown_session")]
    assert late == [Ignored(b"a", "Heartbeat", "duplicate")]
    assert rig.runs(rig.submit("t")) == [("a", "t", 1)]


def test_beat_that_says_nothing_new_moves_nobody(rig: Rig) -> None:
    """Of workers that are equally free the one that has stood longest is next, beats or not."""
    rig.join("a", 1)
    rig.join("b", 1)

    rig.beat("a")
    (sent,) = [each for each in rig.submit("t") if isinstance(each, Send)]

    assert sent.peer == b"a"


def test_worker_that_shares_its_slots_hears_of_waiting_tasks_at_once(rig: Rig) -> None:
    """A worker that gives this gateway less than it has is told when the first task waits."""
    rig.join("a", 2)
    rig.beat("a", limit=0)
    rig.tick(0.1)
    before = rig.dispatcher.next_deadline()
    rig.submit("t1")
    due = rig.dispatcher.next_deadline()
    told = rig.tick(0.1)
    rig.submit("t2")
    later = rig.dispatcher.next_deadline()

    assert before is not None
    assert before > 0.1
    assert due is not None
    assert due <= 0.1
    assert [beat.queued for beat in sends(told, GatewayHeartbeat)] == [1]
    assert later is not None
    assert later > 0.1


def test_worker_with_all_its_slots_is_not_urged(rig: Rig) -> None:
    """A worker that has no more to give hears of waiting tasks with its next beat."""
    rig.join("a", 1)
    rig.beat("a", limit=1)
    rig.submit("t1")
    rig.submit("t2")
    due = rig.dispatcher.next_deadline()

    assert due is not None
    assert due > 0.0


def test_limit_in_a_beat_bounds_new_work(rig: Rig) -> None:
    """A worker gets no more at once than its last beat said, though it has slots."""
    rig.join("a", 3)
    rig.beat("a", limit=1)

    effects = rig.submit("t1") + rig.submit("t2")
    raised = rig.beat("a", ("t1", 1), limit=2)

    assert rig.runs(effects) == [("a", "t1", 1)]
    assert rig.runs(raised) == [("a", "t2", 1)]


def test_leaving_worker_takes_work_again_when_it_says_so(rig: Rig) -> None:
    """A worker that joined draining gets nothing until a beat has room."""
    rig.join("a", is_draining=True, limit=0)
    rig.submit("t")

    closed = rig.beat("a", limit=0)
    opened = rig.beat("a", limit=1)

    assert rig.runs(closed) == []
    assert rig.runs(opened) == [("a", "t", 1)]


def test_attempt_that_beats_never_list_runs_again(rig: Rig) -> None:
    """A Run that was lost on the way is missed after three intervals of beats without it."""
    rig.join("a")
    rig.submit("t")

    effects = rig.pass_time(3.0, "a")

    assert facts(effects, TaskQueued) == [TaskQueued("t", 1, OutcomeCode.WORKER_LOST)]
    assert rig.runs(effects) == [("a", "t", 2)]


def test_lost_attempt_that_shows_up_is_taken_back(rig: Rig) -> None:
    """A listed attempt that was given up but not replaced goes on, and the loss is forgotten."""
    rig.join("a")
    rig.submit("t")
    rig.hear("a", Started("t", 1))
    rig.tick(3.0)

    effects = rig.join("a", peer="a2", connection=2, running=(("t", 1),))
    done = rig.hear("a2", Done("t", 1, OK))

    assert sends(effects, Welcome) == [welcome(("t", 1))]
    assert facts(effects, TaskAdopted) == [TaskAdopted("t", 1, "a", True)]
    assert rig.runs(effects) == []
    assert facts(done, TaskFinished) == [TaskFinished("t", 1, "a", OK)]


def test_lost_outcome_that_shows_up_is_taken(rig: Rig) -> None:
    """An outcome of an attempt that was given up but not replaced is waited for."""
    rig.join("a")
    rig.submit("t")
    rig.tick(3.0)

    effects = rig.join("a", peer="a2", connection=2, finished=(("t", 1),))

    assert sends(effects, Welcome) == [welcome(("t", 1))]
    assert rig.why("t")[0] == "assigned"


def test_attempt_taken_back_by_a_beat(rig: Rig) -> None:
    """A beat that lists an attempt again takes back its loss, as long as it waits."""
    rig.join("a")
    rig.submit("t", lock=LOCK)
    rig.pass_time(3.0, "a")
    assert rig.why("t")[0] == "lease"

    rig.beat("a", ("t", 1))

    assert rig.why("t")[0] == "assigned"


def test_full_worker_takes_nothing_back(rig: Rig) -> None:
    """A lost attempt is not taken back into a slot that another task has by now."""
    rig.join("a")
    rig.submit("t1", lock=LOCK)
    rig.pass_time(3.0, "a")
    rig.submit("t2")

    effects = rig.beat("a", ("t1", 1))

    assert sends(effects, Cancel) == [Cancel("t1", 1)]
    assert rig.why("t1")[0] == "lease"
    assert rig.dispatcher.snapshot(now=3.0).workers[0].in_flight_count == 2


def test_unwanted_attempt_is_told_to_stop(rig: Rig) -> None:
    """An attempt that a beat lists and no task wants fills a slot and is cancelled."""
    rig.join("a")

    first = rig.beat("a", ("ghost", 3))
    waiting = rig.submit("t")
    second = rig.beat("a", ("ghost", 3))
    gone = rig.beat("a")

    assert sends(first, Cancel) == sends(second, Cancel) == [Cancel("ghost", 3)]
    assert rig.runs(waiting) == []
    assert rig.runs(gone) == [("a", "t", 1)]


def test_task_that_lost_too_many_workers_ends(rig: Rig) -> None:
    """The third lost worker ends a task as `worker_lost`: it may be what kills them."""
    rig.submit("t")
    for name in ("w1", "w2"):
        rig.join(name)
        rig.hear(name, Goodbye("s1"))
    rig.join("w3")

    effects = rig.hear("w3", Goodbye("s1"))

    finished = facts(effects, TaskFinished)[0]
    assert finished.outcome.code is OutcomeCode.WORKER_LOST
    assert finished.outcome.fields == {"worker_id": "w3", "attempt": 3, "lost_count": 3}
    assert finished.dropped_reason == "poison"


# ---- restart of the gateway ----------------------------------------------------------


def restarted() -> Rig:
    """Return a rig that stands for a gateway after its restart."""
    return Rig()


def test_restored_attempt_is_adopted() -> None:
    """A worker that says in time what it runs keeps it; records go on where they were told to."""
    rig = restarted()
    history = History(received_count=2)
    rig.call(rig.dispatcher.restore, spec("t"), attempt=4, worker_id="a", history=history)
    assert rig.dispatcher.snapshot(now=0.0).workers[0].status is WorkerStatus.EXPECTED

    joined = rig.join("a", running=(("t", 4),))
    events = rig.hear("a", Events("t", 4, 1, (Record("log", 0, b"1"), Record("log", 0, b"2"))))

    assert sends(joined, Welcome) == [welcome(("t", 4))]
    assert events == [
        TaskStarted("t", 4, "a"),
        TaskRecords("t", 4, 2, (Record("log", 0, b"2"),)),
    ]


def test_a_new_session_may_list_what_its_former_one_ran() -> None:
    """A worker that lost its session, not its attempts, keeps them: nothing is run twice."""
    rig = Rig()
    rig.join("a")
    rig.submit("t")

    joined = rig.join("a", session="s2", running=(("t", 1),))

    assert sends(joined, Welcome) == [welcome(("t", 1))]
    assert rig.runs(joined) == []
    rig.dispatcher.check()


def test_expected_worker_that_never_comes_is_lost() -> None:
    """After a lease and its margin a restored attempt runs elsewhere, with a higher number."""
    rig = restarted()
    rig.call(rig.dispatcher.restore, spec("t"), attempt=4, worker_id="a")
    rig.call(rig.dispatcher.drain_worker, "a", True)
    rig.join("b")

    early = rig.pass_time(11.5, "b")
    effects = rig.pass_time(12.0, "b")

    assert facts(early, WorkerLost) == []
    assert facts(effects, WorkerLost) == [WorkerLost("a", "absent", (("t", 4),))]
    assert rig.runs(effects) == [("b", "t", 5)]


def test_restored_waiting_tasks_wait_again() -> None:
    """Tasks without an attempt in flight are queued; one that had an attempt may be claimed."""
    rig = restarted()
    rig.call(rig.dispatcher.restore, spec("new"), attempt=0, worker_id=None)
    rig.call(rig.dispatcher.restore, spec("tried"), attempt=2, worker_id=None)

    effects = rig.join("a", 3, running=(("tried", 2), ("new", 0)))

    assert sends(effects, Welcome) == [welcome(("tried", 2))]
    assert rig.runs(effects) == [("a", "new", 1)]


def test_restored_attempt_of_a_worker_that_is_back_already() -> None:
    """A worker that has joined without the attempt does not get it held."""
    rig = restarted()
    rig.join("a")

    effects = rig.call(rig.dispatcher.restore, spec("t"), attempt=1, worker_id="a")

    assert rig.runs(effects) == [("a", "t", 2)]


def test_restored_locks_keep_their_order() -> None:
    """The attempt in flight holds the key; the others stand in line."""
    rig = restarted()
    rig.call(rig.dispatcher.restore, spec("t1", lock=LOCK), attempt=1, worker_id="a")
    rig.call(rig.dispatcher.restore_lock, "key", holder="t0")
    rig.call(rig.dispatcher.restore, spec("t2", lock=LOCK), attempt=0, worker_id=None)
    rig.join("a", running=(("t1", 1),))

    effects = rig.done("a", "t1")

    assert rig.runs(effects) == [("a", "t2", 1)]


def test_key_of_an_ended_task_is_held_for_a_lease() -> None:
    """An attempt from before the restart may still run under a key that looks free."""
    rig = restarted()
    rig.join("a")
    rig.call(rig.dispatcher.restore_lock, "key", holder="t0")
    rig.call(rig.dispatcher.restore, spec("t", lock=LOCK), attempt=0, worker_id=None)

    early = rig.pass_time(11.5, "a")
    late = rig.pass_time(12.5, "a")

    assert rig.runs(early) == []
    assert rig.runs(late) == [("a", "t", 1)]


def test_restored_locked_task_rests_for_a_lease() -> None:
    """A task with a lock that has had an attempt rests: the attempt may run somewhere."""
    rig = restarted()
    rig.join("a")
    rig.call(rig.dispatcher.restore, spec("t", lock=LOCK), attempt=1, worker_id=None)

    assert rig.why("t")[0] == "lease"
    assert rig.runs(rig.pass_time(13.0, "a")) == [("a", "t", 2)]


def test_cancel_of_an_expected_attempt_keeps_its_lock() -> None:
    """A cancelled attempt of an expected worker may run; its key is held for a lease."""
    rig = restarted()
    rig.call(rig.dispatcher.restore, spec("t", lock=LOCK), attempt=1, worker_id="a")
    rig.cancel("t")
    rig.join("b")

    waiting = rig.submit("u", lock=LockRequest("key", Overlap.QUEUE_ALL))

    assert rig.runs(waiting) == []
    assert rig.runs(rig.pass_time(12.5, "b")) == [("b", "u", 1)]


def test_run_that_never_left_is_taken_back(rig: Rig) -> None:
    """A Run that could not be sent costs its task nothing; it waits for another worker."""
    rig.join("a")
    run = sends(rig.submit("t"), Run)[0]

    effects = rig.call(rig.dispatcher.undelivered, b"a", run)
    rig.join("b")

    assert effects == [WorkerSuspected("a"), TaskQueued("t", 1)]
    assert rig.why("t") == ("assigned", {"attempt": 2, "worker_id": "b"})


def test_other_message_that_never_left_only_makes_suspect(rig: Rig) -> None:
    """A beat that found nobody, or a Run of a task that has ended, changes no task."""
    rig.join("a")
    run = sends(rig.submit("t"), Run)[0]
    rig.cancel("t")

    assert rig.call(rig.dispatcher.undelivered, b"a", Who()) == [WorkerSuspected("a")]
    assert rig.call(rig.dispatcher.undelivered, b"a", run) == []
    assert rig.call(rig.dispatcher.undelivered, b"nobody", run) == []


# ---- what is left of attempts ----------------------------------------------------------


def test_leftover_that_still_runs_keeps_its_lock_over_a_new_connection(rig: Rig) -> None:
    """A worker that comes back with an attempt of an ended task still fills its lock."""
    rig.join("a", 2)
    rig.submit("t1", lock=LOCK, deadline_s=1.0)
    rig.beat("a", ("t1", 1), limit=2)
    ended = rig.tick(1.0)
    rig.join("a", 2, peer="a2", connection=2, running=(("t1", 1),))
    waits = rig.submit("t2", lock=LockRequest("key", Overlap.QUEUE_ALL))

    assert facts(ended, TaskFinished)[0].outcome.code is OutcomeCode.TIMEOUT
    assert rig.runs(waits) == []


def test_worker_that_left_is_told_of_nothing_stored(rig: Rig) -> None:
    """A note for a worker that has said goodbye meanwhile goes to nobody."""
    rig.join("a")
    rig.join("b")
    rig.submit("t")
    rig.done("a", "t")
    rig.hear("a", Goodbye("s1"))
    effects = rig.tick(1.0)

    assert sends(effects, Stored) == []
