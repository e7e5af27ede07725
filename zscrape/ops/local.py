"""Run a script on this machine, in the same limits as on a cluster, without one."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from zscrape.client import Document, Event
from zscrape.config import SECRET_VARIABLE, Settings, usable
from zscrape.errors.requests import ParamsInvalid
from zscrape.errors.scripts import EntryPointInvalid, NotRecorded, ScriptNotFound, SecretDenied
from zscrape.gateway.envelope import encode, envelope
from zscrape.messages import text
from zscrape.model import Outcome, Pin, Record, RunSpec, TaskState
from zscrape.ops.localmemory import LocalMemory
from zscrape.ops.localsites import LocalSites
from zscrape.ops.replay import Replay
from zscrape.scripts.cache import ScriptCache, open_cache
from zscrape.scripts.catalogue import Catalogue
from zscrape.scripts.digest import MANIFEST_FILE
from zscrape.scripts.directory import DirectoryRepository
from zscrape.scripts.manifest import ManifestDefaults
from zscrape.store.tasks import TaskRow
from zscrape.wire import Ask, Tell
from zscrape.worker import browsers
from zscrape.worker.environments import Environments, needs_environment
from zscrape.worker.network import network_policy
from zscrape.worker.recipe import environment_policy
from zscrape.worker.slots import Assignment, SlotPolicy, Slots

# The schema goes in, the parameters come out.
ReadParameters = Callable[[Document], Document]
OnEvent = Callable[[Event], None]


class LocalRun(Struct, frozen=True):
    """A run on this machine: its envelope, and the files that the script saved, by name."""

    envelope: Document
    artifacts: dict[str, bytes]


class _Listener:
    """Turns what the attempt says into events, and keeps its outcome."""

    def __init__(self, on_event: OnEvent, lang: str, replay: Replay | None) -> None:
        self._replay = replay
        self._on_event = on_event
        self._lang = lang
        self.tell: Callable[[Tell], None]  # given once there are slots
        self.sites: LocalSites | None = None  # of a script whose manifest has budgets
        self.memory: LocalMemory | None = None
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.item_count = 0
        self.artifacts: dict[str, tuple[bytes, Document]] = {}
        self.started_at: float | None = None

    def on_started(self, task_id: str, attempt: int) -> None:
        self.started_at = time.time()
        self._on_event(Event("state", "", {"status": TaskState.RUNNING.value}))

    def on_long(self, task_id: str, attempt: int) -> None:
        """Its start was told."""

    def on_records(self, task_id: str, attempt: int, records: tuple[Record, ...]) -> None:
        for record in records:
            data: Any = msgspec.json.decode(record.body)
            if record.kind == "log" and isinstance(data, dict):
                data.setdefault("at", record.at)
            elif record.kind == "item":
                self.item_count += 1
            elif record.kind == "artifact":
                data = self._keep(data)
            elif record.kind == "recording":
                continue  # for capsules: there is no gateway that keeps one
            self._on_event(Event(record.kind, "", data))

    def _keep(self, saved: Document) -> Document:
        """Keep a file's bytes apart and return what is told of it; the last of a name wins."""
        content = base64.b64decode(saved.pop("data"))
        self.artifacts[saved["name"]] = (content, saved)
        return saved

    def answer(self, told: Tell) -> None:
        """Answer what the attempt has asked."""
        self.tell(told)

    def on_ask(self, ask: Ask) -> None:
        """Answer what a replay and the sites know, and refuse the rest: there is no gateway."""
        if self.sites is not None and self.sites.hear(ask):
            return
        if self.memory is not None and self.memory.hear(ask):
            return
        body, code = self._answer(ask)
        self.tell(Tell(ask.task_id, ask.attempt, ask.request, body, code))

    def _answer(self, ask: Ask) -> tuple[bytes, str]:
        code, words = "unsupported", text("asked.local", self._lang, kind=ask.kind)
        if ask.kind == "replay" and self._replay is not None:
            try:
                return msgspec.json.encode(self._replay.answer(ask.body)), ""
            except NotRecorded as error:
                code, words = error.code, text(error.text_key, self._lang, **error.fields)
        return msgspec.json.encode({"message": words}), code

    def on_finished(self, task_id: str, attempt: int, outcome: Outcome) -> None:
        self.outcome.set_result(outcome)


async def run_here(
    target: Path,
    read_parameters: ReadParameters,
    settings: Settings,
    *,
    on_event: OnEvent,
    timeout_s: float | None = None,
    lang: str = "en",
    replay: Replay | None = None,
) -> LocalRun:
    """Run the script in a folder, or a single `.py` file.

    Args:
        target: A folder with `metadata.json`, a file in one, or a file on its own.
        read_parameters: Makes the parameters, given the script's schema.
        settings: For the cache, the isolation and the limits.
        on_event: Told what the script says while it runs.
        timeout_s: Preparing and running together.
        lang: Language of the error's words.
        replay: What sites have answered once: they answer so again.

    Raises:
        ScriptNotFound, ManifestInvalid, EntryPointInvalid, ParamsInvalid, SecretDenied: Nothing
            was run.
        ConfigError: The cache's folder cannot be used; nothing was run.
    """
    created_at = time.time()
    async with contextlib.AsyncExitStack() as closing:
        scratch = closing.enter_context(tempfile.TemporaryDirectory(prefix="zscrape-run-"))
        root, name, version = locate(target, Path(scratch))
        cache = open_cache(settings)
        closing.push_async_callback(cache.close)
        defaults = ManifestDefaults(settings.script_timeout_s, settings.script_memory_limit_bytes)
        catalogue = Catalogue((DirectoryRepository(root),), cache, defaults)
        closing.push_async_callback(catalogue.close)
        script = await catalogue.resolve(name, version)
        parameters = read_parameters(script.schema)
        problems = script.validator.problems(parameters)
        if problems:
            raise ParamsInvalid(script_name=name, problems=problems)
        row = TaskRow(
            id=f"local-{secrets.token_hex(4)}",
            script_name=name,
            created_at=created_at,
            version=script.pin.version,
            digest=script.pin.digest,
            attempts=1,
            worker_id="local",
        )
        listener = _Listener(on_event, lang, replay)
        listener.memory = LocalMemory(script.run, listener.answer, lang)
        closing.push_async_callback(listener.memory.close)
        own = settings.scripts.get(name)
        sites = {**dict(script.run.sites), **(own.sites if own is not None else {})}
        if sites:
            run = msgspec.structs.replace(script.run, sites=tuple(sites.items()))
            listener.sites = LocalSites(run, listener.answer, lang)
            closing.push_async_callback(listener.sites.close)
        policy = SlotPolicy(
            slot_count=1,
            scratch_dir=Path(scratch) / "attempts",
            script_roots=(cache.trees,),
            isolation=settings.worker.isolation,
            skip_layers=frozenset(settings.isolation.skip),
            grace_s=settings.worker.grace_s,
            network=network_policy(settings),
            environ=browsers.environ(settings),
        )
        environments = Environments(environment_policy(settings))
        assignment = Assignment(
            row.id,
            1,
            script.run,
            msgspec.json.encode(parameters),
            secrets=secrets_of(script.run, os.environ),
            is_replay=replay is not None,
        )
        try:
            if needs_environment(script.run):
                with usable(settings.cache_dir, "SCRIPT_CACHE_DIR"):
                    await environments.open()
            row.outcome = await _attempt(
                policy, cache, environments, listener, assignment, timeout_s
            )
        finally:
            await environments.close()
    row.status = row.outcome.code.final_state
    row.item_count = listener.item_count
    row.started_at = listener.started_at
    row.finished_at = time.time()
    told = envelope(row, lang, inline_limit_bytes=script.run.limits.result_size_bytes)
    document: Document = msgspec.json.decode(encode(told))
    document["artifacts"] = [saved for _, saved in listener.artifacts.values()]
    on_event(Event("result", "", document))
    files = {name: content for name, (content, _) in listener.artifacts.items()}
    return LocalRun(document, files)


def secrets_of(run: RunSpec, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets of a script that is run without a cluster: from the environment.

    The variable of `shop.password` is `ZSCRAPE_SECRET_SHOP_PASSWORD`. Scripts do not see it.

    Raises:
        SecretDenied: One is missing.
    """
    found = {}
    for name in run.secrets:
        variable = SECRET_VARIABLE + re.sub(r"[^A-Z0-9]", "_", name.upper())
        if not environ.get(variable):
            raise SecretDenied(name=name, script_name=run.pin.name, variable=variable)
        found[name] = environ[variable]
    return found


async def _attempt(
    policy: SlotPolicy,
    cache: ScriptCache,
    environments: Environments,
    listener: _Listener,
    assignment: Assignment,
    timeout_s: float | None,
) -> Outcome:
    async def nothing_to_fetch(pin: Pin) -> bytes | None:
        return None  # the catalogue has just put it there

    async def ensure(pin: Pin) -> Path:
        return await cache.ensure(pin, nothing_to_fetch)

    slots = Slots(policy, ensure, environments)
    listener.tell = slots.tell
    await slots.start()
    try:
        now = asyncio.get_running_loop().time()
        deadline_at = None if timeout_s is None else now + timeout_s
        slots.begin(msgspec.structs.replace(assignment, deadline_at=deadline_at), listener)
        return await listener.outcome
    finally:
        await slots.close()


def locate(target: Path, scratch: Path) -> tuple[Path, str, str | None]:
    """Return the folder of scripts, the name and the version that `target` stands for."""
    path = target.expanduser().resolve()
    if path.is_file() and (path.parent / MANIFEST_FILE).is_file():
        path = path.parent
    if path.is_file():
        return _wrap(path, scratch)
    if not path.is_dir():
        raise ScriptNotFound(name=str(target))
    if not (path / MANIFEST_FILE).is_file():
        reason = f"{MANIFEST_FILE} is missing"
        raise EntryPointInvalid(name=path.name, entry_point=str(target), reason=reason)
    named = _told_name(path / MANIFEST_FILE)
    if named != path.name and named == path.parent.name:  # <name>/<version>/metadata.json
        return path.parent.parent, path.parent.name, path.name
    return path.parent, path.name, None


def _told_name(manifest_path: Path) -> str:
    """Return the name in a manifest; what is wrong with one is told when it is resolved."""
    try:
        return str(msgspec.json.decode(manifest_path.read_bytes())["name"])
    except (OSError, msgspec.MsgspecError, KeyError, TypeError, UnicodeError):
        return ""


def _wrap(path: Path, scratch: Path) -> tuple[Path, str, None]:
    """Make a script of a single file."""
    name = re.sub(r"[^a-z0-9_-]+", "_", path.stem.lower()).strip("_-") or "script"
    folder = scratch / "scripts" / name[:64]
    folder.mkdir(parents=True)
    shutil.copyfile(path, folder / "main.py")
    manifest = {"name": folder.name, "version": "0.0.0", "entry_point": "main.py"}
    (folder / MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))
    return folder.parent, folder.name, None
