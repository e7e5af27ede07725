"""One `Slots` with real children for all tests of this folder: they are each other's neighbours."""

from __future__ import annotations

import asyncio
import json
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from tests.browser import KIT, LIMITS, SHARED, browsers, nobody
from zscrape.model import Limits, Outcome, Pin, Record, RunSpec
from zscrape.wire import Ask, Tell
from zscrape.worker.environments import Environments
from zscrape.worker.network import NetworkPolicy
from zscrape.worker.slots import Assignment, SlotPolicy, Slots

LIMIT_S = 40.0  # of what a test waits for: a busy machine may stand still for some seconds


class Ran:
    """One attempt as its listener has heard it."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.started = asyncio.Event()
        self.finished = asyncio.Event()
        self.heard = asyncio.Event()
        self.records: list[Record] = []
        self.outcomes: list[Outcome] = []
        self.asks: list[Ask] = []

    @property
    def outcome(self) -> Outcome:
        """The one outcome."""
        assert len(self.outcomes) == 1
        return self.outcomes[0]

    @property
    def data(self) -> Any:
        """The data of a success."""
        assert self.outcome.is_ok, self.outcome
        return json.loads(self.outcome.data or b"")

    def bodies(self, kind: str) -> list[Any]:
        """Return the bodies of one kind of record."""
        return [json.loads(record.body) for record in self.records if record.kind == kind]

    def messages(self, stream: str) -> list[str]:
        """Return the log messages of one stream."""
        return [body["message"] for body in self.bodies("log") if body["stream"] == stream]

    async def until(self, test: Callable[[Ran], bool]) -> None:
        """Wait for records that satisfy `test`."""
        while not test(self):
            self.heard.clear()
            await self.heard.wait()


_OF_SITES = ("site", "seen", "robots")  # what `ctx.http` asks before its first request


class Stage:
    """Runs sources as scripts on one `Slots`."""

    def __init__(
        self, root: Path, policy: SlotPolicy, environments: Environments | None = None
    ) -> None:
        self.root = root
        root.mkdir(exist_ok=True)
        root.chmod(0o755)  # each attempt may be another user
        self.policy = policy
        self.slots = Slots(policy, self._ensure, environments, held=self._held)
        self.failures: dict[str, Exception] = {}
        self.answer: Callable[[Ask], Tell | None] = lambda ask: None
        self._ran: dict[str, Ran] = {}
        self._count = 0

    async def _ensure(self, pin: Pin) -> Path:
        if pin.name in self.failures:
            raise self.failures[pin.name]
        return self.root / pin.name

    def _held(self, pin: Pin) -> Path | None:
        return None if pin.name in self.failures else self.root / pin.name

    def on_started(self, task_id: str, attempt: int) -> None:
        """Note that an attempt has begun."""
        self._ran[task_id].started.set()

    def on_long(self, task_id: str, attempt: int) -> None:
        """Its begin was noted."""

    def on_records(self, task_id: str, attempt: int, records: tuple[Record, ...]) -> None:
        """Keep the records of an attempt."""
        ran = self._ran[task_id]
        assert not ran.outcomes, "records after the outcome"
        ran.records.extend(records)
        ran.heard.set()

    def on_ask(self, ask: Ask) -> None:
        """Keep what an attempt asks, and answer as the test says; sites have no budgets here."""
        if ask.kind in _OF_SITES:
            body = b'{"message":"there is no gateway"}'
            self.slots.tell(Tell(ask.task_id, ask.attempt, ask.request, body, "unsupported"))
            return
        ran = self._ran[ask.task_id]
        ran.asks.append(ask)
        ran.heard.set()
        tell = self.answer(ask)
        if tell is not None:
            self.slots.tell(tell)

    def on_finished(self, task_id: str, attempt: int, outcome: Outcome) -> None:
        """Keep the outcome of an attempt."""
        ran = self._ran[task_id]
        ran.outcomes.append(outcome)
        ran.heard.set()
        ran.finished.set()

    def write(self, source: str, files: dict[str, str] | None = None) -> str:
        """Write a script; return its name."""
        self._count += 1
        name = f"script-{self._count}"
        for path, text in {"main.py": source, **(files or {})}.items():
            (self.root / name / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name / path).write_text(textwrap.dedent(text))
        return name

    def begin(self, name: str, params: Any = None, **options: Any) -> Ran:
        """Begin an attempt of a written script."""
        self._count += 1
        limits = options.pop("limits", Limits())
        deadline_s = options.pop("deadline_s", None)
        is_exclusive = options.pop("is_exclusive", False)
        secrets = options.pop("values", {})
        client = options.pop("client", "")
        settings: dict[str, Any] = {"kit": (), "timeout_s": 50.0, **options}
        run = RunSpec(Pin("test", name, "1.0.0", "sha256:0"), limits=limits, **settings)
        deadline_at = None
        if deadline_s is not None:
            deadline_at = asyncio.get_running_loop().time() + deadline_s
        raw = msgspec.json.encode({} if params is None else params)
        task_id = f"task-{self._count}"
        ran = Ran(
            Assignment(
                task_id, 1, run, raw, deadline_at, is_exclusive, secrets=secrets, client=client
            )
        )
        self._ran[ran.assignment.task_id] = ran
        self.slots.begin(ran.assignment, self)
        return ran

    async def run(self, source: str, params: Any = None, **options: Any) -> Ran:
        """Write a script, run it once, return what was heard."""
        name = self.write(source, options.pop("files", None))
        ran = self.begin(name, params, **options)
        await ran.finished.wait()
        return ran

    async def until_quiet(self) -> None:
        """Wait until nothing but spares is left of what has run."""
        templates = self.slots._templates._templates
        await until(lambda: not any(each.active for each in templates.values()))


class Desk(Stage):
    """A stage whose scripts have a browser."""

    _gateway: Callable[[Ask], Tell] = staticmethod(nobody)

    async def browse(
        self,
        source: str,
        params: Any = None,
        gateway: Callable[[Ask], Tell] = nobody,
        **options: Any,
    ) -> Ran:
        """Run a script with a browser; a gateway, if there is one, answers what it asks."""
        settings = {"kit": KIT, "limits": LIMITS, "timeout_s": 50.0, "network": "any", **options}
        self._gateway = gateway
        return await self.run(source, params, **settings)

    def on_ask(self, ask: Ask) -> None:
        """Answer what an attempt asks."""
        self.slots.tell(self._gateway(ask))


async def until(test: Callable[[], bool]) -> None:
    """Wait for a state of the machine that nothing announces: a process gone, a folder removed."""
    async with asyncio.timeout(LIMIT_S):
        while not test():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    """True iff there is such a process, a zombie included."""
    return Path(f"/proc/{pid}").exists()


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """A running `Slots` for the whole folder; at its end nothing of it is left."""
    root = tmp_path_factory.mktemp("stage")
    made = Stage(
        root,
        SlotPolicy(slot_count=2, scratch_dir=root / "scratch", script_roots=(root,), grace_s=0.3),
    )
    await made.slots.start()
    yield made
    pids = (*made.slots.child_pids, *made.slots.template_pids.values())
    await made.slots.close()
    assert not [pid for pid in pids if is_alive(pid)]
    assert not list((root / "scratch").iterdir())


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A running `Slots` whose scripts have browsers and may reach loopback."""
    root = tmp_path_factory.mktemp("desk")
    policy = SlotPolicy(
        slot_count=1,
        scratch_dir=root / "scratch",
        script_roots=(root,),
        skip_layers=SHARED,
        grace_s=0.5,
        network=NetworkPolicy("any"),
    )
    made = Desk(root, policy)
    await made.slots.start()
    yield made
    await made.slots.close()
    assert not browsers(root)
