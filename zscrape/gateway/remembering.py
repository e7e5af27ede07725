"""What scripts remember between runs, in one place for the API and for running scripts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from zscrape.gateway.itemkeys import ItemKeys
from zscrape.gateway.scriptstate import ScriptStates
from zscrape.store.itemkeys import ItemKeyStore
from zscrape.store.schema import (
    ITEM_KEYS,
    PENDING_ITEM_KEYS,
    SCRIPT_STATE,
    SESSION_LEASES,
    SITE_SESSIONS,
)
from zscrape.store.scriptstate import ScriptStateStore
from zscrape.store.volatile import Tables, VolatileDatabase

_DAY_S: Final = 86_400.0


class Remembering(Struct, frozen=True):
    """The memory of scripts."""

    states: ScriptStates
    keys: ItemKeys


def remember(
    database: Tables | None = None,
    *,
    key_kept_days: float = 30.0,
    clock: Callable[[], float] = time.time,
) -> Remembering:
    """Return the memory of scripts, kept in a database; None: for as long as the process lives."""
    if database is None:
        database = VolatileDatabase(
            (SCRIPT_STATE, ITEM_KEYS, PENDING_ITEM_KEYS, SITE_SESSIONS, SESSION_LEASES)
        )
    return Remembering(
        states=ScriptStates(ScriptStateStore(database), clock=clock),
        keys=ItemKeys(ItemKeyStore(database), kept_s=key_kept_days * _DAY_S, clock=clock),
    )
