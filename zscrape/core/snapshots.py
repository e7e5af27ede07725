"""What is told of the dispatcher to people and to metrics: facts of one moment."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from zscrape.model import Attempt, Load, TaskId, WorkerFacts, WorkerId


class WorkerStatus(StrEnum):
    """Where a worker stands with its gateway."""

    LIVE = "live"
    SUSPECT = "suspect"  # its connection broke; it may come back before it is taken for lost
    DRAINING = "draining"  # ends what it runs and takes nothing new
    EXPECTED = "expected"  # known from before a restart, not heard yet


class WorkerSnapshot(Struct, frozen=True):
    """One worker as its gateway sees it."""

    id: WorkerId
    status: WorkerStatus
    slots: int
    in_flight_count: int
    tags: tuple[str, ...]
    facts: WorkerFacts
    load: Load
    running: tuple[Attempt, ...]
    warm_count: int
    last_heard_s: float  # seconds since its last message


class Snapshot(Struct, frozen=True):
    """The whole dispatcher at one moment."""

    queued_count: int
    assigned_count: int
    running_count: int
    slot_count: int  # of workers that take work
    free_slot_count: int
    oldest_queued_s: float  # 0.0 iff nothing waits
    workers: tuple[WorkerSnapshot, ...]
    missed_beat_count: int = 0  # of all workers since the start; only rises


class LockSnapshot(Struct, frozen=True):
    """One key that is held."""

    key: str
    holder: TaskId
    age_s: float  # since the holder was accepted
    fence: int  # rises with every grant of any key
    is_closing: bool  # its holder has ended, its attempt perhaps not yet
    waiting: tuple[TaskId, ...]  # in the order in which they get it
    is_far: bool = False  # a task of another gateway holds it


class Explanation(Struct, frozen=True):
    """Why a task waits, or where it is. `reason` is stable; its words are in the catalogue."""

    reason: str
    fields: dict[str, str | int | float]
