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
from zscrape.core.deadlines import Alarm, Deadlines
from zscrape.core.effects import (
    DispatcherEffect,
    Send,
    TaskAccepted,
    TaskAssigned,
    TaskFinished,
    TaskQueued,
)
from zscrape.core.entities import Leftover, Lock, Task, Worker
from zscrape.core.leases import Leases
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
        self.alarm = Alarm()  # of the whole dispatcher
        self.deadlines: Deadlines[Task | Leftover] = Deadlines(self.alarm)
        # Adopted tasks whose workers are asked for the attempt, and until when.
        self.claims: dict[Task, float] = {}
        self.leases = Leases(self.locks, self.deadlines, heartbeat, release=self.release)
        self.out: list[DispatcherEffect] = []
        self.freed: list[Worker] = []
        self.ready: list[Task] = []
        self.heartbeat = heartbeat
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
        limit_count, own = policy.client_limit_count, spec.client_limit_count
        if own is not None and own < limit_count:
            limit_count = own
        known = self.client_counts.get(spec.client, 0)
        if self.elsewhere:
            known += self.elsewhere.get(spec.client, 0)
        if known >= limit_count:
            raise ClientQueueFull(limit_count=limit_count, is_of_key=limit_count == own)
        lock = spec.lock
        if lock is None or lock.overlap is Overlap.ALLOW:
            self._place(self.admit(spec, now), now)
            return
        refusal = self.locks.refusal(lock, now=now)
        if refusal is not None:
            raise refusal
        task = self.admit(spec, now)
        held = self.locks.by_key.get(lock.key)
        if held is not None and lock.overlap is Overlap.REPLACE:
            self.out.append(TaskAccepted(spec.id))
            self._replace(held, now)
            if self.locks.claim(task, lock.key):
                self.enqueue(task)
            else:
                self._line_up(task, now)
        elif self.locks.claim(task, lock.key):
            self._place(task, now)
        else:
            self.out.append(TaskAccepted(spec.id))
            self._line_up(task, now)

    def _place(self, task: Task, now: float) -> None:
        """Give a new task a slot that is free, else let it wait for one.

        It overtakes nobody: see `assign`.
        """
        chosen = self.pool.choose(task.demand)
        if chosen is None:
            self.out.append(TaskAccepted(task.spec.id))
            task.move(Place.QUEUE)
            self._stand(task, now)
        else:
            self._send_run(task, chosen, now, is_accepted=True)

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

    def admit(self, spec: TaskSpec, now: float) -> Task:
        """Take a task in; where it stands is for the caller to say."""
        if spec.id in self.tasks:
            raise ValueError(f"task {spec.id} is known already")
        demand = self.pool.demand(spec)
        demand.task_count += 1
        self._seq += 1
        deadline_at = inf if spec.deadline_s is None else now + spec.deadline_s
        task = self.tasks[spec.id] = Task(spec, demand, self._seq, now, deadline_at)
        self.client_counts[spec.client] += 1
        return task

    def _line_up(self, task: Task, now: float) -> None:
        """Let a task wait for its lock."""
        task.move(Place.LINE)
        self.wait(task, now)

    def _replace(self, lock: Lock, now: float) -> None:
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

    def _stand(self, task: Task, now: float) -> None:
        if not task.is_queued:
            if task.turn < 0.0:  # one that finds a slot at once takes nobody's turn
                task.turn = self._turns.draw(task.spec, has_waited=task.has_waited)
            self.queue.push(task)
            self.wait(task, now)

    def wait(self, task: Task, now: float) -> None:
        """Note that `task` waits, and look at it when its time is over."""
        if not task.is_waiting:
            task.is_waiting = True
            task.waits_since = now
            self.waiting[task.spec.id] = task
            if task.schedule_at == inf:
                task.schedule_at = now + task.spec.schedule_timeout_s
                if not task.attempt:  # else someone fits
                    task.match_at = now + task.spec.match_timeout_s
        self.deadlines.wake(task, task.next_at)

    def leave_waiting(self, task: Task) -> None:
        """Note that `task`, which waited, does so no more."""
        task.is_waiting = False
        del self.waiting[task.spec.id]

    def _send_run(
        self, task: Task, worker: Worker, now: float, *, is_accepted: bool = False
    ) -> None:
        spec = task.spec
        task_id, run = spec.id, spec.run
        task.place = Place.ASSIGNED  # from NEW or QUEUE: nothing else is looked at for a slot
        if task.attempt:  # what was said by the last one
            task.is_lost = task.is_started = task.is_listed = False
            task.received_count = 0
        attempt = task.attempt = task.attempt + 1
        task.worker = worker
        task.worker_id = worker.id
        task.evidence_at = now
        if task.is_waiting:
            self.leave_waiting(task)
            task.match_at = inf  # someone fits: from now on it waits like any other
            if task.turn >= 0.0:
                self._turns.serve(spec, task.turn)
        worker.tasks[task_id] = task
        self.pool.moved[worker] = None
        if task.demand.is_browser:
            self.pool.weigh(worker)
        lease_ms = 0
        if task.lock is not None:
            lease_ms = self._lease_ms
            task.lease_until = now + self.heartbeat.lease_s
        remaining_ms = None
        if task.deadline_at != inf:
            self.deadlines.wake(task, task.deadline_at)
            remaining_ms = max(0, int((task.deadline_at - now) * 1000))
        told = Run(
            task_id,
            attempt,
            worker.beat_seq,
            remaining_ms,
            lease_ms,
            run,
            spec.params,
            trace_id=spec.trace_id,
            client=spec.client if run.reuse_count > 1 else "",
        )
        self.out += (
            TaskAssigned(task_id, attempt, worker.id, is_accepted),
            Send(worker.peer, told),
        )

    # ---- ends of attempts ------------------------------------------------------------

    def detach(self, task: Task, worker: Worker) -> None:
        """Take `task` off `worker`; its slot is free unless a leftover fills it.

        What waits for workers of other kinds costs nothing here.
        """
        task_id = task.spec.id
        if worker.tasks.pop(task_id, None) is None:
            del worker.owed[task_id]
            self.claims.pop(task, None)
        else:
            self.pool.moved[worker] = None
            if task.demand.is_browser:
                self.pool.weigh(worker)
            if self.waiting and worker.kind is not None and worker.kind.heads:
                self.freed.append(worker)
        if task.place is Place.RUNNING:
            self.running_count -= 1
        task.worker = None

    def failed(self, task: Task, worker: Worker, outcome: Outcome, *, now: float) -> None:
        """End the attempt of `task` without success: the task's last word, or another try."""
        self.detach(task, worker)
        if outcome.parked_on and not task.is_last:
            self.park(task, outcome.parked_on)
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
            self.route(task, outcome.code)
            self.rest(task, Place.REST, outcome.code, now + delay_s, now, message)

    def route(self, task: Task, code: OutcomeCode) -> None:
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
        rest_until = task.lease_until + self.heartbeat.margin_s
        is_leased = may_run and task.lock is not None and rest_until > now
        if task.is_last or task.lost_count >= self._policy.lost_limit_count:
            self._give_up(task, self.leases.orphan(task) if is_leased else None)
        elif is_leased:
            self.rest(task, Place.LEASE, OutcomeCode.WORKER_LOST, rest_until, now)
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

    def rest(
        self,
        task: Task,
        place: Place,
        code: OutcomeCode,
        until: float,
        now: float,
        message: str = "",
    ) -> None:
        """Let `task` wait at `place` until a moment, then for its next try; `code` says why."""
        task.move(place)
        task.last_code = code
        task.rest_until = until
        self.out.append(TaskQueued(task.id, task.attempt, code, until - now, message))
        self.wait(task, now)

    def park(self, task: Task, question: str) -> None:
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

    def abort(self, task: Task, outcome: Outcome, *, now: float) -> None:
        """End `task` from outside, wherever it stands; an attempt of it is told to stop."""
        worker = task.worker
        leftover: Leftover | None = None
        if worker is None:
            self.queue.remove(task)
            if task.place is Place.LINE and task.lock is not None:
                self.locks.leave(task, task.lock)
            elif task.place is Place.LEASE:
                leftover = self.leases.orphan(task)
        elif task.id in worker.owed:
            if task in self.claims:
                self.ask_for(worker)
                self.out.append(Send(worker.peer, Cancel(task.id, task.attempt, outcome.code)))
            self.detach(task, worker)
            leftover = self.leases.orphan(task)
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
        del self.tasks[task_id]  # once: there is a move to the end from everywhere else
        task.place = Place.FINAL
        if task.is_waiting:
            self.leave_waiting(task)
        if task.parked_on:
            del self.parked[task_id]
        if task.promise is not None:
            self.deadlines.clear(task)
        task.demand.task_count -= 1
        counts = self.client_counts
        left_count = counts[client] - 1
        if left_count:
            counts[client] = left_count
        else:
            del counts[client]
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
            self.leases.abandon(leftover, leftover.lock)
        else:
            self.release(leftover.lock)


def _by_order(task: Task) -> tuple[int, float, int]:
    return task.order
