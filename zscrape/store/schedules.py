"""Schedules, and what became of each of their due moments.

A due moment is claimed by inserting its row: whoever inserts it fires it, and nobody else does.
The claim also sees whether the schedule is still the one that was planned by; a gateway that
has not heard of a change is told so instead of firing what is paused or gone.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol, TypeVar

from zscrape.store.database import Write
from zscrape.store.schedulerows import (
    COLUMNS,
    OCCURRENCE_COLUMNS,
    Claim,
    Claimed,
    Occurrence,
    OccurrenceStatus,
    ScheduleRecord,
    occurrence_of,
    occurrence_values,
    record_of,
    values_of,
    whole_ms,
)

__all__ = [
    "Claim",
    "Claimed",
    "Occurrence",
    "OccurrenceStatus",
    "ScheduleRecord",
    "ScheduleStore",
]

_Found = TypeVar("_Found")

OCCURRENCE_LIMIT_COUNT: Final = 1_000  # kept of one schedule
_SELECT: Final = f"SELECT {', '.join(COLUMNS)} FROM schedules"  # noqa: S608 - constants
_INSERT: Final = (
    f"INSERT INTO schedules ({', '.join(COLUMNS)})"  # noqa: S608 - constants
    f" VALUES ({', '.join('?' * len(COLUMNS))})"
)
_SELECT_OCCURRENCES: Final = f"SELECT {', '.join(OCCURRENCE_COLUMNS)} FROM occurrences"  # noqa: S608 - constants
_CLAIM: Final = (
    f"INSERT INTO occurrences ({', '.join(OCCURRENCE_COLUMNS)})"  # noqa: S608 - constants
    f" VALUES ({', '.join('?' * len(OCCURRENCE_COLUMNS))})"
    " ON CONFLICT (schedule_id, due_ms) DO NOTHING"
)


class ScheduleDatabase(Protocol):
    """What is needed of a database."""

    def write(self, work: Write) -> asyncio.Future[None]:
        """Run `work` in a transaction of its own."""
        ...

    async def read(self, query: Callable[[sqlite3.Connection], _Found]) -> _Found:
        """Return what `query` finds."""
        ...


class ScheduleStore:
    """Schedules and occurrences in a database."""

    def __init__(self, database: ScheduleDatabase) -> None:
        self._database = database

    # ---- schedules -------------------------------------------------------------------

    async def add(self, record: ScheduleRecord) -> None:
        """Keep a new schedule.

        Raises:
            KeyTaken: Another one has its name.
            StorageError: Nothing can be kept now.
        """
        await self._database.write(lambda writer: _insert(writer, record))

    async def change(self, record: ScheduleRecord, *, revision: int) -> bool:
        """Keep a schedule as it is now, if it still had `revision`.

        Raises:
            KeyTaken: Another one has its name.
            StorageError: Nothing can be kept now.
        """
        answers: list[bool] = []
        await self._database.write(lambda writer: answers.append(_change(writer, record, revision)))
        return answers[-1]

    async def remove(self, schedule_id: str) -> bool:
        """Forget a schedule and its occurrences; False when it is not known.

        Raises:
            StorageError: Nothing can be kept now.
        """
        answers: list[bool] = []

        def work(writer: sqlite3.Connection) -> None:
            writer.execute("DELETE FROM occurrences WHERE schedule_id = ?", (schedule_id,))
            found = writer.execute("DELETE FROM schedules WHERE id = ?", (schedule_id,))
            answers.append(found.rowcount > 0)

        await self._database.write(work)
        return answers[-1]

    async def find(self, given: str) -> ScheduleRecord | None:
        """Return a schedule by its id or its name."""

        def look(reader: sqlite3.Connection) -> ScheduleRecord | None:
            for column in ("id", "name"):
                found = reader.execute(f"{_SELECT} WHERE {column} = ?", (given,)).fetchone()
                if found is not None:
                    return record_of(found)
            return None

        return await self._database.read(look)

    async def page(
        self, *, script_name: str = "", after: str = "", limit: int
    ) -> list[ScheduleRecord]:
        """Return schedules by name, up to `limit`, those whose name comes after `after`."""

        def look(reader: sqlite3.Connection) -> list[ScheduleRecord]:
            where, values = "name > ?", [after]
            if script_name:
                where, values = f"{where} AND script_name = ?", [after, script_name]
            found = reader.execute(
                f"{_SELECT} WHERE {where} ORDER BY name LIMIT ?", (*values, limit)
            )
            return [record_of(row) for row in found]

        return await self._database.read(look)

    async def note_end(self, schedule_id: str, *, is_ok: bool, limit: int, at: float) -> bool:
        """Count how a task of a schedule has ended; pause it at `limit` failures in a row.

        Returns:
            True iff this has paused it.

        Raises:
            StorageError: Nothing can be kept now.
        """
        answers: list[bool] = []
        await self._database.write(
            lambda writer: answers.append(_note_end(writer, schedule_id, is_ok, limit, at))
        )
        return answers[-1]

    # ---- occurrences -----------------------------------------------------------------

    async def claim(self, claims: Sequence[Claim]) -> list[Claimed]:
        """Claim due moments, those of many schedules in one transaction.

        Raises:
            StorageError: Nothing can be kept now, and nothing was claimed.
        """
        tries: list[list[Claimed]] = []

        def work(writer: sqlite3.Connection) -> None:
            # Of a try whose connection broke nobody knows whether it was kept.
            is_again = bool(tries)
            tries.append([_claim(writer, each, is_again=is_again) for each in claims])

        await self._database.write(work)
        return tries[-1]

    async def note(self, occurrence: Occurrence) -> None:
        """Keep what became of a trigger by hand; nothing was planned by it.

        Raises:
            StorageError: Nothing can be kept now.
        """
        await self._database.write(lambda writer: _note(writer, occurrence))

    async def settle(self, occurrences: Sequence[Occurrence]) -> None:
        """Keep what became of claimed moments.

        Raises:
            StorageError: Nothing can be kept now.
        """

        def work(writer: sqlite3.Connection) -> None:
            for each in occurrences:
                writer.execute(
                    "UPDATE occurrences SET status = ?, task_id = ?, at = ?, reason = ?, detail = ?"
                    " WHERE schedule_id = ? AND due_ms = ?",
                    (
                        *(each.status.value, each.task_id, each.at, each.reason, each.detail),
                        *(each.schedule_id, whole_ms(each.due_at)),
                    ),
                )

        await self._database.write(work)

    async def revisions(self) -> dict[str, int]:
        """Return the schedules that are not paused, with the revision of each."""

        def look(reader: sqlite3.Connection) -> dict[str, int]:
            found = reader.execute(
                "SELECT id, revision FROM schedules WHERE is_paused = ?", (False,)
            )
            return {str(schedule_id): int(revision) for schedule_id, revision in found}

        return await self._database.read(look)

    async def take_over(self, occurrence: Occurrence, *, at: float, claimer: str = "") -> bool:
        """Claim a moment anew whose claimer is gone; of gateways at once, one gets True.

        Raises:
            StorageError: Nothing can be kept now.
        """
        answers: list[bool] = []

        def work(writer: sqlite3.Connection) -> None:
            found = writer.execute(
                "UPDATE occurrences SET at = ?, claimer = ? WHERE schedule_id = ? AND due_ms = ?"
                " AND status = 'claimed' AND at = ? AND claimer = ?",
                (
                    *(at, claimer, occurrence.schedule_id, whole_ms(occurrence.due_at)),
                    *(occurrence.at, occurrence.claimer),
                ),
            )
            answers.append(found.rowcount > 0)

        await self._database.write(work)
        return answers[-1]

    async def unsettled(self, *, before: float) -> list[Occurrence]:
        """Return moments that were claimed before a moment, and of which nothing was heard."""
        return await self._claimed("at < ?", before)

    async def abandoned(self, *, before: float) -> list[Occurrence]:
        """Return moments whose claimer is over, or that were claimed before a moment.

        Only where several gateways keep their leases: a life that has none is over.
        """
        gone = "claimer <> '' AND NOT EXISTS (SELECT 1 FROM gateways WHERE boot = claimer)"
        return await self._claimed(f"({gone} OR at < ?)", before)

    async def _claimed(self, condition: str, before: float) -> list[Occurrence]:
        def look(reader: sqlite3.Connection) -> list[Occurrence]:
            found = reader.execute(
                f"{_SELECT_OCCURRENCES} WHERE status = 'claimed' AND {condition} ORDER BY due_ms",
                (before,),
            )
            return [occurrence_of(row) for row in found]

        return await self._database.read(look)

    async def occurrences(
        self, schedule_id: str, *, status: str = "", before_ms: int | None = None, limit: int
    ) -> list[Occurrence]:
        """Return what became of a schedule's due moments, newest first."""

        def look(reader: sqlite3.Connection) -> list[Occurrence]:
            where = "schedule_id = ?"
            values: list[str | int] = [schedule_id]
            for condition, value in (("status = ?", status or None), ("due_ms < ?", before_ms)):
                if value is not None:
                    where, values = f"{where} AND {condition}", [*values, value]
            found = reader.execute(
                f"{_SELECT_OCCURRENCES} WHERE {where} ORDER BY due_ms DESC LIMIT ?",
                (*values, limit),
            )
            return [occurrence_of(row) for row in found]

        return await self._database.read(look)

    async def sweep(self, *, before: float, limit: int = OCCURRENCE_LIMIT_COUNT) -> None:
        """Forget occurrences that were due before a moment, and all but `limit` of each schedule.

        Raises:
            StorageError: The rest stays for the next time.
        """

        def crowded(reader: sqlite3.Connection) -> list[str]:
            found = reader.execute(
                "SELECT schedule_id FROM occurrences GROUP BY schedule_id HAVING COUNT(*) > ?",
                (limit,),
            )
            return [str(row[0]) for row in found]

        for schedule_id in await self._database.read(crowded):
            await self._database.write(partial(_thin, schedule_id=schedule_id, limit=limit))
        await self._database.write(
            lambda writer: _run(
                writer, "DELETE FROM occurrences WHERE due_ms < ?", whole_ms(before)
            )
        )


# ---- in the writer's thread ----------------------------------------------------------


def _run(writer: sqlite3.Connection, statement: str, *values: object) -> None:
    writer.execute(statement, values)


def _insert(writer: sqlite3.Connection, record: ScheduleRecord) -> None:
    writer.execute(_INSERT, values_of(record))


def _change(writer: sqlite3.Connection, record: ScheduleRecord, revision: int) -> bool:
    changed = ", ".join(f"{name} = ?" for name in COLUMNS[1:])
    found = writer.execute(
        f"UPDATE schedules SET {changed} WHERE id = ? AND revision = ?",  # noqa: S608 - constants
        (*values_of(record)[1:], record.id, revision),
    )
    return found.rowcount > 0


def _claim(writer: sqlite3.Connection, claim: Claim, *, is_again: bool) -> Claimed:
    found = writer.execute(
        "SELECT revision FROM schedules WHERE id = ? AND is_paused = ?",
        (claim.schedule_id, False),
    ).fetchone()
    if found is None or found[0] != claim.revision:
        return Claimed(is_stale=True)
    taken: list[float] = []
    for each in claim.occurrences:
        is_own = writer.execute(_CLAIM, occurrence_values(each)).rowcount > 0
        if each.status is not OccurrenceStatus.CLAIMED:
            continue
        if is_own or (is_again and _is_kept(writer, each)):
            taken.append(each.due_at)
    writer.execute(
        "UPDATE schedules SET cursor_at = ? WHERE id = ?", (claim.cursor_at, claim.schedule_id)
    )
    return Claimed(tuple(taken))


def _is_kept(writer: sqlite3.Connection, occurrence: Occurrence) -> bool:
    """Return whether a moment is claimed for this very task."""
    found = writer.execute(
        "SELECT 1 FROM occurrences WHERE schedule_id = ? AND due_ms = ? AND task_id = ?",
        (occurrence.schedule_id, whole_ms(occurrence.due_at), occurrence.task_id),
    )
    return found.fetchone() is not None


def _note(writer: sqlite3.Connection, occurrence: Occurrence) -> None:
    """Insert at the next free place beside the timetable's, which are whole seconds."""
    at_ms = whole_ms(occurrence.due_at)
    while True:
        at_ms += at_ms % 1000 == 0
        occurrence.due_at = at_ms / 1000
        if writer.execute(_CLAIM, occurrence_values(occurrence)).rowcount > 0:
            return
        at_ms += 1


def _note_end(
    writer: sqlite3.Connection, schedule_id: str, is_ok: bool, limit: int, at: float
) -> bool:
    if is_ok:
        _run(
            writer,
            "UPDATE schedules SET failure_count = 0 WHERE id = ? AND failure_count > 0",
            schedule_id,
        )
        return False
    _run(
        writer,
        "UPDATE schedules SET failure_count = failure_count + 1 WHERE id = ?",
        schedule_id,
    )
    if not limit:
        return False
    paused = writer.execute(
        "UPDATE schedules SET is_paused = ?, pause_reason = ?, revision = revision + 1,"
        " updated_at = ? WHERE id = ? AND is_paused = ? AND failure_count >= ?",
        (True, "failures", at, schedule_id, False, limit),
    )
    return paused.rowcount > 0


def _thin(writer: sqlite3.Connection, *, schedule_id: str, limit: int) -> None:
    _run(
        writer,
        "DELETE FROM occurrences WHERE schedule_id = ? AND due_ms <= (SELECT due_ms FROM"
        " occurrences WHERE schedule_id = ? ORDER BY due_ms DESC LIMIT 1 OFFSET ?)",
        *(schedule_id, schedule_id, limit),
    )
