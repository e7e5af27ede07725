"""A rung as processes, and how to call them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.edge import SLOT_COUNT
from bench.floors.cluster import Floor, process
from bench.floors.ladder.rungs import SCRIPT, Rung
from bench.stages import below

NOOP = "def run():\n    return None\n"


class Standing(Floor):
    """A rung that runs."""

    def __init__(self, port: int, roles: Mapping[str, int], folder: Path) -> None:
        super().__init__(port, roles)
        self.port, self.folder = port, folder


@contextmanager
def instant(rung: Rung, worker_count: int) -> Iterator[Standing]:
    """Run the gateway of a rung with workers that answer at once: below `WORKERS` the floors'."""
    with _gateway(rung, NOOP, {}, worker_count) as (gateway, told, folder):
        module = "bench.floors.instant"
        slots: tuple[str, ...] = ()
        if rung >= Rung.WORKERS:
            module, slots = "bench.floors.ladder.instant", (str(SLOT_COUNT),)
        command = (module, told["link"], told["key"], str(worker_count), *slots)
        with process(*command) as workers:
            assert gateway.stdout.readline() == "ready\n"
            yield Standing(told["port"], {"gateway": gateway.pid, "worker": workers.pid}, folder)


@contextmanager
def standing(
    rung: Rung, source: str = NOOP, manifest: Mapping[str, Any] | None = None
) -> Iterator[Standing]:
    """Run a rung with a script; below `WORKERS` its worker is the floors'."""
    with _gateway(rung, source, manifest or {}, 1) as (gateway, told, folder):
        place = (told["link"], told["key"])
        command = ("bench.floors.ladder.worker", str(int(rung)), *place, str(folder))
        if rung < Rung.WORKERS:
            command = ("bench.floors.worker", *place, str(folder / SCRIPT), "fork")
        with process(*command) as worker:
            assert gateway.stdout.readline() == "ready\n"
            roles = {"gateway": gateway.pid, "worker": worker.pid}
            standing = Standing(told["port"], roles, folder)
            standing.data()  # its template is there
            standing.roles["template"] = next(iter(below(worker.pid)))
            yield standing


@contextmanager
def _gateway(
    rung: Rung, source: str, manifest: Mapping[str, Any], worker_count: int
) -> Iterator[Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # children have users of their own
        script = folder / SCRIPT
        script.mkdir()
        (script / "main.py").write_text(source)
        (script / "metadata.json").write_text(json.dumps({"name": "noop", **manifest}))
        command = ("bench.floors.ladder.gateway", str(int(rung)), name, str(worker_count))
        with process(*command) as gateway:
            assert gateway.stdout is not None
            yield gateway, json.loads(gateway.stdout.readline()), folder
