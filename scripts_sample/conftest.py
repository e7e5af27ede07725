"""Run a sample script in a real child process against the bundled site."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from zscrape.model import Outcome, Record
from zscrape.ops.site import Site
from zscrape.scripts.cache import ScriptCache
from zscrape.scripts.catalogue import Catalogue
from zscrape.scripts.directory import DirectoryRepository
from zscrape.wire import Ask, Tell
from zscrape.worker.network import NetworkPolicy
from zscrape.worker.slots import Assignment, SlotPolicy, Slots


class Ran:
    """What a script did."""

    def __init__(self, outcome: Outcome, records: list[Record]) -> None:
        self.code = str(outcome.code)
        self.message = outcome.error_message
        self.traceback = outcome.traceback
        self.data: Any = None if outcome.data is None else json.loads(outcome.data)
        self._records = records

    def said(self, kind: str) -> list[Any]:
        """Return the bodies of its records of one kind: `item`, `log`, `progress`, `artifact`."""
        return [json.loads(each.body) for each in self._records if each.kind == kind]

    @property
    def items(self) -> list[Any]:
        """What it yielded."""
        return self.said("item")


class Runner:
    """Runs scripts of this folder; keeps its own event loop, so that tests stay plain functions."""

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.Runner()
        self._cache = ScriptCache(folder / "cache")
        samples = DirectoryRepository(Path(__file__).parent)
        self._catalogue = Catalogue([samples], self._cache)
        policy = SlotPolicy(
            slot_count=1,
            scratch_dir=folder / "scratch",
            script_roots=(self._cache.trees,),
            network=NetworkPolicy(allow=(IPv4Network("127.0.0.0/8"),)),  # the bundled site
        )
        self._slots = Slots(policy, self._ensure)
        self._records: list[Record] = []
        self._outcome: asyncio.Future[Outcome] | None = None
        self._number = 0
        self._loop.run(self._slots.start())

    def __call__(self, name: str, /, **params: Any) -> Ran:
        """Run a script with parameters and wait for its end."""
        return self._loop.run(self._run(name, params))

    def close(self) -> None:
        """End every process that was started."""
        self._loop.run(self._slots.close())
        self._loop.run(self._catalogue.close())
        self._loop.close()

    async def _run(self, name: str, params: dict[str, Any]) -> Ran:
        script = await self._catalogue.resolve(name)
        assert script.validator.problems(params) == []
        self._records = []
        self._outcome = asyncio.get_running_loop().create_future()
        self._number += 1
        task_id = f"sample-{self._number}"
        body = json.dumps(params).encode()
        self._slots.begin(Assignment(task_id, 1, script.run, body, None), self)
        return Ran(await self._outcome, self._records)

    async def _ensure(self, pin: Any) -> Path:
        return await self._cache.ensure(pin, self._fetch)

    async def _fetch(self, pin: Any) -> bytes | None:
        return None

    def on_started(self, task_id: str, attempt: int) -> None:
        """Hear that the child has begun."""

    def on_long(self, task_id: str, attempt: int) -> None:
        """Hear that it goes on."""

    def on_records(self, task_id: str, attempt: int, records: tuple[Record, ...]) -> None:
        """Keep what the script says."""
        self._records.extend(records)

    def on_ask(self, ask: Ask) -> None:
        """Tell what asks that there is no gateway."""
        body = b'{"message":"there is no gateway"}'
        self._slots.tell(Tell(ask.task_id, ask.attempt, ask.request, body, "unsupported"))

    def on_finished(self, task_id: str, attempt: int, outcome: Outcome) -> None:
        """Keep how it ended."""
        assert self._outcome is not None
        self._outcome.set_result(outcome)


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """The address of the bundled site."""
    with Site() as running:
        yield running.url


@pytest.fixture(scope="session")
def run_script(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Run a sample script: `run_script("page_text", url=...)`."""
    runner = Runner(tmp_path_factory.mktemp("samples"))
    yield runner
    runner.close()
