"""Speed of the dispatcher alone: whole task lives per second, no sockets.

    python -m bench --only dispatcher

A life is submit, Run, Started, Done. Measured at 10 workers, at 1,000 workers, and at 10
workers with 10,000 blocked tasks beside (half behind a lock, half for a tag nobody has).
Rounds are interleaved and clocked in processor time, so that the machine's mood touches all
alike; medians are told.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections import deque

from zscrape.core.dispatcher import Dispatcher
from zscrape.core.effects import Send
from zscrape.model import (
    HeartbeatPolicy,
    LockRequest,
    Outcome,
    OutcomeCode,
    Overlap,
    Pin,
    QueuePolicy,
    RunSpec,
    TaskSpec,
)
from zscrape.wire import PROTOCOL, Done, Hello, Run, Started

RUN = RunSpec(Pin("samples", "noop", "1.0.0", "sha256:" + "0" * 64))
OK = Outcome(OutcomeCode.OK, data=b"{}")
SLOT_COUNT = 4
LIFE_COUNT = 20_000
ROUND_COUNT = 5
BLOCKED_COUNT = 10_000
IN_FLIGHT_COUNT = 16


def cluster(worker_count: int, blocked_count: int) -> Dispatcher:
    """Return a dispatcher with idle workers, and tasks that none of them can run."""
    dispatcher = Dispatcher(
        gateway_id="bench", boot="1", heartbeat=HeartbeatPolicy(), queue=QueuePolicy()
    )
    for number in range(worker_count):
        hello = Hello(PROTOCOL, f"w{number}", "1", SLOT_COUNT, SLOT_COUNT, ("linux",))
        dispatcher.receive(b"%d" % number, hello, now=0.0)
    for number in range(blocked_count):
        is_locked = number % 2 == 0
        blocked = TaskSpec(
            id=f"blocked-{number}",
            run=RUN,
            requires=frozenset() if is_locked else frozenset({"absent"}),
            lock=LockRequest("key", Overlap.QUEUE_ALL) if is_locked else None,
        )
        dispatcher.submit(blocked, now=0.0)
    return dispatcher


def lives_per_s(dispatcher: Dispatcher, name: str) -> float:
    """Run `LIFE_COUNT` lives, `IN_FLIGHT_COUNT` at a time, and return their rate.

    What the client and the workers say is made before the clock starts, as far as it can be.
    """
    specs = [
        TaskSpec(id=f"{name}-{number}", run=RUN, deadline_s=300.0) for number in range(LIFE_COUNT)
    ]
    flying: deque[tuple[bytes, Run]] = deque()
    gc.collect()
    begin = time.process_time()
    for number, spec in enumerate(specs):
        now = number * 1e-5
        for effect in dispatcher.submit(spec, now=now):
            if type(effect) is Send and type(effect.message) is Run:
                flying.append((effect.peer, effect.message))
        if len(flying) >= IN_FLIGHT_COUNT:
            _answer(dispatcher, flying, now)
    while flying:
        _answer(dispatcher, flying, LIFE_COUNT * 1e-5)
    return LIFE_COUNT / (time.process_time() - begin)


def _answer(dispatcher: Dispatcher, flying: deque[tuple[bytes, Run]], now: float) -> None:
    peer, run = flying.popleft()
    dispatcher.receive(peer, Started(run.task_id, run.attempt), now=now)
    for effect in dispatcher.receive(peer, Done(run.task_id, run.attempt, OK), now=now):
        if type(effect) is Send and type(effect.message) is Run:
            flying.append((effect.peer, effect.message))


def measure() -> dict[str, float]:
    """Return the rates, and those of the big clusters as shares of the small one's."""
    cases = {"10_workers": (10, 0), "1000_workers": (1000, 0), "blocked": (10, BLOCKED_COUNT)}
    rates: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(ROUND_COUNT):
        for name, (worker_count, blocked_count) in cases.items():
            dispatcher = cluster(worker_count, blocked_count)
            rates[name].append(lives_per_s(dispatcher, f"{name}-{number}"))
    medians = {f"lives_per_s_{name}": statistics.median(rates[name]) for name in cases}
    base = medians["lives_per_s_10_workers"]
    return {
        **medians,
        "share_1000_workers": medians["lives_per_s_1000_workers"] / base,
        "share_blocked": medians["lives_per_s_blocked"] / base,
    }
