"""What scripts remember between runs: small JSON documents by script and key.

A change can ask for the revision that it has seen. Of several at once one wins, in one
statement, whatever the database; and the same question asked again finds itself as the writer.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from msgspec import Struct

from zscrape.store.volatile import Tables

_COLUMNS: Final = "key, value, revision, writer, updated_at"
_SELECT: Final = f"SELECT {_COLUMNS} FROM script_state WHERE script_name = ?"  # noqa: S608 - constants
_INSERT: Final = (
    f"INSERT INTO script_state (script_name, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608 - constants
    " ON CONFLICT (script_name, key) DO NOTHING"
)
_UPDATE: Final = (
    "UPDATE script_state SET value = ?, revision = ?, writer = ?, updated_at = ?"
    " WHERE script_name = ? AND key = ?"
)
_COUNT: Final = "SELECT COUNT(*) FROM script_state WHERE script_name = ?"
_MICROSECONDS: Final = 1_000_000


class StateRow(Struct, frozen=True):
    """One thing that a script remembers."""

    key: str
    value: bytes
    revision: int
    writer: str
    updated_at: float


class StateMoved(Exception):
    """Raised when a value has not the revision that was asked for."""


class StateCountReached(Exception):
    """Raised when a script remembers as many things as it may."""


class ScriptStateStore:
    """The state of all scripts in a database."""

    def __init__(self, database: Tables) -> None:
        self._database = database

    async def get(self, script_name: str, key: str) -> StateRow | None:
        """Return what a script remembers under a key.

        Raises:
            StorageError: It cannot be read.
        """
        return await self._database.read(lambda reader: _find(reader, script_name, key))

    async def page(
        self, script_name: str, *, prefix: str = "", after: str = "", limit: int
    ) -> list[StateRow]:
        """Return what a script remembers, by key, up to `limit`, what comes after `after`.

        Raises:
            StorageError: It cannot be read.
        """

        def look(reader: sqlite3.Connection) -> list[StateRow]:
            rows = reader.execute(
                f"{_SELECT} AND key > ? AND substr(key, 1, ?) = ? ORDER BY key LIMIT ?",
                (script_name, after, len(prefix), prefix, limit),
            )
            return [_row(each) for each in rows]

        return await self._database.read(look)

    async def put(
        self,
        script_name: str,
        key: str,
        value: bytes,
        *,
        revision: int | None,
        writer: str,
        now: float,
        limit_count: int,
    ) -> int:
        """Keep a value and return its new revision.

        Args:
            script_name: Whose it is.
            key: Under what.
            value: One JSON document.
            revision: The one it must have now, 0 for none at all; None: any.
            writer: Names this very change; the same one again changes nothing more.
            now: Unix time.
            limit_count: How many keys a script may have.

        Raises:
            StateMoved: It has another revision.
            StateCountReached: There is no room for a new key.
            StorageError: Nothing can be kept now.
        """
        told: list[int | Exception] = []

        def work(connection: sqlite3.Connection) -> None:
            try:
                row = StateRow(key, value, int(now * _MICROSECONDS), writer, now)
                told.append(_put(connection, script_name, row, revision, limit_count))
            except (StateMoved, StateCountReached) as error:
                told.append(error)

        await self._database.write(work)
        answer = told[-1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def remove(self, script_name: str, key: str) -> bool:
        """Forget a value; False when there was none.

        Raises:
            StorageError: Nothing can be changed now.
        """
        told: list[bool] = []

        def work(writer: sqlite3.Connection) -> None:
            found = writer.execute(
                "DELETE FROM script_state WHERE script_name = ? AND key = ?", (script_name, key)
            )
            told.append(found.rowcount > 0)

        await self._database.write(work)
        return told[-1]

    async def clear(self, script_name: str) -> int:
        """Forget all that a script remembers; return how much that was.

        Raises:
            StorageError: Nothing can be changed now.
        """
        told: list[int] = []

        def work(writer: sqlite3.Connection) -> None:
            found = writer.execute("DELETE FROM script_state WHERE script_name = ?", (script_name,))
            told.append(found.rowcount)

        await self._database.write(work)
        return told[-1]


def _find(reader: sqlite3.Connection, script_name: str, key: str) -> StateRow | None:
    found = reader.execute(f"{_SELECT} AND key = ?", (script_name, key)).fetchone()
    return None if found is None else _row(found)


def _row(found: tuple[str, bytes, int, str, float]) -> StateRow:
    key, value, revision, writer, updated_at = found
    return StateRow(key, bytes(value), revision, writer, updated_at)


def _put(
    connection: sqlite3.Connection,
    script_name: str,
    row: StateRow,
    expected: int | None,
    limit_count: int,
) -> int:
    known = _find(connection, script_name, row.key)
    if known is not None and known.writer == row.writer:
        return known.revision  # asked again: the answer was lost on its way
    if expected is not None and expected != (0 if known is None else known.revision):
        raise StateMoved
    if known is None:
        (count,) = connection.execute(_COUNT, (script_name,)).fetchone()
        if count >= limit_count:
            raise StateCountReached
        values = (script_name, row.key, row.value, row.revision, row.writer, row.updated_at)
        if connection.execute(_INSERT, values).rowcount:
            return row.revision
        if expected is not None:  # somebody else has put it at the same moment
            raise StateMoved
    revision = max(row.revision, 0 if known is None else known.revision + 1)
    where, more = ("", ()) if expected is None else (" AND revision = ?", (expected,))
    changed = connection.execute(
        _UPDATE + where,
        (row.value, revision, row.writer, row.updated_at, script_name, row.key, *more),
    )
    if not changed.rowcount:
        raise StateMoved
    return revision
