"""What the dispatcher tells of itself: why a task waits, and the whole at one moment."""

from __future__ import annotations

from typing import TypeAlias

from zscrape.core import patience
from zscrape.core.entities import Demand, Task, Worker
from zscrape.core.lives import Lives
from zscrape.core.snapshots import Explanation, Snapshot, WorkerSnapshot, WorkerStatus
from zscrape.core.task import Place
from zscrape.model import TaskId

Fields: TypeAlias = dict[str, str | int | float]


def has_live_worker(demand: Demand) -> bool:
    """True iff some worker that takes work could run what `demand` stands for."""
    return any(
        worker.status is WorkerStatus.LIVE
        for _, kind in demand.offers
        for worker in kind.members.values()
    )


def explain(lives: Lives, task_id: TaskId, *, now: float) -> Explanation | None:
    """Say why a task waits, or where it is; None if it is unknown or has ended."""
    task = lives.tasks.get(task_id)
    if task is None:
        return None
    match task.place:
        case Place.LINE:
            return _line(task)
        case Place.REST:
            code = "" if task.last_code is None else str(task.last_code)
            delay_s = max(0.0, task.rest_until - now)
            fields: Fields = {"attempt": task.attempt, "code": code, "delay_s": delay_s}
            return Explanation("retry_later", fields)
        case Place.LEASE | Place.PARK | Place.ASSIGNED | Place.RUNNING:
            return _attempted(task, now)
        case _:
            return _queued(lives, task)


def _attempted(task: Task, now: float) -> Explanation:
    where: Fields = {"attempt": task.attempt, "worker_id": task.worker_id}
    if task.place is Place.PARK:
        return Explanation("person", {**where, "worker_id": "-", "handoff": task.parked_on})
    if task.place is Place.LEASE:
        return Explanation("lease", {**where, "delay_s": max(0.0, task.rest_until - now)})
    return Explanation("running" if task.place is Place.RUNNING else "assigned", where)


def _line(task: Task) -> Explanation:
    if task.lock is None:
        raise AssertionError(f"task {task.id} stands in no line")
    ahead_count = list(task.lock.line).index(task.id)
    fields: Fields = {"key": task.lock.key, "holder": task.lock.holder, "ahead_count": ahead_count}
    return Explanation("lock_held", fields)


def _queued(lives: Lives, task: Task) -> Explanation:
    demand = task.demand
    known = [worker for worker in lives.pool.workers.values() if worker.kind is not None]
    if not known:
        return Explanation("no_worker", {})
    if not any(demand.requires <= worker.tags for worker in known):
        missing = patience.missing(lives, task)
        return Explanation("no_matching_worker", {"missing": missing, "worker_count": len(known)})
    if not demand.offers:
        pin = task.spec.run.pin
        return Explanation("cannot_run", {"script_name": pin.name, "version": pin.version})
    fitting = [worker for _, kind in demand.offers for worker in kind.members.values()]
    if demand.is_browser and not any(worker.has_browser_room for worker in fitting):
        return Explanation(
            "browsers_busy",
            {
                "browser_slot_count": sum(worker.browser_slots for worker in fitting),
                "worker_count": len(fitting),
                "ahead_count": _ahead_count(lives, task),
            },
        )
    return Explanation(
        "slots_busy",
        {
            "slot_count": sum(worker.capacity for worker in fitting),
            "worker_count": len(fitting),
            "ahead_count": _ahead_count(lives, task),
        },
    )


def _ahead_count(lives: Lives, task: Task) -> int:
    """Count the tasks that a worker which fits would rather take."""
    kinds = {kind for _, kind in task.demand.offers}
    return sum(
        entry[3].is_queued and entry[3].order < task.order
        for demand in lives.pool.demands.values()
        if any(kind in kinds for _, kind in demand.offers)
        for entry in demand.heap
    )


def snapshot(lives: Lives, *, now: float) -> Snapshot:
    """Return the whole dispatcher at this moment."""
    workers = lives.pool.workers.values()
    taking = [worker for worker in workers if worker.status is WorkerStatus.LIVE]
    oldest = next(iter(lives.waiting.values()), None)
    return Snapshot(
        queued_count=len(lives.waiting),
        assigned_count=(
            len(lives.tasks) - len(lives.waiting) - len(lives.parked) - lives.running_count
        ),
        running_count=lives.running_count,
        slot_count=sum(worker.slots for worker in taking),
        free_slot_count=sum(max(0, worker.capacity - worker.in_flight_count) for worker in taking),
        oldest_queued_s=0.0 if oldest is None else max(0.0, now - oldest.waits_since),
        workers=tuple(_worker(worker, now) for worker in workers),
        missed_beat_count=lives.missed_beat_count,
    )


def _worker(worker: Worker, now: float) -> WorkerSnapshot:
    return WorkerSnapshot(
        id=worker.id,
        status=worker.status,
        slots=worker.slots,
        in_flight_count=worker.in_flight_count,
        tags=worker.own_tags,
        facts=worker.facts,
        load=worker.load,
        running=tuple(task.current for task in worker.tasks.values()),
        warm_count=len(worker.warm),
        last_heard_s=max(0.0, now - worker.heard_at),
    )
