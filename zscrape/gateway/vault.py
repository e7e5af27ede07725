"""Secrets of scripts: who may have which, and their values for the moment of sending.

Sealed values stay in memory, so that granting one costs no look at the database. Two must
agree before a script has a value: its manifest names the secret, and the secret names it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from msgspec import Struct

from zscrape.errors.requests import NotFound
from zscrape.errors.scripts import SecretDenied
from zscrape.errors.storage import SecretsSealed
from zscrape.gateway.faults import field_fault
from zscrape.gateway.sealing import Sealer, make_sealer, read_sealer
from zscrape.log import hide
from zscrape.model import RunSpec
from zscrape.store.secrets import MemorySecrets, SecretRow, SecretStore

SECRET_LIMIT_COUNT: Final = 1_000


class SecretView(Struct, frozen=True):
    """What may be told of a secret."""

    name: str
    scripts: tuple[str, ...]
    created_at: float
    updated_at: float


class Vault:
    """Knows the secrets of one cluster. One event loop uses it."""

    def __init__(
        self,
        store: SecretStore,
        key_path: Path,
        *,
        clock: Callable[[], float],
        report: Callable[[SecretsSealed], None],
    ) -> None:
        self._store = store
        self._key_path = key_path
        self._clock = clock
        self._report = report
        self._sealer: Sealer | None = None
        self._rows: dict[str, SecretRow] = {}
        self._changing = asyncio.Lock()

    async def load(self) -> None:
        """Read the secrets, also those that another gateway has set since.

        Raises:
            StorageError: They cannot be read.
            SettingError: Others can read the key's file.
        """
        async with self._changing:
            rows = await self._store.all()
            if rows and self._sealer is None:
                try:
                    self._sealer = await asyncio.to_thread(read_sealer, self._key_path)
                except SecretsSealed as error:
                    self._report(error)
            fresh = [row for row in rows if self._rows.get(row.name) != row]
            self._rows = {row.name: row for row in rows}
            for row in fresh:
                self._open(row)

    def views(self) -> list[SecretView]:
        """Return what may be told of every secret, by name."""
        return [_view(self._rows[name]) for name in sorted(self._rows)]

    def check(self, run: RunSpec) -> None:
        """Prove that a script may have what it asks for.

        Raises:
            SecretDenied: It may not, or there is no such secret.
            SecretsSealed: It may, but no key opens it.
        """
        for name in run.secrets:
            row = self._granted(name, run)
            if row is None:
                raise SecretDenied(name=name, script_name=run.pin.name)
            self._sealer_of(row).open(row.name, row.sealed)

    def values_for(self, run: RunSpec) -> dict[str, str]:
        """Return the values that a script may have now; its worker refuses one that lacks some."""
        values = {}
        for name in run.secrets:
            row = self._granted(name, run)
            value = None if row is None else self._open(row)
            if value is not None:
                values[name] = value
        return values

    async def put(
        self, name: str, *, value: str | None, scripts: tuple[str, ...] | None
    ) -> SecretView:
        """Keep a secret; what is None stays as it is.

        Raises:
            FieldFault: There is no such secret yet and no value, or there are too many.
            StorageError: It cannot be kept; what was there still is.
            SettingError, SecretsSealed: The key's file cannot be used.
            OSError: It cannot be written.
        """
        async with self._changing:
            known, now = self._rows.get(name), self._clock()
            if known is None and value is None:
                raise field_fault("/value", "secret_new")
            if known is None and len(self._rows) >= SECRET_LIMIT_COUNT:
                raise field_fault("/name", "secret_count", limit=SECRET_LIMIT_COUNT)
            if value is None and known is not None:
                sealed, key_id = known.sealed, known.key_id
            else:
                sealer = await self.sealer()
                sealed, key_id = sealer.seal(name, value or ""), sealer.key_id
                hide(value or "")
            row = SecretRow(
                name=name,
                sealed=sealed,
                key_id=key_id,
                scripts=(known.scripts if known else ()) if scripts is None else scripts,
                created_at=known.created_at if known else now,
                updated_at=now,
            )
            await self._store.put(row)
            self._rows[name] = row
            return _view(row)

    async def remove(self, name: str) -> None:
        """Forget a secret.

        Raises:
            NotFound: There is none of this name.
            StorageError: It cannot be written; the secret is still there.
        """
        async with self._changing:
            if name not in self._rows:
                raise NotFound(kind="secret", name=name[:80])
            await self._store.drop(name)
            del self._rows[name]

    def _granted(self, name: str, run: RunSpec) -> SecretRow | None:
        row = self._rows.get(name)
        if row is None or not any(fnmatchcase(run.pin.name, each) for each in row.scripts):
            return None
        return row

    def _open(self, row: SecretRow) -> str | None:
        """Return a value; one that cannot be opened is reported."""
        try:
            value = self._sealer_of(row).open(row.name, row.sealed)
        except SecretsSealed as error:
            self._report(error)
            return None
        hide(value)
        return value

    def _sealer_of(self, row: SecretRow) -> Sealer:
        if self._sealer is None:
            raise SecretsSealed(path=str(self._key_path), reason=f"no key opens {row.name}")
        return self._sealer

    async def sealer(self) -> Sealer:
        """Return what seals, with a key made now if there has been none.

        Raises:
            SettingError, SecretsSealed: The key's file cannot be used.
            OSError: It cannot be written.
        """
        if self._sealer is None:
            exists = await asyncio.to_thread(self._key_path.exists)
            make = read_sealer if exists else make_sealer
            self._sealer = await asyncio.to_thread(make, self._key_path)
        return self._sealer


def closed_vault() -> Vault:
    """Return a vault without secrets that keeps none: for gateways of tests and of one task."""
    return Vault(MemorySecrets(), Path("/dev/null"), clock=lambda: 0.0, report=lambda error: None)


def _view(row: SecretRow) -> SecretView:
    return SecretView(row.name, row.scripts, row.created_at, row.updated_at)
