"""The parts that say who may call, built from the settings."""

from __future__ import annotations

import asyncio
import contextlib
import time

import msgspec
from msgspec import Struct

from zscrape.config import Settings
from zscrape.errors import StorageError
from zscrape.gateway.access import Access, GuessListener
from zscrape.gateway.audit import Auditor
from zscrape.gateway.damper import Damper
from zscrape.gateway.jwts import jwt_keys_of
from zscrape.gateway.keyring import KeyRing
from zscrape.log import get_logger
from zscrape.store.audit import AuditLine, AuditStore
from zscrape.store.keys import KeyStore
from zscrape.store.sql import SqlTaskStore
from zscrape.store.volatile import Tables, VolatileDatabase

_DAY_S = 86_400.0
_KEY_KEPT_S = 90 * _DAY_S  # keys that are of no use any more, for whoever wonders


class Entrance(Struct, frozen=True):
    """Who may call."""

    keys: KeyRing
    access: Access
    audit: Auditor
    audit_age_s: float

    async def sweep(self, now: float) -> None:
        """Forget what is older than it is kept.

        Raises:
            StorageError: The rest stays for the next time.
        """
        await self.keys.sweep(now - _KEY_KEPT_S)
        await self.audit.store.sweep(now - self.audit_age_s)


async def open_entrance(
    settings: Settings, key: str, store: SqlTaskStore | None, parts: contextlib.AsyncExitStack
) -> Entrance:
    """Return what lets calls in, following the database until `parts` are let go.

    Raises:
        ConfigError: What the settings say of tokens cannot be used.
        StorageError: The keys cannot be read.
    """
    jwts = jwt_keys_of(settings)
    tables = _tables(store, parts)
    keys = KeyRing(KeyStore(tables))
    await keys.load()
    following = asyncio.create_task(keys.follow(), name="follow keys")
    parts.push_async_callback(_end, following, keys)
    return Entrance(
        keys=keys,
        access=Access(key, keys, jwts=jwts, on_guess=_guess_teller()),
        audit=Auditor(AuditStore(tables), on_loss=_tell_loss),
        audit_age_s=settings.gateway.audit_kept_days * _DAY_S,
    )


def _tell_loss(line: AuditLine, error: StorageError) -> None:
    told = msgspec.structs.asdict(line)
    get_logger().error("audit_lost", reason=error.code, **told)


def _guess_teller() -> GuessListener:
    """Return what tells the log of guessing, now and then: strangers decide how often it is."""
    damper, log = Damper(time.monotonic), get_logger()

    def tell(peer: str, wait_s: float) -> None:
        held_count = damper.admit(("guess", ""))
        if held_count is not None:
            log.warning("keys_guessed", address=peer, wait_s=wait_s, held_count=held_count)

    return tell


def _tables(store: SqlTaskStore | None, parts: contextlib.AsyncExitStack) -> Tables:
    """Return where small things are kept: the database, or memory where there is none."""
    if store is not None:
        return store.database
    volatile = VolatileDatabase()
    parts.push_async_callback(volatile.close)
    return volatile


async def _end(following: asyncio.Task[None], keys: KeyRing) -> None:
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following
    await keys.keep_uses()
