"""Join tokens and workers' keys as they are kept: public keys, which let nobody in."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import msgspec
from msgspec import Struct

from zscrape.model import WorkerId
from zscrape.store.database import Database


class WorkerKey(Struct, frozen=True):
    """A key by which one worker is known. Moments are Unix time."""

    key: str  # public
    worker_id: WorkerId
    token_id: str  # which token let it join
    joined_at: float
    revoked_at: float | None = None


class TokenRow(Struct, frozen=True):
    """A join token; of its pair only the public key is kept."""

    id: str
    key: str
    name: str
    created_at: float
    expires_at: float | None = None
    uses_limit_count: int | None = None
    used_count: int = 0
    revoked_at: float | None = None

    def fault(self, now: float) -> str:
        """Return why it lets nobody join any more; an empty text while it does."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        if self.uses_limit_count is not None and self.used_count >= self.uses_limit_count:
            return "used_up"
        return ""


def _statements(table: str, row: type[Struct]) -> tuple[str, str, str]:
    """Return how a table is read, and how a row of it is put in the place of an older one."""
    names = row.__struct_fields__
    columns, marks = ", ".join(names), ", ".join("?" * len(names))
    return (
        f"SELECT {columns} FROM {table}",  # noqa: S608 - constants
        f"DELETE FROM {table} WHERE key = ?",  # noqa: S608
        f"INSERT INTO {table} ({columns}) VALUES ({marks})",  # noqa: S608
    )


_TOKENS: Final = _statements("join_tokens", TokenRow)
_WORKERS: Final = _statements("worker_keys", WorkerKey)


class LinkKeyStore:
    """Tokens and keys in the database of the gateway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> tuple[list[WorkerKey], list[TokenRow]]:
        """Return all that is kept.

        Raises:
            StorageError: It cannot be read.
        """

        def query(reader: sqlite3.Connection) -> tuple[list[WorkerKey], list[TokenRow]]:
            workers = [WorkerKey(*found) for found in reader.execute(_WORKERS[0])]
            return workers, [TokenRow(*found) for found in reader.execute(_TOKENS[0])]

        return await self._database.read(query)

    async def save_token(self, token: TokenRow) -> None:
        """Keep a token, new or changed.

        Raises:
            StorageError: Nothing can be written now.
        """
        await self._database.write(lambda writer: _put(writer, _TOKENS, token))

    async def save_worker(self, worker: WorkerKey, token: TokenRow | None) -> None:
        """Keep a worker's key, new or changed, and the token whose use it was.

        Raises:
            StorageError: Nothing can be written now.
        """

        def work(writer: sqlite3.Connection) -> None:
            _put(writer, _WORKERS, worker)
            if token is not None:
                _put(writer, _TOKENS, token)

        await self._database.write(work)

    async def forget_worker(self, key: str) -> None:
        """Forget a worker's key.

        Raises:
            StorageError: Nothing can be written now.
        """

        def work(writer: sqlite3.Connection) -> None:
            writer.execute(_WORKERS[1], (key,))

        await self._database.write(work)


def _put(
    writer: sqlite3.Connection, statements: tuple[str, str, str], row: WorkerKey | TokenRow
) -> None:
    _, delete, insert = statements
    values: tuple[Any, ...] = msgspec.structs.astuple(row)
    writer.execute(delete, (row.key,))
    writer.execute(insert, values)
