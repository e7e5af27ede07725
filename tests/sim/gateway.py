"""A gateway of the simulation, which commits a moment after it has decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.sim.ensure import ensure
from zscrape.core import effects as fx
from zscrape.core.dispatcher import Dispatcher
from zscrape.core.history import History
from zscrape.errors.refusals import QueueFull
from zscrape.errors.requests import LockHeld
from zscrape.model import (
    HeartbeatPolicy,
    LockRequest,
    Outcome,
    OutcomeCode,
    Overlap,
    Pin,
    QueuePolicy,
    Record,
    RetryPolicy,
    RunSpec,
    TaskSpec,
)
from zscrape.wire import Ask, Run, Stored as StoredNote, Tell

if TYPE_CHECKING:
    from tests.sim.life import Life

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


class SimGateway:
    """One gateway: a Dispatcher, a durable store behind it, and what a crash leaves of both."""

    def __init__(self, life: Life, dispatcher_factory: DispatcherFactory) -> None:
        rng = life.rng
        self.life = life
        self.factory = dispatcher_factory
        self.store: dict[str, Stored] = {}  # as the gateway knows it
        self.disk: dict[str, Stored] = {}  # as a crash leaves it
        self.dirty: dict[str, None] = {}
        self.is_commit_due = False
        self.commit_s = rng.choice((0.0, 0.01, 0.3))
        self.held: list[tuple[bytes, Run]] = []  # until the number of the attempt is committed
        self.boot_count = 0
        self.heartbeat = HeartbeatPolicy(lease_s=rng.choice((5.0, 10.0)))
        self.queue = QueuePolicy(limit_count=rng.choice((3, 100)))
        self.submitted_count = 0
        self.dispatcher: Dispatcher | None = None
        self.restart()

    def call(self, call: Callable[[Dispatcher], list[fx.DispatcherEffect]]) -> None:
        """Let the gateway do something, if it is up, and prove its invariants."""
        gateway = self.dispatcher
        if gateway is None:
            return
        effects = call(gateway)
        for effect in effects:
            self.life.note("gateway", effect)
            self.apply(effect)
        gateway.check()

    def tick(self) -> None:
        """Let the gateway look at its clock."""
        self.call(lambda gateway: gateway.tick(now=self.life.now))

    def unreachable(self, peer: bytes) -> None:
        """Tell the gateway that a send found nobody."""
        self.call(lambda gateway: gateway.unreachable(peer, now=self.life.now))

    def apply(self, effect: fx.DispatcherEffect) -> None:
        """Do, store and check one effect of the gateway."""
        match effect:
            case fx.Send(peer, message):
                self.send(peer, message)
            case fx.Question(peer, _, ask):
                self.life.at(
                    self.life.rng.uniform(0, 2), partial(self.answer, peer, ask, self.boot_count)
                )
            case fx.TaskAssigned(task_id, attempt, worker_id, is_accepted):
                stored = self.open_task(task_id)
                ensure(not (is_accepted and stored.attempt), f"{task_id}: accepted again")
                ensure(attempt > stored.attempt, f"{task_id}: attempt {attempt} again")
                ensure(not stored.parked_on, f"{task_id}: runs while it is parked")
                stored.attempt, stored.worker_id = attempt, worker_id
            case fx.TaskAccepted(task_id):
                ensure(not self.open_task(task_id).attempt, f"{task_id}: accepted again")
            case fx.TaskQueued():
                self.queued(effect)
            case fx.TaskStarted(task_id, attempt):
                stored = self.open_task(task_id)
                ensure(attempt == stored.attempt, f"{task_id}: {attempt} is superseded")
            case fx.TaskRecords(task_id, attempt, first_index, records):
                told = self.open_task(task_id).records.setdefault(attempt, [])
                ensure(first_index == len(told), f"{task_id}: records told out of order")
                told.extend(records)
            case fx.TaskFinished(task_id, attempt, worker_id, outcome):
                stored = self.open_task(task_id)
                ensure(attempt == stored.attempt, f"{task_id}: {attempt} is superseded")
                if worker_id is not None:
                    self.ensure_won(stored, outcome)
                stored.outcome, stored.finished_at = outcome, self.life.now
                stored.parked_on = ""
            case _:
                pass

    def answer(self, peer: bytes, ask: Ask, boot_count: int) -> None:
        """Answer a question, if the gateway that heard it still lives."""
        if self.dispatcher is not None and boot_count == self.boot_count:
            body = f"{ask.task_id}:{ask.attempt}".encode()
            self.life.send_down(peer, Tell(ask.task_id, ask.attempt, ask.request, body))

    def queued(self, fact: fx.TaskQueued) -> None:
        """Store that a task waits, and why again."""
        stored = self.open_task(fact.task_id)
        ensure(fact.attempt == stored.attempt, f"{fact.task_id}: queued as {fact.attempt}")
        stored.worker_id, stored.parked_on = None, fact.parked_on
        if fact.parked_on:
            self.wake_later(stored)
            return
        stored.last_code, stored.rest_until = fact.code, self.life.now + fact.delay_s
        if fact.code is OutcomeCode.WORKER_LOST:
            stored.lost_count += 1
        elif fact.delay_s:
            stored.try_count += 1

    def wake_later(self, stored: Stored) -> None:
        """Let a person answer some time; a gateway that is down then asks again when it is up."""
        call = partial(Dispatcher.wake, task_id=stored.spec.id)
        self.life.at(
            self.life.rng.uniform(0, 8), lambda: self.call(partial(call, now=self.life.now))
        )

    def send(self, peer: bytes, message: Any) -> None:
        """Send what may leave at once; a Run waits until the number of its attempt is stored."""
        if isinstance(message, Run) and self.dispatcher is not None:
            self.dispatcher.held(message.task_id, message.attempt)
            self.held.append((peer, message))
            return
        if isinstance(message, StoredNote):
            self.ensure_committed(message)
        self.life.send_down(peer, message)

    def open_task(self, task_id: str) -> Stored:
        """Return a task that has not had its last word; another would be one too many."""
        stored = self.store[task_id]
        ensure(stored.outcome is None, f"{task_id}: told of after its last word")
        self.touch(task_id)
        return stored

    # ---- the disk --------------------------------------------------------------------

    def touch(self, task_id: str) -> None:
        """Have a task committed soon."""
        self.dirty[task_id] = None
        if not self.is_commit_due:
            self.is_commit_due = True
            delay_s = self.life.rng.uniform(0, self.commit_s)
            self.life.at(delay_s, partial(self.commit, self.boot_count))

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
                self.call(partial(call, now=self.life.now))

    def release(self, gateway: Dispatcher, peer: bytes, run: Run) -> None:
        """Let a held Run leave, unless its attempt is over."""
        if gateway.sent(run.task_id, run.attempt, now=self.life.now):
            ensure(self.disk[run.task_id].attempt == run.attempt, "sent before its commit")
            self.life.send_down(peer, run)

    def ensure_committed(self, note: StoredNote) -> None:
        """What a worker is told to forget, because it is stored, is on the disk."""
        for task_id, attempt in note.attempts:
            disk = self.disk[task_id]
            is_over = disk.outcome is not None or disk.worker_id is None
            ensure(is_over or disk.attempt != attempt, f"{task_id}: forgotten before its commit")

    def ensure_won(self, stored: Stored, outcome: Outcome) -> None:
        """The outcome and all records are those of the last attempt."""
        if outcome.data is None:
            return
        number, _, record_count = outcome.data.decode().partition(":")
        told = [record.body.decode() for record in stored.records.get(stored.attempt, [])]
        said = [f"{stored.spec.id}:{number}:{index}" for index in range(int(record_count))]
        ensure(int(number) == stored.attempt, f"{stored.spec.id}: another attempt's outcome")
        ensure(told == said, f"{stored.spec.id}: records {told}, said {said}")

    # ---- a life of its own -----------------------------------------------------------

    def crash(self) -> None:
        """End at once; what is stored stays."""
        self.dispatcher = None

    def restart(self) -> None:
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
        since = self.life.now - self.heartbeat.lease_s - self.heartbeat.margin_s
        for stored in self.store.values():
            lock = stored.spec.lock
            if lock is not None and stored.outcome is not None and stored.finished_at >= since:
                call = partial(Dispatcher.restore_lock, key=lock.key, holder=stored.spec.id)
                self.call(partial(call, now=self.life.now))
        for stored in tasks:
            if stored.worker_id is None and not stored.parked_on:
                self.restore(stored, None)

    def part_with(self, stored: Stored) -> None:
        """Nobody waits for this task any more: only an attempt in flight may still end it."""
        stored.is_last = True
        if stored.worker_id is None:
            stored.outcome = Outcome(OutcomeCode.WORKER_LOST)
            stored.finished_at = self.life.now
            self.touch(stored.spec.id)

    def restore(self, stored: Stored, worker_id: str | None) -> None:
        """Hand one stored task to a fresh gateway."""
        is_resting = stored.last_code not in (None, OutcomeCode.WORKER_LOST)
        history = History(
            age_s=self.life.now - stored.accepted_at,
            received_count=len(stored.records.get(stored.attempt, [])),
            try_count=stored.try_count,
            lost_count=stored.lost_count,
            rest_s=max(0.0, stored.rest_until - self.life.now) if is_resting else 0.0,
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
        self.call(partial(call, now=self.life.now))

    def submit(self) -> None:
        """Ask for some task, with whatever a task may ask for."""
        rng = self.life.rng
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
        stored = Stored(spec, accepted_at=self.life.now, is_awaited=rng.random() < 0.2)
        self.store[spec.id] = stored
        count = self.life.event_count
        try:
            self.life.note("client", spec)
            self.call(lambda gateway: gateway.submit(spec, now=self.life.now))
        except (LockHeld, QueueFull) as refusal:
            self.life.note("client", refusal)
            ensure(count == self.life.event_count, "a refusal changes nothing")
            del self.store[spec.id]
        if self.dispatcher is None:
            del self.store[spec.id]

    # ---- the end ---------------------------------------------------------------------

    def is_idle(self, worker_count: int) -> bool:
        """True iff every accepted task has ended, and no worker of so many holds one."""
        if self.dispatcher is None or any(each.outcome is None for each in self.store.values()):
            return False
        workers = self.dispatcher.snapshot(now=self.life.now).workers
        return len(workers) == worker_count and all(not each.in_flight_count for each in workers)

    def unfinished(self) -> str:
        """Say which tasks have not ended, and why."""
        waiting = [each.spec.id for each in self.store.values() if each.outcome is None]
        if self.dispatcher is None:
            return f"{waiting}, and no gateway"
        now = self.life.now
        told = [(task_id, self.dispatcher.explain(task_id, now=now)) for task_id in waiting]
        return f"{told} {self.dispatcher.snapshot(now=now)}"
