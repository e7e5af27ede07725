"""The gateway's composition root: builds the parts from the settings and runs them."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec
import uvicorn
from msgspec import Struct

from zscrape.config import REPOSITORY_SECRETS, Settings, refuse_unsafe, usable
from zscrape.core.bucket import rate_of
from zscrape.errors import ConfigError, StorageError
from zscrape.gateway.access import admin_key, write_client
from zscrape.gateway.app import build_app
from zscrape.gateway.connections import BACKLOG, ConnectionLimits, HttpConfig, Tls, room_for
from zscrape.gateway.deliveries import Deliveries, WebhookPolicy
from zscrape.gateway.door import Door, NoKeeper
from zscrape.gateway.doors import shield_of, tls_of
from zscrape.gateway.entrance import Entrance, open_entrance
from zscrape.gateway.events import EventHub
from zscrape.gateway.facts import FactTeller
from zscrape.gateway.joining import Joining
from zscrape.gateway.largefiles import far_of
from zscrape.gateway.ledger import EndListener
from zscrape.gateway.linkkeys import LinkKeys
from zscrape.gateway.outbound import Outbound
from zscrape.gateway.ratelimits import LocalLimiter
from zscrape.gateway.router import Router
from zscrape.gateway.scheduler import Scheduler
from zscrape.gateway.schedules import Schedules
from zscrape.gateway.sealing import KEY_FILE
from zscrape.gateway.sharing import (
    Identity,
    host_name,
    join,
    kept_for,
    open_shared,
    tell_storage,
)
from zscrape.gateway.state import GatewayState, HttpPolicy
from zscrape.gateway.tasks import TaskPolicy, TaskService
from zscrape.gateway.vault import Vault
from zscrape.log import get_logger, hide
from zscrape.scripts.cache import ScriptCache
from zscrape.scripts.catalogue import Catalogue
from zscrape.scripts.channels import Channels
from zscrape.scripts.manifest import ManifestDefaults
from zscrape.scripts.repository import open_repositories
from zscrape.scripts.trust import Trust
from zscrape.scripts.trusted import trust_of
from zscrape.store.database import FILE_NAME, Database, home_lock
from zscrape.store.linkkeys import LinkKeyStore
from zscrape.store.memory import MemoryPolicy, MemoryTaskStore
from zscrape.store.schedules import ScheduleStore
from zscrape.store.schema import OCCURRENCES, SCHEDULES
from zscrape.store.secrets import MemorySecrets, SqlSecrets
from zscrape.store.sql import SqlTaskStore
from zscrape.store.tasks import TaskRow, TaskStore
from zscrape.store.volatile import VolatileDatabase

_CLEAN_INTERVAL_S = 3600.0
_ORPHAN_AGE_S = 3600.0  # a blob this old whose row is not there will have none
_SECRETS_INTERVAL_S = 5.0


class Ready(Struct, frozen=True):
    """What a gateway tells once it answers."""

    http: str
    link: str
    home: Path
    key_path: Path
    dashboard: str = ""  # a link that signs a browser in, once


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: `serve` drains first, then stops it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: Settings, *, on_ready: Callable[[Ready], None]) -> None:
    """Run a gateway until SIGTERM or SIGINT.

    The first signal drains: no new task is taken, and calls and running attempts get
    `gateway.shutdown_grace_s` to end; tasks that wait are there at the next start. The second
    one ends at once.

    Raises:
        ConfigError: An address cannot be bound, a folder or a setting cannot be used; nothing
            of what was begun is left.
    """
    log = get_logger()
    gateway = settings.gateway
    refuse_unsafe(settings)
    trust = trust_of(settings)  # strict mode without a key could run nothing: said at once
    key = admin_key(settings.home, gateway.api_key)
    hide(key)
    for secret in _secrets(settings):
        hide(secret)
    async with contextlib.AsyncExitStack() as parts:  # whatever fails, the others are let go
        await _serve(settings, key, trust, parts, on_ready)
    log.info("gateway_stopped")


async def _serve(
    settings: Settings,
    key: str,
    trust: Trust,
    parts: contextlib.AsyncExitStack,
    on_ready: Callable[[Ready], None],
) -> None:
    log = get_logger()
    gateway = settings.gateway
    listener = _listen(gateway.http)
    parts.callback(listener.close)
    tls = tls_of(settings)
    url = _url(listener, "http" if tls is None else "https")
    with usable(settings.cache_dir, "SCRIPT_CACHE_DIR"):
        cache = ScriptCache(
            settings.cache_dir,
            max_age_h=settings.cache_max_age_h,
            max_size_bytes=settings.cache_max_size_bytes,
        )
    parts.push_async_callback(cache.close)
    with usable(settings.home, "--home"):
        catalogue = Catalogue(
            open_repositories(settings, cache),
            cache,
            ManifestDefaults(settings.script_timeout_s, settings.script_memory_limit_bytes),
            Channels(settings.home / "channels.json"),
            trust,
        )
    parts.push_async_callback(catalogue.close)
    hub = EventHub()
    identity = await _identify(settings, parts)
    database = identity.database
    teller = FactTeller(log, clock=time.monotonic)
    router, joining, door = _link(settings, identity, teller, cache, parts)
    vault = await _open_vault(settings, database)
    router.secrets_for = vault.values_for
    store = database or MemoryTaskStore(MemoryPolicy(final_count=gateway.task_kept_count))
    entrance = await open_entrance(settings, key, database, parts)
    deliveries = _webhooks(settings, store, parts)
    ends: list[EndListener] = [deliveries.offer]
    service = TaskService(
        router=router,
        catalogue=catalogue,
        store=store,
        hub=hub,
        policy=TaskPolicy(schedule_timeout_s=settings.schedule_timeout_s),
        defaults=settings.scripts,
        on_end=lambda row: _tell_end(ends, row),
        on_invalid=lambda row, kind, fault: log.warning(
            "worker_data_invalid",
            worker_id=row.worker_id,
            task_id=row.id,
            kind=kind,
            reason=fault,
        ),
        on_stored=None if database is None else router.stored,
        check_secrets=vault.check,
    )
    teller.listener = service.apply
    if identity.shared is not None:
        await join(identity.shared, settings, router, service, deliveries, hub, identity, parts)
    elif database is not None:
        await _recover(database, service, router, settings)
    await deliveries.resume()
    scheduler, schedules = _schedules(settings, database, service, parts, ends)
    connection_limit = room_for(gateway.connection_limit)
    state = GatewayState(
        service=service,
        router=router,
        catalogue=catalogue,
        store=store,
        hub=hub,
        access=entrance.access,
        keys=entrance.keys,
        audit=entrance.audit,
        joining=joining,
        vault=vault,
        limiter=LocalLimiter(rate_of(gateway.client_rate, gateway.client_burst), time.monotonic),
        gateway_id=identity.gateway_id,
        started_at=time.time(),
        schedules=schedules,
        policy=HttpPolicy(
            body_limit_bytes=gateway.body_limit_bytes,
            body_timeout_s=gateway.body_timeout_s,
            connection_limit=connection_limit,
            depth_limit=gateway.depth_limit,
            inline_limit_bytes=gateway.inline_limit_bytes,
            max_wait_s=gateway.max_wait_s,
            lang=settings.lang,
            shield=shield_of(settings),
            webhook_secret=gateway.webhook_secret,
        ),
        report=lambda event, request_id, error: log.error(
            event, request_id=request_id, exc_info=error
        ),
    )
    server = _server(state, settings, tls)
    stop = _Stop()
    with usable(settings.home, "--home"):
        await _listen_for_workers(router, joining, door, database)
    await scheduler.start()  # after the link: what is due finds its locks held
    with usable(settings.home, "--home"):
        key_path = write_client(
            settings.home, url=url, key=key, certificate=None if tls is None else tls.certificate
        )
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(sockets=[listener]))
        beside = [_clean(cache, catalogue, database, entrance), _follow(vault)]
        background = [group.create_task(each) for each in beside]
        with stop.on_signals():
            log.info("gateway_ready", http=url, link=router.endpoint)
            dashboard = f"{url}/login?code={entrance.access.new_link()}"
            on_ready(Ready(url, router.endpoint, settings.home, key_path, dashboard))
            await stop.first(serving)
            is_kept = database is not None
            running_count = service.draining_count(is_kept=is_kept)
            log.info(
                "gateway_stopping",
                grace_s=gateway.shutdown_grace_s,
                running_count=running_count,
            )
            state.is_draining = True
            identity.leave()
            await scheduler.close()
            router.refuse_new()
            drained = service.drained(is_kept=is_kept)
            await stop.second(drained, gateway.shutdown_grace_s)
            for each in background:
                each.cancel()
            server.should_exit = True
            service.close()


def _link(
    settings: Settings,
    identity: Identity,
    teller: FactTeller,
    cache: ScriptCache,
    parts: contextlib.AsyncExitStack,
) -> tuple[Router, Joining, Door]:
    """Return the link's socket with the dispatcher behind it, and who decides who may dial it."""
    with usable(settings.home, "--home"):
        keys = LinkKeys(settings.home)
    door = Door(local_key=keys.local.public)
    router = Router(
        identity.dispatcher(settings, identity.boot),
        bind=settings.gateway.link,
        door=door,
        keys=keys,
        on_effect=teller.tell,
        pack=cache.pack,
    )
    parts.callback(router.stop)
    joining = Joining(door, keys, router, settings.gateway.join_addresses, get_logger())
    parts.callback(joining.stop)
    return router, joining, door


async def _listen_for_workers(
    router: Router, joining: Joining, door: Door, database: SqlTaskStore | None
) -> None:
    """Let in those who have joined, and nobody else.

    Raises:
        ConfigError: The address cannot be bound, or strangers would be let in.
        StorageError: What is kept of keys cannot be read.
    """
    await door.open(NoKeeper() if database is None else LinkKeyStore(database.database))
    await router.prove()
    router.start()
    joining.start()


def _tell_end(listeners: Iterable[EndListener], row: TaskRow) -> None:
    for listener in listeners:
        listener(row)


def _webhooks(settings: Settings, store: TaskStore, parts: contextlib.AsyncExitStack) -> Deliveries:
    """Return what tells others of tasks that have ended."""
    gateway = settings.gateway
    outbound = Outbound(allowed=gateway.webhook_allow)
    parts.push_async_callback(outbound.close)
    deliveries = Deliveries(
        store=store,
        post=outbound.post,
        policy=WebhookPolicy(
            url=gateway.webhook_url,
            events=gateway.webhook_events,
            secret=gateway.webhook_signing_secret,
        ),
        clock=time.time,
        log=get_logger(),
        lang=settings.lang,
        inline_limit_bytes=gateway.inline_limit_bytes,
    )
    parts.push_async_callback(deliveries.close)
    return deliveries


def _schedules(
    settings: Settings,
    store: SqlTaskStore | None,
    service: TaskService,
    parts: contextlib.AsyncExitStack,
    ends: list[EndListener],
) -> tuple[Scheduler, Schedules]:
    """Return what fires schedules, and what people work with them by."""
    database = VolatileDatabase((SCHEDULES, OCCURRENCES)) if store is None else store.database
    kept = ScheduleStore(database)
    kept_days = settings.gateway.task_kept_days
    scheduler = Scheduler(store=kept, tasks=service, log=get_logger(), kept_days=kept_days)
    parts.push_async_callback(scheduler.close)
    ends.append(scheduler.ended)
    return scheduler, Schedules(store=kept, scheduler=scheduler, tasks=service)


def _secrets(settings: Settings) -> Iterator[str]:
    """Yield what no log line may show."""
    if settings.gateway.webhook_secret:
        yield settings.gateway.webhook_secret
    if settings.gateway.jwt_secret:
        yield settings.gateway.jwt_secret
    if settings.gateway.database_url:
        yield settings.gateway.database_url
        password = urlsplit(settings.gateway.database_url).password
        if password:
            yield unquote(password)
    if settings.gateway.webhook_signing_secret:
        yield settings.gateway.webhook_signing_secret
    if settings.gateway.blob_secret_key:
        yield settings.gateway.blob_secret_key
    for repository in settings.repositories:
        for name in REPOSITORY_SECRETS:
            value = getattr(repository, name)
            if value:
                yield value


async def _identify(settings: Settings, parts: contextlib.AsyncExitStack) -> Identity:
    """Open what keeps tasks, alone or beside other gateways.

    Raises:
        ConfigError: The folder or the database cannot be used.
        StorageError: The database cannot be written.
    """
    url = settings.gateway.database_url
    if url:
        shared = await open_shared(settings, url, parts)
        return Identity(shared.lease.gateway_id, shared.lease.boot, shared.store, shared)
    gateway_id = f"{host_name()}-{secrets.token_hex(2)}"
    return Identity(gateway_id, secrets.token_hex(8), await _open_store(settings, parts))


async def _open_store(settings: Settings, parts: contextlib.AsyncExitStack) -> SqlTaskStore | None:
    """Open the database of the home folder, and keep other gateways out; None without one.

    Raises:
        ConfigError: The folder or the file cannot be used.
        StorageError: The file cannot be written.
    """
    gateway = settings.gateway
    if gateway.store == "memory":
        return None
    with usable(settings.home, "--home"):
        settings.home.mkdir(parents=True, exist_ok=True)
        parts.enter_context(home_lock(settings.home))
        database = Database(settings.home / FILE_NAME)
    store = SqlTaskStore(database, kept_for(gateway), on_fault=tell_storage, far=far_of(settings))
    parts.push_async_callback(store.close)
    return store


async def _open_vault(settings: Settings, database: SqlTaskStore | None) -> Vault:
    """Return the secrets of scripts.

    Raises:
        SettingError: Others can read the file of their key.
        StorageError: The database cannot be read.
    """
    log = get_logger()
    vault = Vault(
        MemorySecrets() if database is None else SqlSecrets(database.database),
        settings.home / KEY_FILE,
        clock=time.time,
        report=lambda error: log.error("secrets_sealed", path=error.path, reason=error.reason),
    )
    await vault.load()
    return vault


async def _recover(
    store: SqlTaskStore, service: TaskService, router: Router, settings: Settings
) -> None:
    """Take up what the process before has left, and hold Runs back from now on."""
    router.fence = service.fence
    began_at = time.monotonic()
    found = await service.recover(store, router, settings.heartbeat)
    if not found.is_empty:
        told = msgspec.structs.asdict(found)
        get_logger().info("tasks_restored", **told, seconds=time.monotonic() - began_at)


async def _clean(
    cache: ScriptCache, catalogue: Catalogue, store: SqlTaskStore | None, entrance: Entrance
) -> None:
    """Keep the cache within its age and size, and the database within its own.

    What was asked for since the start stays in the cache.
    """
    while True:
        await cache.evict(catalogue.digests())
        if store is not None:
            with contextlib.suppress(StorageError):  # told by the store; the next hour will do
                await store.sweep(time.time())
                await store.sweep_orphans(time.time() - _ORPHAN_AGE_S)
                await entrance.sweep(time.time())
        await asyncio.sleep(_CLEAN_INTERVAL_S)


async def _follow(vault: Vault) -> None:
    """See what another gateway of the same database has changed of the secrets."""
    while True:
        await asyncio.sleep(_SECRETS_INTERVAL_S)
        with contextlib.suppress(StorageError):  # told by the store; what is known still holds
            await vault.load()


class _Stop:
    """Two signals: the first asks, the second insists."""

    def __init__(self) -> None:
        self._events = (asyncio.Event(), asyncio.Event())

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Count SIGTERM and SIGINT while inside."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            loop.add_signal_handler(number, self._on_signal)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        first, second = self._events
        (second if first.is_set() else first).set()

    async def first(self, serving: asyncio.Task[None]) -> None:
        """Wait for the first signal, or for the server to end by itself (it has failed)."""
        await _first_of(self._events[0].wait(), _ended(serving))

    async def second(self, drained: Awaitable[None], grace_s: float) -> None:
        """Wait until `drained` is done, for `grace_s` at the most, or for the second signal."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await _first_of(self._events[1].wait(), drained)


async def _ended(task: asyncio.Task[None]) -> None:
    await asyncio.wait([task])


async def _first_of(*awaitables: Awaitable[object]) -> None:
    tasks = [asyncio.ensure_future(each) for each in awaitables]  # noqa: TID251 - awaited right here
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _listen(address: str) -> socket.socket:
    """Bind the HTTP address, port 0 included, before anything else is told of it."""
    given, _, port = address.rpartition(":")
    host = given.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, int(port)), family=family, backlog=BACKLOG)
    except OSError as error:
        step = f"Is another gateway running? Try --http {given}:0"
        reason = f"cannot be bound: {error.strerror}. {step}"
        raise ConfigError(source=f"http {address}", reason=reason) from error
    # An answer must not wait for the acknowledgement of its own headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _server(state: GatewayState, settings: Settings, tls: Tls | None) -> _Server:
    gateway = settings.gateway
    limits = ConnectionLimits(
        connection_count=state.policy.connection_limit, body_timeout_s=gateway.body_timeout_s
    )
    config = HttpConfig(build_app(state), limits, tls=tls, proxies=gateway.forwarded_allow)
    return _Server(config)


def _url(listener: socket.socket, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
