"""Builds the parts of a gateway from its settings, and puts them together."""

from __future__ import annotations

import contextlib
import os
import secrets
import time

import msgspec
from msgspec import Struct

from zscrape.config import Settings, usable
from zscrape.core.bucket import rate_of
from zscrape.errors.requests import NotFound
from zscrape.gateway.asked import Answerer, Asked, Questions
from zscrape.gateway.connections import room_for
from zscrape.gateway.counters import COUNTED, Counters
from zscrape.gateway.deliveries import Deliveries, WebhookPolicy
from zscrape.gateway.ends import TaskEnds
from zscrape.gateway.entrance import Entrance, open_entrance
from zscrape.gateway.events import EventHub
from zscrape.gateway.facts import FactTeller
from zscrape.gateway.gatekeeper import Gatekeeper, NoKeeper
from zscrape.gateway.handoffs import Handoffs
from zscrape.gateway.httpdoor import shield_of
from zscrape.gateway.joining import Joining
from zscrape.gateway.largefiles import far_of
from zscrape.gateway.linkkeys import LinkKeys
from zscrape.gateway.outbound import Outbound
from zscrape.gateway.ratelimits import LocalLimiter
from zscrape.gateway.remembering import Remembering, remember
from zscrape.gateway.robots import RobotsFiles
from zscrape.gateway.router import Router
from zscrape.gateway.scheduler import Scheduler
from zscrape.gateway.schedules import Schedules
from zscrape.gateway.sealing import KEY_FILE, derive_sealer
from zscrape.gateway.sharing import (
    Identity,
    host_name,
    join,
    kept_for,
    limits_of,
    open_shared,
    tell_storage,
)
from zscrape.gateway.siteopen import open_sites
from zscrape.gateway.sites import Sites
from zscrape.gateway.state import GatewayState, HttpPolicy
from zscrape.gateway.tasks import TaskPolicy, TaskService
from zscrape.gateway.tracers import open_spans
from zscrape.gateway.vault import Vault
from zscrape.log import get_logger
from zscrape.model import TaskId
from zscrape.scripts.cache import ScriptCache, open_cache
from zscrape.scripts.catalogue import Catalogue
from zscrape.scripts.channels import Channels
from zscrape.scripts.manifest import ManifestDefaults
from zscrape.scripts.repository import open_repositories
from zscrape.scripts.trust import Trust
from zscrape.store.database import FILE_NAME, Database, home_lock
from zscrape.store.handoffs import HandoffStore
from zscrape.store.linkkeys import LinkKeyStore
from zscrape.store.memory import MemoryPolicy, MemoryTaskStore
from zscrape.store.schedules import ScheduleStore
from zscrape.store.secrets import MemorySecrets, SqlSecrets
from zscrape.store.sql import SqlTaskStore
from zscrape.store.tasks import TaskRow, TaskStore
from zscrape.store.volatile import VolatileDatabase


class Link(Struct, frozen=True):
    """The link's socket with the dispatcher behind it, and who decides who may dial it."""

    router: Router
    joining: Joining
    gatekeeper: Gatekeeper

    async def listen(self, database: SqlTaskStore | None) -> None:
        """Let in those who have joined, and nobody else.

        Raises:
            ConfigError: The address cannot be bound, or strangers would be let in.
            StorageError: What is kept of keys cannot be read.
        """
        kept = NoKeeper() if database is None else LinkKeyStore(database.database)
        await self.gatekeeper.open(kept)
        await self.router.prove()
        self.router.start()
        self.joining.start()


class Gateway(Struct, frozen=True):
    """A gateway that is put together and does not listen yet; `state` is what its API uses."""

    state: GatewayState
    identity: Identity
    cache: ScriptCache
    link: Link
    entrance: Entrance
    vault: Vault
    scheduler: Scheduler

    @property
    def database(self) -> SqlTaskStore | None:
        """Where tasks are kept; None: in memory."""
        return self.identity.database


async def assemble(
    settings: Settings, key: str, trust: Trust, parts: contextlib.AsyncExitStack
) -> Gateway:
    """Put a gateway together; what it opens is let go with `parts`.

    Args:
        settings: What is wanted.
        key: The administrator's API key.
        trust: Whose signatures of scripts are believed.
        parts: Takes what is to be closed, in the order of opening.

    Raises:
        ConfigError: A folder, a file or the database cannot be used.
        StorageError: The database cannot be read or written.
    """
    log = get_logger()
    gateway = settings.gateway
    cache, catalogue = _scripts(settings, trust, parts)
    hub = EventHub()
    identity = await _identify(settings, parts)
    database = identity.database
    teller = FactTeller(log, clock=time.monotonic)
    link = _link(settings, identity, teller, cache, parts)
    router = link.router
    vault = await _open_vault(settings, database)
    router.secrets_for = vault.values_for
    store = database or MemoryTaskStore(MemoryPolicy(final_count=gateway.task_kept_count))
    entrance = await open_entrance(settings, key, database, parts)
    limits = limits_of(identity.shared)
    deliveries = _webhooks(settings, store, parts)
    counters = Counters()
    ends = TaskEnds()
    ends.of_all.append(counters.take)
    if gateway.webhook_url:
        ends.of_all.append(deliveries.offer)
    else:
        ends.of_hooked = deliveries.offer
    service = TaskService(
        router=router,
        catalogue=catalogue,
        store=store,
        hub=hub,
        policy=TaskPolicy(
            schedule_timeout_s=settings.schedule_timeout_s,
            reuse_limit=settings.gateway.reuse_limit,
        ),
        defaults=settings.scripts,
        on_end=ends.tell,
        on_invalid=lambda row, kind, fault: log.warning(
            "worker_data_invalid",
            worker_id=row.worker_id,
            task_id=row.id,
            kind=kind,
            reason=fault,
        ),
        on_stored=None if database is None else router.stored,
        check_secrets=vault.check,
        script_buckets=limits.scripts,
        limit_of=entrance.keys.task_limit_of,
    )
    sites = await open_sites(
        identity, lambda each: service.live(each) is not None, parts, settings.scripts
    )
    router.budgeted_for = sites.names_for
    remembering = _remember(settings, database, vault, service, parts)
    ends.keyed, ends.of_keyed = remembering.keys.asking, remembering.keys.ended
    handoffs = _handoffs(settings, identity, service, deliveries, ends)
    answerers: dict[str, Answerer] = {
        "site": sites.answer,
        "seen": sites.seen,
        "robots": _robots(settings, sites, parts).answer,
        "state": remembering.states.answer,
        "key": remembering.keys.answer,
        "session": remembering.sessions.answer,
        "person": handoffs.answer_script,
    }
    questions = _questions(settings, router, teller, answerers, parts)
    questions.over_listeners += [sites.over, remembering.sessions.over]
    parts.push_async_callback(handoffs.close)  # before the questions: what is open stays open

    spans = open_spans(os.environ, log, parts)
    if spans is not None:
        ends.of_all.append(spans.ended)
        teller.listen(spans.note)  # before the task's end is told to those who wait for it
    for kind, apply in service.appliers.items():
        teller.listen(apply, (kind,))
    teller.listen(counters.note, COUNTED)
    if identity.shared is not None:
        await join(
            identity.shared, settings, router, service, deliveries, hub, identity, parts, ends
        )
        limits.share(identity.shared, router, parts)
    elif database is not None:
        await _recover(database, service, router, settings)
    await deliveries.resume()
    await remembering.keys.resume(store.get)
    scheduler, schedules = _schedules(settings, identity, service, parts, ends)
    state = GatewayState(
        service=service,
        router=router,
        catalogue=catalogue,
        store=store,
        hub=hub,
        access=entrance.access,
        keys=entrance.keys,
        audit=entrance.audit,
        joining=link.joining,
        vault=vault,
        sites=sites,
        remembering=remembering,
        limiter=LocalLimiter(
            rate_of(gateway.client_rate, gateway.client_burst), time.monotonic, limits.clients
        ),
        gateway_id=identity.gateway_id,
        started_at=time.time(),
        schedules=schedules,
        handoffs=handoffs,
        counters=counters,
        around=None if spans is None else spans.around,
        policy=_http_policy(settings),
        report=lambda event, request_id, error: log.error(
            event, request_id=request_id, exc_info=error
        ),
    )
    return Gateway(state, identity, cache, link, entrance, vault, scheduler)


def _scripts(
    settings: Settings, trust: Trust, parts: contextlib.AsyncExitStack
) -> tuple[ScriptCache, Catalogue]:
    cache = open_cache(settings)
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
    return cache, catalogue


def _http_policy(settings: Settings) -> HttpPolicy:
    gateway = settings.gateway
    return HttpPolicy(
        body_limit_bytes=gateway.body_limit_bytes,
        body_timeout_s=gateway.body_timeout_s,
        connection_limit=room_for(gateway.connection_limit),
        depth_limit=gateway.depth_limit,
        inline_limit_bytes=gateway.inline_limit_bytes,
        max_wait_s=gateway.max_wait_s,
        lang=settings.lang,
        is_metrics_open=gateway.metrics_open,
        shield=shield_of(settings),
        webhook_secret=gateway.webhook_secret,
    )


def _link(
    settings: Settings,
    identity: Identity,
    teller: FactTeller,
    cache: ScriptCache,
    parts: contextlib.AsyncExitStack,
) -> Link:
    with usable(settings.home, "--home"):
        keys = LinkKeys(settings.home, settings.gateway.link_secret)
    gatekeeper = Gatekeeper(local_key=keys.local.public)
    router = Router(
        identity.dispatcher(settings, identity.boot),
        bind=settings.gateway.link,
        gatekeeper=gatekeeper,
        keys=keys,
        hearers=teller.hearers,
        pack=cache.pack,
    )
    parts.callback(router.stop)
    joining = Joining(gatekeeper, keys, router, settings.gateway.join_addresses, get_logger())
    parts.callback(joining.stop)
    return Link(router, joining, gatekeeper)


def _remember(
    settings: Settings,
    database: SqlTaskStore | None,
    vault: Vault,
    service: TaskService,
    parts: contextlib.AsyncExitStack,
) -> Remembering:
    """Return what scripts remember between runs."""

    async def find(task_id: TaskId) -> TaskRow | None:
        try:
            return await service.get(task_id)
        except NotFound:
            return None

    remembering = remember(
        None if database is None else database.database,
        sealing=vault,
        find=find,
        key_kept_days=settings.gateway.key_kept_days,
    )
    parts.push_async_callback(remembering.keys.close)
    parts.push_async_callback(remembering.sessions.close)
    return remembering


def _handoffs(
    settings: Settings,
    identity: Identity,
    service: TaskService,
    deliveries: Deliveries,
    ends: TaskEnds,
) -> Handoffs:
    """Return what people are asked by running scripts."""
    database = identity.database
    handoffs = Handoffs(
        HandoffStore(VolatileDatabase(("handoffs",)) if database is None else database.database),
        service,
        is_shared=identity.shared is not None,
        kept_s=settings.gateway.task_kept_days * 86_400.0,
        on_open=deliveries.announce,
    )
    ends.of_asking = handoffs.ended
    return handoffs


def _questions(
    settings: Settings,
    router: Router,
    teller: FactTeller,
    answerers: dict[str, Answerer],
    parts: contextlib.AsyncExitStack,
) -> Questions:
    """Return what answers running scripts, each kind of question by its own part."""

    def report(asked: Asked, error: Exception) -> None:
        told = {"kind": asked.kind, "task_id": asked.task_id}
        get_logger().error("question_failed", **told, exc_info=error)

    questions = Questions(
        answerers, tell=router.tell, report=report, lang=settings.lang, facts=teller
    )
    router.on_question = questions.hear
    parts.push_async_callback(questions.close)
    return questions


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


def _robots(settings: Settings, sites: Sites, parts: contextlib.AsyncExitStack) -> RobotsFiles:
    """Return what knows the robots.txt of sites that scripts may ask."""
    outbound = Outbound(allowed=settings.worker.network_allow)
    parts.push_async_callback(outbound.close)
    files = RobotsFiles(outbound, sites.visit)
    parts.push_async_callback(files.close)
    return files


def _schedules(
    settings: Settings,
    identity: Identity,
    service: TaskService,
    parts: contextlib.AsyncExitStack,
    ends: TaskEnds,
) -> tuple[Scheduler, Schedules]:
    """Return what fires schedules, and what people work with them by."""
    store = identity.database
    database = VolatileDatabase(("schedules", "occurrences")) if store is None else store.database
    kept = ScheduleStore(database)
    kept_days = settings.gateway.task_kept_days
    scheduler = Scheduler(
        store=kept,
        tasks=service,
        log=get_logger(),
        kept_days=kept_days,
        life=None if identity.shared is None else identity.shared.life,
    )
    parts.push_async_callback(scheduler.close)
    ends.of_scheduled = scheduler.ended
    return scheduler, Schedules(store=kept, scheduler=scheduler, tasks=service)


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
    if settings.gateway.link_secret is not None:
        with usable(settings.home, "--home"):
            derive_sealer(settings.home / KEY_FILE, settings.gateway.link_secret)
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
