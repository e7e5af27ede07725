"""What must hold of the dispatcher after every call, proved the slow and plain way."""

from __future__ import annotations

from math import inf

from zscrape.core import report
from zscrape.core.ensure import ensure
from zscrape.core.entities import LOAD_LEVEL_COUNT, Kind, Lock, Task, Worker
from zscrape.core.lives import Lives
from zscrape.core.task import IN_FLIGHT, WAITING, Place


def check_lives(lives: Lives) -> None:
    """Prove everything but the deadlines.

    Raises:
        AssertionError: An invariant is broken; the text says which, and on what.
    """
    for task in lives.tasks.values():
        _check_task(lives, task)
    for worker in lives.pool.workers.values():
        _check_worker(lives, worker)
    for kind in lives.pool.kinds.values():
        _check_kind(lives, kind)
    for lock in lives.locks.by_key.values():
        _check_lock(lives, lock)
    _check_counts(lives)
    _check_work_conserving(lives)


def _check_task(lives: Lives, task: Task) -> None:
    name = f"task {task.id}"
    ensure(task.place is not Place.FINAL, f"{name}: a final task is forgotten")
    is_parked = task.place is Place.PARK
    is_waiting = task.id in lives.waiting
    ensure(task.is_waiting == is_waiting, f"{name}: knows whether it waits")
    is_somewhere = is_waiting or task.place in IN_FLIGHT or is_parked
    ensure(is_somewhere, f"{name}: waits, is parked or is in flight")
    ensure(is_parked == (lives.parked.get(task.id) is task), f"{name}: a parked task is known")
    ensure(is_parked == bool(task.parked_on), f"{name}: only a parked task waits for a person")
    if task.place in WAITING:
        ensure(task.worker is None, f"{name}: a waiting task has no attempt in flight")
        ensure(lives.waiting.get(task.id) is task, f"{name}: a waiting task is known to wait")
        told = report.explain(lives, task.id, now=task.waits_since)
        ensure(told is not None, f"{name}: a waiting task can say why")
    elif is_parked:
        ensure(task.worker is None, f"{name}: a parked task has no attempt in flight")
        ensure(task.id not in lives.waiting, f"{name}: a parked task does not wait for a slot")
    else:
        ensure(task.id not in lives.waiting, f"{name}: an attempt in flight does not wait")
        worker = task.worker
        ensure(
            worker is not None
            and lives.pool.workers.get(worker.id) is worker
            and (task.id in worker.tasks) != (task.id in worker.owed),
            f"{name}: an attempt in flight belongs to exactly one known worker",
        )
    ensure(task.is_queued == (task.place is Place.QUEUE), f"{name}: the queue holds what is queued")
    is_locked = task.spec.lock is not None and task.lock is not None
    if is_locked and task.lock is not None:
        is_holder = task.lock.holder == task.id and not task.lock.is_closing
        ensure(
            is_holder != (task.id in task.lock.line), f"{name}: holds its lock or stands in line"
        )
        ensure(is_holder == (task.place is not Place.LINE), f"{name}: only the holder goes on")


def _check_worker(lives: Lives, worker: Worker) -> None:
    name = f"worker {worker.id}"
    for task in (*worker.tasks.values(), *worker.owed.values()):
        ensure(
            lives.tasks.get(task.id) is task and task.worker is worker,
            f"{name}: its attempts belong to tasks that know it",
        )
    ensure(len(worker.tasks) <= max(0, worker.slots), f"{name}: 0 <= in flight <= slots")
    ensure(
        worker.is_expected or lives.pool.by_peer.get(worker.peer) is worker,
        f"{name}: is found by its connection",
    )
    ensure(worker.is_expected == (worker.kind is None), f"{name}: is of a kind once it spoke")
    takes_work = worker.status.value == "live"
    capacity = min(worker.slots, worker.limit) if takes_work else 0
    ensure(worker.capacity == capacity, f"{name}: its capacity is what it was told to be")
    bit = 0
    if worker.in_flight_count < capacity:
        bit = 1 << worker.in_flight_count * LOAD_LEVEL_COUNT // capacity
    is_moved = worker in lives.pool.moved
    ensure(is_moved or worker.level_bit == bit, f"{name}: stands on the level of its load")
    if worker.kind is not None:
        has_room = worker.kind.has_browser_room
        ensure(has_room == worker.has_browser_room, f"{name}: its kind tells of its browsers")


def _check_kind(lives: Lives, kind: Kind) -> None:
    standing = [worker for workers in kind.levels.values() for worker in workers]
    with_room = [worker for worker in kind.members.values() if worker.level_bit]
    ensure(len(standing) == len(with_room), "kind: its levels hold the members with room")
    for bit, workers in kind.levels.items():
        ensure(bool(workers) == bool(kind.mask & bit), "kind: its mask tells its levels")
        for worker in workers:
            is_so = worker.level_bit == bit and worker.kind is kind
            ensure(is_so, "kind: members know their level")
    for demand in lives.pool.demands.values():
        is_offered = any(other is kind for _, other in demand.offers)
        ensure(is_offered == kind.fits(demand), "kind: is offered to the demands that it fits")
    for digest, warm in kind.warm.items():
        for worker in warm.values():
            is_so = digest in worker.warm and worker.kind is kind
            ensure(is_so, "kind: its warm workers are warm")


def _check_lock(lives: Lives, lock: Lock) -> None:
    name = f"lock {lock.key}"
    leftovers = [
        leftover
        for worker in lives.pool.workers.values()
        for leftover in worker.leftovers.values()
        if leftover.lock is lock
    ]
    leftovers.extend(orphan for orphan, held in lives.leases.orphans.items() if held is lock)
    holder = lives.tasks.get(lock.holder)
    is_held = holder is not None and holder.lock is lock
    ensure(is_held != lock.is_closing, f"{name}: is held by a task or is closing")
    ensure(len(leftovers) == lock.is_closing, f"{name}: one attempt keeps it closing")
    for task_id, task in lock.line.items():
        ensure(
            lives.tasks.get(task_id) is task and task.place is Place.LINE,
            f"{name}: its line holds tasks that wait for it",
        )


def _check_counts(lives: Lives) -> None:
    places = [task.place for task in lives.tasks.values()]
    ensure(lives.running_count == places.count(Place.RUNNING), "running tasks are counted")
    ensure(not lives.ready and not lives.freed, "nothing is left to assign")
    for task_id in lives.waiting:
        ensure(task_id in lives.tasks, f"task {task_id}: a final task does not wait")
    for task_id in lives.parked:
        ensure(task_id in lives.tasks, f"task {task_id}: a final task is not parked")
    for demand in lives.pool.demands.values():
        alive = [entry[3] for entry in demand.heap if entry[3].is_queued]
        ensure(demand.queued_count == len(alive), "demand: its queued tasks are counted")
    queued = sum(demand.queued_count for demand in lives.pool.demands.values())
    ensure(queued == places.count(Place.QUEUE), "every queued task stands at its demand")


def _check_work_conserving(lives: Lives) -> None:
    """No task waits for a slot while a worker that fits has one."""
    with_room = [
        worker
        for worker in lives.pool.workers.values()
        if worker.kind is not None and worker.in_flight_count < worker.capacity
    ]
    for demand in lives.pool.demands.values():
        if not demand.queued_count:
            continue
        for worker in with_room:
            is_fit = demand.requires <= worker.tags and demand.digest not in worker.cannot
            is_open = worker.has_browser_room or not demand.is_browser
            told = f"worker {worker.id}: has a free slot that a task waits for"
            ensure(not (is_fit and is_open), told)


def check_deadlines(lives: Lives, deadline: float | None) -> None:
    """Prove that nothing held inside is due before `deadline`.

    Raises:
        AssertionError: Something is.
    """
    limit = inf if deadline is None else deadline
    for task in lives.tasks.values():
        ensure(lives.deadlines.at(task) <= task.next_at, f"task {task.id}: is looked at in time")
        ensure(limit <= task.next_at, f"task {task.id}: is not due before the next deadline")
    for worker in lives.pool.workers.values():
        ensure(limit <= worker.expires_at, f"worker {worker.id}: is looked at before it expires")
    for leftover in lives.leases.orphans:
        ensure(limit <= lives.deadlines.at(leftover) < inf, "an orphan's lease comes to an end")
