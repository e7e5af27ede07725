"""Keys of items that scripts have brought, so that a later run leaves those out.

What an attempt asks for is pending until it ends. Ended well, its keys are known from then on;
otherwise they are forgotten, so that the next attempt brings the items again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from zscrape.store.volatile import Tables

_KNOWN: Final = (
    "SELECT digest FROM item_keys WHERE script_name = ? AND expires_at > ? AND digest IN ({marks})"
)
_ROW: Final = "(?, ?, ?, ?, ?, ?)"
_PEND: Final = (
    "INSERT INTO pending_item_keys (task_id, attempt, digest, script_name, kept_s, asked_at)"
    " VALUES {rows}"
    " ON CONFLICT (task_id, attempt, digest) DO NOTHING"
)
_KEEP: Final = (
    "INSERT INTO item_keys (script_name, digest, task_id, expires_at)"
    " SELECT script_name, digest, task_id, ? + kept_s FROM pending_item_keys"
    " WHERE task_id = ? AND attempt = ?"
    " ON CONFLICT (script_name, digest)"
    " DO UPDATE SET task_id = excluded.task_id, expires_at = excluded.expires_at"
)
_DROP: Final = "DELETE FROM pending_item_keys WHERE task_id = ?"
_SWEEP_COUNT: Final = 10_000  # rows of one transaction


class ItemKeyStore:
    """The keys of all scripts in a database."""

    def __init__(self, database: Tables) -> None:
        self._database = database

    async def ask(
        self,
        script_name: str,
        attempt: tuple[str, int],
        digests: Sequence[bytes],
        *,
        kept_s: float,
        now: float,
    ) -> frozenset[bytes]:
        """Return which keys are known, and note all of them for this attempt.

        Raises:
            StorageError: Nothing can be kept now.
        """
        told: list[frozenset[bytes]] = []

        def work(writer: sqlite3.Connection) -> None:
            marks = ", ".join("?" * len(digests))
            query = _KNOWN.format(marks=marks)
            found = writer.execute(query, (script_name, now, *digests))
            told.append(frozenset(bytes(digest) for (digest,) in found.fetchall()))
            rows = ", ".join([_ROW] * len(digests))
            values = [
                value
                for digest in digests
                for value in (*attempt, digest, script_name, kept_s, now)
            ]
            writer.execute(_PEND.format(rows=rows), values)

        await self._database.write(work)
        return told[-1]

    async def settle(self, task_id: str, attempt: int | None, *, now: float) -> None:
        """Know the keys of the attempt that ended well (None: none did), and forget the rest.

        Raises:
            StorageError: Nothing can be changed now.
        """

        def work(writer: sqlite3.Connection) -> None:
            if attempt is not None:
                writer.execute(_KEEP, (now, task_id, attempt))
            writer.execute(_DROP, (task_id,))

        await self._database.write(work)

    async def pending(self) -> list[tuple[str, float]]:
        """Return the tasks whose keys are pending, and when they asked last.

        Raises:
            StorageError: They cannot be read.
        """

        def look(reader: sqlite3.Connection) -> list[tuple[str, float]]:
            query = "SELECT task_id, MAX(asked_at) FROM pending_item_keys GROUP BY task_id"
            return list(reader.execute(query))

        return await self._database.read(look)

    async def count(self, script_name: str, *, now: float) -> int:
        """Return how many keys of a script are known.

        Raises:
            StorageError: They cannot be read.
        """

        def look(reader: sqlite3.Connection) -> int:
            query = "SELECT COUNT(*) FROM item_keys WHERE script_name = ? AND expires_at > ?"
            (count,) = reader.execute(query, (script_name, now)).fetchone()
            return int(count)

        return await self._database.read(look)

    async def find(
        self, script_name: str, digest: bytes, *, now: float
    ) -> tuple[str, float] | None:
        """Return the task that brought a key last, and until when it is known; None: it is not.

        Raises:
            StorageError: It cannot be read.
        """

        def look(reader: sqlite3.Connection) -> tuple[str, float] | None:
            found: tuple[str, float] | None = reader.execute(
                "SELECT task_id, expires_at FROM item_keys"
                " WHERE script_name = ? AND digest = ? AND expires_at > ?",
                (script_name, digest, now),
            ).fetchone()
            return found

        return await self._database.read(look)

    async def forget(self, script_name: str, digest: bytes | None = None) -> int:
        """Forget one key of a script, or all; return how many that were.

        Raises:
            StorageError: Nothing can be changed now.
        """
        where, more = ("", ()) if digest is None else (" AND digest = ?", (digest,))
        told: list[int] = []

        def work(writer: sqlite3.Connection) -> None:
            query = f"DELETE FROM item_keys WHERE script_name = ?{where}"  # noqa: S608 - constants
            told.append(writer.execute(query, (script_name, *more)).rowcount)

        await self._database.write(work)
        return told[-1]

    async def sweep(self, *, now: float) -> int:
        """Remove keys whose time is over, some thousands; return how many.

        Raises:
            StorageError: Nothing can be changed now.
        """
        told: list[int] = []

        def work(writer: sqlite3.Connection) -> None:
            old = writer.execute(
                "SELECT script_name, digest FROM item_keys WHERE expires_at <= ? LIMIT ?",
                (now, _SWEEP_COUNT),
            ).fetchall()
            for script_name, digest in old:
                writer.execute(
                    "DELETE FROM item_keys WHERE script_name = ? AND digest = ?",
                    (script_name, digest),
                )
            told.append(len(old))

        await self._database.write(work)
        return told[-1]
