"""The lives of tasks: from acceptance over attempts to the one final word.

`Lives` changes tasks, queue, locks and the slots of workers, and writes down every effect.
It knows nothing of messages' order, sessions or beats: that is the dispatcher's dialogue.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from math import inf
from typing import Final

import msgspec

from zscrape.core import retry
from zscrape.core.deadlines import Deadlines
from zscrape.core.effects import (
    DispatcherEffect,
    Send,
    TaskAccepted,
    TaskAdopted,
    TaskAssigned,
    TaskFinished,
    TaskQueued,
)
from zscrape.core.entities import Leftover, Lock, Task, Worker
from zscrape.core.history import History
from zscrape.core.locks import Locks
from zscrape.core.pool import Pool
from zscrape.core.queue import Queue
from zscrape.core.task import Place
from zscrape.core.turns import Turns
from zscrape.errors.refusals import ClientQueueFull, QueueFull
from zscrape.model import (
    HeartbeatPolicy,
    Outcome,
    OutcomeCode,
    Overlap,
    QueuePolicy,
    TaskId,
    TaskSpec,
    WorkerId,
)
from zscrape.wire import Cancel, Claim, Run

# A script's last words between two tries: for people, and kept in its task's row.
_MESSAGE_LIMIT_CHARACTERS: Final = 2_000


class Lives:
    """All tasks that have not ended, and what may happen to them.

    `out` collects the effects of one call. Tasks that may run, and while any waits the slots
    that came free, are only noted; `assign`, at the end of every call, is the one place that
    gives work away.
    """

    def __init__(self, *, heartbeat: HeartbeatPolicy, policy: QueuePolicy) -> None:
        self.tasks: dict[TaskId, Task] = {}
        self.waiting: dict[TaskId, Task] = {}  # longest waiting first
        self.parked: dict[TaskId, Task] = {}  # without a slot, until they are woken
        self.running_count = 0
        self.missed_beat_count = 0  # since the start
        self.queue = Queue()
        self.pool = Pool(self.queue)
        self.locks = Locks()
        self.deadlines: Deadlines[Task | Leftover] = Deadlines()
        # Adopted tasks whose workers are asked for the attempt, and until when.
        self.claims: dict[Task, float] = {}
        self.orphans: dict[Leftover, Lock] = {}  # without a worker: they only keep a lock
        self.strange: dict[str, Leftover] = {}  # what keeps keys that another gateway holds
        self.out: list[DispatcherEffect] = []
        self.freed: list[Worker] = []
        self.ready: list[Task] = []
        self._heartbeat = heartbeat
        self._lease_ms = round(heartbeat.lease_s * 1000)
        self._policy = policy
        self._turns = Turns()
        self.client_counts: dict[str, int] = defaultdict(int)  # of tasks that have not ended
        self.elsewhere: Mapping[str, int] = {}  # the same, at other gateways
        self._seq = 0

    # ---- acceptance ------------------------------------------------------------------

    def accept(self, spec: TaskSpec, *, now: float) -> None:
        """Take a new task.

        Raises:
            QueueFull: As many tasks wait as may; nothing has changed.
            ClientQueueFull: So it is for its client; nothing has changed.
            LockHeld: Its lock is held and it would not wait; nothing has changed.
        """
        policy = self._policy
        if len(self.waiting) >= policy.limit_count:
            raise QueueFull(limit_count=policy.limit_count)
        self._check_client(spec)
        lock = spec.lock
        if lock is None or lock.overlap is Overlap.ALLOW:
            task = self._admit(spec, now)
            self.out.append(TaskAccepted(spec.id))
            self.enqueue(task)
            return
        refusal = self.locks.refusal(lock, now=now)
        if refusal is not None:
            raise refusal
        task = self._admit(spec, now)
        self.out.append(TaskAccepted(spec.id))
        if lock.overlap is Overlap.REPLACE:
            self._replace(lock.key, now)
        self._claim(task, lock.key, now)

    def _check_client(self, spec: TaskSpec) -> None:
        own, count = spec.client_limit_count, self._policy.client_limit_count
        limit_count = count if own is None else min(own, count)
        known = self.client_counts.get(spec.client, 0) + self.elsewhere.get(spec.client, 0)
        if known >= limit_count:
            raise ClientQueueFull(limit_count=limit_count, is_of_key=limit_count == own)

    def restore(
        self,
        spec: TaskSpec,
        *,
        attempt: int,
        history: History,
        worker: Worker | None,
        now: float,
    ) -> None:
        """Take a task known from before a restart, held for `worker` if that is only expected."""
        task = self._recall(spec, attempt, history, now)
        key = _key(spec)
        is_held = worker is not None and (worker.is_expected or history.is_adopted)
        is_free = key not in self.locks.by_key or key in self.strange
        if history.parked_on and is_free:
            if key is not None:
                self._seize(task, key)
            self._park(task, history.parked_on)
            return
        if worker is not None and is_held and is_free:
            if key is not None:
                self._seize(task, key)
            task.move(Place.ASSIGNED)
            task.worker = worker
            task.worker_id = worker.id
            task.evidence_at = now
            worker.owed[task.id] = task
            self.deadlines.wake(task, task.next_at)
            if history.is_adopted:
                self.claims[task] = task.lease_until + self._heartbeat.margin_s
                self.ask_for(worker)
            return
        # Whoever still has the attempt may say so before another is sent.
        task.is_lost = attempt > 0
        if key is not None and not self.locks.claim(task, key):
            self.out.append(TaskQueued(task.id, attempt))
            task.move(Place.LINE)
            self._wait(task, now)
        elif key is not None and attempt:
            rest_until = task.lease_until + self._heartbeat.margin_s
            self._rest(task, Place.LEASE, OutcomeCode.WORKER_LOST, rest_until, now)
        elif history.rest_s > 0 and history.last_code is not None:
            task.is_lost = False  # its last attempt has spoken
            self._rest(task, Place.REST, history.last_code, now + history.rest_s, now)
        else:
            self.out.append(TaskQueued(task.id, attempt))
            self.enqueue(task)

    def _recall(self, spec: TaskSpec, attempt: int, history: History, now: float) -> Task:
        """Take a task in with all that it has been through."""
        task = self._admit(spec, now)
        task.attempt = attempt
        task.received_count = history.received_count
        task.try_count, task.lost_count = history.try_count, history.lost_count
        task.is_last = history.is_last
        if history.last_code is not None:
            self._route(task, history.last_code)
        task.accepted_at -= history.age_s
        task.deadline_at -= history.age_s
        task.lease_until = now + self._heartbeat.lease_s
        if attempt:
            task.match_at = inf
        return task

    def ask_for(self, worker: Worker) -> None:
        """Ask a worker for the attempts that another gateway has sent it."""
        if worker.peer:
            for task in worker.owed.values():
                if task in self.claims:
                    self.out.append(Send(worker.peer, Claim(*task.current)))

    def settle_claim(self, task: Task, worker: Worker) -> None:
        """Note that an adopted attempt runs in a slot that is this gateway's; nothing else."""
        if task in self.claims and worker.in_flight_count < worker.slots:
            del self.claims[task]
            worker.tasks[task.id] = worker.owed.pop(task.id)
            self.pool.weigh(worker)

    def _admit(self, spec: TaskSpec, now: float) -> Task:
        if spec.id in self.tasks:
            raise ValueError(f"task {spec.id} is known already")
        demand = self.pool.demand(spec)
        demand.task_count += 1
        self._seq += 1
        task = Task(
            spec,
            demand,
            self._seq,
            now,
            now + spec.schedule_timeout_s,
            now + spec.match_timeout_s,
            inf if spec.deadline_s is None else now + spec.deadline_s,
        )
        self.tasks[spec.id] = task
        self.client_counts[spec.client] += 1
        return task

    def _claim(self, task: Task, key: str, now: float) -> None:
        if self.locks.claim(task, key):
            self.enqueue(task)
        else:
            task.move(Place.LINE)
            self._wait(task, now)

    def _replace(self, key: str, now: float) -> None:
        lock = self.locks.by_key.get(key)
        if lock is None:
            return
        for task in [*lock.line.values(), self.tasks.get(lock.holder)]:
            if task is not None:
                self.abort(task, Outcome(OutcomeCode.CANCELLED), now=now)

    # ---- waiting and being assigned --------------------------------------------------

    def enqueue(self, task: Task) -> None:
        """Let `task` have the next slot that fits; `assign` decides."""
        task.has_waited = task.place is Place.LINE
        task.move(Place.QUEUE)
        self.ready.append(task)

    def requeue(self, task: Task, code: OutcomeCode | None, *, now: float) -> None:
        """Give a detached task back to the queue; it waits anew, in its old place."""
        if task.is_last:
            self._give_up(task, None)
            return
        task.schedule_at = now + task.spec.schedule_timeout_s
        self.out.append(TaskQueued(task.id, task.attempt, code))
        self.enqueue(task)

    def assign(self, now: float) -> None:
        """Give work to every worker with room, as far as there is any. The only place that does.

        A task that just became ready cannot overtake one that waits: had there been a worker
        with room for that one, it would not wait.
        """
        if self.freed:
            self._assign_freed(now)
        ready = self.ready
        if len(ready) > 1:
            ready.sort(key=_by_order)
        for task in ready:
            if task.place is not Place.QUEUE:
                continue
            chosen = self.pool.choose(task.demand)
            if chosen is None:
                self._stand(task, now)
            else:
                if task.is_queued:
                    self.queue.remove(task)
                self._send_run(task, chosen, now)
                self.pool.weigh_slots(chosen)
        ready.clear()

    def _assign_freed(self, now: float) -> None:
        """Fill the slots that came free; what became ready stands in the queue with the rest."""
        for task in self.ready:
            if task.place is Place.QUEUE:
                self._stand(task, now)
        freed = self.freed
        while freed:
            worker = freed.pop()
            if worker.kind is None:
                continue
            for _ in range(worker.capacity - worker.in_flight_count):
                first = self.queue.take(worker.kind)  # another one, once its browsers are busy
                if first is None:
                    break
                self._send_run(first, worker, now)
            self.pool.weigh_slots(worker)  # once: mostly one has gone and one has come

    def _stand(self, task: Task, now: float) -> None:
        if not task.is_queued:
            if task.turn < 0.0:  # one that finds a slot at once takes nobody's turn
                task.turn = self._turns.draw(task.spec, has_waited=task.has_waited)
            self.queue.push(task)
            self._wait(task, now)

    def _wait(self, task: Task, now: float) -> None:
        if task.id not in self.waiting:
            task.waits_since = now
            self.waiting[task.id] = task
        self.deadlines.wake(task, task.next_at)

    def _send_run(self, task: Task, worker: Worker, now: float) -> None:
        spec = task.spec
        task.move(Place.ASSIGNED)
        if task.turn >= 0.0:
            self._turns.serve(spec, task.turn)
        task.attempt += 1
        task.worker = worker
        task.worker_id = worker.id
        task.match_at = inf  # someone fits: from now on it waits like any other
        task.is_lost = task.is_started = task.is_listed = False
        task.received_count = 0
        task.evidence_at = now
        self.waiting.pop(spec.id, None)
        worker.tasks[spec.id] = task
        if task.demand.is_browser:
            self.pool.weigh(worker)
        lease_ms = 0
        if task.lock is not None:
            lease_ms = self._lease_ms
            task.lease_until = now + self._heartbeat.lease_s
        remaining_ms = None
        if task.deadline_at != inf:
            self.deadlines.wake(task, task.deadline_at)
            remaining_ms = max(0, int((task.deadline_at - now) * 1000))
        self.out.append(TaskAssigned(spec.id, task.attempt, worker.id))
        run = Run(
            spec.id,
            task.attempt,
            worker.beat_seq,
            remaining_ms,
            lease_ms,
            spec.run,
            spec.params,
            trace_id=spec.trace_id,
            client=spec.client if spec.run.reuse_count > 1 else "",
        )
        self.out.append(Send(worker.peer, run))

    # ---- ends of attempts ------------------------------------------------------------

    def detach(self, task: Task, worker: Worker) -> None:
        """Take `task` off `worker`; its slot is free unless a leftover fills it.

        While others wait, the worker is weighed when its slots have been filled again, by
        `assign`.
        """
        if worker.tasks.pop(task.spec.id, None) is None:
            del worker.owed[task.spec.id]
            self.claims.pop(task, None)
        else:
            if task.demand.is_browser:
                self.pool.weigh(worker)
            if self.waiting:
                self.freed.append(worker)
            else:
                self.pool.weigh_slots(worker)
        if task.place is Place.RUNNING:
            self.running_count -= 1
        task.worker = None

    def answered(self, task: Task, worker: Worker, outcome: Outcome, *, now: float) -> None:
        """End the attempt of `task` with its outcome: the task's last word, or another try."""
        self.detach(task, worker)
        if outcome.code is OutcomeCode.OK:
            self.end(task, outcome, worker.id)
            return
        if outcome.parked_on and not task.is_last:
            self._park(task, outcome.parked_on)
            return
        task.try_count += 1
        policy = task.spec.retry
        if retry.is_deadly(outcome):
            task.lost_count += 1
            if task.lost_count >= self._policy.lost_limit_count:
                fields = {**outcome.fields, "lost_count": task.lost_count}
                told = msgspec.structs.replace(outcome, fields=fields)
                self.end(task, told, worker.id, dropped_reason="poison")
                return
        if task.is_last or not retry.is_retryable(policy, outcome.code):
            self.end(task, outcome, worker.id)
        elif task.try_count > policy.max_count:
            fields = {**outcome.fields, "try_count": task.try_count}
            told = msgspec.structs.replace(outcome, fields=fields)
            self.end(task, told, worker.id, dropped_reason="retry_exhausted")
        else:
            delay_s = retry.rest_s(policy, task.current, try_count=task.try_count)
            said = f"{outcome.error_type}: {outcome.error_message}" if outcome.error_type else ""
            message = said[:_MESSAGE_LIMIT_CHARACTERS]
            self._route(task, outcome.code)
            self._rest(task, Place.REST, outcome.code, now + delay_s, now, message)

    def _route(self, task: Task, code: OutcomeCode) -> None:
        """Let further tries of a task that ended with `code` go where its policy sends them."""
        requires = task.spec.requires | task.spec.retry.routes.get(code, frozenset())
        if requires == task.spec.requires:
            return
        self.queue.leave(task)
        task.demand.task_count -= 1
        # Heads of the demand before may name it still: no two entries may be alike.
        self._seq += 1
        task.seq = self._seq
        task.spec = msgspec.structs.replace(task.spec, requires=requires)
        task.demand = self.pool.demand(task.spec)
        task.demand.task_count += 1

    def lose(self, task: Task, *, may_run: bool, now: float) -> None:
        """Give up the last attempt of a detached task. `may_run`: it perhaps goes on."""
        task.lost_count += 1
        task.is_lost = True
        rest_until = task.lease_until + self._heartbeat.margin_s
        is_leased = may_run and task.lock is not None and rest_until > now
        if task.is_last or task.lost_count >= self._policy.lost_limit_count:
            self._give_up(task, self._orphan(task) if is_leased else None)
        elif is_leased:
            self._rest(task, Place.LEASE, OutcomeCode.WORKER_LOST, rest_until, now)
        else:
            self.requeue(task, OutcomeCode.WORKER_LOST, now=now)

    def _give_up(self, task: Task, leftover: Leftover | None) -> None:
        fields: dict[str, str | int | float] = {
            "worker_id": task.worker_id,
            "attempt": task.attempt,
            "lost_count": task.lost_count,
        }
        is_poison = task.lost_count >= self._policy.lost_limit_count
        reason = "poison" if is_poison else ""
        outcome = Outcome(OutcomeCode.WORKER_LOST, fields=fields)
        self.end(task, outcome, None, leftover, dropped_reason=reason)

    def _rest(
        self,
        task: Task,
        place: Place,
        code: OutcomeCode,
        until: float,
        now: float,
        message: str = "",
    ) -> None:
        task.move(place)
        task.last_code = code
        task.rest_until = until
        self.out.append(TaskQueued(task.id, task.attempt, code, until - now, message))
        self._wait(task, now)

    def _park(self, task: Task, question: str) -> None:
        """Let a task wait for a person: nothing but its lock stays held, and no try is counted."""
        task.move(Place.PARK)
        task.parked_on = question
        self.parked[task.id] = task
        self.out.append(TaskQueued(task.id, task.attempt, parked_on=question))
        self.deadlines.wake(task, task.next_at)

    def wake(self, task: Task, *, now: float) -> None:
        """Queue a parked task again."""
        del self.parked[task.id]
        task.parked_on = ""
        self.requeue(task, None, now=now)

    def adopt(self, task: Task, worker: Worker, *, is_owed: bool, now: float) -> None:
        """Take back a loss: `worker` still has the last attempt of `task`, or its outcome."""
        self.queue.remove(task)
        del self.waiting[task.id]
        task.move(Place.RUNNING if task.is_started else Place.ASSIGNED)
        self.running_count += task.is_started
        task.is_lost = False
        task.lost_count = max(0, task.lost_count - 1)
        self.out.append(TaskAdopted(task.id, task.attempt, worker.id, task.is_started))
        task.worker = worker
        task.worker_id = worker.id
        task.evidence_at = now
        if is_owed:
            worker.owed[task.id] = task
        else:
            worker.tasks[task.id] = task
            self.pool.weigh(worker)
        self.deadlines.wake(task, task.next_at)

    def abort(self, task: Task, outcome: Outcome, *, now: float) -> None:
        """End `task` from outside, wherever it stands; an attempt of it is told to stop."""
        worker = task.worker
        leftover: Leftover | None = None
        if worker is None:
            self.queue.remove(task)
            if task.place is Place.LINE and task.lock is not None:
                self.locks.leave(task, task.lock)
            elif task.place is Place.LEASE:
                leftover = self._orphan(task)
        elif task.id in worker.owed:
            if task in self.claims:
                self.ask_for(worker)
                self.out.append(Send(worker.peer, Cancel(task.id, task.attempt, outcome.code)))
            self.detach(task, worker)
            leftover = self._orphan(task)
        else:
            leftover = Leftover(task.current, task.is_listed, task.lease_until)
            worker.leftovers[leftover.attempt] = leftover
            self.out.append(Send(worker.peer, Cancel(task.id, task.attempt, outcome.code)))
            self.detach(task, worker)
        self.end(task, outcome, None, leftover)

    def end(
        self,
        task: Task,
        outcome: Outcome,
        worker_id: WorkerId | None,
        leftover: Leftover | None = None,
        *,
        dropped_reason: str = "",
    ) -> None:
        """Say the last word on `task` and forget it. Its lock goes on, or stays with `leftover`."""
        spec = task.spec
        task_id, client = spec.id, spec.client
        task.move(Place.FINAL)
        del self.tasks[task_id]
        self.waiting.pop(task_id, None)
        self.parked.pop(task_id, None)
        self.deadlines.clear(task)
        task.demand.task_count -= 1
        count = self.client_counts.pop(client) - 1
        if count:
            self.client_counts[client] = count
        has_begun = outcome.run_s > 0.0 and not task.is_started
        self.out.append(
            TaskFinished(
                task_id,
                task.attempt,
                worker_id,
                outcome,
                dropped_reason,
                spec.trace_id,
                has_begun,
            )
        )
        lock = task.lock
        if lock is None:
            return
        if leftover is None:
            self.release(lock)
        else:
            lock.is_closing = True
            leftover.lock = lock

    # ---- leftovers and locks ---------------------------------------------------------

    def release(self, lock: Lock) -> None:
        """Free a lock; the first in its line may run."""
        task = self.locks.release(lock)
        if task is not None:
            self.enqueue(task)

    def drop(self, worker: Worker, leftover: Leftover, *, may_run: bool) -> None:
        """Take a leftover off `worker`. If it `may_run`, its lock waits for the lease to end."""
        del worker.leftovers[leftover.attempt]
        self.pool.weigh(worker)
        self.freed.append(worker)
        if leftover.lock is None:
            return
        if may_run:
            self._abandon(leftover, leftover.lock)
        else:
            self.release(leftover.lock)

    def _abandon(self, leftover: Leftover, lock: Lock) -> None:
        self.orphans[leftover] = lock
        self.deadlines.wake(leftover, leftover.lease_until + self._heartbeat.margin_s)

    def expire(self, leftover: Leftover) -> None:
        """Free the lock of an abandoned leftover: by now its worker has ended it."""
        lock = self.orphans.pop(leftover)
        self.strange.pop(lock.key, None)
        self.release(lock)

    def hold_back(self, key: str, holder: TaskId, *, now: float) -> None:
        """Keep a key for a lease that a task of another gateway holds; again to keep it longer."""
        leftover = self.strange.pop(key, None)
        lock = self.locks.by_key.get(key)
        if leftover is not None and lock is not None:
            lock.holder = holder
            del self.orphans[leftover]
            self.deadlines.clear(leftover)
        elif lock is not None:
            return
        else:
            lock = self.locks.reserve(key, holder, since=now)
        lease_until = now + self._heartbeat.lease_s
        leftover = self.strange[key] = Leftover((holder, 0), lease_until=lease_until, lock=lock)
        self._abandon(leftover, lock)

    def _seize(self, task: Task, key: str) -> None:
        """Give a key to a task whose attempt has it already, before anyone in line here."""
        leftover = self.strange.pop(key, None)
        if leftover is None:
            self.locks.claim(task, key)
        else:
            self.deadlines.clear(leftover)
            self.locks.give(self.orphans.pop(leftover), task)

    def let_in(self, key: str) -> None:
        """Give a key that was held back to the first who waits for it."""
        leftover = self.strange.get(key)
        if leftover is not None:
            self.deadlines.clear(leftover)
            self.expire(leftover)

    def reserve(self, key: str, holder: TaskId, *, now: float) -> None:
        """Keep a key for a lease: an attempt from before a restart may still hold it."""
        if key in self.locks.by_key:
            return
        lock = self.locks.reserve(key, holder, since=now)
        lease_until = now + self._heartbeat.lease_s
        self._abandon(Leftover((holder, 0), lease_until=lease_until, lock=lock), lock)

    def _orphan(self, task: Task) -> Leftover | None:
        """Return what keeps the lock of a task whose attempt may run on, out of our sight."""
        if task.lock is None:
            return None
        leftover = Leftover(task.current, task.is_listed, task.lease_until, task.lock)
        self._abandon(leftover, task.lock)
        return leftover


def _key(spec: TaskSpec) -> str | None:
    """Return the key that the task must hold to run, or None."""
    if spec.lock is None or spec.lock.overlap is Overlap.ALLOW:
        return None
    return spec.lock.key


def _by_order(task: Task) -> tuple[int, float, int]:
    return task.order
