"""The worker's half of the dialogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from zscrape.core import link as link_module
from zscrape.core.credits import Side
from zscrape.core.effects import (
    Assignment,
    AttemptFenced,
    Exit,
    GatewayJoined,
    GatewayLost,
    Given,
    LinkEffect,
    Ready,
    Reopen,
    SendUp,
    Stop,
    Told,
)
from zscrape.core.errand import EVENTS_LIMIT_BYTES, Errand
from zscrape.core.link import ASK_AGAIN_S, WorkerLink
from zscrape.model import (
    Load,
    Outcome,
    OutcomeCode,
    Pin,
    ReconnectPolicy,
    Record,
    RunSpec,
    WorkerFacts,
)
from zscrape.wire import (
    PROTOCOL,
    WARM_LIMIT_COUNT,
    Ack,
    Ask,
    Cancel,
    Done,
    Drain,
    Events,
    GatewayHeartbeat,
    GatewayMessage,
    Give,
    Goodbye,
    Heartbeat,
    Hello,
    Need,
    Prepare,
    Refused,
    Reject,
    Run,
    Started,
    Stored,
    Tell,
    Welcome,
    Who,
)

SPEC = RunSpec(Pin("r", "script", "1", "sha256:0"))
OK = Outcome(OutcomeCode.OK, data=b"1")
LOG = tuple(Record("log", 0.0, str(number).encode()) for number in range(4))


def run(task_id: str = "t", attempt: int = 1, *, ack: int = 1, lease_ms: int = 0) -> Run:
    """Return an order to run an attempt."""
    return Run(task_id, attempt, ack, None, lease_ms, SPEC, b"{}")


def welcome(*keep: tuple[str, int], boot: str = "b1", is_draining: bool = False) -> Welcome:
    """Return a gateway's welcome."""
    return Welcome("g", boot, 1000, 3, 10_000, keep, is_draining)


class Bench:
    """One link with a clock, proved after every call."""

    def __init__(self, slots: int = 2, spread: float = 0.0) -> None:
        self.link = WorkerLink(
            worker_id="w",
            session="s",
            slots=slots,
            tags=("kr",),
            facts=WorkerFacts(hostname="h"),
            reconnect=ReconnectPolicy(0.2, 1.0),
            spread=spread,
        )
        self.now = 0.0

    def call(self, what: Callable[..., list[LinkEffect]], *args: Any) -> list[LinkEffect]:
        """Call a method of the link, and prove its invariants."""
        effects = what(*args, now=self.now)
        self.link.check()
        return effects

    def open(self) -> list[LinkEffect]:
        """Open a socket."""
        return self.call(self.link.opened)

    def hear(self, message: GatewayMessage) -> list[LinkEffect]:
        """Let the gateway say something."""
        return self.call(self.link.receive, message)

    def tick(self, at: float) -> list[LinkEffect]:
        """Let time pass, looking whenever the link asks for it."""
        effects: list[LinkEffect] = []
        while (deadline := self.link.next_deadline()) is not None and deadline <= at:
            self.now = max(self.now, deadline)
            effects += self.call(self.link.tick)
        self.now = at
        return effects

    def stay(self, at: float, *, ack: bool = True) -> list[LinkEffect]:
        """Let time pass with a gateway that beats, acknowledging what it hears or nothing."""
        effects: list[LinkEffect] = []
        while self.now < at:
            effects += self.tick(min(at, self.now + 0.5))
            beats = said(effects, Heartbeat)
            seq = beats[-1].seq if beats and ack else 99_999
            effects += self.hear(GatewayHeartbeat("b1", seq))
        return effects


def said(effects: list[LinkEffect], kind: type) -> list[Any]:
    """Return the messages of one kind that are to be sent."""
    return [
        effect.message
        for effect in effects
        if isinstance(effect, SendUp) and type(effect.message) is kind
    ]


def without_beats(effects: list[LinkEffect]) -> list[LinkEffect]:
    """Return the effects that are not beats."""
    return [
        effect
        for effect in effects
        if not (isinstance(effect, SendUp) and isinstance(effect.message, Heartbeat))
    ]


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Return a link that has joined at time 0 and has said its first beat."""
    joined = Bench()
    joined.open()
    joined.hear(welcome())
    yield joined
    joined.link.check()


# ---- joining -------------------------------------------------------------------------


def test_opened_says_hello() -> None:
    """The first words of a connection say everything about the worker."""
    bench = Bench()
    assert bench.link.next_deadline() is None

    effects = bench.open()

    hello = Hello(PROTOCOL, "w", "s", 2, 2, ("kr",), WorkerFacts(hostname="h"), connection=1)
    assert effects == [SendUp(hello)]


def test_hello_is_repeated_and_then_the_socket_reopened() -> None:
    """Without a Welcome, Hello is repeated, and after three intervals the socket is replaced."""
    bench = Bench(spread=0.5)
    bench.open()

    effects = bench.tick(3.0)
    bench.open()
    again = bench.tick(6.0)

    assert len(said(effects, Hello)) == 2
    assert [each for each in effects if isinstance(each, Reopen)] == [Reopen(0.2 * 0.75)]
    assert [each for each in again if isinstance(each, Reopen)] == [Reopen(0.4 * 0.75)]


def test_reopening_waits_no_longer_than_its_cap() -> None:
    """The delay doubles to the cap and stays there."""
    bench = Bench()
    delays: list[float] = []
    for _ in range(30):
        bench.open()
        effects = bench.tick(bench.now + 3.0)
        delays += [each.delay_s for each in effects if isinstance(each, Reopen)]

    assert delays[:4] == [0.2, 0.4, 0.8, 1.0]
    assert delays[-1] == 1.0


def test_welcome_joins_and_beats_at_once() -> None:
    """A welcome brings the first beat, so that the gateway soon has one to acknowledge."""
    bench = Bench()
    bench.open()
    bench.link.observe(load=Load(1.0, 2.0), warm=("sha256:0",))

    effects = bench.hear(welcome())

    beat = Heartbeat("s", 1, 2, (), Load(1.0, 2.0), ("sha256:0",))
    assert effects == [GatewayJoined("g", False), SendUp(beat)]
    assert bench.hear(welcome()) == []


def test_worker_with_too_many_scripts_tells_the_latest() -> None:
    """A worker stays within what a gateway takes: it leaves out those it has had longest."""
    bench = Bench()
    digests = tuple(f"sha256:{number:x}" for number in range(WARM_LIMIT_COUNT + 2))
    bench.link.observe(load=Load(), warm=digests)

    (hello,) = said(bench.open(), Hello)

    assert hello.warm == digests[2:]


def test_draining_worker_prepares_nothing() -> None:
    """What is asked for ahead of time is of no use to a worker that takes nothing new."""
    bench = Bench()
    bench.open()
    bench.hear(welcome())
    bench.hear(run())
    bench.call(bench.link.drain)

    assert bench.hear(Prepare(SPEC)) == []


def test_warm_is_told_until_it_is_known(bench: Bench) -> None:
    """Digests travel with every beat until one that carried them is acknowledged."""
    bench.link.observe(load=Load(), warm=("sha256:0",))

    first = said(bench.tick(1.25), Heartbeat)
    second = said(bench.tick(2.5), Heartbeat)
    bench.hear(GatewayHeartbeat("b1", second[0].seq))
    third = said(bench.tick(3.75), Heartbeat)

    assert [beat.warm for beat in (*first, *second, *third)] == [("sha256:0",)] * 2 + [None]


def test_beat_of_the_gateway_is_answered_at_once(bench: Bench) -> None:
    """Both sides beat in one go; a beat that has just left is not repeated."""
    first = bench.tick(1.0)
    answer = bench.hear(GatewayHeartbeat("b1", 1))
    bench.tick(1.1)
    again = bench.hear(GatewayHeartbeat("b1", 2))

    assert first == again == []
    assert [beat.seq for beat in said(answer, Heartbeat)] == [2]


def test_worker_beats_by_itself_when_the_gateway_is_late(bench: Bench) -> None:
    """A worker is heard in time, whether or not its gateway says anything."""
    effects = bench.tick(2.6)

    assert [beat.seq for beat in said(effects, Heartbeat)] == [2, 3]
    assert not [each for each in effects if isinstance(each, GatewayLost)]


def test_restarted_gateway_is_noticed(bench: Bench) -> None:
    """A beat of another boot asks for a new Hello; its Welcome says that it is another process."""
    asked = bench.hear(GatewayHeartbeat("b2", 0))
    joined = bench.hear(welcome(boot="b2"))

    assert [hello.connection for hello in said(asked, Hello)] == [2]
    assert joined[0] == GatewayJoined("g", True)


def test_who_brings_hello_once(bench: Bench) -> None:
    """A gateway that does not know the connection gets one Hello, not one per question."""
    first = bench.hear(Who())
    second = bench.hear(Who())
    beat = bench.hear(GatewayHeartbeat("b1", 1))

    assert len(said(first, Hello)) == 1
    assert second == beat == []


def test_silent_gateway_is_left(bench: Bench) -> None:
    """Three intervals of silence close the socket; what runs goes on."""
    bench.hear(run())

    effects = without_beats(bench.tick(3.0))

    assert effects == [GatewayLost(3.0), Reopen(0.2)]
    assert bench.link.running == (("t", 1),)
    assert bench.hear(welcome()) == []


def test_reject_ends_the_worker(bench: Bench) -> None:
    """A gateway that will never take this worker ends it, with its reason."""
    assert bench.hear(Reject("protocol", "speak 2")) == [Exit("protocol", "speak 2")]


def test_welcome_ends_what_is_not_kept(bench: Bench) -> None:
    """Attempts from before the connection that the Welcome does not list must end."""
    for name in ("t1", "t2"):
        bench.hear(run(name))
    bench.call(bench.link.started, "t1", 1)
    bench.call(bench.link.emit, "t1", 1, LOG[:1])
    hello = said(bench.hear(Who()), Hello)[0]
    bench.call(bench.link.emit, "t1", 1, LOG[1:2])

    effects = bench.hear(welcome(("t1", 1)))
    beats = said(effects, Heartbeat)
    ended = bench.call(bench.link.finished, "t2", 1, OK)

    assert hello.running == (("t1", 1), ("t2", 1))
    assert without_beats(effects) == [
        GatewayJoined("g", False),
        SendUp(Started("t1", 1)),
        SendUp(Events("t1", 1, 1, LOG[1:2])),
        Stop("t2", 1, OutcomeCode.CANCELLED, False),
    ]
    assert beats[0].running == (("t1", 1), ("t2", 1))  # it fills its slot until it has ended
    assert ended == [SendUp(Refused("t2", 1, "stale"))]


def test_run_that_overtakes_the_welcome_is_kept() -> None:
    """A Run of this connection is newer than the Welcome that cannot list it."""
    bench = Bench()
    bench.open()
    started = bench.hear(run(ack=0))

    effects = bench.hear(welcome())

    assert started == [Assignment("t", 1, SPEC, b"{}")]
    assert not [each for each in effects if isinstance(each, Stop)]


# ---- attempts ------------------------------------------------------------------------


def test_run_starts_with_the_remaining_time(bench: Bench) -> None:
    """The rest of the task's life is counted from the moment the Run is heard."""
    bench.now = 0.5

    effects = bench.hear(Run("t", 1, 1, 1500, 0, SPEC, b"{}"))

    assert effects == [Assignment("t", 1, SPEC, b"{}", 2.0)]


def test_what_a_run_says_is_passed_on(bench: Bench) -> None:
    """Whose it is and what it may; and whether another may begin once it is told to be over."""
    effects = bench.hear(
        Run("t", 1, 1, None, 9000, SPEC, b"[1]", {"KEY": "x"}, "abc", "c", ("a.example",))
    )

    assert effects == [
        Assignment(
            "t", 1, SPEC, b"[1]", None, True, {"KEY": "x"}, "abc", "c", False, ("a.example",)
        )
    ]


def test_whole_attempt(bench: Bench) -> None:
    """Start, records and outcome go up; the outcome is kept until it is stored."""
    bench.hear(run())

    assert bench.call(bench.link.started, "t", 1) == [SendUp(Started("t", 1))]
    assert bench.call(bench.link.emit, "t", 1, LOG[:2]) == [SendUp(Events("t", 1, 0, LOG[:2]))]
    assert bench.call(bench.link.finished, "t", 1, OK) == [SendUp(Done("t", 1, OK, 2))]
    assert bench.link.running == ()
    assert said(bench.stay(2.5), Done) == [Done("t", 1, OK, 2)]
    bench.hear(Stored((("t", 1),)))
    assert said(bench.stay(9.0), Done) == []
    assert bench.hear(Stored((("t", 1),))) == []


def test_start_is_told_once(bench: Bench) -> None:
    """No Started is sent for an attempt whose records came first: they imply it."""
    bench.hear(run())
    bench.call(bench.link.emit, "t", 1, LOG[:1])

    assert bench.call(bench.link.started, "t", 1) == []
    assert bench.call(bench.link.started, "gone", 1) == []


def test_what_an_attempt_says_while_the_link_is_down_tells_its_start(bench: Bench) -> None:
    """A Welcome that keeps it is answered by its start and what it has said."""
    bench.hear(run())
    bench.hear(Who())
    bench.call(bench.link.emit, "t", 1, LOG[:1])
    told = bench.hear(welcome(("t", 1)))

    assert said(told, Started) == [Started("t", 1)]
    assert said(told, Events) == [Events("t", 1, 0, LOG[:1])]


def test_start_of_a_disowned_attempt_is_not_told(bench: Bench) -> None:
    """An attempt that a new Welcome does not keep has nothing more to tell."""
    bench.hear(run())
    bench.call(bench.link.started, "t", 1)
    bench.hear(Who())
    bench.hear(welcome())

    assert said(bench.stay(1.0), Started) == []


def test_drained_worker_does_not_wait_for_a_dead_gateway(bench: Bench) -> None:
    """An outcome that nobody acknowledges keeps a draining worker only until it is sure."""
    bench.hear(run())
    bench.call(bench.link.drain)
    bench.call(bench.link.finished, "t", 1, OK)

    effects = bench.tick(3.0)

    assert effects[-2:] == [GatewayLost(3.0), Exit("drained")]


def test_many_records_go_in_frames_of_bounded_size(bench: Bench) -> None:
    """What was said while the link was down leaves in pieces, never in one giant frame."""
    bench.hear(run())
    bench.hear(Who())
    big = tuple(Record("item", 0.0, b"7" * (EVENTS_LIMIT_BYTES // 3)) for _ in range(10))
    bench.call(bench.link.emit, "t", 1, big)
    bench.call(bench.link.finished, "t", 1, OK)

    effects = bench.hear(welcome(("t", 1)))

    events = said(effects, Events)
    assert [event.first_index for event in events] == [0, 3, 6, 9]
    assert [record for event in events for record in event.records] == list(big)
    assert said(effects, Done) == [Done("t", 1, OK, 10)]


def test_double_run_is_ignored(bench: Bench) -> None:
    """A doubled Run starts nothing; once its outcome is owed, it is told again."""
    bench.hear(run())
    running = bench.hear(run())
    bench.call(bench.link.finished, "t", 1, OK)
    owed = bench.hear(run())
    bench.hear(Stored((("t", 1),)))
    ended = bench.hear(run())

    assert running == ended == []
    assert owed == [SendUp(Done("t", 1, OK))]


def test_attempts_are_forgotten_in_the_end(bench: Bench) -> None:
    """The memory against doubled Runs is bounded by time."""
    bench.hear(run())
    bench.call(bench.link.finished, "t", 1, OK)
    bench.hear(Stored((("t", 1),)))

    bench.stay(59.0)
    assert bench.hear(run()) == []
    bench.stay(130.0)
    assert bench.hear(run()) == [Assignment("t", 1, SPEC, b"{}")]


def test_more_runs_than_slots_are_refused(bench: Bench) -> None:
    """A race of gateways for the last slot ends in a refusal, never in too many attempts."""
    for name in ("t1", "t2"):
        bench.hear(run(name))

    assert bench.hear(run("t3")) == [SendUp(Refused("t3", 1, "full"))]
    bench.call(bench.link.finished, "t1", 1, OK)
    assert bench.hear(run("t3")) == []  # refused for good: its task has moved on


def test_gap_is_filled(bench: Bench) -> None:
    """Records that the gateway misses are sent again, with the outcome once there is one."""
    bench.hear(run())
    bench.call(bench.link.emit, "t", 1, LOG[:3])
    during = bench.hear(Ack("t", 1, "resend", 1))
    bench.call(bench.link.finished, "t", 1, OK)
    after = bench.hear(Ack("t", 1, "resend", 2))
    beyond = bench.hear(Ack("t", 1, "resend", 99))
    unknown = bench.hear(Ack("x", 1, "resend", 0))

    assert during == [SendUp(Events("t", 1, 1, LOG[1:3]))]
    assert after == [SendUp(Done("t", 1, OK, 2, LOG[2:3]))]
    assert beyond == [SendUp(Done("t", 1, OK, 3))]
    assert unknown == []


def test_each_outcome_is_repeated_at_its_own_time(bench: Bench) -> None:
    """One that was sent later is missed later."""
    bench.hear(run("t"))
    bench.hear(run("u"))
    bench.call(bench.link.finished, "t", 1, OK)
    bench.stay(1.0)
    bench.call(bench.link.finished, "u", 1, OK)

    first = said(bench.stay(2.5), Done)
    second = said(bench.stay(3.5), Done)

    assert first == [Done("t", 1, OK)]
    assert second == [Done("u", 1, OK)]


def test_each_moment_is_told_as_it_comes() -> None:
    """Also where nothing else is due for long: what beats rarely is not late with the rest."""
    bench = Bench()
    bench.open()
    bench.hear(Welcome("g", "b1", 100_000, 3, 1_000_000))
    far = bench.link.due_at
    bench.hear(run("t"))
    bench.tick(1.0)
    resting = bench.link.due_at
    bench.call(bench.link.finished, "t", 1, OK)
    repeated_by = bench.link.due_at
    bench.hear(Stored((("t", 1),)))
    bench.tick(5.0)
    bench.hear(run("u", lease_ms=20_000))
    fenced_by = bench.link.due_at

    assert far == resting == 60.0  # then it forgets what it has seen
    assert repeated_by == 1.0 + link_module.RESEND_S
    assert fenced_by == 16.0


def test_outcome_of_a_cut_link_comes_with_the_welcome(bench: Bench) -> None:
    """What ended while the link was down is named in Hello and sent after Welcome."""
    bench.hear(run())
    bench.tick(3.0)
    bench.call(bench.link.started, "t", 1)
    bench.call(bench.link.emit, "t", 1, LOG[:1])
    silent = bench.call(bench.link.finished, "t", 1, OK)

    hello = said(bench.open(), Hello)[0]
    effects = bench.hear(welcome())

    assert silent == []
    assert hello.finished == (("t", 1),)
    assert said(effects, Done) == [Done("t", 1, OK, 0, LOG[:1])]


def test_cancel_stops_once(bench: Bench) -> None:
    """Cancel is repeated by the gateway; the attempt is stopped once, with the code given."""
    bench.hear(run())

    first = bench.hear(Cancel("t", 1, OutcomeCode.TIMEOUT))
    second = bench.hear(Cancel("t", 1))
    bench.call(bench.link.finished, "t", 1, OK)
    third = bench.hear(Cancel("t", 1))

    assert first == [Stop("t", 1, OutcomeCode.TIMEOUT, True)]
    assert second == []
    assert third == [SendUp(Done("t", 1, OK))]


def test_cancel_that_overtakes_its_run(bench: Bench) -> None:
    """An attempt that was cancelled before it came never starts, and the gateway hears so."""
    cancelled = bench.hear(Cancel("t", 1))

    assert cancelled == [SendUp(Refused("t", 1, "stale"))]
    assert bench.hear(run()) == []


def test_refused_by_the_worker_itself(bench: Bench) -> None:
    """The worker may find only later that it cannot run a script; a second time is too late."""
    bench.hear(run())
    outcome = Outcome(OutcomeCode.ENVIRONMENT_ERROR)

    first = bench.call(bench.link.refuse, "t", 1, "cannot", outcome)
    second = bench.call(bench.link.refuse, "t", 1, "cannot", outcome)

    assert first == [SendUp(Refused("t", 1, "cannot", outcome))]
    assert second == []


def test_unknown_attempts_are_not_told_of(bench: Bench) -> None:
    """What the worker says of an attempt that is not its own goes nowhere."""
    assert bench.call(bench.link.started, "x", 1) == []
    assert bench.call(bench.link.emit, "x", 1, LOG) == []
    assert bench.call(bench.link.finished, "x", 1, OK) == []


def test_attempt_that_runs_has_no_outcome_to_send() -> None:
    """Telling an outcome before there is one is an impossible state, and is said to be."""
    with pytest.raises(AssertionError, match="has not ended"):
        Errand(run(), 1).done()


# ---- leases --------------------------------------------------------------------------


def test_attempt_with_a_lock_is_fenced_before_its_lease_ends(bench: Bench) -> None:
    """Without an acknowledged beat that lists it, an attempt is ended in good time."""
    bench.hear(run(lease_ms=10_000))

    alive = bench.stay(7.5, ack=False)
    fenced = bench.stay(8.0, ack=False)
    late = bench.call(bench.link.emit, "t", 1, LOG)
    ended = bench.call(bench.link.finished, "t", 1, OK)

    assert not [each for each in alive if isinstance(each, AttemptFenced)]
    assert AttemptFenced("t", 1) in fenced
    assert Stop("t", 1, OutcomeCode.CANCELLED, False) in fenced
    assert late == []
    assert ended == [SendUp(Refused("t", 1, "stale"))]


def test_acknowledged_beats_renew_the_lease(bench: Bench) -> None:
    """As long as the gateway acknowledges beats that list it, an attempt goes on."""
    bench.hear(run(lease_ms=10_000))
    bench.hear(run("free"))

    effects = bench.stay(40.0)

    assert not [each for each in effects if isinstance(each, AttemptFenced)]


def test_ended_attempt_needs_no_renewal(bench: Bench) -> None:
    """An acknowledgement of a beat that listed what has ended since changes nothing."""
    bench.hear(run(lease_ms=10_000))
    beat = said(bench.tick(1.25), Heartbeat)[0]
    bench.call(bench.link.finished, "t", 1, OK)

    assert bench.hear(GatewayHeartbeat("b1", beat.seq)) == []


def test_run_on_old_evidence_is_refused(bench: Bench) -> None:
    """A Run with a lease that travelled longer than the lease may be somebody else's by now."""
    bench.stay(10.5)

    assert bench.hear(run(ack=1, lease_ms=10_000)) == [SendUp(Refused("t", 1, "stale"))]
    assert bench.hear(run("u", ack=1)) == [Assignment("u", 1, SPEC, b"{}")]


# ---- questions, draining, leaving ----------------------------------------------------


def test_worker_gets_ready_unless_it_is_leaving(bench: Bench) -> None:
    """What will soon be asked for is made ready; a worker that drains needs it no more."""
    ready = bench.hear(Prepare(SPEC))
    bench.call(bench.link.drain)
    late = bench.hear(Prepare(SPEC))

    assert ready == [Ready(SPEC)]
    assert late == []


def test_need_is_asked_until_it_is_given(bench: Bench) -> None:
    """A question is repeated until its answer comes; a second answer is nobody's."""
    number, asked = bench.link.need("script", "sha256:0", now=0.0)
    second, _ = bench.link.need("script", "sha256:1", now=0.0)

    repeated = bench.stay(2.0)
    given = bench.hear(Give(number, b"bytes"))
    bench.hear(Give(second, None))

    assert asked == [SendUp(Need(number, "script", "sha256:0"))]
    assert [need.request for need in said(repeated, Need)] == [number, second]
    assert given == [Given(number, b"bytes")]
    assert bench.hear(Give(number, b"bytes")) == []
    assert said(bench.stay(9.0), Need) == []


def test_need_of_a_cut_link_is_asked_after_the_welcome() -> None:
    """A question while nobody listens waits for somebody who does."""
    bench = Bench()
    bench.open()
    number, asked = bench.link.need("script", "sha256:0", now=0.0)

    effects = bench.hear(welcome())

    assert asked == []
    assert said(effects, Need) == [Need(number, "script", "sha256:0")]


def test_drained_worker_exits_when_all_is_acknowledged(bench: Bench) -> None:
    """Nothing new is taken; the worker goes when nothing runs and every outcome is stored."""
    bench.hear(run())

    draining = bench.call(bench.link.drain)
    refused = bench.hear(run("t2"))
    done = bench.call(bench.link.finished, "t", 1, OK)
    gone = bench.hear(Stored((("t", 1),)))

    assert [beat.limit for beat in said(draining, Heartbeat)] == [0]
    assert refused == [SendUp(Refused("t2", 1, "draining"))]
    assert done == [SendUp(Done("t", 1, OK))]
    assert gone == [SendUp(Goodbye("s")), Exit("drained")]
    assert bench.tick(9.0) == []


def test_idle_worker_drains_at_once_even_without_a_gateway() -> None:
    """A worker with nothing to wait for exits, joined or not."""
    bench = Bench()

    assert bench.call(bench.link.drain) == [Exit("drained")]


def test_operator_drains_and_resumes(bench: Bench) -> None:
    """An operator's drain is no exit: the worker waits for its resumption, told any way."""
    drained = bench.hear(Drain(True))
    refused = bench.hear(run("t1"))
    resumed = bench.hear(Drain(False))
    by_beat = bench.hear(GatewayHeartbeat("b1", 1, 0, True))
    still = bench.hear(run("t2"))
    greeting = bench.hear(Who()) + bench.hear(Drain(False))

    assert [beat.limit for beat in said(drained, Heartbeat)] == [0]
    assert said(refused, Refused) == [Refused("t1", 1, "draining")]
    assert [beat.limit for beat in said(resumed, Heartbeat)] == [2]
    assert by_beat == []
    assert said(still, Refused) == [Refused("t2", 1, "draining")]
    assert said(greeting, Heartbeat) == []
    assert said(bench.hear(welcome(is_draining=True)), Heartbeat)[0].limit == 0


def test_full_outbox_declines_new_work(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outcomes that nobody takes must not fill the memory: no new work until they are gone."""
    monkeypatch.setattr(link_module, "OUTBOX_LIMIT_BYTES", 100)
    bench.hear(run())
    bench.call(bench.link.emit, "t", 1, (Record("item", 0.0, b"x" * 60),))
    bench.call(bench.link.finished, "t", 1, Outcome(OutcomeCode.OK, data=b"x" * 60))

    full = said(bench.tick(1.25), Heartbeat)
    bench.hear(Ack("t", 1, "stale"))
    emptied = said(bench.tick(2.5), Heartbeat)

    assert [beat.limit for beat in (*full, *emptied)] == [0, 2]


def test_leave_says_goodbye(bench: Bench) -> None:
    """A worker that leaves says so, and hears nothing more."""
    assert bench.call(bench.link.leave) == [SendUp(Goodbye("s")), Exit("left")]
    assert bench.call(bench.link.leave) == []
    assert bench.hear(run()) == []
    assert bench.call(bench.link.drain) == []


# ---- slots shared among gateways -------------------------------------------------------


def test_granted_slots_are_told_and_kept(bench: Bench) -> None:
    """The gateway hears at once what it may have; what it sends beyond that is refused."""
    told = bench.call(bench.link.grant, 1)
    same = bench.call(bench.link.grant, 1)
    bench.hear(run("a"))
    beyond = bench.hear(run("b"))

    assert [beat.limit for beat in said(told, Heartbeat)] == [1]
    assert same == []
    assert beyond == [SendUp(Refused("b", 1, "full"))]
    assert bench.link.granted_count == 1
    assert bench.link.side == Side(1, 0, is_joined=True)


def test_what_is_granted_before_joining_is_told_in_hello() -> None:
    """Before a gateway has answered there is nobody to tell; Hello says it, and the facts."""
    bench = Bench(slots=2)
    silent = bench.call(bench.link.grant, 1)
    bench.link.introduce(WorkerFacts(hostname="known now"))
    opened = bench.open()
    (hello,) = said(opened, Hello)

    assert silent == []
    assert (hello.limit, hello.facts.hostname) == (1, "known now")
    assert not bench.link.side.is_joined


def test_demand_of_a_gateway_is_known(bench: Bench) -> None:
    """How many tasks wait at a gateway comes with its beats; one that drains us wants nothing."""
    bench.hear(GatewayHeartbeat("b1", 0, 7))
    wanting = bench.link.side
    bench.hear(GatewayHeartbeat("b1", 0, 7, is_draining=True))

    assert wanting == Side(0, 7, is_joined=True)
    assert not bench.link.side.is_joined


def test_fenced_attempt_is_not_ended_twice(bench: Bench) -> None:
    """An attempt that was fenced and is not kept at the next welcome is being ended already."""
    bench.hear(run(lease_ms=10_000))
    bench.stay(8.0, ack=False)
    bench.tick(30.0)
    bench.open()
    welcomed = bench.hear(welcome())

    assert not [each for each in welcomed if isinstance(each, Stop)]


# ---- what attempts ask ---------------------------------------------------------------

ASK = Ask("t", 1, 7, "state", b"{}")
TELL = Tell("t", 1, 7, b'"answer"')


def test_question_is_repeated_until_it_is_answered(bench: Bench) -> None:
    """What is lost is asked again; only the first answer reaches the script."""
    bench.hear(run())
    first = said(bench.call(bench.link.ask, ASK), Ask)
    again = said(bench.stay(2 * ASK_AGAIN_S + 0.1), Ask)
    told = [effect for effect in bench.hear(TELL) if isinstance(effect, Told)]
    twice = bench.hear(TELL)
    later = said(bench.stay(bench.now + 3 * ASK_AGAIN_S), Ask)

    assert first == [ASK]
    assert again == [ASK, ASK]
    assert told == [Told(TELL)]
    assert twice == []
    assert later == []


def test_question_of_a_cut_link_is_asked_over_the_next_one(bench: Bench) -> None:
    """A gateway that comes back hears at once what is still to be answered."""
    bench.hear(run())
    bench.stay(5.0, ack=False)
    bench.tick(9.0)  # it is silent, so the socket is given up
    unheard = said(bench.call(bench.link.ask, ASK), Ask)
    bench.open()
    heard = said(bench.hear(welcome(("t", 1), boot="b2")), Ask)

    assert unheard == []
    assert heard == [ASK]


def test_question_ends_with_its_attempt(bench: Bench) -> None:
    """Nobody is told what an attempt that is over has asked, nor is it asked again."""
    bench.hear(run())
    bench.call(bench.link.ask, ASK)
    bench.call(bench.link.finished, "t", 1, OK)
    again = said(bench.stay(2 * ASK_AGAIN_S), Ask)

    assert again == []
    assert bench.hear(TELL) == []
    assert bench.call(bench.link.ask, ASK) == []


def test_question_of_an_attempt_that_nobody_wants_is_not_asked(bench: Bench) -> None:
    """An attempt that is being ended for a gateway that gave it away has no say there."""
    bench.hear(run())
    bench.hear(Ack("t", 1, "stale"))
    bench.call(bench.link.opened)
    bench.hear(welcome())

    assert said(bench.call(bench.link.ask, ASK), Ask) == []


def test_question_goes_with_an_attempt_to_another_gateway(bench: Bench) -> None:
    """The gateway that takes an attempt over is asked what the other one has not answered."""
    bench.hear(run())
    bench.call(bench.link.ask, ASK)
    errand = bench.link.part(("t", 1))
    other = Bench()
    other.open()
    other.hear(welcome())
    assert errand is not None
    other.call(other.link.take, errand)
    asked = said(other.tick(0.0), Ask)

    assert asked == [ASK]
    assert [type(each) for each in other.hear(TELL)] == [Told]
