"""Test data of an installation: scripts, tasks, dead letters, a schedule, all under one prefix.

What is there already is left alone, so the same call again adds nothing. What is removed by
`clean` is what bears the prefix and, where it is a folder, the mark of this module besides.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from zscrape.client import Client, Document
from zscrape.errors import ConfigError
from zscrape.ops.operation import Operation
from zscrape.ops.smoke import probe
from zscrape.ops.smoke.bench import Bench
from zscrape.ops.summary import TargetEnd

MARK: Final = "zscrape-seed"

_WAIT_S: Final = 60.0
_PAGE_COUNT: Final = 1_000
_ITEMS: Final = '''"""Brings rows of made-up goods."""


def run(count: int = 20, seed: int = 1):
    for number in range(count):
        yield {"name": f"goods {number}", "price": (number * 7919 + seed) % 1000 / 10}
'''
_FAILING: Final = '''"""Fails every time: for dead letters and alerts."""


def run(message: str = "made to fail"):
    raise RuntimeError(message)
'''


class _Script(Struct, frozen=True):
    """One script of a profile, and the tasks of it that there shall be."""

    name: str
    source: str
    parameters: dict[str, Any]
    is_full: bool = False  # not of the minimal profile
    manifest: dict[str, Any] = {}


_SCRIPTS: Final = (
    _Script("probe", probe.SOURCE, {"act": "echo"}),
    _Script("items", _ITEMS, {"count": 20}),
    _Script(
        "failing",
        _FAILING,
        {},
        is_full=True,
        manifest={"retry": {"max": 1, "backoff": [0.1], "on": ["script_error"]}},
    ),
)


class Seeding:
    """Makes test data, or removes it.

    Args:
        operation: The run.
        client: The gateway.
        folder: A folder that it reads scripts from.
        prefix: Of every name.
        count: Tasks of each script.
    """

    def __init__(
        self, operation: Operation, client: Client, *, folder: Path, prefix: str, count: int
    ) -> None:
        self._operation = operation
        self._client = client
        self._bench = Bench(client)
        self._folder = folder
        self._prefix = prefix
        self._count = count

    def close(self) -> None:
        """Close the connections."""
        self._bench.close()

    # ---- making ----------------------------------------------------------------------

    def make(self, profile: str) -> None:
        """Make what the profile has and is not there."""
        scripts = [each for each in _SCRIPTS if profile == "full" or not each.is_full]
        steps: list[_Step] = [
            *(
                _Step(f"script:{self._prefix}{each.name}", self._script_of(each))
                for each in scripts
            ),
            _Step("catalogue", self._refresh),
            *(_Step(f"tasks:{self._prefix}{each.name}", self._tasks_of(each)) for each in scripts),
        ]
        if profile == "full":
            steps.append(_Step(f"schedule:{self._prefix}items", self._schedule))
        self._operation.each(self._operation.chosen(steps), _do, _name_of)

    def _script_of(self, script: _Script) -> Callable[[], str]:
        def write() -> str:
            place = self._folder / f"{self._prefix}{script.name}"
            if place.exists():
                if not _is_ours(place):
                    reason = self._operation.told("cli.seed.foreign")
                    raise ConfigError(source=str(place), reason=reason)
                return self._operation.told("summary.there_already")
            if not self._operation.is_dry_run:
                _write(place, script)
            return ""

        return write

    def _refresh(self) -> str:
        if not self._operation.is_dry_run:
            self._client.refresh_scripts()
        return ""

    def _tasks_of(self, script: _Script) -> Callable[[], str]:
        def submit() -> str:
            name = f"{self._prefix}{script.name}"
            there_count = len(self._client.tasks(script=name, limit=_PAGE_COUNT)["tasks"])
            missing_count = min(self._count, _PAGE_COUNT) - there_count
            if missing_count <= 0:
                return self._operation.told("summary.there_already")
            if not self._operation.is_dry_run:
                task = {"script_name": name, "parameters": script.parameters, "timeout": 60}
                views = self._client.submit_many([task] * missing_count)
                ids = [view["request_id"] for view in views if "request_id" in view]
                self._client.wait_many(ids, wait_s=_WAIT_S, count=len(ids))
            return ""

        return submit

    def _schedule(self) -> str:
        name = f"{self._prefix}items"
        found = self._schedules()
        if found is None:
            return self._operation.told("cli.smoke.absent", part="/v1/schedules")
        if any(each["name"] == name for each in found):
            return self._operation.told("summary.there_already")
        if not self._operation.is_dry_run:
            body = {"name": name, "script_name": name, "cron": "0 3 * * *", "paused": True}
            self._bench.call("POST", "/v1/schedules", body=body).document()
        return ""

    def _schedules(self) -> list[Document] | None:
        """Return the schedules with the prefix; None: this gateway has no such thing."""
        answer = self._bench.call("GET", "/v1/schedules?limit=1000")
        if answer.status == 404:
            return None
        found: list[Document] = answer.document()["schedules"]
        return [each for each in found if str(each["name"]).startswith(self._prefix)]

    # ---- removing --------------------------------------------------------------------

    def clean(self) -> None:
        """Remove what bears the prefix. The history forgets its tasks in its own time."""
        steps = [_Step(name, remove) for name, remove in self._removals()]
        self._operation.each(self._operation.chosen(steps), _do, _name_of)

    def _removals(self) -> Iterator[tuple[str, Callable[[], str]]]:
        for schedule in self._schedules() or ():
            yield f"schedule:{schedule['name']}", partial(self._drop_schedule, schedule["id"])
        names = self._names()
        for name in names:
            yield f"tasks:{name}", partial(self._drop_tasks, name)
        for name in names:
            yield f"script:{name}", partial(self._drop_script, self._folder / name)
        if names:
            yield "catalogue", self._refresh

    def _names(self) -> list[str]:
        try:
            places = sorted(self._folder.iterdir())
        except OSError as error:
            reason = error.strerror or str(error)
            raise ConfigError(source=str(self._folder), reason=reason) from error
        return [
            each.name for each in places if each.name.startswith(self._prefix) and _is_ours(each)
        ]

    def _drop_schedule(self, schedule_id: str) -> str:
        if not self._operation.is_dry_run:
            answer = self._bench.call("DELETE", f"/v1/schedules/{schedule_id}")
            answer.expect("HTTP 2xx or 404", answer.status < 300 or answer.status == 404)
        return ""

    def _drop_tasks(self, name: str) -> str:
        if not self._operation.is_dry_run:
            self._client.cancel_many(script=name, limit=10_000)
            self._client.drop_dead_letters(script=name, limit=10_000)
        return ""

    def _drop_script(self, place: Path) -> str:
        if not self._operation.is_dry_run:
            shutil.rmtree(place)
        return ""


class _Step(Struct, frozen=True):
    """One thing to make or to remove; `act` returns why nothing was to be done."""

    name: str
    act: Callable[[], str]


def _do(step: _Step) -> TargetEnd:
    skipped = step.act()
    return TargetEnd(step.name, "skipped" if skipped else "succeeded", skipped)


def _name_of(step: _Step) -> str:
    return step.name


def _write(place: Path, script: _Script) -> None:
    manifest = {
        "name": place.name,
        "version": "1.0.0",
        "description": "Test data",
        "author": "zscrape",
        "tags": [MARK],
        "kit": [],
        **script.manifest,
    }
    try:
        place.mkdir()
        (place / "main.py").write_text(script.source, encoding="utf-8")
        (place / "metadata.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
    except OSError as error:
        raise ConfigError(source=str(place), reason=error.strerror or str(error)) from error


def _is_ours(place: Path) -> bool:
    try:
        manifest = json.loads((place / "metadata.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and MARK in manifest.get("tags", ())
