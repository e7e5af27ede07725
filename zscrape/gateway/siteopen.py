"""Opens the budgets of sites, for a gateway alone or beside others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from zscrape.config.settings import ScriptDefaults
from zscrape.gateway.sharing import Identity
from zscrape.gateway.siteledger import LocalLedger, SharedLedger
from zscrape.gateway.sites import Sites
from zscrape.model import TaskId
from zscrape.onuse import on_use
from zscrape.store.sites import SiteBudgets
from zscrape.store.volatile import VolatileDatabase

if TYPE_CHECKING:
    from zscrape.store import sitestates
else:  # of gateways that share a database
    sitestates = on_use("zscrape.store.sitestates")


async def open_sites(
    identity: Identity,
    is_live: Callable[[TaskId], bool],
    parts: contextlib.AsyncExitStack,
    scripts: Mapping[str, ScriptDefaults],
) -> Sites:
    """Return the sites of a gateway; what it opens is let go with `parts`.

    Raises:
        StorageError: Their budgets cannot be read.
    """
    store, shared = identity.database, identity.shared
    database = VolatileDatabase(("site_budgets",)) if store is None else store.database
    sites = Sites(
        budgets=SiteBudgets(database),
        ledger=LocalLedger() if shared is None else SharedLedger(sitestates.SiteStates(shared.url)),
        owner=identity.gateway_id,
        is_shared=shared is not None,
        is_live=is_live,
        of_scripts={name: each.sites for name, each in scripts.items()},
    )
    parts.push_async_callback(sites.close)
    await sites.start()
    return sites
