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
from dataclasses import dataclass, field, replace
from functools import partial
from heapq import heappop, heappush
from typing import Any

from zscrape.core import effects as fx
from zscrape.core.dispatcher import Dispatcher
from zscrape.core.history import History
from zscrape.core.link import WorkerLink
from zscrape.errors.refusals import QueueFull
from zscrape.errors.requests import LockHeld
from zscrape.model import (
    Attempt,
    HeartbeatPolicy,
    Load,
    LockRequest,
    Outcome,
    OutcomeCode,
    Overlap,
    Pin,
    QueuePolicy,
    ReconnectPolicy,
    Record,
    RetryPolicy,
    RunSpec,
    TaskSpec,
    WorkerFacts,
)
from zscrape.wire import Ask, Run, Stored as StoredNote, Tell

CHAOS_S = 20.0
# After healing: lost workers, leases, retries and the longest script, one after the other,
# as often as a task may lose its worker.
LIVENESS_S = 150.0
GRACE_S = 1.0  # how long a child may take to die; less than a fifth of a lease
HISTORY_COUNT = 400

DispatcherFactory = Callable[..., Dispatcher]


@dataclass
class Stored:
    """What the durable store knows of one accepted task."""

    spec: TaskSpec
    attempt: int = 0
    worker_id: str | None = None  # of the attempt in flight
    outcome: Outcome | None = None
    finished_at: float = 0.0
    records: dict[int, list[Record]] = field(default_factory=dict)  # by attempt
    accepted_at: float = 0.0
    is_awaited: bool = False  # by an open call: after a restart nobody waits for it
    is_last: bool = False  # it has survived such a restart
    try_count: int = 0
    lost_count: int = 0
    rest_until: float = 0.0
    last_code: OutcomeCode | None = None
    parked_on: str = ""

    def copy(self) -> Stored:
        """Return what is committed of it."""
        records = {attempt: [*told] for attempt, told in self.records.items()}
        return replace(self, records=records)


@dataclass
class Child:
    """One attempt that really runs."""

    attempt: Attempt
    key: str | None
    records: list[Record] = field(default_factory=list)
    is_tainted: bool = False  # its worker was frozen meanwhile: nobody could end it in time
    is_stopping: bool = False
    is_over: bool = False
    is_asking: bool = False  # it goes on when it has been told
    is_told: bool = False
    ends_as: OutcomeCode | None = None  # once it has been told
    parks: bool = False  # it ends to wait for a person


@dataclass
class Chaos:
    """How bad this life is."""

    drop: float
    double: float
    delay_s: float
    is_ordered: bool


class SimWorker:
    """One worker process: a WorkerLink, its children, and a connection."""

    def __init__(self, life: Life, name: str, slots: int, tags: tuple[str, ...]) -> None:
        self.life = life
        self.name = name
        self.slots = slots
        self.tags = tags
        self.session_count = 0
        self.connection_count = 0
        self.is_up = False
        self.is_open = False  # the socket
        self.is_frozen = False
        self.is_cut_up = self.is_cut_down = False
        self.arrives_at = {"up": 0.0, "down": 0.0}
        self.backlog: list[Callable[[], None]] = []  # what happens once it thaws
        self.children: dict[Attempt, Child] = {}
        self.boot()

    def boot(self) -> None:
        """Start a new process."""
        self.session_count += 1
        self.is_up, self.is_frozen = True, False
        self.backlog.clear()
        self.link = WorkerLink(
            worker_id=self.name,
            session=f"{self.name}/{self.session_count}",
            slots=self.slots,
            tags=self.tags,
            facts=WorkerFacts(programs=("chromium",), browser_slots=1),
            reconnect=ReconnectPolicy(0.2, 2.0),
            spread=self.life.rng.random(),
        )
        self.open(self.link)

    def open(self, link: WorkerLink) -> None:
        """Open a fresh socket, unless the process that wanted it is gone."""
        if self.is_up and link is self.link:
            self.connection_count += 1
            self.is_open = True
            self.perform(link.opened(now=self.life.now))

    @property
    def peer(self) -> bytes:
        """The ROUTER's address of this connection; a new one after either end restarts."""
        return f"{self.name}#{self.connection_count}@{self.life.boot_count}".encode()

    def kill(self) -> None:
        """End the process and its children at once."""
        self.is_up = self.is_open = False
        for child in self.children.values():
            child.is_over = True
        self.children.clear()

    def soon(self, call: Callable[[], list[fx.LinkEffect]], link: WorkerLink) -> None:
        """Let the process do something, after its thaw if it is frozen, never after its end."""
        if not self.is_up or link is not self.link:
            return
        if self.is_frozen:
            self.backlog.append(partial(self.soon, call, link))
        else:
            self.perform(call())
            link.check()

    def thaw(self) -> None:
        """Go on after a freeze: what came meanwhile is done first."""
        self.is_frozen = False
        backlog, self.backlog = self.backlog, []
        for call in backlog:
            call()

    def perform(self, effects: list[fx.LinkEffect]) -> None:
        """Do what the link says."""
        life, link = self.life, self.link
        for effect in effects:
            life.note(self.name, effect)
            match effect:
                case fx.SendUp(message):
                    if self.is_open:
                        life.send_up(self, message)
                case fx.Reopen(delay_s):
                    self.is_open = False
                    life.at(delay_s, partial(self.open, link))
                case fx.Start(run, _):
                    self.start(run.task_id, run.attempt)
                case fx.Stop(task_id, attempt, code, _):
                    self.stop((task_id, attempt), code)
                case fx.Told(tell):
                    self.told(tell)
                case fx.Exit(reason):
                    life.ensure(reason != "drained" or not self.children, "drained with children")
                    self.kill()
                    life.at(life.rng.uniform(0.1, 3), partial(life.reboot, self))
                case _:
                    pass

    def start(self, task_id: str, number: int) -> None:
        """Begin an attempt, and decide how it will go."""
        life, rng, attempt = self.life, self.life.rng, (task_id, number)
        life.ensure(attempt not in life.started, f"{attempt} starts twice")
        life.started.add(attempt)
        spec = life.store[task_id].spec
        key = spec.lock.key if spec.lock and spec.lock.overlap is not Overlap.ALLOW else None
        child = Child(attempt, key, is_tainted=self.is_frozen)
        life.ensure(len(self.children) < self.slots, f"{self.name}: more attempts than slots")
        life.ensure_alone(child)
        self.children[attempt] = child
        if rng.random() < 0.05:
            refusal = partial(self.link.refuse, *attempt, "cannot")
            life.at(rng.uniform(0, 0.3), partial(self.refuse, child, self.link, refusal))
            return
        at = rng.uniform(0, 0.3)
        life.at(at, partial(self.say, child, self.link, "started"))
        for _ in range(rng.choice((0, 0, 1, 3))):
            at += rng.uniform(0, 0.8)
            life.at(at, partial(self.say, child, self.link, "emit"))
        code = rng.choice((OutcomeCode.OK, OutcomeCode.OK, OutcomeCode.OK, OutcomeCode.BLOCKED))
        child.parks = rng.random() < 0.15
        if rng.random() < 0.3:
            at += rng.uniform(0, 0.8)
            life.at(at, partial(self.ask, child, self.link))
        at += rng.choice((0.0, rng.uniform(0, 1), rng.uniform(0, 6), rng.uniform(0, 30)))
        life.at(at, partial(self.finish_when_told, child, self.link, code))

    def refuse(
        self, child: Child, link: WorkerLink, refusal: Callable[..., list[fx.LinkEffect]]
    ) -> None:
        """Find out that the attempt cannot run here."""
        if not child.is_over and not self.is_frozen:
            self.over(child)
            self.soon(lambda: refusal(now=self.life.now), link)
        elif not child.is_over:
            self.finish(child, link, OutcomeCode.CRASHED)

    def say(self, child: Child, link: WorkerLink, what: str) -> None:
        """Let a child that lives say that it began, or something on the way."""
        if child.is_over:
            return
        if what == "started":
            self.soon(lambda: link.started(*child.attempt, now=self.life.now), link)
            return
        body = f"{child.attempt[0]}:{child.attempt[1]}:{len(child.records)}".encode()
        record = Record("item", self.life.now, body)
        child.records.append(record)
        self.soon(lambda: link.emit(*child.attempt, (record,), now=self.life.now), link)

    def ask(self, child: Child, link: WorkerLink) -> None:
        """Let a child ask the gateway; it will not end by itself before it is told."""
        if not child.is_over:
            child.is_asking = True
            ask = Ask(*child.attempt, 1, "state", b"")
            self.soon(lambda: link.ask(ask, now=self.life.now), link)

    def told(self, tell: Tell) -> None:
        """Hear the answer to what a child has asked: once, and its own."""
        child = self.children.get((tell.task_id, tell.attempt))
        if child is None:
            return
        self.life.ensure(child.is_asking and not child.is_told, f"{child.attempt}: told twice")
        expected = f"{tell.task_id}:{tell.attempt}".encode()
        self.life.ensure(tell.body == expected, f"{child.attempt}: told {tell.body!r}")
        child.is_told = True
        if child.ends_as is not None:
            self.finish(child, self.link, child.ends_as)

    def finish_when_told(self, child: Child, link: WorkerLink, code: OutcomeCode) -> None:
        """End a child, unless it waits for an answer: then after that."""
        if child.is_asking and not child.is_told:
            child.ends_as = code
        else:
            self.finish(child, link, code)

    def finish(self, child: Child, link: WorkerLink, code: OutcomeCode) -> None:
        """End a child; its worker hears of it."""
        if child.is_over:
            return
        self.over(child)
        data = f"{child.attempt[1]}:{len(child.records)}".encode()
        outcome = Outcome(code, data=data)
        if child.parks and not child.is_stopping:
            outcome = Outcome(OutcomeCode.CANCELLED, parked_on=f"h{child.attempt[1]}")
        self.soon(lambda: link.finished(*child.attempt, outcome, now=self.life.now), link)

    def over(self, child: Child) -> None:
        """Note that a child runs no more."""
        child.is_over = True
        del self.children[child.attempt]

    def stop(self, attempt: Attempt, code: OutcomeCode) -> None:
        """Let a child die within its grace."""
        child = self.children.get(attempt)
        if child is not None and not child.is_stopping:
            child.is_stopping = True
            delay_s = self.life.rng.uniform(0, GRACE_S)
            self.life.at(delay_s, partial(self.finish, child, self.link, code))


class Life:
    """One random life of one cluster."""

    def __init__(self, seed: int, dispatcher_factory: DispatcherFactory) -> None:
        self.rng = rng = random.Random(seed)
        self.factory = dispatcher_factory
        self.now = 0.0
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.event_count = 0
        self.history: deque[tuple[float, str, Any]] = deque(maxlen=HISTORY_COUNT)
        self.store: dict[str, Stored] = {}  # as the gateway knows it
        self.disk: dict[str, Stored] = {}  # as a crash leaves it
        self.dirty: dict[str, None] = {}
        self.is_commit_due = False
        self.commit_s = rng.choice((0.0, 0.01, 0.3))
        self.held: list[tuple[bytes, Run]] = []  # until the number of the attempt is committed
        self.started: set[Attempt] = set()
        self.boot_count = 0
        self.heartbeat = HeartbeatPolicy(lease_s=rng.choice((5.0, 10.0)))
        self.queue = QueuePolicy(limit_count=rng.choice((3, 100)))
        self.chaos = Chaos(
            drop=rng.choice((0.0, 0.05, 0.3)),
            double=rng.choice((0.0, 0.1)),
            delay_s=rng.choice((0.01, 0.1, 1.0)),
            is_ordered=rng.random() < 0.5,
        )
        self.submitted_count = 0
        self.dispatcher: Dispatcher | None = None
        self.restart_gateway()
        tags = ((), ("kr",), ("kr", "fast"))
        self.workers = [
            SimWorker(self, f"w{number}", rng.choice((1, 1, 2, 4)), rng.choice(tags))
            for number in range(rng.randint(1, 4))
        ]

    # ---- the world -------------------------------------------------------------------

    def ensure(self, is_so: bool, what: str) -> None:
        """Hold the world to a safety property."""
        if not is_so:
            raise AssertionError(what)

    def ensure_alone(self, child: Child) -> None:
        """Two attempts under one key never run at once."""
        if child.key is None or child.is_tainted:
            return
        for worker in self.workers:
            for other in worker.children.values():
                is_overlap = other.key == child.key and not other.is_tainted
                self.ensure(not is_overlap, f"{child.attempt} overlaps {other.attempt}")

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
            self.ensure(standstill_count < 1000, "time stands still: a machine is always due")
            self.now = max(self.now, at)
            step()

    def next_step(self) -> tuple[float, Callable[[], None]]:
        """Return the moment of the next thing that happens anywhere, and the thing."""
        best = self.events[0][0] if self.events else float("inf")
        step: Callable[[], None] = self.pop_event
        if self.dispatcher is not None:
            deadline = self.dispatcher.next_deadline()
            if deadline is not None and deadline < best:
                best, step = deadline, self.tick_gateway
        for worker in self.workers:
            if worker.is_up and not worker.is_frozen:
                deadline = worker.link.next_deadline()
                if deadline is not None and deadline < best:
                    best, step = deadline, partial(self.tick_worker, worker)
        return best, step

    def pop_event(self) -> None:
        """Let the first event happen."""
        heappop(self.events)[2]()

    def tick_gateway(self) -> None:
        """Let the gateway look at its clock."""
        self.on_gateway(lambda gateway: gateway.tick(now=self.now))

    def tick_worker(self, worker: SimWorker) -> None:
        """Let a worker look at its clock."""
        worker.perform(worker.link.tick(now=self.now))
        worker.link.check()

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
        peer, boot_count = worker.peer, self.boot_count

        def deliver() -> None:
            if worker.is_cut_up or boot_count != self.boot_count:
                return
            self.note("gateway", message)
            self.on_gateway(lambda gateway: gateway.receive(peer, message, now=self.now))

        self.carry(worker, "up", deliver)

    def send_down(self, peer: bytes, message: Any) -> None:
        """Carry a gateway's message to a connection; one that is closed is unreachable."""
        worker = next(each for each in self.workers if peer.startswith(each.name.encode() + b"#"))
        link = worker.link
        if not worker.is_open or worker.peer != peer:
            self.at(0.0, partial(self.unreachable, peer))
            return

        def deliver() -> None:
            if worker.is_cut_down or not worker.is_open or worker.peer != peer:
                return
            self.note(worker.name, message)
            worker.soon(lambda: link.receive(message, now=self.now), link)

        self.carry(worker, "down", deliver)

    def unreachable(self, peer: bytes) -> None:
        """Tell the gateway that a send found nobody."""
        self.on_gateway(lambda gateway: gateway.unreachable(peer, now=self.now))

    # ---- the gateway -----------------------------------------------------------------

    def on_gateway(self, call: Callable[[Dispatcher], list[fx.DispatcherEffect]]) -> None:
        """Let the gateway do something, if it is up, and prove its invariants."""
        gateway = self.dispatcher
        if gateway is None:
            return
        effects = call(gateway)
        for effect in effects:
            self.note("gateway", effect)
            self.apply(effect)
        gateway.check()

    def apply(self, effect: fx.DispatcherEffect) -> None:
        """Do, store and check one effect of the gateway."""
        match effect:
            case fx.Send(peer, message):
                self.send(peer, message)
            case fx.Question(peer, _, ask):
                self.at(self.rng.uniform(0, 2), partial(self.answer, peer, ask, self.boot_count))
            case fx.TaskAssigned(task_id, attempt, worker_id):
                stored = self.open_task(task_id)
                self.ensure(attempt > stored.attempt, f"{task_id}: attempt {attempt} again")
                self.ensure(not stored.parked_on, f"{task_id}: runs while it is parked")
                stored.attempt, stored.worker_id = attempt, worker_id
            case fx.TaskAccepted(task_id):
                self.ensure(not self.open_task(task_id).attempt, f"{task_id}: accepted again")
            case fx.TaskQueued():
                self.queued(effect)
            case fx.TaskStarted(task_id, attempt):
                stored = self.open_task(task_id)
                self.ensure(attempt == stored.attempt, f"{task_id}: {attempt} is superseded")
            case fx.TaskRecords(task_id, attempt, first_index, records):
                told = self.open_task(task_id).records.setdefault(attempt, [])
                self.ensure(first_index == len(told), f"{task_id}: records told out of order")
                told.extend(records)
            case fx.TaskFinished(task_id, attempt, worker_id, outcome):
                stored = self.open_task(task_id)
                self.ensure(attempt == stored.attempt, f"{task_id}: {attempt} is superseded")
                if worker_id is not None:
                    self.ensure_won(stored, outcome)
                stored.outcome, stored.finished_at = outcome, self.now
                stored.parked_on = ""
            case _:
                pass

    def answer(self, peer: bytes, ask: Ask, boot_count: int) -> None:
        """Answer a question, if the gateway that heard it still lives."""
        if self.dispatcher is not None and boot_count == self.boot_count:
            body = f"{ask.task_id}:{ask.attempt}".encode()
            self.send_down(peer, Tell(ask.task_id, ask.attempt, ask.request, body))

    def queued(self, fact: fx.TaskQueued) -> None:
        """Store that a task waits, and why again."""
        stored = self.open_task(fact.task_id)
        self.ensure(fact.attempt == stored.attempt, f"{fact.task_id}: queued as {fact.attempt}")
        stored.worker_id, stored.parked_on = None, fact.parked_on
        if fact.parked_on:
            self.wake_later(stored)
            return
        stored.last_code, stored.rest_until = fact.code, self.now + fact.delay_s
        if fact.code is OutcomeCode.WORKER_LOST:
            stored.lost_count += 1
        elif fact.delay_s:
            stored.try_count += 1

    def wake_later(self, stored: Stored) -> None:
        """Let a person answer some time; a gateway that is down then asks again when it is up."""
        call = partial(Dispatcher.wake, task_id=stored.spec.id)
        self.at(self.rng.uniform(0, 8), lambda: self.on_gateway(partial(call, now=self.now)))

    def send(self, peer: bytes, message: Any) -> None:
        """Send what may leave at once; a Run waits until the number of its attempt is stored."""
        if isinstance(message, Run) and self.dispatcher is not None:
            self.dispatcher.held(message.task_id, message.attempt)
            self.held.append((peer, message))
            return
        if isinstance(message, StoredNote):
            self.ensure_committed(message)
        self.send_down(peer, message)

    def open_task(self, task_id: str) -> Stored:
        """Return a task that has not had its last word; another would be one too many."""
        stored = self.store[task_id]
        self.ensure(stored.outcome is None, f"{task_id}: told of after its last word")
        self.touch(task_id)
        return stored

    # ---- the disk --------------------------------------------------------------------

    def touch(self, task_id: str) -> None:
        """Have a task committed soon."""
        self.dirty[task_id] = None
        if not self.is_commit_due:
            self.is_commit_due = True
            delay_s = self.rng.uniform(0, self.commit_s)
            self.at(delay_s, partial(self.commit, self.boot_count))

    def commit(self, boot_count: int) -> None:
        """Commit what has changed, then do what waits for that."""
        if self.dispatcher is None or boot_count != self.boot_count:
            return
        self.is_commit_due = False
        dirty, self.dirty = self.dirty, {}
        for task_id in dirty:
            self.disk[task_id] = self.store[task_id].copy()
        held, self.held = self.held, []
        for peer, run in held:
            self.release(self.dispatcher, peer, run)
        for task_id in dirty:
            stored = self.disk[task_id]
            if stored.outcome is not None or stored.worker_id is None:
                call = partial(Dispatcher.stored, attempts=[(task_id, stored.attempt)])
                self.on_gateway(partial(call, now=self.now))

    def release(self, gateway: Dispatcher, peer: bytes, run: Run) -> None:
        """Let a held Run leave, unless its attempt is over."""
        if gateway.sent(run.task_id, run.attempt, now=self.now):
            self.ensure(self.disk[run.task_id].attempt == run.attempt, "sent before its commit")
            self.send_down(peer, run)

    def ensure_committed(self, note: StoredNote) -> None:
        """What a worker is told to forget, because it is stored, is on the disk."""
        for task_id, attempt in note.attempts:
            disk = self.disk[task_id]
            is_over = disk.outcome is not None or disk.worker_id is None
            self.ensure(
                is_over or disk.attempt != attempt, f"{task_id}: forgotten before its commit"
            )

    def ensure_won(self, stored: Stored, outcome: Outcome) -> None:
        """The outcome and all records are those of the last attempt."""
        if outcome.data is None:
            return
        number, _, record_count = outcome.data.decode().partition(":")
        told = [record.body.decode() for record in stored.records.get(stored.attempt, [])]
        said = [f"{stored.spec.id}:{number}:{index}" for index in range(int(record_count))]
        self.ensure(int(number) == stored.attempt, f"{stored.spec.id}: another attempt's outcome")
        self.ensure(told == said, f"{stored.spec.id}: records {told}, said {said}")

    def restart_gateway(self) -> None:
        """Start a gateway on what the store has."""
        if self.dispatcher is not None:
            return
        self.boot_count += 1
        self.store = {task_id: stored.copy() for task_id, stored in self.disk.items()}
        self.dirty.clear()
        self.held.clear()
        self.is_commit_due = False
        self.dispatcher = self.factory(
            is_store_behind=True,
            gateway_id="g",
            boot=f"boot{self.boot_count}",
            heartbeat=self.heartbeat,
            queue=self.queue,
        )
        for stored in self.store.values():
            if stored.outcome is None and stored.is_awaited:
                self.part_with(stored)
        tasks = [stored for stored in self.store.values() if stored.outcome is None]
        for stored in tasks:
            if stored.worker_id is not None or stored.parked_on:
                self.restore(stored, stored.worker_id)
        since = self.now - self.heartbeat.lease_s - self.heartbeat.margin_s
        for stored in self.store.values():
            lock = stored.spec.lock
            if lock is not None and stored.outcome is not None and stored.finished_at >= since:
                call = partial(Dispatcher.restore_lock, key=lock.key, holder=stored.spec.id)
                self.on_gateway(partial(call, now=self.now))
        for stored in tasks:
            if stored.worker_id is None and not stored.parked_on:
                self.restore(stored, None)

    def part_with(self, stored: Stored) -> None:
        """Nobody waits for this task any more: only an attempt in flight may still end it."""
        stored.is_last = True
        if stored.worker_id is None:
            stored.outcome = Outcome(OutcomeCode.WORKER_LOST)
            stored.finished_at = self.now
            self.touch(stored.spec.id)

    def restore(self, stored: Stored, worker_id: str | None) -> None:
        """Hand one stored task to a fresh gateway."""
        is_resting = stored.last_code not in (None, OutcomeCode.WORKER_LOST)
        history = History(
            age_s=self.now - stored.accepted_at,
            received_count=len(stored.records.get(stored.attempt, [])),
            try_count=stored.try_count,
            lost_count=stored.lost_count,
            rest_s=max(0.0, stored.rest_until - self.now) if is_resting else 0.0,
            last_code=stored.last_code,
            is_last=stored.is_last,
            parked_on=stored.parked_on,
        )
        call = partial(
            Dispatcher.restore,
            spec=stored.spec,
            attempt=stored.attempt,
            worker_id=worker_id,
            history=history,
        )
        self.on_gateway(partial(call, now=self.now))

    def submit(self) -> None:
        """Ask for some task, with whatever a task may ask for."""
        rng = self.rng
        number = self.submitted_count = self.submitted_count + 1
        pin = Pin("r", rng.choice("abc"), "1", f"sha256:{rng.choice('abc')}")
        lock = None
        if rng.random() < 0.4:
            lock = LockRequest(rng.choice("xy"), rng.choice(list(Overlap)))
        spec = TaskSpec(
            id=f"t{number}",
            run=RunSpec(pin, kit=("browser",) if number % 4 == 0 else ("http",)),
            priority=rng.choice((0, 0, 5)),
            requires=rng.choice((frozenset(), frozenset(), frozenset({"kr"}))),
            prefers=rng.choice((frozenset(), frozenset({"fast"}))),
            deadline_s=rng.choice((None, None, 5.0, 30.0)),
            schedule_timeout_s=rng.choice((5.0, 40.0)),
            lock=lock,
            retry=RetryPolicy(
                rng.choice((0, 2)),
                (0.5, 1.0),
                on=frozenset({OutcomeCode.BLOCKED}),
                routes=rng.choice(({}, {OutcomeCode.BLOCKED: frozenset({"kr"})})),
            ),
        )
        stored = Stored(spec, accepted_at=self.now, is_awaited=rng.random() < 0.2)
        self.store[spec.id] = stored
        count = self.event_count
        try:
            self.note("client", spec)
            self.on_gateway(lambda gateway: gateway.submit(spec, now=self.now))
        except (LockHeld, QueueFull) as refusal:
            self.note("client", refusal)
            self.ensure(count == self.event_count, "a refusal changes nothing")
            del self.store[spec.id]
        if self.dispatcher is None:
            del self.store[spec.id]

    # ---- chaos -----------------------------------------------------------------------

    def misfortune(self) -> None:
        """Let one bad thing happen, or one wish of a person."""
        rng = self.rng
        worker = rng.choice(self.workers)
        duration_s = rng.choice((0.5, 2.0, 6.0, 15.0))
        deeds: list[Callable[[SimWorker, float], None]] = [
            self.crash_worker,
            self.freeze,
            self.cut,
            self.crash_gateway,
            self.drain,
            self.leave,
            self.cancel,
            self.cancel,
        ]
        deed = rng.choice(deeds)
        self.note("chaos", f"{deed.__name__} {worker.name} {duration_s}")
        deed(worker, duration_s)

    def crash_worker(self, worker: SimWorker, duration_s: float) -> None:
        """Kill a worker and its children; a new process comes later."""
        if worker.is_up:
            worker.kill()
            self.at(duration_s, partial(self.reboot, worker))

    def reboot(self, worker: SimWorker) -> None:
        """Start a worker that is down."""
        if not worker.is_up:
            worker.boot()

    def freeze(self, worker: SimWorker, duration_s: float) -> None:
        """Stop a worker's process (SIGSTOP); its children run on."""
        if worker.is_up and not worker.is_frozen:
            worker.is_frozen = True
            for child in worker.children.values():
                child.is_tainted = True
            self.at(duration_s, partial(self.thaw, worker, worker.session_count))

    def thaw(self, worker: SimWorker, session_count: int) -> None:
        """Let a frozen process go on (SIGCONT)."""
        if worker.is_frozen and worker.session_count == session_count:
            worker.thaw()

    def cut(self, worker: SimWorker, duration_s: float) -> None:
        """Cut a link, one way or both."""
        worker.is_cut_up, worker.is_cut_down = self.rng.choice(
            ((True, True), (True, False), (False, True))
        )
        self.at(duration_s, partial(self.mend, worker))

    def mend(self, worker: SimWorker) -> None:
        """Mend a link."""
        worker.is_cut_up = worker.is_cut_down = False

    def crash_gateway(self, worker: SimWorker, duration_s: float) -> None:
        """Kill the gateway; what is stored stays."""
        self.dispatcher = None
        self.at(duration_s, self.restart_gateway)

    def drain(self, worker: SimWorker, duration_s: float) -> None:
        """Drain a worker: by an operator who resumes it later, or by its own wish for good."""
        if self.rng.random() < 0.5 and worker.is_up and not worker.is_frozen:
            worker.soon(lambda: worker.link.drain(now=self.now), worker.link)
            return
        self.set_draining(worker, True)
        self.at(duration_s, partial(self.set_draining, worker, False))

    def set_draining(self, worker: SimWorker, is_draining: bool) -> None:
        """Be the operator."""
        known = self.dispatcher.snapshot(now=self.now).workers if self.dispatcher else ()
        if any(each.id == worker.name for each in known):
            self.on_gateway(
                lambda gateway: gateway.drain_worker(worker.name, is_draining, now=self.now)
            )

    def leave(self, worker: SimWorker, duration_s: float) -> None:
        """Stop a worker in good order (SIGTERM); a new process comes later."""
        if worker.is_up and not worker.is_frozen:
            effects = worker.link.leave(now=self.now)
            for effect in effects:
                self.note(worker.name, effect)
                if isinstance(effect, fx.SendUp) and worker.is_open:
                    self.send_up(worker, effect.message)
            worker.kill()
            self.at(duration_s, partial(self.reboot, worker))

    def cancel(self, worker: SimWorker, duration_s: float) -> None:
        """Cancel any task, ended ones included."""
        if self.store:
            task_id = self.rng.choice(list(self.store))
            self.on_gateway(lambda gateway: gateway.cancel(task_id, now=self.now))

    def heal(self) -> None:
        """End the chaos."""
        self.note("chaos", "heals")
        self.chaos = Chaos(0.0, 0.0, 0.005, is_ordered=True)
        self.restart_gateway()
        for worker in self.workers:
            self.mend(worker)
            if worker.is_frozen:
                worker.thaw()
            self.reboot(worker)
            self.set_draining(worker, False)

    # ---- a life ----------------------------------------------------------------------

    def live(self) -> None:
        """Chaos, then healing, then the end of every task and of every trace of them."""
        rng = self.rng
        for _ in range(rng.randint(3, 16)):
            self.at(rng.uniform(0, CHAOS_S), self.submit)
        for _ in range(rng.randint(1, 10)):
            self.at(rng.uniform(0, CHAOS_S), self.misfortune)
        for worker in self.workers:
            load = Load(50.0, 50.0)
            self.at(rng.uniform(0, 5), partial(self.observe, worker, load))
        self.run_until(CHAOS_S)
        self.heal()
        self.run_until(CHAOS_S + LIVENESS_S, self.is_over)
        self.ensure(self.is_over(), f"after {LIVENESS_S} s: {self.unfinished()}")

    def observe(self, worker: SimWorker, load: Load) -> None:
        """Let a worker notice that it is busy, and which scripts it has ready."""
        worker.link.observe(load=load, warm=("sha256:a",))

    def is_over(self) -> bool:
        """True iff every accepted task has ended and nobody holds anything of one."""
        if self.dispatcher is None or any(each.outcome is None for each in self.store.values()):
            return False
        if any(worker.children or worker.link.running for worker in self.workers):
            return False
        snapshot = self.dispatcher.snapshot(now=self.now)
        is_idle = all(worker.in_flight_count == 0 for worker in snapshot.workers)
        return is_idle and len(snapshot.workers) == len(self.workers)

    def unfinished(self) -> str:
        """Say what has not ended, and why."""
        told = [
            (each.spec.id, self.dispatcher and self.dispatcher.explain(each.spec.id, now=self.now))
            for each in self.store.values()
            if each.outcome is None
        ]
        held = [(worker.name, worker.is_up, worker.link.running) for worker in self.workers]
        snapshot = self.dispatcher and self.dispatcher.snapshot(now=self.now)
        return f"{told} {held} {snapshot}"

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
