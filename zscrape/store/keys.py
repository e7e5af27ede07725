"""API keys as they are kept: what each may do, and nothing that lets anybody use one."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from zscrape.store.volatile import Tables

_COLUMNS: Final = (
    "id, name, prefix, digest, scopes, scripts, group_names, rate_per_s, task_limit_count,"
    " created_at, created_by, expires_at, revoked_at, last_used_at"
)
_SELECT: Final = f"SELECT {_COLUMNS} FROM api_keys"  # noqa: S608 - constants
_INSERT: Final = f"INSERT INTO api_keys ({_COLUMNS}) VALUES ({', '.join('?' * 14)})"  # noqa: S608
_read_names = msgspec.json.Decoder(tuple[str, ...]).decode

Mark: TypeAlias = tuple[Any, ...]


class KeyRow(Struct, frozen=True, kw_only=True):
    """One key. Moments are Unix time."""

    id: str
    name: str
    prefix: str
    digest: bytes
    scopes: tuple[str, ...]
    scripts: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    rate_per_s: float | None = None
    task_limit_count: int | None = None
    created_at: float
    created_by: str
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None


class KeyStore:
    """The keys in a database."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def add(self, row: KeyRow) -> None:
        """Keep a new key.

        Raises:
            StorageError: Nothing can be written now.
        """
        scripts = msgspec.json.encode(row.scripts).decode()
        groups = msgspec.json.encode(row.groups).decode()
        values = (
            *(row.id, row.name, row.prefix, row.digest, " ".join(row.scopes), scripts, groups),
            *(row.rate_per_s, row.task_limit_count, row.created_at, row.created_by),
            *(row.expires_at, row.revoked_at, row.last_used_at),
        )

        def work(writer: sqlite3.Connection) -> None:
            writer.execute(_INSERT, values)

        await self._tables.write(work)

    async def revoke(self, key_id: str, at: float) -> None:
        """Mark a key as one that may not be used any more; the first time is kept.

        Raises:
            StorageError: Nothing can be written now.
        """

        def work(writer: sqlite3.Connection) -> None:
            writer.execute(
                "UPDATE api_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL",
                (at, key_id),
            )

        await self._tables.write(work)

    async def note_uses(self, used: Mapping[str, float]) -> None:
        """Keep when keys were last used; a later moment that another gateway knows of stays.

        Raises:
            StorageError: Nothing can be written now.
        """

        def work(writer: sqlite3.Connection) -> None:
            for key_id, at in used.items():
                writer.execute(
                    "UPDATE api_keys SET last_used_at = ?"
                    " WHERE id = ? AND (last_used_at IS NULL OR last_used_at < ?)",
                    (at, key_id, at),
                )

        await self._tables.write(work)

    async def sweep(self, before: float) -> None:
        """Delete keys that were revoked or have expired before a moment.

        Raises:
            StorageError: Nothing can be written now.
        """

        def work(writer: sqlite3.Connection) -> None:
            writer.execute(
                "DELETE FROM api_keys WHERE revoked_at < ? OR expires_at < ?", (before, before)
            )

        await self._tables.write(work)

    async def all(self) -> list[KeyRow]:
        """Return every key, the oldest first.

        Raises:
            StorageError: They cannot be read.
        """
        return await self._tables.read(_read_all)

    async def mark(self) -> Mark:
        """Return what changes whenever a key is made, revoked or swept.

        Raises:
            StorageError: It cannot be read.
        """
        return await self._tables.read(_read_mark)


def _read_all(reader: sqlite3.Connection) -> list[KeyRow]:
    found = reader.execute(f"{_SELECT} ORDER BY created_at, id").fetchall()
    return [_row(*record) for record in found]


def _row(
    key_id: str, name: str, prefix: str, digest: bytes, scopes: str, scripts: str, *rest: Any
) -> KeyRow:
    (
        groups,
        rate_per_s,
        task_limit_count,
        created_at,
        created_by,
        expires_at,
        revoked_at,
        last_used_at,
    ) = rest
    return KeyRow(
        id=key_id,
        name=name,
        prefix=prefix,
        digest=bytes(digest),
        scopes=tuple(scopes.split()),
        scripts=_read_names(scripts),
        groups=_read_names(groups),
        rate_per_s=rate_per_s,
        task_limit_count=task_limit_count,
        created_at=created_at,
        created_by=created_by,
        expires_at=expires_at,
        revoked_at=revoked_at,
        last_used_at=last_used_at,
    )


def _read_mark(reader: sqlite3.Connection) -> Mark:
    record = reader.execute(
        "SELECT count(*), count(revoked_at), max(created_at), max(revoked_at) FROM api_keys"
    ).fetchone()
    return tuple(record)
