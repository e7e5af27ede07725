"""What time alone does to a task: its deadline, the end of a rest, a wait that was too long."""

from __future__ import annotations

from math import inf

from zscrape.core.entities import Task
from zscrape.core.lives import Lives
from zscrape.core.task import WAITING, Place
from zscrape.model import Outcome, OutcomeCode


def overdue(lives: Lives, task: Task, *, now: float) -> None:
    """Do what is due to `task`, and see to it that it is looked at when more is."""
    if task.deadline_at <= now:
        _end(lives, task, OutcomeCode.TIMEOUT, {"limit_s": task.spec.deadline_s or 0.0}, now)
    elif task.place in (Place.REST, Place.LEASE) and task.rest_until <= now:
        # Resting was not waiting for a slot: that clock begins now.
        task.schedule_at = now + task.spec.schedule_timeout_s
        lives.enqueue(task)
    elif task.place in (Place.QUEUE, Place.LINE):
        _overwaited(lives, task, now)
    if task.place in WAITING:
        lives.deadlines.wake(task, task.next_at)
    elif task.place is not Place.FINAL:
        lives.deadlines.wake(task, task.deadline_at)


def missing(lives: Lives, task: Task) -> str:
    """Say what no known worker has: tags, else the script itself, else any worker at all."""
    requires = task.demand.requires
    held = [worker.tags for worker in lives.pool.workers.values() if worker.kind is not None]
    if not held and not requires:
        return "worker"
    if any(requires <= tags for tags in held):
        return f"{task.spec.run.pin.name}@{task.spec.run.pin.version}"
    return ", ".join(sorted(requires.difference(*held) or requires))


def _overwaited(lives: Lives, task: Task, now: float) -> None:
    is_matched = bool(task.demand.offers)
    is_match_due = task.match_at <= now
    if is_match_due:
        task.match_at = inf
    if not is_matched and (is_match_due or task.schedule_at <= now):
        _end(lives, task, OutcomeCode.NO_MATCHING_WORKER, {"missing": missing(lives, task)}, now)
    elif task.schedule_at <= now:
        limit_s = task.spec.schedule_timeout_s
        _end(lives, task, OutcomeCode.EXPIRED, {"limit_s": limit_s}, now)


def _end(
    lives: Lives,
    task: Task,
    code: OutcomeCode,
    fields: dict[str, str | int | float],
    now: float,
) -> None:
    lives.abort(task, Outcome(code, fields=fields), now=now)
