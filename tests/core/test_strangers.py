"""Peers that say anything that can be read: nothing breaks, and every invariant holds."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings, strategies as st

from tests.core.rig import HEARTBEAT, spec
from zscrape.core.dispatcher import Dispatcher
from zscrape.core.link import WorkerLink
from zscrape.errors.requests import LockHeld
from zscrape.model import (
    LockRequest,
    Outcome,
    OutcomeCode,
    Overlap,
    Pin,
    QueuePolicy,
    ReconnectPolicy,
    Record,
    RunSpec,
    WorkerFacts,
)
from zscrape.wire import (
    Ack,
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
    Welcome,
    Who,
    WorkerMessage,
)

TASKS = st.sampled_from(["t0", "t1", "t2", "t3"])
NUMBERS = st.integers(-1, 3)
ATTEMPTS = st.tuples(TASKS, NUMBERS)
LISTS = st.lists(ATTEMPTS, max_size=3).map(tuple)
SESSIONS = st.sampled_from(["s1", "s2"])
DIGESTS = st.lists(st.sampled_from(["sha256:0", "sha256:1"]), max_size=2).map(tuple)
RECORDS = st.lists(st.just(Record("log", 0.0, b"1")), max_size=3).map(tuple)
OUTCOMES = st.sampled_from([OutcomeCode.OK, OutcomeCode.BLOCKED]).map(Outcome)

FROM_WORKERS = st.one_of(
    st.builds(
        Hello,
        st.sampled_from([1, 1, 1, 2]),
        st.sampled_from(["a", "b"]),
        SESSIONS,
        NUMBERS,
        NUMBERS,
        running=LISTS,
        finished=LISTS,
        warm=DIGESTS,
        is_draining=st.booleans(),
        connection=NUMBERS,
    ),
    st.builds(Heartbeat, SESSIONS, st.integers(-1, 9), NUMBERS, LISTS, warm=st.none() | DIGESTS),
    st.builds(Started, TASKS, NUMBERS),
    st.builds(Events, TASKS, NUMBERS, NUMBERS, RECORDS),
    st.builds(Done, TASKS, NUMBERS, OUTCOMES, NUMBERS, RECORDS),
    st.builds(
        Refused,
        TASKS,
        NUMBERS,
        st.sampled_from(["full", "draining", "cannot", "stale"]),
        st.none() | OUTCOMES,
    ),
    st.builds(Need, NUMBERS, st.just("script"), st.just("sha256:0")),
    st.builds(Goodbye, SESSIONS),
)
FROM_GATEWAYS = st.one_of(
    st.builds(
        Welcome,
        st.just("g"),
        st.sampled_from(["b1", "b2"]),
        st.integers(1, 2000),
        st.integers(1, 3),
        st.integers(0, 20_000),
        LISTS,
        st.booleans(),
    ),
    st.builds(GatewayHeartbeat, st.sampled_from(["b1", "b2"]), NUMBERS, NUMBERS, st.booleans()),
    st.builds(
        Run,
        TASKS,
        NUMBERS,
        NUMBERS,
        st.none() | st.integers(-1, 5000),
        st.sampled_from([0, 5000]),
        st.just(RunSpec(Pin("r", "n", "1", "sha256:0"))),
        st.just(b"{}"),
    ),
    st.builds(Cancel, TASKS, NUMBERS),
    st.builds(Drain, st.booleans()),
    st.builds(Give, NUMBERS, st.none()),
    st.builds(Prepare, st.just(RunSpec(Pin("r", "n", "1", "sha256:0")))),
    st.builds(Stored, st.lists(st.tuples(TASKS, NUMBERS), max_size=3).map(tuple)),
    st.builds(Ack, TASKS, NUMBERS, st.sampled_from(["stale", "resend"]), NUMBERS),
    st.builds(Who),
    st.builds(Reject, st.just("no")),
)


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"p1", b"p2", b"p3"]), FROM_WORKERS, st.sampled_from([0.0, 0.3, 2.0])
        ),
        max_size=40,
    )
)
def test_dispatcher_survives_any_worker(said: list[tuple[bytes, WorkerMessage, float]]) -> None:
    """Whatever workers say, in whatever order, the invariants hold and time goes on."""
    dispatcher = Dispatcher(gateway_id="g", boot="b", heartbeat=HEARTBEAT, queue=QueuePolicy())
    lock = LockRequest("k", Overlap.QUEUE_ONE)
    asked: list[dict[str, Any]] = [
        {},
        {"lock": lock},
        {"deadline_s": 3.0},
        {"lock": lock, "digest": "sha256:1"},
    ]
    now = 0.0
    for number, (peer, message, pause_s) in enumerate(said):
        if number % 3 == 0 and number // 3 < len(asked):
            try:
                dispatcher.submit(spec(f"t{number // 3}", **asked[number // 3]), now=now)
            except LockHeld:
                assert number // 3 == 3
        now += pause_s
        dispatcher.tick(now=now)
        dispatcher.check()
        dispatcher.receive(peer, message, now=now)
        dispatcher.check()


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(FROM_GATEWAYS, st.sampled_from(["", "finish", "open"]), st.sampled_from([0, 2])),
        max_size=40,
    )
)
def test_link_survives_any_gateway(said: list[tuple[GatewayMessage, str, float]]) -> None:
    """Whatever a gateway says, a worker never runs more than its slots, and time goes on."""
    link = WorkerLink(
        worker_id="w",
        session="s",
        slots=2,
        tags=(),
        facts=WorkerFacts(),
        reconnect=ReconnectPolicy(),
        spread=0.5,
    )
    now = 0.0
    link.opened(now=now)
    for message, deed, pause_s in said:
        now += pause_s
        link.tick(now=now)
        if deed == "open":
            link.opened(now=now)
        elif deed == "finish" and link.running:
            link.finished(*link.running[0], Outcome(OutcomeCode.OK), now=now)
        link.receive(message, now=now)
        link.check()
