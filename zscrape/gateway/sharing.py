"""Opens a database that several gateways share, and joins this gateway to the others."""

from __future__ import annotations

import contextlib
import secrets
import socket
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from zscrape.config import Settings, usable
from zscrape.config.settings import GatewaySettings
from zscrape.core.bucket import Buckets
from zscrape.core.dispatcher import Dispatcher
from zscrape.errors import StorageError
from zscrape.gateway.deliveries import Deliveries
from zscrape.gateway.ends import TaskEnds
from zscrape.gateway.events import EventHub
from zscrape.gateway.largefiles import far_of
from zscrape.gateway.router import Router
from zscrape.gateway.tasks import TaskService
from zscrape.log import get_logger
from zscrape.model import TaskId
from zscrape.onuse import on_use
from zscrape.store.behind import WrittenListener
from zscrape.store.database import home_lock
from zscrape.store.sql import SqlPolicy, SqlTaskStore

if TYPE_CHECKING:
    from zscrape.gateway import neighbours, ownership, shared as taking, sharedlimits, sharedlocks
    from zscrape.store import gateways, limits, postgres
else:  # a gateway with a database of its own has no use for any of these
    neighbours = on_use("zscrape.gateway.neighbours")
    ownership = on_use("zscrape.gateway.ownership")
    taking = on_use("zscrape.gateway.shared")
    sharedlimits = on_use("zscrape.gateway.sharedlimits")
    sharedlocks = on_use("zscrape.gateway.sharedlocks")
    gateways = on_use("zscrape.store.gateways")
    limits = on_use("zscrape.store.limits")
    postgres = on_use("zscrape.store.postgres")

_DAY_S: Final = 86_400.0


class Identity(Struct, frozen=True):
    """Who this gateway is, and where its tasks are kept; without a database in memory."""

    gateway_id: str
    boot: str
    database: SqlTaskStore | None
    shared: SharedStore | None = None

    def dispatcher(self, settings: Settings, boot: str) -> Dispatcher:
        """Return a dispatcher with no task, for one life of this gateway."""
        return Dispatcher(
            gateway_id=self.gateway_id,
            boot=boot,
            heartbeat=settings.heartbeat,
            queue=settings.queue,
            is_store_behind=self.database is not None,
        )

    def leave(self) -> None:
        """Take nothing more over from others: this gateway is about to end."""
        if self.shared is not None:
            self.shared.leave()


class SharedStore(Struct, eq=False):
    """This gateway's store on a database that it shares."""

    url: str
    lease: gateways.GatewayLease
    database: postgres.PostgresDatabase
    store: SqlTaskStore
    on_written: list[WrittenListener]  # who wants to know what was written
    ownership: ownership.Ownership | None = None  # once it is joined

    def life(self) -> str:
        """Return the name of this gateway's life among the others."""
        return self.lease.boot

    def leave(self) -> None:
        """Take nothing more over from others: this gateway is about to end."""
        if self.ownership is not None:
            self.ownership.is_adopting = False

    @property
    def is_alone(self) -> bool:
        """True iff no other gateway lives on this database."""
        return self.ownership is None or self.ownership.other_count == 0


class CallLimits(Struct, frozen=True, eq=False):
    """What calls are counted by: of clients, and of scripts that have a rate of their own."""

    clients: Buckets
    scripts: Buckets

    def share(
        self, shared: SharedStore, counter: sharedlimits.Counter, parts: contextlib.AsyncExitStack
    ) -> None:
        """Settle with the other gateways until `parts` are let go."""
        buckets = tuple(
            each
            for each in (self.clients, self.scripts)
            if isinstance(each, sharedlimits.SharedBuckets)
        )
        keeper = limits.LimitStore(shared.database, shared.lease.gateway_id)
        sharing = sharedlimits.LimitSharing(
            keeper, buckets, counter, is_alone=lambda: shared.is_alone
        )
        sharing.start()
        parts.push_async_callback(sharing.close)


def limits_of(shared: SharedStore | None) -> CallLimits:
    """Return what this gateway counts calls by, alone or beside others."""
    if shared is None:
        return CallLimits(Buckets(), Buckets())
    clients = sharedlimits.SharedBuckets("client", time.monotonic)
    return CallLimits(clients, sharedlimits.SharedBuckets("script", time.time))


def host_name() -> str:
    """Return this machine's name, as gateways are called by it."""
    return socket.gethostname().split(".")[0].lower()


def kept_for(gateway: GatewaySettings) -> SqlPolicy:
    """Return how long tasks are kept."""
    return SqlPolicy(
        task_age_s=gateway.task_kept_days * _DAY_S, output_age_s=gateway.output_kept_days * _DAY_S
    )


def tell_storage(error: StorageError | None) -> None:
    """Tell people that the database refuses, or with None that it is well again."""
    log = get_logger()
    if error is None:
        log.info("storage_back")
    else:
        log.error("storage_fault", code=error.code, reason=error.reason)


async def open_shared(
    settings: Settings, url: str, parts: contextlib.AsyncExitStack
) -> SharedStore:
    """Open the database, and begin a life of this gateway among the others.

    Raises:
        ConfigError: The home folder or the database cannot be used.
        StorageError: The database cannot be reached or written.
    """
    with usable(settings.home, "--home"):
        settings.home.mkdir(parents=True, exist_ok=True)
        parts.enter_context(home_lock(settings.home))
        gateway_id = ownership.gateway_id_of(settings.home, host_name())
    lease = gateways.GatewayLease(url, gateway_id, secrets.token_hex(8))
    database = postgres.PostgresDatabase(url, fence=(gateway_id, lease.boot))
    listeners: list[WrittenListener] = []

    def tell(task_ids: Sequence[TaskId]) -> None:
        for listener in listeners:
            listener(task_ids)

    store = SqlTaskStore(
        database,
        kept_for(settings.gateway),
        on_fault=tell_storage,
        owner=gateway_id,
        on_written=tell,
        # Files of one gateway's home are out of the others' reach: all stays in the database.
        far=far_of(settings) if settings.gateway.blobs == "s3" else None,
    )
    parts.push_async_callback(lease.close)  # after the store: what it writes needs the lease
    parts.push_async_callback(store.close)
    await lease.register()
    return SharedStore(url, lease, database, store, listeners)


async def join(
    shared: SharedStore,
    settings: Settings,
    router: Router,
    service: TaskService,
    deliveries: Deliveries,
    hub: EventHub,
    identity: Identity,
    parts: contextlib.AsyncExitStack,
    ends: TaskEnds,
) -> None:
    """Take up what is this gateway's own, and from now on what others leave behind.

    Raises:
        StorageError: The database cannot be reached or read.
    """
    locks = sharedlocks.SharedLocks(shared.lease, router, live=service.live)
    keeper = taking.SharedTasks(
        database=shared.database,
        store=shared.store,
        router=router,
        service=service,
        deliveries=deliveries,
        heartbeat=settings.heartbeat,
        locks=locks,
        dispatcher=lambda boot: identity.dispatcher(settings, boot),
    )
    owning = shared.ownership = ownership.Ownership(shared.lease, keeper, get_logger())
    others = neighbours.Neighbours(
        shared.url,
        shared.lease,
        shared.store,
        hub,
        live=service.live,
        on_wish=owning.look,
        on_freed=locks.look,
        is_alone=lambda: owning.other_count == 0,
    )
    service.elsewhere = others
    service.enter_by(locks)
    ends.of_all.append(lambda row: locks.look())
    locks.on_freed, locks.ask_cancel = others.tell_freed, others.ask_cancel
    shared.on_written += [others.tell, lambda task_ids: locks.look()]
    router.fence = owning.fence
    await owning.begin()
    parts.push_async_callback(owning.close)
    others.start()
    parts.push_async_callback(others.close)
    locks.start()
    parts.push_async_callback(locks.close)
