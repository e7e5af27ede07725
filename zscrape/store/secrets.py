"""Secrets as they are kept: sealed values, who may have them, and nothing that opens them."""

from __future__ import annotations

import sqlite3
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from zscrape.store.database import Database

_COLUMNS: Final = "name, sealed, key_id, scripts, created_at, updated_at"
_SELECT: Final = f"SELECT {_COLUMNS} FROM secrets ORDER BY name"  # noqa: S608 - constants
_UPSERT: Final = (
    f"INSERT INTO secrets ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?) "  # noqa: S608 - constants
    "ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, key_id = excluded.key_id, "
    "scripts = excluded.scripts, updated_at = excluded.updated_at"
)
_read_scripts = msgspec.json.Decoder(tuple[str, ...]).decode


class SecretRow(Struct, frozen=True):
    """One secret. `scripts` are names or patterns; `key_id` says what it is sealed with."""

    name: str
    sealed: bytes
    key_id: str
    scripts: tuple[str, ...]
    created_at: float
    updated_at: float


class SecretStore(Protocol):
    """Where secrets are kept."""

    async def all(self) -> list[SecretRow]:
        """Return every secret, by name.

        Raises:
            StorageError: They cannot be read.
        """
        ...

    async def put(self, row: SecretRow) -> None:
        """Keep a secret, over the one of its name.

        Raises:
            StorageError: It cannot be written; what was there still is.
        """
        ...

    async def drop(self, name: str) -> None:
        """Forget a secret; one that is not there is no fault.

        Raises:
            StorageError: It cannot be written; what was there still is.
        """
        ...


class SqlSecrets:
    """Secrets in the gateway's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[SecretRow]:
        """Return every secret, by name."""
        return await self._database.read(_read_all)

    async def put(self, row: SecretRow) -> None:
        """Keep a secret, over the one of its name."""
        scripts = msgspec.json.encode(row.scripts).decode()
        values = (row.name, row.sealed, row.key_id, scripts, row.created_at, row.updated_at)

        def work(writer: sqlite3.Connection) -> None:
            writer.execute(_UPSERT, values)

        await self._database.write(work)

    async def drop(self, name: str) -> None:
        """Forget a secret; one that is not there is no fault."""

        def work(writer: sqlite3.Connection) -> None:
            writer.execute("DELETE FROM secrets WHERE name = ?", (name,))

        await self._database.write(work)


def _read_all(reader: sqlite3.Connection) -> list[SecretRow]:
    return [
        SecretRow(name, bytes(sealed), key_id, _read_scripts(scripts), created_at, updated_at)
        for name, sealed, key_id, scripts, created_at, updated_at in reader.execute(_SELECT)
    ]


class MemorySecrets:
    """Secrets of a gateway that keeps nothing beyond its own life."""

    def __init__(self) -> None:
        self._rows: dict[str, SecretRow] = {}

    async def all(self) -> list[SecretRow]:
        """Return every secret, by name."""
        return [self._rows[name] for name in sorted(self._rows)]

    async def put(self, row: SecretRow) -> None:
        """Keep a secret, over the one of its name."""
        self._rows[row.name] = row

    async def drop(self, name: str) -> None:
        """Forget a secret; one that is not there is no fault."""
        self._rows.pop(name, None)
