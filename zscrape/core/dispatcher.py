"""The gateway's half of the dialogue with its workers: who lives, and what they said.

Pure: no socket, clock, log, randomness or await. Every method takes `now` (monotonic
seconds) and returns the effects to perform, in order. A call is atomic.

Promises, held by `check()` and the cluster simulation: a task gets one last word; records
are told once and in order; an attempt number fences every earlier attempt; a key with a
lock never has two attempts running at once. What a task lives through is in `Lives`.

Source: the Paranoid Pirate pattern (ZeroMQ RFC 6/PPP). Leases belong to attempts and are
renewed only by an acknowledged beat that listed them: a lease of the connection let two
attempts run at once in a simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import inf, nextafter
from typing import Any, Final

from zscrape.core import breaking, invariants, patience, report, restoring
from zscrape.core.beats import Beats
from zscrape.core.effects import (
    DispatcherEffect,
    GiveScript,
    Question,
    Send,
    TaskRecords,
    TaskStarted,
)
from zscrape.core.entities import Task, Worker
from zscrape.core.history import History
from zscrape.core.lives import Lives
from zscrape.core.membership import Membership
from zscrape.core.snapshots import Explanation, LockSnapshot, Snapshot
from zscrape.core.storenotes import StoreNotes
from zscrape.core.task import Place
from zscrape.errors.refusals import Draining
from zscrape.errors.requests import NotFound
from zscrape.model import (
    Attempt,
    HeartbeatPolicy,
    Outcome,
    OutcomeCode,
    QueuePolicy,
    RunSpec,
    TaskId,
    TaskSpec,
    WorkerId,
)
from zscrape.wire import (
    Ack,
    Ask,
    Done,
    Drain,
    Events,
    GatewayMessage,
    Goodbye,
    Heartbeat,
    Hello,
    Need,
    Prepare,
    Refused,
    Run,
    Started,
    WorkerMessage,
)

NO_HISTORY: Final = History()


class Dispatcher:
    """Decide which worker runs which task.

    The shell performs `Send` and `GiveScript`, tells the facts to whoever wants them, and
    calls `tick` no later than `next_deadline()`.

    With `is_store_behind` a worker keeps an outcome until the shell says `stored`; without,
    what was told is taken for kept.
    """

    def __init__(
        self,
        *,
        gateway_id: str,
        boot: str,
        heartbeat: HeartbeatPolicy,
        queue: QueuePolicy,
        is_store_behind: bool = False,
    ) -> None:
        self._lives = Lives(heartbeat=heartbeat, policy=queue)
        self._store_notes = StoreNotes(self._lives, beat_interval_s=heartbeat.interval_s)
        self._beats = Beats(self._lives, self._store_notes, boot=boot, heartbeat=heartbeat)
        self._members = Membership(
            self._lives, self._beats, gateway_id=gateway_id, boot=boot, heartbeat=heartbeat
        )
        self._pool = self._lives.pool
        self.tasks = self._lives.tasks  # those that have not ended
        self.alarm = self._lives.alarm  # lowered by whatever wants a `tick` sooner
        self._lost_after_s = heartbeat.lost_after_s
        self._is_refusing = False
        self._is_store_behind = is_store_behind
        self._handlers: dict[type, Callable[[Worker, Any, float], None]] = {
            Heartbeat: self._heard_beat,
            Started: self._heard_started,
            Events: self._heard_events,
            Done: self._heard_done,
            Refused: self._heard_refused,
            Need: self._heard_need,
            Ask: self._heard_ask,
            Goodbye: self._members.goodbye,
        }

    # ---- calls from the gateway ------------------------------------------------------

    def submit(self, spec: TaskSpec, *, now: float) -> list[DispatcherEffect]:
        """Accept a task.

        Raises:
            Draining: The gateway takes no new task; nothing has changed.
            QueueFull: As many tasks wait as may; nothing has changed.
            ClientQueueFull: So it is for its client; nothing has changed.
            LockHeld: Its lock is held and it would not wait; nothing has changed.
        """
        if self._is_refusing:
            raise Draining
        self._lives.accept(spec, now=now)
        return self._flush(now)

    def client_counts(self) -> dict[str, int]:
        """Return how many tasks of each client have not ended."""
        return dict(self._lives.client_counts)

    def count_elsewhere(self, counts: Mapping[str, int]) -> None:
        """Count these tasks of clients too, which other gateways look after."""
        self._lives.elsewhere = counts

    def cancel(self, task_id: TaskId, *, now: float) -> list[DispatcherEffect]:
        """End a task. Nothing happens if it is unknown or has ended."""
        task = self._lives.tasks.get(task_id)
        if task is None:
            return []
        self._lives.abort(task, Outcome(OutcomeCode.CANCELLED), now=now)
        return self._flush(now)

    def wake(self, task_id: TaskId, *, now: float) -> list[DispatcherEffect]:
        """Queue a parked task again. Nothing happens to one that is not parked (any more)."""
        task = self._lives.parked.get(task_id)
        if task is None:
            return []
        self._lives.wake(task, now=now)
        return self._flush(now)

    def break_lock(self, key: str, *, is_forced: bool, now: float) -> list[DispatcherEffect]:
        """End the holder of a key; by force free the key before its attempt is known to be over.

        Nothing happens to a key that is held back: its holder is another gateway's to end.

        Raises:
            NotFound: Nobody holds this key; nothing has changed.
        """
        breaking.break_lock(self._lives, key, is_forced=is_forced, now=now)
        return self._flush(now)

    def drain_worker(
        self, worker_id: WorkerId, is_draining: bool, *, now: float
    ) -> list[DispatcherEffect]:
        """Give a worker nothing new, or work again.

        Raises:
            NotFound: There is no such worker.
        """
        worker = self._pool.workers.get(worker_id)
        if worker is None:
            raise NotFound(kind="worker", name=worker_id)
        worker.is_draining = is_draining
        if worker.peer:
            self._lives.out.append(Send(worker.peer, Drain(is_draining)))
        self._members.rate(worker)
        return self._flush(now)

    def expel(self, worker_id: WorkerId, *, now: float) -> list[DispatcherEffect]:
        """Give a worker up at once: it may no longer be one; what it ran is lost to it."""
        self._members.expel(worker_id, now)
        return self._flush(now)

    def matching(self, requires: frozenset[str]) -> tuple[WorkerId, ...]:
        """Return the workers that can be reached and have these tags, sorted."""
        return tuple(
            sorted(
                worker.id
                for worker in self._pool.workers.values()
                if worker.peer and requires <= worker.tags and not worker.is_leaving
            )
        )

    def warm_on(self, digest: str) -> tuple[WorkerId, ...]:
        """Return the workers that have told that they have a script ready, sorted."""
        workers = self._pool.workers.values()
        return tuple(sorted(worker.id for worker in workers if digest in worker.warm))

    def prefetch(
        self, run: RunSpec, worker_ids: Iterable[WorkerId], *, now: float
    ) -> list[DispatcherEffect]:
        """Have workers get a script and its environment ready; unknown workers are left out."""
        for worker_id in worker_ids:
            worker = self._pool.workers.get(worker_id)
            if worker is not None and worker.peer:
                self._lives.out.append(Send(worker.peer, Prepare(run)))
        return self._flush(now)

    def refuse_new(self, *, now: float) -> None:
        """From now on `submit` raises `Draining`; what was accepted goes on."""
        self._is_refusing = True
        self._store_notes.hurry(now)

    def restore(
        self,
        spec: TaskSpec,
        *,
        attempt: int,
        worker_id: WorkerId | None,
        now: float,
        history: History = NO_HISTORY,
    ) -> list[DispatcherEffect]:
        """Take up a task from before a restart.

        First those in flight, then `restore_lock`, then those that wait; each in the order in
        which they were accepted. A task with a lock that has had an attempt rests for a lease.
        Without a `worker_id` it is queued. Else it is held for that worker, which has a lease
        and its margin to say that it still has attempt `attempt`; then it is lost as any. Of an
        adopted one it is asked, wherever it stands with this gateway. A parked one comes with
        those in flight: it holds its lock.
        """
        worker = None if worker_id is None else self._members.expect(worker_id, now)
        restoring.restore(
            self._lives, spec, attempt=attempt, history=history, worker=worker, now=now
        )
        return self._flush(now)

    def restore_lock(self, key: str, *, holder: TaskId, now: float) -> list[DispatcherEffect]:
        """Hold a key for a lease: `holder` ended just before the restart, its attempt perhaps not.

        To be called for every task with a lock that ended within `lease_s + margin_s` before
        the restart. Nothing happens if another task holds the key by now.
        """
        self._lives.leases.reserve(key, holder, now=now)
        return self._flush(now)

    # ---- keys that several gateways share --------------------------------------------

    def hold_back(self, key: str, *, holder: TaskId, now: float) -> list[DispatcherEffect]:
        """Keep a key for a lease that `holder` has at another gateway; again to keep it longer.

        Nothing happens if a task of this gateway holds the key.
        """
        self._lives.leases.hold_back(key, holder, now=now)
        return self._flush(now)

    def let_in(self, key: str, *, now: float) -> list[DispatcherEffect]:
        """Give a key that was held back to the first of this gateway who waits for it."""
        self._lives.leases.let_in(key)
        return self._flush(now)

    def held_back(self) -> dict[str, TaskId | None]:
        """Return the keys that are held back, each with the first who waits for it here."""
        locks = self._lives.locks.by_key
        return {key: next(iter(locks[key].line), None) for key in self._lives.leases.strange}

    def held_keys(self) -> dict[str, TaskId]:
        """Return the keys that are held here, each with its holder."""
        strange = self._lives.leases.strange
        locks = self._lives.locks.by_key
        return {key: lock.holder for key, lock in locks.items() if key not in strange}

    # ---- calls from the shell, of a store that writes behind --------------------------

    def held(self, task_id: TaskId, attempt: int) -> None:
        """Note that a Run waits for its number to be stored: no sign of it can come yet."""
        task = self._lives.tasks.get(task_id)
        if task is not None and task.attempt == attempt:
            task.evidence_at = inf

    def sent(self, task_id: TaskId, attempt: int, *, now: float) -> bool:
        """Note that a held Run leaves now; False if its attempt is over: it must not leave."""
        task = self._lives.tasks.get(task_id)
        if task is None or task.attempt != attempt or task.worker is None:
            return False
        task.evidence_at = now
        return True

    def stored(self, attempts: Iterable[Attempt], *, now: float) -> list[DispatcherEffect]:
        """Note that the outcomes of attempts are stored: their workers may forget them."""
        self._store_notes.keep(attempts, now)
        return self._flush(now)

    # ---- calls from the link ---------------------------------------------------------

    def receive(self, peer: bytes, message: WorkerMessage, *, now: float) -> list[DispatcherEffect]:
        """Hear what the connection `peer` said."""
        if type(message) is Hello:
            self._members.hello(peer, message, now)
            return self._flush(now)
        worker = self._pool.by_peer.get(peer)
        if worker is None:
            self._members.stranger(peer, message)
            return self._flush(now)
        worker.heard_at = now
        worker.expires_at = now + self._lost_after_s
        self._handlers[type(message)](worker, message, now)
        return self._flush(now)

    def unreachable(self, peer: bytes, *, now: float) -> list[DispatcherEffect]:
        """Note that a send to `peer` found nobody: its worker is suspect."""
        worker = self._pool.by_peer.get(peer)
        if worker is None:
            return []
        self._members.suspect(worker, now)
        return self._flush(now)

    def undelivered(
        self, peer: bytes, message: GatewayMessage, *, now: float
    ) -> list[DispatcherEffect]:
        """Note that `message` could not leave: its peer is suspect, and a Run is taken back.

        An attempt that never left costs its task nothing but the number.
        """
        worker = self._pool.by_peer.get(peer)
        if worker is None:
            return []
        if type(message) is Run:
            task = self._current(worker, message.task_id, message.attempt)
            if task is not None:
                self._members.suspect(worker, now)
                self._lives.detach(task, worker)
                self._lives.requeue(task, None, now=now)
        return self.unreachable(peer, now=now)

    # ---- time ------------------------------------------------------------------------

    def tick(self, *, now: float) -> list[DispatcherEffect]:
        """Do what is due: expiries, deadlines, rests, beats."""
        look_at = self._members.next_look_at
        if look_at <= now:
            self._overdue(nextafter(look_at, -inf), now)  # what came before comes first
            self._members.look(now)
        self._overdue(now, now)
        self._store_notes.tick(now)
        self._beats.tell(now)
        effects = self._flush(now)
        looks = self._members.next_look_at, self._store_notes.next_at
        self.alarm.at = min(self._lives.deadlines.next_at, *looks)
        if self._pool.workers:
            self.alarm.by(self._beats.next_at)
        return effects

    def _overdue(self, by: float, now: float) -> None:
        for key in self._lives.deadlines.due(by):
            if isinstance(key, Task):
                patience.overdue(self._lives, key, now=now)
            else:
                self._lives.leases.expire(key)

    def resumed(self, *, now: float) -> None:
        """Note that the gateway itself stood still: nobody could be heard meanwhile.

        To be called before anything else when a `tick` comes much too late. What workers have
        said since is still on its way: their time begins anew.
        """
        self._members.forgive(now)

    def next_deadline(self) -> float | None:
        """Return the moment by which `tick` is to be called, or None while nothing waits.

        A tick at it may find nothing to do.
        """
        at = self.alarm.at
        return None if at == inf else at

    # ---- what is told ----------------------------------------------------------------

    def explain(self, task_id: TaskId, *, now: float) -> Explanation | None:
        """Say why a task waits, or where it is; None if it is unknown or has ended."""
        return report.explain(self._lives, task_id, now=now)

    def locks(self, *, now: float) -> list[LockSnapshot]:
        """Return every key that is held, the longest held first."""
        return breaking.locks(self._lives, now=now)

    def snapshot(self, *, now: float) -> Snapshot:
        """Return the whole dispatcher at this moment, for people and metrics."""
        return report.snapshot(self._lives, now=now)

    def check(self) -> None:
        """Prove the invariants.

        Raises:
            AssertionError: One is broken; its text says which.
        """
        invariants.check_lives(self._lives)
        invariants.check_deadlines(self._lives, self.next_deadline())

    # ---- the dialogue: attempts ------------------------------------------------------

    def _current(self, worker: Worker, task_id: TaskId, attempt: int) -> Task | None:
        """Return the task of which this is the attempt in flight on `worker`: the fence."""
        task = self._lives.tasks.get(task_id)
        if task is None or task.attempt != attempt or task.worker is not worker:
            return None
        return task

    def _heard_beat(self, worker: Worker, beat: Heartbeat, now: float) -> None:
        self._members.heartbeat(worker, beat, now)
        if beat.is_draining:
            self._store_notes.hasten(now)

    def _heard_started(self, worker: Worker, started: Started, now: float) -> None:
        task = self._current(worker, started.task_id, started.attempt)
        if task is None:
            self._members.ignore(worker.peer, started, "superseded")
        elif task.is_started:
            self._members.ignore(worker.peer, started, "duplicate")
        else:
            self._begin(task, worker, now)

    def _begin(self, task: Task, worker: Worker, now: float) -> None:
        task.move(Place.RUNNING)
        task.is_started = True
        task.evidence_at = now
        self._lives.running_count += 1
        self._lives.out.append(TaskStarted(task.spec.id, task.attempt, worker.id))

    def _heard_events(self, worker: Worker, events: Events, now: float) -> None:
        task = self._current(worker, events.task_id, events.attempt)
        if task is None:
            self._members.ignore(worker.peer, events, "superseded")
            return
        task.evidence_at = now
        if not task.is_started:
            self._begin(task, worker, now)
        if not self._tell_records(task, events):
            self._resend(worker, task)

    def _heard_done(self, worker: Worker, done: Done, now: float) -> None:
        task_id, number, outcome = done.task_id, done.attempt, done.outcome
        task = self._lives.tasks.get(task_id)
        if task is None or task.attempt != number or task.worker is not worker:
            self._heard_late(worker, done)
            return
        if (done.first_index or done.records) and not self._tell_records(task, done):
            self._resend(worker, task)
            return
        attempt = (task_id, number)
        self._store_notes.owe(worker, attempt, outcome.data)
        if not self._is_store_behind:
            self._store_notes.keep((attempt,), now)
        if outcome.code is OutcomeCode.OK:  # whose end says also that it has begun
            self._lives.detach(task, worker)
            self._lives.end(task, outcome, worker.id)
            return
        if outcome.run_s > 0.0 and not task.is_started:
            self._begin(task, worker, now)
        self._lives.failed(task, worker, outcome, now=now)

    def _heard_late(self, worker: Worker, done: Done) -> None:
        """Hear the outcome of an attempt that is not in flight (any more)."""
        if self._store_notes.awaits((done.task_id, done.attempt), worker):
            self._members.ignore(worker.peer, done, "duplicate")
        else:
            self._lives.out.append(Send(worker.peer, Ack(done.task_id, done.attempt, "stale")))
            self._over(worker, done)

    def _tell_records(self, task: Task, said: Events | Done) -> bool:
        """Tell the records that are new; False if some before them are missing."""
        if said.first_index > task.received_count:
            return False
        if said.records and (records := said.records[task.received_count - said.first_index :]):
            self._lives.out.append(TaskRecords(task.id, task.attempt, task.received_count, records))
            task.received_count += len(records)
        return True

    def _resend(self, worker: Worker, task: Task) -> None:
        ack = Ack(task.id, task.attempt, "resend", task.received_count)
        self._lives.out.append(Send(worker.peer, ack))

    def _heard_refused(self, worker: Worker, refused: Refused, now: float) -> None:
        task = self._current(worker, refused.task_id, refused.attempt)
        if task is None:
            self._over(worker, refused)
            return
        is_claimed = task in self._lives.claims
        self._lives.detach(task, worker)
        code: OutcomeCode | None = None
        if refused.reason == "cannot":
            worker.cannot |= {task.spec.run.pin.digest}
            self._pool.settle(worker)
            outcome = refused.outcome
            if outcome is not None and not report.has_live_worker(task.demand):
                self._lives.end(task, outcome, worker.id)
                return
            code = None if outcome is None else outcome.code
        elif refused.reason == "draining":
            worker.is_leaving = True
        elif not is_claimed:  # that it has not what another gateway sent says nothing of its room
            # Its own count is right, ours is not: give it nothing until its next beat.
            worker.limit = min(worker.limit, worker.in_flight_count)
        self._members.rate(worker)
        self._lives.requeue(task, code, now=now)

    def _over(self, worker: Worker, said: Done | Refused) -> None:
        """Hear the end of an attempt that is not the current one of any task."""
        leftover = worker.leftovers.get((said.task_id, said.attempt))
        if leftover is not None:
            self._lives.drop(worker, leftover, may_run=False)
        self._members.ignore(worker.peer, said, "superseded")

    def _heard_need(self, worker: Worker, need: Need, now: float) -> None:
        self._lives.out.append(GiveScript(worker.peer, worker.id, need.request, need.key))

    def _heard_ask(self, worker: Worker, ask: Ask, now: float) -> None:
        task = self._current(worker, ask.task_id, ask.attempt)
        if task is None:
            self._members.ignore(worker.peer, ask, "superseded")
            return
        if not task.is_started:
            self._begin(task, worker, now)
        self._lives.out.append(Question(worker.peer, worker.id, ask, task.spec.run))

    # ---- small parts -----------------------------------------------------------------

    def _flush(self, now: float) -> list[DispatcherEffect]:
        lives = self._lives
        if lives.freed or lives.ready:
            lives.assign(now)
        if lives.waiting and not self._beats.has_urged:
            self._beats.urge(now)
        out, lives.out = lives.out, []
        return out
