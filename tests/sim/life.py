"""A whole cluster in one process: a list for the network, a float for the clock.

`run_life(seed)` joins one Dispatcher (with a durable store behind it, which commits a moment
later) and several WorkerLinks, and lets chaos loose on them: messages are dropped, doubled,
delayed and reordered, links cut one way or both, workers crash, freeze, drain and leave, the
gateway crashes, loses what was not committed and comes back. Then the cluster heals, and
everything accepted must end.

Safety, held at every step: a task has one last word; records are told once and in order,
and those of the winning attempt completely; a worker never runs more than its slots; two
attempts under one key never run at once (unless a frozen worker could not end its own); an
attempt starts at most once, and what it asks is answered once; no worker is told to forget
an outcome that a crash of the gateway could still lose; `check()` of every machine. A failing
life tells its seed and its history.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from typing import Any

from tests.sim.chaos import Chaos, Misfortunes
from tests.sim.ensure import ensure
from tests.sim.gateway import DispatcherFactory, SimGateway
from tests.sim.worker import Child, SimWorker
from zscrape.core.dispatcher import Dispatcher
from zscrape.model import Attempt, Load

CHAOS_S = 20.0
# After healing: lost workers, leases, retries and the longest script, one after the other,
# as often as a task may lose its worker.
LIVENESS_S = 150.0
HISTORY_COUNT = 400


class Life:
    """One random life of one cluster."""

    def __init__(self, seed: int, dispatcher_factory: DispatcherFactory) -> None:
        self.rng = rng = random.Random(seed)
        self.now = 0.0
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.event_count = 0
        self.history: deque[tuple[float, str, Any]] = deque(maxlen=HISTORY_COUNT)
        self.started: set[Attempt] = set()
        self.gateway = SimGateway(self, dispatcher_factory)
        self.chaos = Chaos(
            drop=rng.choice((0.0, 0.05, 0.3)),
            double=rng.choice((0.0, 0.1)),
            delay_s=rng.choice((0.01, 0.1, 1.0)),
            is_ordered=rng.random() < 0.5,
        )
        self.misfortunes = Misfortunes(self)
        tags = ((), ("kr",), ("kr", "fast"))
        self.workers = [
            SimWorker(self, f"w{number}", rng.choice((1, 1, 2, 4)), rng.choice(tags))
            for number in range(rng.randint(1, 4))
        ]

    # ---- the world -------------------------------------------------------------------

    def ensure_alone(self, child: Child) -> None:
        """Two attempts under one key never run at once."""
        if child.key is None or child.is_tainted:
            return
        for worker in self.workers:
            for other in worker.children.values():
                is_overlap = other.key == child.key and not other.is_tainted
                ensure(not is_overlap, f"{child.attempt} overlaps {other.attempt}")

    def note(self, who: str, what: Any) -> None:
        """Remember what happened, for the one who reads a failing seed."""
        self.history.append((self.now, who, what))

    def at(self, delay_s: float, call: Callable[[], None]) -> None:
        """Let something happen later."""
        self.event_count += 1
        heappush(self.events, (self.now + delay_s, self.event_count, call))

    def run_until(self, end: float, is_done: Callable[[], bool] | None = None) -> None:
        """Let time pass, event by event."""
        standstill_count = 0
        while is_done is None or not is_done():
            at, step = self.next_step()
            if at > end:
                self.now = max(self.now, end)
                return
            standstill_count = 0 if at > self.now else standstill_count + 1
            ensure(standstill_count < 1000, "time stands still: a machine is always due")
            self.now = max(self.now, at)
            step()

    def next_step(self) -> tuple[float, Callable[[], None]]:
        """Return the moment of the next thing that happens anywhere, and the thing."""
        best = self.events[0][0] if self.events else float("inf")
        step: Callable[[], None] = self.pop_event
        if self.gateway.dispatcher is not None:
            deadline = self.gateway.dispatcher.next_deadline()
            if deadline is not None and deadline < best:
                best, step = deadline, self.gateway.tick
        for worker in self.workers:
            if worker.is_up and not worker.is_frozen:
                deadline = worker.link.next_deadline()
                if deadline is not None and deadline < best:
                    best, step = deadline, worker.tick
        return best, step

    def pop_event(self) -> None:
        """Let the first event happen."""
        heappop(self.events)[2]()

    # ---- the network -----------------------------------------------------------------

    def carry(self, worker: SimWorker, way: str, deliver: Callable[[], None]) -> None:
        """Carry one message, or lose it, or carry it twice."""
        rng, chaos = self.rng, self.chaos
        if rng.random() < chaos.drop:
            return
        for _ in range(2 if rng.random() < chaos.double else 1):
            at = self.now + 0.001 + rng.expovariate(1 / chaos.delay_s)
            if chaos.is_ordered:
                at = max(at, worker.arrives_at[way] + 1e-6)
                worker.arrives_at[way] = at
            self.at(at - self.now, deliver)

    def send_up(self, worker: SimWorker, message: Any) -> None:
        """Carry a worker's message to the gateway that is up now, not to a later one."""
        peer, boot_count = worker.peer, self.gateway.boot_count

        def deliver() -> None:
            if worker.is_cut_up or boot_count != self.gateway.boot_count:
                return
            self.note("gateway", message)
            self.gateway.call(lambda gateway: gateway.receive(peer, message, now=self.now))

        self.carry(worker, "up", deliver)

    def send_down(self, peer: bytes, message: Any) -> None:
        """Carry a gateway's message to a connection; one that is closed is unreachable."""
        worker = next(each for each in self.workers if peer.startswith(each.name.encode() + b"#"))
        link = worker.link
        if not worker.is_open or worker.peer != peer:
            self.at(0.0, partial(self.gateway.unreachable, peer))
            return

        def deliver() -> None:
            if worker.is_cut_down or not worker.is_open or worker.peer != peer:
                return
            self.note(worker.name, message)
            worker.soon(lambda: link.receive(message, now=self.now), link)

        self.carry(worker, "down", deliver)

    # ---- a life ----------------------------------------------------------------------

    def live(self) -> None:
        """Chaos, then healing, then the end of every task and of every trace of them."""
        rng = self.rng
        for _ in range(rng.randint(3, 16)):
            self.at(rng.uniform(0, CHAOS_S), self.gateway.submit)
        for _ in range(rng.randint(1, 10)):
            self.at(rng.uniform(0, CHAOS_S), self.misfortunes.misfortune)
        for worker in self.workers:
            load = Load(50.0, 50.0)
            self.at(rng.uniform(0, 5), partial(self.observe, worker, load))
        self.run_until(CHAOS_S)
        self.misfortunes.heal()
        self.run_until(CHAOS_S + LIVENESS_S, self.is_over)
        ensure(self.is_over(), f"after {LIVENESS_S} s: {self.unfinished()}")

    def observe(self, worker: SimWorker, load: Load) -> None:
        """Let a worker notice that it is busy, and which scripts it has ready."""
        worker.link.observe(load=load, warm=("sha256:a",))

    def is_over(self) -> bool:
        """True iff every accepted task has ended and nobody holds anything of one."""
        if any(worker.children or worker.link.running for worker in self.workers):
            return False
        return self.gateway.is_idle(len(self.workers))

    def unfinished(self) -> str:
        """Say what has not ended, and why."""
        held = [(worker.name, worker.is_up, worker.link.running) for worker in self.workers]
        return f"{self.gateway.unfinished()} {held}"

    def story(self) -> str:
        """Return the last of the history."""
        return "\n".join(f"{at:9.3f} {who:8} {what}" for at, who, what in self.history)


def run_life(seed: int, *, dispatcher_factory: DispatcherFactory = Dispatcher) -> None:
    """Live the random life of `seed`.

    Raises:
        AssertionError: A promise is broken; the text has the seed and the history.
    """
    life = Life(seed, dispatcher_factory)
    try:
        life.live()
    except Exception as error:
        raise AssertionError(f"{life.story()}\nseed {seed}: {error!r}") from error
