"""Tasks from before a restart, and losses that were none: what goes on is taken back."""

from __future__ import annotations

from math import inf

from zscrape.core.effects import TaskAdopted, TaskQueued
from zscrape.core.entities import Task, Worker
from zscrape.core.history import History
from zscrape.core.lives import Lives
from zscrape.core.task import Place
from zscrape.model import OutcomeCode, Overlap, TaskSpec


def restore(
    lives: Lives,
    spec: TaskSpec,
    *,
    attempt: int,
    history: History,
    worker: Worker | None,
    now: float,
) -> None:
    """Take a task known from before a restart, held for `worker` if that is only expected."""
    task = _recall(lives, spec, attempt, history, now)
    key = _key(spec)
    is_held = worker is not None and (worker.is_expected or history.is_adopted)
    is_free = key not in lives.locks.by_key or key in lives.leases.strange
    if history.parked_on and is_free:
        if key is not None:
            lives.leases.seize(task, key)
        lives.park(task, history.parked_on)
        return
    if worker is not None and is_held and is_free:
        if key is not None:
            lives.leases.seize(task, key)
        task.move(Place.ASSIGNED)
        task.worker = worker
        task.worker_id = worker.id
        task.evidence_at = now
        worker.owed[task.id] = task
        lives.deadlines.wake(task, task.next_at)
        if history.is_adopted:
            lives.claims[task] = task.lease_until + lives.heartbeat.margin_s
            lives.ask_for(worker)
        return
    # Whoever still has the attempt may say so before another is sent.
    task.is_lost = attempt > 0
    if key is not None and not lives.locks.claim(task, key):
        lives.out.append(TaskQueued(task.id, attempt))
        task.move(Place.LINE)
        lives.wait(task, now)
    elif key is not None and attempt:
        rest_until = task.lease_until + lives.heartbeat.margin_s
        lives.rest(task, Place.LEASE, OutcomeCode.WORKER_LOST, rest_until, now)
    elif history.rest_s > 0 and history.last_code is not None:
        task.is_lost = False  # its last attempt has spoken
        lives.rest(task, Place.REST, history.last_code, now + history.rest_s, now)
    else:
        lives.out.append(TaskQueued(task.id, attempt))
        lives.enqueue(task)


def _recall(lives: Lives, spec: TaskSpec, attempt: int, history: History, now: float) -> Task:
    """Take a task in with all that it has been through."""
    task = lives.admit(spec, now)
    task.attempt = attempt
    task.received_count = history.received_count
    task.try_count, task.lost_count = history.try_count, history.lost_count
    task.is_last = history.is_last
    if history.last_code is not None:
        lives.route(task, history.last_code)
    task.accepted_at -= history.age_s
    task.deadline_at -= history.age_s
    task.lease_until = now + lives.heartbeat.lease_s
    if attempt:
        task.match_at = inf
    return task


def adopt(lives: Lives, task: Task, worker: Worker, *, is_owed: bool, now: float) -> None:
    """Take back a loss: `worker` still has the last attempt of `task`, or its outcome."""
    lives.queue.remove(task)
    if task.is_waiting:  # not yet where it was lost by the same message
        lives.leave_waiting(task)
    task.move(Place.RUNNING if task.is_started else Place.ASSIGNED)
    lives.running_count += task.is_started
    task.is_lost = False
    task.lost_count = max(0, task.lost_count - 1)
    lives.out.append(TaskAdopted(task.id, task.attempt, worker.id, task.is_started))
    task.worker = worker
    task.worker_id = worker.id
    task.evidence_at = now
    if is_owed:
        worker.owed[task.id] = task
    else:
        worker.tasks[task.id] = task
        lives.pool.weigh(worker)
    lives.deadlines.wake(task, task.next_at)


def _key(spec: TaskSpec) -> str | None:
    """Return the key that the task must hold to run, or None."""
    if spec.lock is None or spec.lock.overlap is Overlap.ALLOW:
        return None
    return spec.lock.key
