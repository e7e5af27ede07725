"""Schedules and occurrences as structs, and as rows of their tables."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final
from zlib import crc32

from msgspec import Struct

COLUMNS: Final = (
    *("id", "name", "script_name", "is_paused", "pause_reason", "failure_count"),
    *("revision", "cursor_at", "created_at", "updated_at", "body", "checksum"),
)
OCCURRENCE_COLUMNS: Final = (
    *("schedule_id", "due_ms", "status", "is_manual", "task_id", "at", "reason", "detail"),
    "claimer",
)


class OccurrenceStatus(StrEnum):
    """What became of a due moment."""

    CLAIMED = "claimed"  # a gateway is at it
    FIRED = "fired"
    SKIPPED_DUE_TO_LOCK = "skipped_due_to_lock"
    MISSED = "missed"
    FAILED_TO_START = "failed_to_start"


class ScheduleRecord(Struct, kw_only=True):
    """One schedule as it is kept. `body` is what was asked, a document of the gateway's."""

    id: str
    name: str
    script_name: str
    body: bytes
    created_at: float
    updated_at: float
    cursor_at: float  # moments up to here are dealt with
    is_paused: bool = False
    pause_reason: str = ""
    failure_count: int = 0
    revision: int = 1
    is_damaged: bool = False


class Occurrence(Struct, kw_only=True):
    """A due moment and what became of it."""

    schedule_id: str
    due_at: float
    status: OccurrenceStatus
    at: float
    task_id: str = ""
    is_manual: bool = False
    reason: str = ""
    detail: bytes = b"{}"
    claimer: str = ""  # the life of a gateway that is at it, among several


class Claim(Struct, frozen=True, kw_only=True):
    """Moments of one schedule that are to be dealt with together: all or, if stale, none."""

    schedule_id: str
    revision: int  # by which it was planned
    cursor_at: float
    occurrences: tuple[Occurrence, ...]  # those to fire are `claimed`


class Claimed(Struct, frozen=True):
    """What a claim came to: the moments that are now the claimer's, in order."""

    due_ats: tuple[float, ...] = ()
    is_stale: bool = False  # it was changed, paused or removed meanwhile


# ---- rows ----------------------------------------------------------------------------


def whole_ms(moment: float) -> int:
    """Return a moment in whole milliseconds, as it stands in a key."""
    return round(moment * 1000)


def values_of(record: ScheduleRecord) -> tuple[Any, ...]:
    """Return the row of a schedule."""
    values = [getattr(record, name) for name in COLUMNS[:-1]]
    return (*values, crc32(record.body))


def record_of(row: Sequence[Any]) -> ScheduleRecord:
    """Return the schedule of a row."""
    told = dict(zip(COLUMNS, row, strict=True))
    body = bytes(told["body"])
    told.update(body=body, is_paused=bool(told["is_paused"]))
    is_damaged = crc32(body) != told.pop("checksum")
    return ScheduleRecord(**told, is_damaged=is_damaged)


def occurrence_values(each: Occurrence) -> tuple[Any, ...]:
    """Return the row of an occurrence."""
    return (
        *(each.schedule_id, whole_ms(each.due_at), each.status.value, each.is_manual),
        *(each.task_id, each.at, each.reason, each.detail, each.claimer),
    )


def occurrence_of(row: Sequence[Any]) -> Occurrence:
    """Return the occurrence of a row."""
    schedule_id, due_ms, status, is_manual, task_id, at, reason, detail, claimer = row
    return Occurrence(
        schedule_id=schedule_id,
        due_at=due_ms / 1000,
        status=OccurrenceStatus(status),
        at=at,
        task_id=task_id,
        is_manual=bool(is_manual),
        reason=reason,
        detail=bytes(detail),
        claimer=claimer,
    )
