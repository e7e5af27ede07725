"""A gateway's life: it listens, serves, and ends by signals."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import Server

from zscrape.config import REPOSITORY_SECRETS, Settings, refuse_unsafe, usable
from zscrape.errors import ConfigError, StorageError
from zscrape.gateway.access import admin_key, write_client
from zscrape.gateway.app import build_app
from zscrape.gateway.assembly import Gateway, assemble
from zscrape.gateway.connections import BACKLOG, ConnectionLimits, HttpConfig, Tls
from zscrape.gateway.httpdoor import tls_of
from zscrape.gateway.state import GatewayState
from zscrape.gateway.stopping import Stop
from zscrape.gateway.vault import Vault
from zscrape.log import get_logger, hide
from zscrape.scripts.trust import Trust
from zscrape.scripts.trusted import trust_of

_CLEAN_INTERVAL_S = 3600.0
_ORPHAN_AGE_S = 3600.0  # a blob this old whose row is not there will have none
_SECRETS_INTERVAL_S = 5.0
_DATE_S = 1.0  # of answers' heads: they tell it in seconds


class Ready(Struct, frozen=True):
    """What a gateway tells once it answers."""

    http: str
    link: str
    home: Path
    key_path: Path
    dashboard: str = ""  # a link that signs a browser in, once


class _Server(Server):
    """uvicorn without its own signal handling: `serve` drains first, then stops it."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        """Set the date of answers each second until `stop`.

        uvicorn's own loop looks ten times a second whether it is to end: two thirds of what an
        idle gateway woke up for.
        """
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DATE_S):
                    await self._stopping.wait()

    def stop(self) -> None:
        """Take no further connection, and let `serve` return."""
        self.should_exit = True
        self._stopping.set()


async def serve(
    settings: Settings,
    *,
    on_ready: Callable[[Ready], None],
    on_stopping: Callable[[], None] = lambda: None,
) -> None:
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
        await _serve(settings, key, trust, parts, (on_ready, on_stopping))
    log.info("gateway_stopped")


async def _serve(
    settings: Settings,
    key: str,
    trust: Trust,
    parts: contextlib.AsyncExitStack,
    tellers: tuple[Callable[[Ready], None], Callable[[], None]],
) -> None:
    on_ready, on_stopping = tellers
    listener = _listen(settings.gateway.http)
    parts.callback(listener.close)
    tls = tls_of(settings)
    url = _url(listener, "http" if tls is None else "https")
    gateway = await assemble(settings, key, trust, parts)
    server = _server(gateway.state, settings, tls)
    stop = Stop()
    with usable(settings.home, "--home"):
        await gateway.link.listen(gateway.database)
    await gateway.scheduler.start()  # after the link: what is due finds its locks held
    with usable(settings.home, "--home"):
        key_path = write_client(
            settings.home, url=url, key=key, certificate=None if tls is None else tls.certificate
        )
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(sockets=[listener]))
        beside = [group.create_task(each) for each in _beside(gateway)]
        with stop.on_signals():
            endpoint = gateway.link.router.endpoint
            get_logger().info("gateway_ready", http=url, link=endpoint)
            dashboard = f"{url}/login?code={gateway.entrance.access.new_link()}"
            on_ready(Ready(url, endpoint, settings.home, key_path, dashboard))
            await stop.first(serving)
            on_stopping()
            await _drain(gateway, stop, settings.gateway.shutdown_grace_s)
            for each in beside:
                each.cancel()
            server.stop()
            gateway.state.service.close()


async def _drain(gateway: Gateway, stop: Stop, grace_s: float) -> None:
    """Take nothing new, and let what cannot be taken up again end."""
    service = gateway.state.service
    is_kept = gateway.database is not None
    running_count = service.draining_count(is_kept=is_kept)
    get_logger().info("gateway_stopping", grace_s=grace_s, running_count=running_count)
    gateway.state.is_draining = True
    gateway.identity.leave()
    await gateway.scheduler.close()
    gateway.link.router.refuse_new()
    await stop.second(_ended(gateway, service.drained(is_kept=is_kept)), grace_s)


async def _ended(gateway: Gateway, drained: Awaitable[None]) -> None:
    """Wait until what runs has ended, and its workers were told that it is safe."""
    store = gateway.database
    if store is not None:
        store.hasten()
    await drained
    if store is not None:
        await store.settled()


def _beside(gateway: Gateway) -> Iterator[Coroutine[None, None, None]]:
    """Yield what goes on beside the answering of calls."""
    yield _clean(gateway)
    yield _follow(gateway.vault)
    yield gateway.state.pulse.follow()
    if gateway.identity.shared is not None:
        yield gateway.link.joining.follow()


async def _clean(gateway: Gateway) -> None:
    """Keep the cache within its age and size, and the database within its own.

    What was asked for since the start stays in the cache.
    """
    store = gateway.database
    while True:
        await gateway.cache.evict(gateway.state.catalogue.digests())
        with contextlib.suppress(StorageError):  # told by the store; the next hour will do
            await gateway.state.remembering.keys.resume(gateway.state.store.get)
            await gateway.state.remembering.keys.sweep()
            await gateway.state.remembering.sessions.sweep()
        if store is not None:
            with contextlib.suppress(StorageError):  # told by the store; the next hour will do
                await store.sweep(time.time())
                await store.sweep_orphans(time.time() - _ORPHAN_AGE_S)
                await gateway.entrance.sweep(time.time())
        await asyncio.sleep(_CLEAN_INTERVAL_S)


async def _follow(vault: Vault) -> None:
    """See what another gateway of the same database has changed of the secrets."""
    while True:
        await asyncio.sleep(_SECRETS_INTERVAL_S)
        with contextlib.suppress(StorageError):  # told by the store; what is known still holds
            await vault.load()


def _secrets(settings: Settings) -> Iterator[str]:
    """Yield what no log line may show."""
    gateway = settings.gateway
    plain = (
        *(gateway.link_secret, gateway.webhook_secret, gateway.webhook_signing_secret),
        *(gateway.jwt_secret, gateway.blob_secret_key, gateway.database_url),
    )
    yield from filter(None, plain)
    if settings.gateway.database_url:
        password = urlsplit(settings.gateway.database_url).password
        if password:
            yield unquote(password)
    for repository in settings.repositories:
        for name in REPOSITORY_SECRETS:
            value = getattr(repository, name)
            if value:
                yield value


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
    app: ASGIApp = build_app(state)
    if state.around is not None:
        app = state.around(app)
    config = HttpConfig(app, limits, tls=tls, proxies=gateway.forwarded_allow)
    return _Server(config)


def _url(listener: socket.socket, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
