"""The worker's composition root: builds the parts from the settings and runs them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import os
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from msgspec import Struct

from zscrape.config import Settings, parse_join, usable
from zscrape.core.effects import AttemptFenced, Exit, GatewayJoined, GatewayLost, LinkEffect
from zscrape.core.link import WorkerLink
from zscrape.log import get_logger, hide
from zscrape.model import Pin, ReconnectPolicy
from zscrape.scripts.cache import ScriptCache, open_cache
from zscrape.worker import browsers
from zscrape.worker.agent import Agent
from zscrape.worker.canary import require_layers, send_canary, start
from zscrape.worker.credentials import Credentials, WorkerKeys, credentials_for
from zscrape.worker.environments import (
    EnvironmentBuilt,
    EnvironmentFact,
    EnvironmentRefused,
    Environments,
    EnvironmentUnfinished,
)
from zscrape.worker.fetching import Fetcher
from zscrape.worker.fleet import Fleet
from zscrape.worker.identity import Identity, facts
from zscrape.worker.isolation import Isolation
from zscrape.worker.leftovers import Leftovers
from zscrape.worker.network import network_policy
from zscrape.worker.pulse import Beat, pulse
from zscrape.worker.recipe import environment_policy
from zscrape.worker.slots import SlotPolicy, Slots

if TYPE_CHECKING:
    from zscrape.scripts.repository import Repository

_CLEAN_INTERVAL_S = 3600.0
# How many objects may be made beyond those that have gone before garbage is looked for. What an
# attempt leaves is small, and looking takes longer the more attempts are under way.
_GARBAGE_COUNT = 10_000
_EXIT_OK = 0
_EXIT_INVALID = 3  # contract section 5: invalid input or environment
_ORDERLY = frozenset({"drained", "left"})

# Why a gateway does not take a worker, where a person can do something about it.
_REFUSALS = {
    "identity": "worker_identity_taken",
    "key": "worker_key_refused",
    "revoked": "worker_revoked",
    "token": "worker_token_refused",
}


class Ready(Struct, frozen=True):
    """What a worker tells once it has joined."""

    worker_id: str
    slots: int
    link: str


class Tellers(Struct, frozen=True):
    """Whom a worker tells of the steps of its life."""

    on_ready: Callable[[Ready], None]  # it has joined
    on_dialling: Callable[[], None] = lambda: None  # it could run scripts; gateways may be late
    on_stopping: Callable[[], None] = lambda: None


async def serve(settings: Settings, tellers: Tellers) -> int:
    """Run a worker until it is told to stop; returns the exit code.

    The first SIGTERM or SIGINT drains it: it ends what it runs and takes nothing new. The
    second one ends it at once.

    Raises:
        ConfigError: The home or the cache folder cannot be used; nothing of what was begun is
            left.
        WorkerNotStarted: What attempts are forked from does not start.
    """
    async with contextlib.AsyncExitStack() as parts:  # whatever fails, the others are let go
        with usable(settings.home, "--home"):
            identity = Identity(settings.home)
        parts.callback(identity.release)
        return await _serve(settings, identity, parts, tellers)


def _own_repositories(settings: Settings, cache: ScriptCache) -> list[Repository]:
    """Open the repositories that this worker was given; by default it has none of its own."""
    if settings.sources.get("repositories") == "default":
        return []
    # What reads manifests is 3 MB that most workers have no use for.
    from zscrape.scripts.repository import open_repositories

    with usable(settings.home, "--home"):
        return open_repositories(settings, cache)


def _tell_end(log: Any, end: Exit) -> int:
    if end.reason in _ORDERLY:
        log.info("worker_stopped", reason=end.reason)
        return _EXIT_OK
    event = _REFUSALS.get(end.reason, "worker_rejected")
    log.error(event, reason=end.reason, detail=end.detail)
    return _EXIT_INVALID


async def _clean(cache: ScriptCache, slots: Slots, environments: Environments) -> None:
    """Keep what is cached within its age and size; what runs stays, however long it runs."""
    while True:
        await cache.evict(slots.digests)
        await environments.evict()
        await asyncio.sleep(_CLEAN_INTERVAL_S)


class _Teller:
    """Tells the link's facts in the log, and once that the worker is ready."""

    def __init__(self, log: Any, on_first_joined: Callable[[], None]) -> None:
        self._log = log
        self._on_first_joined: Callable[[], None] | None = on_first_joined

    def tell(self, fact: LinkEffect) -> None:
        """Tell one fact."""
        match fact:
            case GatewayJoined(gateway_id=gateway_id, is_restart=is_restart):
                self._log.info("gateway_joined", gateway_id=gateway_id, is_restart=is_restart)
                if self._on_first_joined is not None:
                    self._on_first_joined()
                    self._on_first_joined = None
            case GatewayLost(silent_s=silent_s):
                self._log.warning("gateway_lost", silent_s=silent_s)
            case AttemptFenced(task_id=task_id, attempt=attempt):
                self._log.warning("attempt_fenced", task_id=task_id, attempt=attempt)
            case _:
                raise AssertionError(f"no fact for people: {fact}")

    def tell_silence(self, address: str) -> None:
        """Tell of a gateway that does not answer a new worker."""
        self._log.warning("gateway_silent", link=address)


def _tell_environment(log: Any, fact: EnvironmentFact) -> None:
    match fact:
        case EnvironmentBuilt(digest=digest, seconds=seconds):
            log.info("environment_built", digest=digest, seconds=seconds)
        case EnvironmentRefused(digest=digest, reason=reason):
            log.warning("environment_failed", digest=digest, reason=reason)
        case EnvironmentUnfinished(digest=digest, reason=reason):
            log.warning("environment_unfinished", digest=digest, reason=reason)
        case _:
            assert_never(fact)


class _Leaving:
    """Signals: the first one drains, the second one insists."""

    def __init__(
        self, fleet: Fleet, on_first: Callable[[], None], background: list[asyncio.Task[None]]
    ) -> None:
        self.count = 0
        self._fleet = fleet
        self._on_first = on_first
        self._background = background

    def on_signal(self) -> None:
        """Take note of one."""
        self.count += 1
        if self.count == 1:
            get_logger().info("worker_stopping")
            self._on_first()
            self._fleet.drain()
        elif self.count == 2:
            leaving = asyncio.get_running_loop().create_task(self._fleet.leave())
            self._background.append(leaving)


def _tell_layers(log: Any, layers: Isolation) -> None:
    log.info("isolation_ready", layers=", ".join(layers.active))
    for layer, why in layers.missing.items():
        log.warning("isolation_missing", layer=layer, reason=why)


async def _try_out(slots: Slots, settings: Settings) -> None:
    """Have one attempt go well before others come, then settle down."""
    require_layers(slots.layers, settings.isolation.require)
    await send_canary(slots)
    gc.collect()  # what is loaded now is there to stay: no further look for garbage is at it
    gc.freeze()
    gc.set_threshold(_GARBAGE_COUNT)


def _links(settings: Settings, identity: Identity, slot_count: int) -> dict[str, WorkerLink]:
    """Return this worker's half of the dialogue with each gateway, by its address."""
    return {
        address: WorkerLink(
            worker_id=identity.id,
            session=secrets.token_hex(8),
            slots=slot_count,
            tags=settings.worker.tags,
            facts=facts(),  # until its layers are known
            reconnect=ReconnectPolicy(),
            spread=secrets.randbelow(1_000) / 1_000,
        )
        for address in _addresses(settings)
    }


def _addresses(settings: Settings) -> list[str]:
    """Return where the gateways are; tokens have secrets besides, and are not to be shown."""
    return [target.address for target in parse_join(settings.worker.join)]


def _credentials(settings: Settings, identity: Identity) -> list[Credentials]:
    """Return what to show each gateway.

    Raises:
        ConfigError: There is nothing to show one, or a file of keys cannot be used.
    """

    def tell(error: OSError) -> None:
        get_logger().warning("keys_unwritable", path=str(identity.key_path), reason=str(error))

    with usable(identity.key_path, "--home"):
        keys = WorkerKeys(identity.key_path, on_fault=tell)
    targets = parse_join(settings.worker.join)
    for target in targets:
        if target.token is not None:
            hide(target.token.text())
    return [credentials_for(keys, target, settings.home) for target in targets]


def _agents(
    links: dict[str, WorkerLink],
    credentials: list[Credentials],
    teller: _Teller,
    cache: ScriptCache,
    leftovers: Leftovers,
) -> list[Agent]:
    return [
        Agent(
            links[each.address],
            credentials=each,
            on_fact=teller.tell,
            on_silence=teller.tell_silence,
            warm=cache.warm,
            leftovers=leftovers.take,
        )
        for each in credentials
    ]


async def _serve(
    settings: Settings,
    identity: Identity,
    parts: contextlib.AsyncExitStack,
    tellers: Tellers,
) -> int:
    log = get_logger().bind(worker_id=identity.id)
    slot_count = settings.worker.slots or os.cpu_count() or 1
    ready = Ready(identity.id, slot_count, ",".join(_addresses(settings)))
    teller = _Teller(log, lambda: tellers.on_ready(ready))
    cache = open_cache(settings)
    parts.push_async_callback(cache.close)
    links = _links(settings, identity, slot_count)
    credentials = _credentials(settings, identity)
    leftovers = Leftovers()
    fleet = Fleet(_agents(links, credentials, teller, cache, leftovers), slot_count)
    parts.callback(fleet.close)

    fetcher = Fetcher(_own_repositories(settings, cache), fleet.fetch)
    parts.push_async_callback(fetcher.close)

    async def ensure(pin: Pin) -> Path:
        return await cache.ensure(pin, fetcher.fetch)

    policy = SlotPolicy(
        slot_count=slot_count,
        scratch_dir=settings.home / "scratch" / identity.id,
        script_roots=(cache.trees,),
        isolation=settings.worker.isolation,
        skip_layers=frozenset(settings.isolation.skip),
        grace_s=settings.worker.grace_s,
        network=network_policy(settings),
        environ=browsers.environ(settings),
        browser_slots=browsers.browser_slots(settings),
        browser_ahead=settings.worker.browser_ahead,
        template_idle_s=settings.worker.template_idle_s,
    )
    environments = Environments(
        environment_policy(settings), functools.partial(_tell_environment, log)
    )
    parts.push_async_callback(environments.close)
    with usable(settings.cache_dir, "SCRIPT_CACHE_DIR"):
        await environments.open()
    slots = Slots(
        *(policy, ensure, environments),
        leftovers=leftovers,
        is_kept=lambda pin: cache.has(pin.digest),
        held=cache.held,
    )
    with usable(policy.scratch_dir, "--home"):
        await start(slots)
    parts.push_async_callback(slots.close)
    layers = slots.layers
    await _try_out(slots, settings)
    _tell_layers(log, layers)
    for link in links.values():
        told = facts(layers.active, slots.network_strength.name, policy.browser_slots or 0)
        link.introduce(told)
    loop = asyncio.get_running_loop()
    cleaning = loop.create_task(_clean(cache, slots, environments))
    background: list[asyncio.Task[None]] = [cleaning]
    leaving = _Leaving(fleet, tellers.on_stopping, background)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leaving.on_signal)

    def look() -> Beat:
        counts = fleet.joined_count, len(links)
        return Beat(identity.id, os.getpid(), time.time(), *counts, is_draining=leaving.count > 0)

    tellers.on_dialling()
    try:
        with pulse(identity.pulse_path, look):
            end = await fleet.run(slots)
    finally:
        background[0].cancel()
        await asyncio.gather(*background, return_exceptions=True)
    return _tell_end(log, end)
