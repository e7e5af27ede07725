"""What scripts remember between runs, in one place for the API and for running scripts."""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec import Struct

from zscrape.gateway.scriptstate import ScriptStates
from zscrape.store.schema import (
    ITEM_KEYS,
    PENDING_ITEM_KEYS,
    SCRIPT_STATE,
    SESSION_LEASES,
    SITE_SESSIONS,
)
from zscrape.store.scriptstate import ScriptStateStore
from zscrape.store.volatile import Tables, VolatileDatabase


class Remembering(Struct, frozen=True):
    """The memory of scripts."""

    states: ScriptStates


def remember(
    database: Tables | None = None, *, clock: Callable[[], float] = time.time
) -> Remembering:
    """Return the memory of scripts, kept in a database; None: for as long as the process lives."""
    if database is None:
        database = VolatileDatabase(
            (SCRIPT_STATE, ITEM_KEYS, PENDING_ITEM_KEYS, SITE_SESSIONS, SESSION_LEASES)
        )
    return Remembering(states=ScriptStates(ScriptStateStore(database), clock=clock))
