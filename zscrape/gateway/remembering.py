"""What scripts remember between runs, in one place for the API and for running scripts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from zscrape.gateway.itemkeys import ItemKeys
from zscrape.gateway.scriptstate import ScriptStates
from zscrape.gateway.sitesessions import Finder, Sealing, SiteSessions
from zscrape.gateway.vault import closed_vault
from zscrape.model import TaskId
from zscrape.store.itemkeys import ItemKeyStore
from zscrape.store.scriptstate import ScriptStateStore
from zscrape.store.sitesessions import SiteSessionStore
from zscrape.store.tasks import TaskRow
from zscrape.store.volatile import Tables, VolatileDatabase

_DAY_S: Final = 86_400.0


class Remembering(Struct, frozen=True):
    """The memory of scripts."""

    states: ScriptStates
    keys: ItemKeys
    sessions: SiteSessions


async def _know_nothing(_task_id: TaskId) -> TaskRow | None:
    return None


def remember(
    database: Tables | None = None,
    *,
    sealing: Sealing | None = None,
    find: Finder = _know_nothing,
    key_kept_days: float = 30.0,
    clock: Callable[[], float] = time.time,
) -> Remembering:
    """Return the memory of scripts.

    Args:
        database: Where it is kept; None: for as long as the process lives.
        sealing: Who has the key of cookies; None: nobody, and none can be kept.
        find: Finds tasks that live, and those that are kept.
        key_kept_days: How long keys of items count where a script says nothing.
        clock: Unix time.
    """
    if database is None:
        database = VolatileDatabase(
            ("script_state", "item_keys", "pending_item_keys", "site_sessions", "session_leases")
        )
    return Remembering(
        states=ScriptStates(ScriptStateStore(database), clock=clock),
        keys=ItemKeys(ItemKeyStore(database), kept_s=key_kept_days * _DAY_S, clock=clock),
        sessions=SiteSessions(
            SiteSessionStore(database), sealing or closed_vault(), find=find, clock=clock
        ),
    )
