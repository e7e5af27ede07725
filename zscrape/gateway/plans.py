"""Schedules as they are planned: what is kept of one, and a heap of what is due next."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

from zscrape.core.misfire import Decision, Misfire, decide
from zscrape.core.timetable import Timetable
from zscrape.errors.storage import ScheduleDamaged
from zscrape.gateway.schedulebody import ScheduleRequest, timetable_of
from zscrape.store.schedules import ScheduleRecord

PASSED_LIMIT_COUNT: Final = 100  # moments of one schedule that are told one by one


class KeptSchedule(Struct, frozen=True):
    """The document of a schedule: what was asked, by whom, and where its interval begins."""

    asked: ScheduleRequest
    anchor_at: float
    client: str

    @property
    def table(self) -> Timetable:
        """When it is due."""
        return timetable_of(self.asked, anchor_at=self.anchor_at)


_DECODE: Final = msgspec.json.Decoder(KeptSchedule).decode
_ENCODE: Final = msgspec.json.Encoder().encode


def encode_kept(kept: KeptSchedule) -> bytes:
    """Return the document that is kept."""
    return _ENCODE(kept)


def decode_kept(record: ScheduleRecord) -> KeptSchedule:
    """Read a kept document.

    Raises:
        ScheduleDamaged: It cannot be read, or its checksum does not fit.
    """
    try:
        kept = None if record.is_damaged else _DECODE(record.body)
    except (msgspec.MsgspecError, ValueError):
        kept = None
    if kept is None:
        raise ScheduleDamaged(name=record.name)
    return kept


class Plan(Struct, eq=False):
    """One schedule that is not paused, and its next moment."""

    id: str
    name: str
    revision: int
    kept: KeptSchedule
    table: Timetable
    cursor_at: float
    failure_count: int
    due_at: float | None = None
    fire_at: float = 0.0

    @property
    def misfire(self) -> Misfire:
        """What to do about moments that are looked at late."""
        return Misfire(self.kept.asked.misfire)

    def advance(self, cursor_at: float) -> None:
        """Go on to the first moment after `cursor_at`."""
        self.cursor_at = cursor_at
        self.due_at = self.table.next_due(cursor_at)
        if self.due_at is not None:
            self.fire_at = self.table.fire_at(self.id, self.due_at)

    def look(self, now: float) -> Look:
        """Return what becomes of the moments that have passed; there is at least one."""
        passed = self.table.passed(self.cursor_at, now, PASSED_LIMIT_COUNT)
        # The last one may be due, and still wait for its jitter.
        due_ats = [due for due in passed.due_ats if self.table.fire_at(self.id, due) <= now]
        if not due_ats:
            return Look((), Decision((), ()), self.cursor_at)
        last = due_ats[-1]
        decision = decide(
            due_ats,
            late_s=self.table.fire_at(self.id, last) - last,
            now=now,
            misfire=self.misfire,
            window_s=self.kept.asked.misfire_window,
        )
        first = () if passed.first_at is None else (passed.first_at,)
        return Look(first, decision, last)


class Look(Struct, frozen=True):
    """What a look at a plan has found. `untold` is the first of moments that are too many."""

    untold: tuple[float, ...]
    decision: Decision
    cursor_at: float


def plan_of(record: ScheduleRecord, now: float) -> Plan:
    """Return the plan of a schedule, at the first moment that nobody has dealt with.

    Raises:
        ScheduleDamaged: It cannot be read.
        InvalidRequest: Its time zone is not known here (any more).
    """
    kept = decode_kept(record)
    plan = Plan(
        id=record.id,
        name=record.name,
        revision=record.revision,
        kept=kept,
        table=kept.table,
        cursor_at=record.cursor_at,
        failure_count=record.failure_count,
    )
    # A cursor of the future is that of a clock that was wrong.
    plan.advance(min(record.cursor_at, now))
    return plan


class Agenda:
    """Plans by what is due next. One that has changed leaves a dead entry behind."""

    def __init__(self) -> None:
        self._plans: dict[str, Plan] = {}
        self._heap: list[tuple[float, int, Plan]] = []
        self._count = 0

    def __len__(self) -> int:
        """Return how many schedules are planned."""
        return len(self._plans)

    def __iter__(self) -> Iterator[Plan]:
        """Return every plan."""
        return iter(list(self._plans.values()))

    def get(self, schedule_id: str) -> Plan | None:
        """Return a plan."""
        return self._plans.get(schedule_id)

    def put(self, plan: Plan) -> None:
        """Take in a plan, in place of an older one; one that is never due again goes."""
        if plan.due_at is None:
            self.drop(plan.id)
            return
        self._plans[plan.id] = plan
        self._count += 1
        heapq.heappush(self._heap, (plan.fire_at, self._count, plan))

    def drop(self, schedule_id: str) -> None:
        """Forget a plan."""
        self._plans.pop(schedule_id, None)

    def next_at(self) -> float | None:
        """Return when the next moment is to be acted upon."""
        while self._heap and not self._is_alive(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float, limit: int) -> list[Plan]:
        """Take out up to `limit` plans with a moment up to `now`, earliest first."""
        found: list[Plan] = []
        while len(found) < limit:
            at = self.next_at()
            if at is None or at > now:
                break
            found.append(heapq.heappop(self._heap)[2])
        return found

    def _is_alive(self, entry: tuple[float, int, Plan]) -> bool:
        fire_at, _, plan = entry
        return self._plans.get(plan.id) is plan and plan.fire_at == fire_at
