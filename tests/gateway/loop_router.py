"""The real Dispatcher with workers in the same process: what is between them is a list.

`LoopRouter` has the face of `zscrape.gateway.router.Router`. A `ScriptedWorker` says what its
script tells it to; `hold` is the script that waits for the test to say it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import msgspec

from zscrape import wire
from zscrape.core.dispatcher import Dispatcher
from zscrape.core.effects import DispatcherEffect, Send
from zscrape.core.snapshots import Explanation, LockSnapshot, Snapshot
from zscrape.model import (
    HeartbeatPolicy,
    Outcome,
    OutcomeCode,
    QueuePolicy,
    Record,
    RunSpec,
    TaskId,
    TaskSpec,
    WorkerId,
)

Script: TypeAlias = "Callable[[ScriptedWorker, wire.Run], None]"


class LoopRouter:
    """The Dispatcher and its timer, without a socket."""

    def __init__(self, *, queue: QueuePolicy | None = None) -> None:
        self.dispatcher = Dispatcher(
            gateway_id="test",
            boot="boot",
            # Nobody beats here: workers are lost when a test says so.
            heartbeat=HeartbeatPolicy(interval_s=3600),
            queue=queue or QueuePolicy(),
        )
        self.on_effect: Callable[[DispatcherEffect], None] = lambda effect: None
        self.workers: dict[bytes, ScriptedWorker] = {}
        self.submitted_count = 0
        self.garbage_count = 0
        self.link_fault = ""
        self._pending: deque[DispatcherEffect] = deque()
        self._is_performing = False
        self._timer: asyncio.TimerHandle | None = None

    def fault(self) -> str:
        """Say why the link does not work, as the test wants it."""
        return self.link_fault

    def submit(self, spec: TaskSpec, *, is_free: bool = False) -> None:
        """Accept a task."""
        effects = self.dispatcher.submit(spec, now=time.monotonic())
        self.submitted_count += 1
        self.perform(effects)

    def cancel(self, task_id: TaskId) -> None:
        """End a task."""
        self.perform(self.dispatcher.cancel(task_id, now=time.monotonic()))

    def wake(self, task_id: TaskId) -> None:
        """Queue a parked task again."""
        self.perform(self.dispatcher.wake(task_id, now=time.monotonic()))

    def drain_worker(self, worker_id: WorkerId, *, is_draining: bool) -> None:
        """Drain a worker or put it to work again."""
        now = time.monotonic()
        self.perform(self.dispatcher.drain_worker(worker_id, is_draining, now=now))

    def prefetch(self, run: RunSpec, requires: frozenset[str]) -> tuple[WorkerId, ...]:
        """Have every worker that could run this get ready for it."""
        worker_ids = self.dispatcher.matching(requires)
        self.perform(self.dispatcher.prefetch(run, worker_ids, now=time.monotonic()))
        return worker_ids

    def warm_on(self, digest: str) -> tuple[WorkerId, ...]:
        """Return the workers that have a script ready."""
        return self.dispatcher.warm_on(digest)

    def snapshot(self) -> Snapshot:
        """Return the dispatcher at this moment."""
        return self.dispatcher.snapshot(now=time.monotonic())

    def locks(self) -> list[LockSnapshot]:
        """Return every key that is held."""
        return self.dispatcher.locks(now=time.monotonic())

    def break_lock(self, key: str, *, is_forced: bool) -> None:
        """End the holder of a key."""
        now = time.monotonic()
        self.perform(self.dispatcher.break_lock(key, is_forced=is_forced, now=now))

    def explain(self, task_id: TaskId) -> Explanation | None:
        """Say why a task waits or where it is."""
        return self.dispatcher.explain(task_id, now=time.monotonic())

    def receive(self, peer: bytes, message: wire.WorkerMessage) -> None:
        """Take a worker's message."""
        self.perform(self.dispatcher.receive(peer, message, now=time.monotonic()))

    def perform(self, effects: Iterable[DispatcherEffect]) -> None:
        """Deliver what is to be sent, tell the facts, arm the timer."""
        self._pending.extend(effects)
        if self._is_performing:  # a worker answers inside its delivery
            return
        self._is_performing = True
        try:
            while self._pending:
                effect = self._pending.popleft()
                if isinstance(effect, Send):
                    self.workers[effect.peer].deliver(effect.message)
                else:
                    self.on_effect(effect)
        finally:
            self._is_performing = False
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.dispatcher.next_deadline()
        if deadline is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, deadline - time.monotonic()), self._tick)

    def _tick(self) -> None:
        self.perform(self.dispatcher.tick(now=time.monotonic()))

    def close(self) -> None:
        """Let go of the timer, and hold the dispatcher to its invariants."""
        if self._timer is not None:
            self._timer.cancel()
        self.dispatcher.check()


class ScriptedWorker:
    """One worker of a `LoopRouter`, which does what its script says."""

    def __init__(
        self,
        router: LoopRouter,
        script: Script,
        *,
        worker_id: str = "w1",
        slots: int = 16,
        tags: tuple[str, ...] = (),
        warm: tuple[str, ...] = (),
    ) -> None:
        self.router = router
        self.script = script
        self.id = worker_id
        self.peer = worker_id.encode()
        self.received: list[wire.GatewayMessage] = []
        self.runs: asyncio.Queue[wire.Run] = asyncio.Queue()
        self._next_index: dict[tuple[str, int], int] = {}
        router.workers[self.peer] = self
        router.receive(
            self.peer,
            wire.Hello(
                protocol=wire.PROTOCOL,
                worker_id=worker_id,
                session=f"{worker_id}-session",
                slots=slots,
                limit=slots,
                tags=tags,
                warm=warm,
            ),
        )

    def deliver(self, message: wire.GatewayMessage) -> None:
        """Take a message of the gateway."""
        self.received.append(message)
        match message:
            case wire.Run():
                self._next_index[message.task_id, message.attempt] = 0
                self.script(self, message)
            case wire.Cancel():
                self.done(message.task_id, message.attempt, Outcome(code=message.code))

    def started(self, run: wire.Run) -> None:
        """Say that the script runs."""
        self.router.receive(self.peer, wire.Started(run.task_id, run.attempt))

    def say(self, run: wire.Run, *records: tuple[str, object]) -> None:
        """Say records: pairs of a kind and a value."""
        attempt = (run.task_id, run.attempt)
        first_index = self._next_index[attempt]
        self._next_index[attempt] = first_index + len(records)
        told = tuple(
            Record(kind, time.time(), value if isinstance(value, bytes) else encode(value))
            for kind, value in records
        )
        self.router.receive(self.peer, wire.Events(*attempt, first_index, told))

    def done(self, task_id: TaskId, attempt: int, outcome: Outcome) -> None:
        """Say how an attempt has ended."""
        first_index = self._next_index.get((task_id, attempt), 0)
        self.router.receive(self.peer, wire.Done(task_id, attempt, outcome, first_index))

    def ok(self, run: wire.Run, data: object = None, item_count: int = 0) -> None:
        """Say that an attempt has ended well."""
        raw = data if isinstance(data, bytes) else encode(data)
        outcome = Outcome(code=OutcomeCode.OK, data=raw, item_count=item_count, run_s=0.01)
        self.done(run.task_id, run.attempt, outcome)

    def fail(self, run: wire.Run, code: OutcomeCode, **told: Any) -> None:
        """Say that an attempt has failed."""
        self.done(run.task_id, run.attempt, Outcome(code=code, run_s=0.01, **told))


def encode(value: object) -> bytes:
    """Return a value as JSON."""
    return msgspec.json.encode(value)


def hold(worker: ScriptedWorker, run: wire.Run) -> None:
    """Start, then wait for the test."""
    worker.started(run)
    worker.runs.put_nowait(run)


def echo(worker: ScriptedWorker, run: wire.Run) -> None:
    """Answer at once with the parameters."""
    worker.started(run)
    worker.ok(run, run.params)


def ending(code: OutcomeCode, **told: Any) -> Script:
    """Return the script that ends with `code`."""

    def script(worker: ScriptedWorker, run: wire.Run) -> None:
        worker.started(run)
        worker.fail(run, code, **told)

    return script
