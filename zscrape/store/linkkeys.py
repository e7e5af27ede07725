"""Join tokens and workers' keys as they are kept: public keys, which let nobody in."""

from __future__ import annotations

import sqlite3
from enum import Enum
from typing import Any, Final

import msgspec
from msgspec import Struct

from zscrape.model import WorkerId
from zscrape.store.database import Database
from zscrape.store.tasks import KeyTaken


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


class Admission(Enum):
    """What became of a new worker's key, decided in the database that gateways share."""

    NEW = "new"
    KNOWN = "known"  # another gateway has let the same worker in: no use of the token
    TAKEN = "taken"  # the id is another key's, or the key another id's
    REVOKED = "revoked"
    SPENT = "spent"  # the token's last use went to somebody else, or it was revoked


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

_COUNT_USE: Final = (
    "UPDATE join_tokens SET used_count = used_count + 1 WHERE key = ? AND revoked_at IS NULL"
    " AND (uses_limit_count IS NULL OR used_count < uses_limit_count)"
)


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
        """Keep a new token.

        Raises:
            StorageError: Nothing can be written now.
        """
        await self._database.write(lambda writer: _put(writer, _TOKENS, token))

    async def revoke_token(self, key: str, at: float) -> None:
        """Keep that a token is revoked; uses that others count meanwhile stay.

        Raises:
            StorageError: Nothing can be written now.
        """

        def work(writer: sqlite3.Connection) -> None:
            writer.execute("UPDATE join_tokens SET revoked_at = ? WHERE key = ?", (at, key))

        await self._database.write(work)

    async def add_worker(self, worker: WorkerKey, token_key: str | None) -> Admission:
        """Keep a new worker's key with the use of a token, unless others were first.

        Raises:
            StorageError: Nothing can be written now.
        """
        found: list[Admission] = []

        def work(writer: sqlite3.Connection) -> None:
            found.append(_admit(writer, worker, token_key))

        try:
            await self._database.write(work)
        except KeyTaken:  # by another gateway at the same moment: by now it can be seen
            await self._database.write(work)
        return found[-1]  # a transaction that is tried again decides again

    async def save_worker(self, worker: WorkerKey) -> None:
        """Keep a worker's key that has changed.

        Raises:
            StorageError: Nothing can be written now.
        """
        await self._database.write(lambda writer: _put(writer, _WORKERS, worker))

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


def _admit(writer: sqlite3.Connection, worker: WorkerKey, token_key: str | None) -> Admission:
    """Let a worker in as far as all gateways agree."""
    known = writer.execute(
        "SELECT worker_id, revoked_at FROM worker_keys WHERE key = ?", (worker.key,)
    ).fetchone()
    same_id = writer.execute(
        "SELECT 1 FROM worker_keys WHERE worker_id = ? AND revoked_at IS NULL AND key <> ?",
        (worker.worker_id, worker.key),
    ).fetchone()
    admission = _judged(worker, known, is_taken=same_id is not None)
    if admission is not Admission.NEW:
        return admission
    if token_key is not None and not writer.execute(_COUNT_USE, (token_key,)).rowcount:
        return Admission.SPENT
    _put(writer, _WORKERS, worker)
    return Admission.NEW


def _judged(worker: WorkerKey, known: tuple[Any, ...] | None, *, is_taken: bool) -> Admission:
    if known is not None and known[1] is not None:
        return Admission.REVOKED
    if is_taken or (known is not None and known[0] != worker.worker_id):
        return Admission.TAKEN
    return Admission.NEW if known is None else Admission.KNOWN
