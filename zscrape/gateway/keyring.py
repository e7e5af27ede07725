"""The API keys as the gateway knows them: in memory by their hashes, followed in the store.

A key is 192 random bits, so a fast hash is enough, and finding it by that hash tells nothing:
whoever measures the search learns of hashes that they cannot choose.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import time
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct, field

from zscrape.errors import StorageError
from zscrape.errors.requests import NotFound
from zscrape.gateway.clients import ADMIN_ID, Client, Scope
from zscrape.store.keys import KeyRow, KeyStore, Mark

_KEY_BYTES: Final = 24  # 192 bits: nothing is won by a slow hash
KEY_ID_PREFIX: Final = "key_"
_ID_BYTES: Final = 6
_PREFIX_LENGTH: Final = 9
_PEER_LIMIT_COUNT: Final = 256
_FOLLOW_S: Final = 2.0  # until a change by another gateway is seen
_USE_KEPT_S: Final = 60.0  # how often it is kept when keys were used


class Known(Struct):
    """One key as it is looked up. `peers` are addresses that it was good from."""

    client: Client
    digest: bytes
    expires_at: float | None = None
    revoked_at: float | None = None
    used_at: float | None = None
    peers: set[str] = field(default_factory=set)

    def note_peer(self, peer: str) -> None:
        """Remember that it was good from there."""
        if len(self.peers) < _PEER_LIMIT_COUNT:
            self.peers.add(peer)


class NewKey(Struct, frozen=True, kw_only=True):
    """What a key is to be."""

    name: str = ""
    scopes: tuple[Scope, ...]
    scripts: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    rate_per_s: float | None = None
    task_limit_count: int | None = None
    expires_at: float | None = None


def new_key() -> str:
    """Return a key that nobody has."""
    return f"zs_{secrets.token_urlsafe(_KEY_BYTES)}"


def digest_of(key: bytes) -> bytes:
    """Return what a key is found by."""
    return hashlib.sha256(key).digest()


class KeyRing:
    """The keys of a store, beside the first one, which stands in no store."""

    def __init__(self, store: KeyStore, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._rows: dict[str, KeyRow] = {}
        self._by_digest: dict[bytes, Known] = {}
        self._by_id: dict[str, Known] = {}
        self._task_limits: dict[str, int] = {}  # of keys that have one
        # Says how many tasks that have not ended a key may have; None: as it is set for all.
        self.task_limit_of: Callable[[str], int | None] = self._task_limits.get
        self._mark: Mark | None = None
        # What is read while a key is being made or revoked would be what was true before.
        self._changing = asyncio.Lock()
        self._kept_uses: dict[str, float] = {}

    def find(self, digest: bytes) -> Known | None:
        """Return the key with this hash, whether or not it may still be used."""
        return self._by_digest.get(digest)

    def known(self, key_id: str) -> Known | None:
        """Return the key with this id."""
        return self._by_id.get(key_id)

    def rows(self) -> list[KeyRow]:
        """Return every key, the oldest first, with its latest use."""
        return [self._with_use(row) for row in self._rows.values()]

    def _with_use(self, row: KeyRow) -> KeyRow:
        used_at = self._by_id[row.id].used_at
        if used_at is None or used_at <= (row.last_used_at or 0.0):
            return row
        return msgspec.structs.replace(row, last_used_at=used_at)

    def row(self, key_id: str) -> KeyRow:
        """Return one key.

        Raises:
            NotFound: There is none with this id.
        """
        found = self._rows.get(key_id)
        if found is None:
            raise NotFound(kind="key", name=key_id[:80])
        return self._with_use(found)

    # ---- changes ---------------------------------------------------------------------

    async def create(self, asked: NewKey, *, by: str) -> tuple[str, KeyRow]:
        """Make a key; return it, this once, and what is kept of it.

        Raises:
            StorageError: Nothing can be written now.
        """
        key = new_key()
        row = KeyRow(
            id=f"{KEY_ID_PREFIX}{secrets.token_hex(_ID_BYTES)}",
            name=asked.name,
            prefix=key[:_PREFIX_LENGTH],
            digest=digest_of(key.encode()),
            scopes=tuple(sorted(asked.scopes)),
            scripts=asked.scripts,
            groups=asked.groups,
            rate_per_s=asked.rate_per_s,
            task_limit_count=asked.task_limit_count,
            created_at=self._clock(),
            created_by=by,
            expires_at=asked.expires_at,
        )
        async with self._changing:
            await self._store.add(row)
            self._take(row)
        return key, row

    async def revoke(self, key_id: str) -> KeyRow:
        """End a key for good; again is no error.

        Raises:
            NotFound: There is none with this id.
            StorageError: Nothing can be written now: the key can still be used.
        """
        async with self._changing:
            row = self.row(key_id)
            if row.revoked_at is None:
                now = self._clock()
                await self._store.revoke(key_id, now)
                row = msgspec.structs.replace(row, revoked_at=now)
                self._take(row)
        return row

    # ---- following the store ---------------------------------------------------------

    async def load(self) -> None:
        """Read the keys.

        Raises:
            StorageError: They cannot be read.
        """
        async with self._changing:
            self._mark = await self._store.mark()
            self._take_all(await self._store.all())

    def _take_all(self, rows: list[KeyRow]) -> None:
        gone = self._rows.keys() - {row.id for row in rows}
        for key_id in gone:
            del self._by_digest[self._rows.pop(key_id).digest], self._by_id[key_id]
            self._task_limits.pop(key_id, None)
        for row in rows:
            self._take(row)

    def _take(self, row: KeyRow) -> None:
        before = self._by_id.get(row.id)
        known = Known(
            client=Client(
                id=row.id,
                scopes=frozenset(row.scopes),
                scripts=row.scripts,
                groups=row.groups,
                rate_per_s=row.rate_per_s,
                name=row.name,
                until=row.expires_at,
            ),
            digest=row.digest,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
            used_at=row.last_used_at if before is None else before.used_at,
        )
        if before is not None:
            known.peers = before.peers
        elif row.last_used_at is not None:
            self._kept_uses[row.id] = row.last_used_at
        self._rows[row.id] = row
        if row.task_limit_count is None:
            self._task_limits.pop(row.id, None)
        else:
            self._task_limits[row.id] = row.task_limit_count
        self._by_digest[row.digest] = self._by_id[row.id] = known

    async def follow(self) -> None:
        """See what other gateways change, and keep when keys were used; until cancelled."""
        next_keep = self._clock() + _USE_KEPT_S
        while True:
            await asyncio.sleep(_FOLLOW_S)
            with contextlib.suppress(StorageError):  # the keys of a moment ago will do
                if await self._store.mark() != self._mark:
                    await self.load()
            if self._clock() >= next_keep:
                await self.keep_uses()
                next_keep = self._clock() + _USE_KEPT_S

    async def keep_uses(self) -> None:
        """Keep when keys were last used, of those that were used since the last time."""
        used = {
            key_id: known.used_at
            for key_id, known in self._by_id.items()
            if known.used_at is not None and known.used_at != self._kept_uses.get(key_id)
        }
        if used:
            with contextlib.suppress(StorageError):  # the next minute's will do
                await self._store.note_uses(used)
                self._kept_uses.update(used)

    async def sweep(self, before: float) -> None:
        """Forget keys that have been of no use since a moment.

        Raises:
            StorageError: They stay.
        """
        await self._store.sweep(before)
        await self.load()


def first_key(key: str) -> Known:
    """Return the key of the home folder or of the settings, which may do everything."""
    return Known(client=Client(id=ADMIN_ID, name=ADMIN_ID), digest=digest_of(key.encode()))
