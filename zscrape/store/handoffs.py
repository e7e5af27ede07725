"""Questions of running scripts to people, and what became of them.

A question is open until the first of its ends, whichever gateway that came by. Its answer is
kept for as long as the task lives, since a gateway that restarts is asked again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from msgspec import Struct

from zscrape.model import TaskId
from zscrape.store.volatile import Tables

_COLUMNS: Final = (
    *("id", "task_id", "attempt", "request", "script_name", "client", "status", "mark"),
    *("created_at", "expires_at", "ended_at", "actor", "question", "answer"),
)
_NAMES: Final = ", ".join(_COLUMNS)
_SELECT: Final = f"SELECT {_NAMES} FROM handoffs"  # noqa: S608 - constants
_INSERT: Final = (
    f"INSERT INTO handoffs ({_NAMES}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - constants
    " ON CONFLICT (id) DO NOTHING"
)

_ANSWERED: Final = (
    " WHERE task_id = ? AND attempt ="
    " (SELECT max(attempt) FROM handoffs WHERE task_id = ? AND attempt < ? AND mark = ?"
    " AND status = 'answered') AND mark = ? AND status = 'answered'"
    " ORDER BY request LIMIT 1 OFFSET ?"
)


class HandoffStatus(StrEnum):
    """Where a question stands; only `open` can change."""

    OPEN = "open"
    ANSWERED = "answered"
    DISMISSED = "dismissed"  # a person will not answer it
    EXPIRED = "expired"  # nobody has answered it in time
    GONE = "gone"  # the attempt that asked has ended


class HandoffRow(Struct, frozen=True, kw_only=True):
    """One question. Moments are Unix time; `question` and `answer` are JSON documents."""

    id: str
    task_id: TaskId
    attempt: int
    request: int  # which question of its attempt
    script_name: str
    client: str  # whose task
    status: HandoffStatus = HandoffStatus.OPEN
    mark: str  # stands for the question: equal ones have equal marks
    created_at: float
    expires_at: float
    ended_at: float | None = None
    actor: str = ""  # who ended it; empty: time, or the task
    question: bytes
    answer: bytes = b""  # empty unless it is answered, and once its task has ended


class HandoffQuery(Struct, frozen=True, kw_only=True):
    """Which questions are asked for; empty: any."""

    status: HandoffStatus | None = None
    task_id: TaskId = ""
    client: str = ""
    limit: int = 100


class HandoffStore:
    """Questions in a database."""

    def __init__(self, database: Tables) -> None:
        self._database = database

    async def open(self, row: HandoffRow, *, is_answer_kept: bool = False) -> HandoffRow:
        """Keep a question and return it as it stands; one that is known already is left alone.

        Args:
            row: The question.
            is_answer_kept: An answer that an earlier attempt was given to the same question
                is given again, each once.

        Raises:
            StorageError: It cannot be kept.
        """
        found: list[HandoffRow] = []

        def work(writer: sqlite3.Connection) -> None:
            known = writer.execute(f"{_SELECT} WHERE id = ?", (row.id,)).fetchone()
            if known is None and is_answer_kept:
                answered = _answered_before(writer, row)
                writer.execute(_INSERT, _values(answered or row))
            elif known is None:
                writer.execute(_INSERT, _values(row))
            known = known or writer.execute(f"{_SELECT} WHERE id = ?", (row.id,)).fetchone()
            found.append(_row(known))

        await self._database.write(work)
        return found[-1]

    async def end(
        self,
        handoff_id: str,
        status: HandoffStatus,
        *,
        at: float,
        actor: str = "",
        answer: bytes = b"",
    ) -> bool:
        """End an open question; False when it is not open (any more): of two at once one ends it.

        Raises:
            StorageError: It cannot be kept; it is open as before.
        """
        ended: list[bool] = []

        def work(writer: sqlite3.Connection) -> None:
            changed = writer.execute(
                "UPDATE handoffs SET status = ?, ended_at = ?, actor = ?, answer = ?"
                " WHERE id = ? AND status = 'open'",
                (status.value, at, actor, answer, handoff_id),
            )
            ended.append(changed.rowcount > 0)

        await self._database.write(work)
        return ended[-1]

    async def close_task(self, task_id: TaskId, *, at: float, attempt: int | None = None) -> None:
        """End what is open of a task and forget its answers; with `attempt`, of those before it.

        Raises:
            StorageError: It cannot be kept.
        """

        def work(writer: sqlite3.Connection) -> None:
            if attempt is None:
                writer.execute("UPDATE handoffs SET answer = ? WHERE task_id = ?", (b"", task_id))
            before = 2**31 - 1 if attempt is None else attempt
            writer.execute(
                "UPDATE handoffs SET status = 'gone', ended_at = ?"
                " WHERE task_id = ? AND status = 'open' AND attempt < ?",
                (at, task_id, before),
            )

        await self._database.write(work)

    async def forget(self, before: float) -> None:
        """Forget what was asked before a moment.

        Raises:
            StorageError: It cannot be written.
        """

        def work(writer: sqlite3.Connection) -> None:
            writer.execute("DELETE FROM handoffs WHERE created_at < ?", (before,))

        await self._database.write(work)

    async def get(self, handoff_id: str) -> HandoffRow | None:
        """Return a question.

        Raises:
            StorageError: It cannot be read.
        """

        def look(reader: sqlite3.Connection) -> HandoffRow | None:
            found = reader.execute(f"{_SELECT} WHERE id = ?", (handoff_id,)).fetchone()
            return None if found is None else _row(found)

        return await self._database.read(look)

    async def count(self, task_id: TaskId, attempt: int) -> int:
        """Return how many questions an attempt has asked.

        Raises:
            StorageError: They cannot be read.
        """

        def look(reader: sqlite3.Connection) -> int:
            found = reader.execute(
                "SELECT count(*) FROM handoffs WHERE task_id = ? AND attempt = ?",
                (task_id, attempt),
            ).fetchone()
            return int(found[0])

        return await self._database.read(look)

    async def page(
        self, query: HandoffQuery, is_seen: Callable[[HandoffRow], bool] = lambda _row: True
    ) -> list[HandoffRow]:
        """Return questions that fit and that `is_seen` lets pass, the newest first.

        Raises:
            StorageError: They cannot be read.
        """
        wanted = {
            "status": "" if query.status is None else query.status.value,
            "task_id": query.task_id,
            "client": query.client,
        }
        given = {column: value for column, value in wanted.items() if value}
        where = "".join(
            f"{' AND' if place else ' WHERE'} {column} = ?" for place, column in enumerate(given)
        )

        def look(reader: sqlite3.Connection) -> list[HandoffRow]:
            found: list[HandoffRow] = []
            rows = reader.execute(
                f"{_SELECT}{where} ORDER BY created_at DESC, id DESC", tuple(given.values())
            )
            for values in rows:
                if len(found) >= query.limit:
                    break
                row = _row(values)
                if is_seen(row):
                    found.append(row)
            return found

        return await self._database.read(look)


def _answered_before(writer: sqlite3.Connection, row: HandoffRow) -> HandoffRow | None:
    """Return the question with the answer that an earlier attempt was given to its like.

    The n-th of equal questions takes the n-th of equal answers: a script asks in one order.
    """
    asked = writer.execute(
        "SELECT count(*) FROM handoffs WHERE task_id = ? AND attempt = ? AND mark = ?",
        (row.task_id, row.attempt, row.mark),
    ).fetchone()
    found = writer.execute(
        f"{_SELECT}{_ANSWERED}",
        (row.task_id, row.task_id, row.attempt, row.mark, row.mark, int(asked[0])),
    ).fetchone()
    if found is None:
        return None
    known = _row(found)
    return HandoffRow(
        id=row.id,
        task_id=row.task_id,
        attempt=row.attempt,
        request=row.request,
        script_name=row.script_name,
        client=row.client,
        status=HandoffStatus.ANSWERED,
        mark=row.mark,
        created_at=row.created_at,
        expires_at=row.expires_at,
        ended_at=row.created_at,
        actor=known.actor,
        question=row.question,
        answer=known.answer,
    )


def _values(row: HandoffRow) -> tuple[object, ...]:
    return tuple(
        value.value if isinstance(value, HandoffStatus) else value
        for value in (getattr(row, name) for name in _COLUMNS)
    )


def _row(values: tuple[object, ...]) -> HandoffRow:
    told = dict(zip(_COLUMNS, values, strict=True))
    told["status"] = HandoffStatus(str(told["status"]))
    told["question"], told["answer"] = bytes(told["question"]), bytes(told["answer"])  # type: ignore[call-overload]
    return HandoffRow(**told)  # type: ignore[arg-type]
