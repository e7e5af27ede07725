"""Who did what: the lines of the audit, only ever added to until they are too old."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from zscrape.store.database import connect
from zscrape.store.faults import storage_error
from zscrape.store.volatile import Tables

_FIELDS: Final = ("at", "actor", "action", "target", "address", "result", "request_id")
_INSERT: Final = f"INSERT INTO audit ({', '.join(_FIELDS)}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_SELECT: Final = f"SELECT seq, {', '.join(_FIELDS)} FROM audit"  # noqa: S608 - constants
_WORD_LIMIT: Final = 255


class AuditLine(Struct, frozen=True, kw_only=True):
    """One act: who did what to what, when, from where, and what became of it.

    `result` is `ok`, or the code of the error that it was refused with. The moment is Unix time.
    """

    at: float
    actor: str
    action: str
    target: str = ""
    address: str = ""
    result: str = "ok"
    request_id: str = ""
    seq: int = 0  # given by the store


class AuditQuery(Struct, frozen=True, kw_only=True):
    """Which lines are asked for, newest first; `before` is the cursor of the page before."""

    since: float | None = None
    actor: str = ""
    action: str = ""
    limit: int = 50
    before: int | None = None


class AuditPage(Struct, frozen=True):
    """One page of lines. `next_before` is None iff it is the last."""

    lines: list[AuditLine]
    next_before: int | None


class AuditStore:
    """The audit in a database."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def add(self, line: AuditLine) -> None:
        """Keep a line.

        Raises:
            StorageError: Nothing can be written now.
        """

        def work(writer: sqlite3.Connection) -> None:
            writer.execute(_INSERT, _values(line))

        await self._tables.write(work)

    async def page(self, query: AuditQuery) -> AuditPage:
        """Return the lines that are asked for.

        Raises:
            StorageError: They cannot be read.
        """
        found = await self._tables.read(lambda reader: _read_page(reader, query))
        shown = found[: query.limit]
        has_more = len(found) > query.limit
        return AuditPage(shown, shown[-1].seq if has_more and shown else None)

    async def sweep(self, before: float) -> None:
        """Delete lines from before a moment.

        Raises:
            StorageError: They stay.
        """

        def work(writer: sqlite3.Connection) -> None:
            writer.execute("DELETE FROM audit WHERE at < ?", (before,))

        await self._tables.write(work)


def note_in_file(path: Path, line: AuditLine) -> None:
    """Add a line to a database that no gateway uses; one from before there was an audit stays.

    Raises:
        StorageError: It cannot be written.
    """
    try:
        with closing(connect(path)) as connection:
            has_audit = connection.execute(
                "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'audit'"
            ).fetchone()
            if has_audit:
                connection.execute(_INSERT, _values(line))
    except sqlite3.Error as error:
        raise storage_error(error) from error


def _values(line: AuditLine) -> tuple[Any, ...]:
    words = (getattr(line, name)[:_WORD_LIMIT] for name in _FIELDS[1:])
    return (line.at, *words)


def _read_page(reader: sqlite3.Connection, query: AuditQuery) -> list[AuditLine]:
    conditions: list[str] = []
    values: list[Any] = []
    for condition, value in (
        ("seq < ?", query.before),
        ("at >= ?", query.since),
        ("actor = ?", query.actor or None),
        ("action = ?", query.action or None),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    found = reader.execute(
        f"{_SELECT}{where} ORDER BY seq DESC LIMIT ?", (*values, query.limit + 1)
    )
    return [
        AuditLine(seq=seq, **dict(zip(_FIELDS, fields, strict=True)))
        for seq, *fields in found.fetchall()
    ]
