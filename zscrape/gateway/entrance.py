"""The parts that say who may call, built from the settings."""

from __future__ import annotations

import asyncio
import contextlib

from msgspec import Struct

from zscrape.gateway.access import Access
from zscrape.gateway.keyring import KeyRing
from zscrape.store.keys import KeyStore
from zscrape.store.sql import SqlTaskStore
from zscrape.store.volatile import Tables, VolatileDatabase

_KEY_KEPT_S = 90 * 86_400.0  # keys that are of no use any more, for whoever wonders


class Entrance(Struct, frozen=True):
    """Who may call."""

    keys: KeyRing
    access: Access

    async def sweep(self, now: float) -> None:
        """Forget what is older than it is kept.

        Raises:
            StorageError: The rest stays for the next time.
        """
        await self.keys.sweep(now - _KEY_KEPT_S)


async def open_entrance(
    key: str, store: SqlTaskStore | None, parts: contextlib.AsyncExitStack
) -> Entrance:
    """Return what lets calls in, following the database until `parts` are let go.

    Raises:
        StorageError: The keys cannot be read.
    """
    keys = KeyRing(KeyStore(_tables(store, parts)))
    await keys.load()
    following = asyncio.create_task(keys.follow(), name="follow keys")
    parts.push_async_callback(_end, following, keys)
    return Entrance(keys=keys, access=Access(key, keys))


def _tables(store: SqlTaskStore | None, parts: contextlib.AsyncExitStack) -> Tables:
    """Return where small things are kept: the database, or memory where there is none."""
    if store is not None:
        return store.database
    volatile = VolatileDatabase()
    parts.callback(volatile.close)
    return volatile


async def _end(following: asyncio.Task[None], keys: KeyRing) -> None:
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following
    await keys.keep_uses()
