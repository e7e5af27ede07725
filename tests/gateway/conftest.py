"""A whole gateway in one loop: real parts, a scripted worker, HTTP without or with a socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import uvicorn

from tests.gateway.loop_router import LoopRouter, ScriptedWorker, echo
from zscrape.config.settings import ScriptDefaults
from zscrape.core.effects import DispatcherEffect
from zscrape.gateway.access import Access
from zscrape.gateway.app import GatewayState, HttpPolicy, build_app
from zscrape.gateway.audit import Auditor
from zscrape.gateway.connections import ConnectionLimits, HttpConfig
from zscrape.gateway.events import EventHub
from zscrape.gateway.handoffs import Handoffs
from zscrape.gateway.keyring import KeyRing
from zscrape.gateway.scheduler import Scheduler
from zscrape.gateway.schedules import Schedules
from zscrape.gateway.tasks import TaskPolicy, TaskService
from zscrape.model import QueuePolicy
from zscrape.scripts.cache import ScriptCache
from zscrape.scripts.catalogue import Catalogue
from zscrape.scripts.channels import Channels
from zscrape.scripts.keptdirectory import KeptDirectory
from zscrape.scripts.trust import NOBODY, Trust
from zscrape.store.audit import AuditStore
from zscrape.store.handoffs import HandoffStore
from zscrape.store.keys import KeyStore
from zscrape.store.memory import MemoryPolicy, MemoryTaskStore
from zscrape.store.schedules import ScheduleStore
from zscrape.store.tasks import TaskRow, TaskStore
from zscrape.store.volatile import VolatileDatabase

KEY = "zs_test-key"
LIMIT_S = 40.0  # of what a test waits for: a busy machine may stand still for some seconds

SCRIPTS = {
    "page": {
        "metadata.json": {"name": "page", "version": "1.4.2", "kit": []},
        "main.py": "def run(url: str, pages: int = 1):\n    return {'url': url}\n",
    },
    "anything": {
        "metadata.json": {"name": "anything", "version": "1.0.0", "kit": []},
        "main.py": "def run(**parameters):\n    return parameters\n",
    },
    "locked": {
        "metadata.json": {
            "name": "locked",
            "version": "1.0.0",
            "kit": [],
            "lock": {"key": "page:{url}", "overlap": "skip"},
        },
        "main.py": "def run(url: str):\n    return url\n",
    },
    "korean": {
        "metadata.json": {"name": "korean", "version": "1.0.0", "kit": [], "requires": ["kr"]},
        "main.py": "def run():\n    return None\n",
    },
    "broken": {"metadata.json": {"name": "broken"}, "main.py": "def run():\n    return 1\n"},
}


class _Log:
    """A log that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []

    def _tell(self, event: str, **fields: Any) -> None:
        self.told.append((event, fields))

    info = warning = error = exception = _tell


class Gateway:
    """The parts of a gateway under test."""

    def __init__(
        self,
        folder: Path,
        *,
        queue: QueuePolicy | None = None,
        http: HttpPolicy | None = None,
        tasks: TaskPolicy | None = None,
        kept: MemoryPolicy | None = None,
        defaults: dict[str, ScriptDefaults] | None = None,
        trust: Trust = NOBODY,
        store: TaskStore | None = None,
        schedules: ScheduleStore | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        life: Callable[[], str] | None = None,
    ) -> None:
        self.reports: list[tuple[str, str, BaseException]] = []
        self.log = _Log()
        self.invalid: list[tuple[str, str]] = []  # what of a worker was not JSON, and why
        self.router = LoopRouter(queue=queue)
        self.hub = EventHub()
        self.store = store or MemoryTaskStore(kept)
        self.cache = ScriptCache(folder / "cache")
        self.channels = Channels(folder / "channels.json")
        self.catalogue = Catalogue(
            [KeptDirectory(folder / "scripts", "dir", folder=folder / "kept", cache=self.cache)],
            self.cache,
            channels=self.channels,
            trust=trust,
        )
        self.tables = VolatileDatabase()
        self.keys = KeyRing(KeyStore(self.tables))
        self.service = TaskService(
            router=self.router,
            catalogue=self.catalogue,
            store=self.store,
            hub=self.hub,
            policy=tasks or TaskPolicy(match_timeout_s=0.05),
            defaults=defaults,
            on_invalid=lambda row, kind, fault: self.invalid.append((kind, fault)),
            on_end=self._ended,
            limit_of=self.keys.task_limit_of,
        )
        stored = schedules or ScheduleStore(VolatileDatabase())
        self.scheduler = Scheduler(
            store=stored,
            tasks=self.service,
            log=self.log,
            clock=clock,
            monotonic=monotonic,
            life=life,
        )
        self.router.on_effect = self._apply
        self.handoffs = Handoffs(HandoffStore(self.tables), self.service, clock=clock)
        self.state = GatewayState(
            service=self.service,
            router=self.router,
            catalogue=self.catalogue,
            store=self.store,
            hub=self.hub,
            access=Access(KEY, self.keys),
            keys=self.keys,
            audit=Auditor(AuditStore(self.tables)),
            gateway_id="test",
            started_at=time.time(),
            handoffs=self.handoffs,
            schedules=Schedules(
                store=stored, scheduler=self.scheduler, tasks=self.service, clock=clock
            ),
            policy=http or HttpPolicy(ping_interval_s=0.05),
            report=lambda event, request_id, error: self.reports.append((event, request_id, error)),
        )
        self.app = build_app(self.state)

    def _apply(self, fact: DispatcherEffect) -> None:
        self.service.apply(fact)
        self.state.counters.note(fact)

    def _ended(self, row: TaskRow) -> None:
        self.state.counters.take(row)
        self.scheduler.ended(row)
        self.handoffs.ended(row)

    def worker(self, script: Any = echo, **options: Any) -> ScriptedWorker:
        """Add a worker."""
        return ScriptedWorker(self.router, script, **options)

    def client(self, **headers: str) -> httpx.AsyncClient:
        """Return a client that calls the application without a socket."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app),
            base_url="http://gateway",
            headers={"Authorization": f"Bearer {KEY}", **headers},
        )

    @contextlib.asynccontextmanager
    async def served(
        self, limits: ConnectionLimits | None = None, config: HttpConfig | None = None
    ) -> AsyncIterator[Served]:
        """Serve on a real socket."""
        listener = socket.create_server(("127.0.0.1", 0))
        config = config or HttpConfig(self.app, limits or ConnectionLimits())
        server = _Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield Served(listener.getsockname()[1], server, task)
        finally:
            self.hub.close()
            server.should_exit = True
            await task
            listener.close()

    def quiet(self) -> bool:
        """True iff nothing is left of any call: no task, no waiter, no stream."""
        hub = self.hub
        waiting = hub.news.waiting_count + hub.ends.waiting_count + hub.stream_count
        return self.service.live_count == 0 and waiting == 0


class Served:
    """A gateway on a socket."""

    def __init__(self, port: int, server: uvicorn.Server, task: asyncio.Task[None]) -> None:
        self.port = port
        self.server = server
        self.task = task

    def client(self, **headers: str) -> httpx.AsyncClient:
        """Return a client that calls over the socket."""
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {KEY}", **headers},
            timeout=LIMIT_S,
            trust_env=False,
        )

    async def raw(self, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Send bytes as they are."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        await writer.drain()
        return reader, writer


class _Server(uvicorn.Server):
    """uvicorn that leaves the test's signals alone."""

    @contextlib.contextmanager
    def capture_signals(self):
        yield


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a count of the gateway that rings no bell of its own."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 - nothing to await: a count is what is looked at
            await asyncio.sleep(0.001)


def write_scripts(folder: Path) -> None:
    """Write the scripts of these tests."""
    for name, files in SCRIPTS.items():
        home = folder / "scripts" / name
        home.mkdir(parents=True)
        for file_name, content in files.items():
            raw = content if isinstance(content, str) else msgspec.json.encode(content).decode()
            (home / file_name).write_text(raw)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the scripts of these tests."""
    write_scripts(tmp_path)
    return tmp_path


@pytest.fixture
async def make(folder: Path) -> AsyncIterator[Any]:
    """Return what makes gateways; they are held to their invariants in the end."""
    made: list[Gateway] = []

    def build(**options: Any) -> Gateway:
        made.append(Gateway(folder, **options))
        return made[-1]

    yield build
    for gateway in made:
        await gateway.scheduler.close()
        gateway.hub.close()
        gateway.router.close()
        await gateway.catalogue.close()
        await gateway.cache.close()
        await gateway.tables.close()


@pytest.fixture
async def gateway(make: Any) -> Gateway:
    """Return a gateway without workers."""
    made: Gateway = make()
    return made


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of `gateway` with its key."""
    async with gateway.client() as made:
        yield made
