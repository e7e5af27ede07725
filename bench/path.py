"""The whole path: HTTP, gateway, link, worker, child and back, beside bare forks of the same run.

Two no-op scripts: one that asks for no part of the kit and runs in the lean template, and one
with the kit that a script gets by default. Each is compared with a process that has imported
the same modules as its template (asked of a child of that template) and only forks, and both
with B, which forks as a process of 14 MB with `threading` and `logging` does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from bench.bare import fork_p50_s, fork_rate, loops
from bench.load import ask, drive, percentile, request_bytes

ROUND_COUNT = 5
ROUND_S = 1.0
SLOT_COUNT = 4
IN_FLIGHT_COUNTS = (16, 64)
KITS: dict[str, list[str]] = {"bare": [], "http": ["http"]}
# B: as anybody's worker is before it imports what it works with.
B_MODULES = ["json", "threading", "logging", "concurrent.futures"]

_NOOP = "def run():\n    return None\n"
_MODULES = "import sys\n\ndef run():\n    return sorted(sys.modules)\n"


class Script(NamedTuple):
    """A script: its source, and what its manifest says besides name and version."""

    source: str
    manifest: Mapping[str, Any]


def _write_scripts(folder: Path, more: Mapping[str, Script]) -> None:
    scripts = {
        f"{what}_{kit}": Script(source, {"kit": parts})
        for kit, parts in KITS.items()
        for what, source in (("noop", _NOOP), ("modules", _MODULES))
    }
    for name, script in {**scripts, **more}.items():
        (folder / name).mkdir(parents=True)
        manifest = {"name": name, "version": "1.0.0", **script.manifest}
        (folder / name / "metadata.json").write_text(json.dumps(manifest))
        (folder / name / "main.py").write_text(script.source)


def _start(
    scripts: Path, environ: Mapping[str, str], *arguments: str
) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    repository = {"SCRIPT_REPOSITORY_TYPE": "dir", "SCRIPT_REPOSITORY_URL": str(scripts)}
    process = subprocess.Popen(
        [sys.executable, "-m", "zscrape", *arguments, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **repository, **environ},
        text=True,
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


class Cluster:
    """A gateway and a worker as processes, and how to call them."""

    def __init__(self, http: str, key: str, gateway_pid: int, worker_pid: int) -> None:
        url = urlsplit(http)
        assert url.hostname is not None
        assert url.port is not None
        self.http, self.key = http, key
        self.gateway_pid, self.worker_pid = gateway_pid, worker_pid
        self._host, self._port = url.hostname, url.port

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the gateway."""
        return self._host, self._port

    def request(self, script_name: str, parameters: Mapping[str, Any] | None = None) -> bytes:
        """Return a whole call of a script."""
        body = json.dumps({"script_name": script_name, "parameters": parameters or {}}).encode()
        return request_bytes(self._host, self._port, "/scrape", body, self.key)

    def data(self, script_name: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """Call a script once and return its data."""
        body = ask(self._host, self._port, self.request(script_name, parameters))
        return json.loads(body)["data"]

    def drive(
        self,
        script_name: str,
        *,
        in_flight: int,
        seconds: float = ROUND_S,
        parameters: Mapping[str, Any] | None = None,
    ) -> list[float]:
        """Keep calls of a script open; returns the latency of each, in seconds."""
        request = self.request(script_name, parameters)
        return drive(self._host, self._port, request, in_flight=in_flight, seconds=seconds)


@contextmanager
def cluster(
    more: Mapping[str, Script] | None = None, environ: Mapping[str, str] | None = None
) -> Iterator[Cluster]:
    """Run a gateway and a worker as processes; `more` are further scripts by name."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        scripts = home / "scripts"
        _write_scripts(scripts, more or {})
        addresses = ("--http", "127.0.0.1:0", "--link", "tcp://127.0.0.1:0")
        gateway, ready = _start(
            *(scripts, environ or {}, "gateway", "--home", str(home / "gateway"), *addresses)
        )
        worker, _ = _start(
            *(
                scripts,
                environ or {},
                "worker",
                "--home",
                str(home / "gateway"),
                "--join",
                ready["link"],
            ),
            *("--slots", str(SLOT_COUNT)),
        )
        try:
            with (home / "gateway" / "client.toml").open("rb") as file:
                key = tomllib.load(file)["key"]
            yield Cluster(ready["http"], key, gateway.pid, worker.pid)
        finally:
            for process in (worker, gateway):
                process.terminate()
                process.wait(20)


def measure() -> dict[str, float]:
    """Return medians over interleaved rounds, and their ratios to bare forks of the same run."""
    figures: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    with cluster() as running:
        modules = {kit: running.data(f"modules_{kit}") for kit in KITS}
        for kit in KITS:
            running.drive(f"noop_{kit}", in_flight=4, seconds=1.0)  # warm
        for _ in range(ROUND_COUNT):
            took_s = loops(B_MODULES, 1)[0]
            note("b_p50_ms", median(took_s) * 1e3)
            note("b_p99_ms", percentile(took_s, 99) * 1e3)
            note("b_per_s", fork_rate(B_MODULES))
            for kit in KITS:
                note(f"{kit}_fork_p50_ms", fork_p50_s(modules[kit]) * 1e3)
                latencies = running.drive(f"noop_{kit}", in_flight=1)
                note(f"{kit}_scrape_p50_ms", median(latencies) * 1e3)
                note(f"{kit}_scrape_p99_ms", percentile(latencies, 99) * 1e3)
                note(f"{kit}_fork_per_s", fork_rate(modules[kit]))
                for in_flight in IN_FLIGHT_COUNTS:
                    latencies = running.drive(f"noop_{kit}", in_flight=in_flight)
                    note(f"{kit}_scrape_{in_flight}_in_flight_per_s", len(latencies) / ROUND_S)
    result = {name: median(values) for name, values in figures.items()}
    for kit in KITS:
        result[f"{kit}_p50_ratio"] = result[f"{kit}_scrape_p50_ms"] / result[f"{kit}_fork_p50_ms"]
        for in_flight in IN_FLIGHT_COUNTS:
            rate = result[f"{kit}_scrape_{in_flight}_in_flight_per_s"]
            result[f"{kit}_rate_ratio_{in_flight}"] = rate / result[f"{kit}_fork_per_s"]
            result[f"{kit}_rate_ratio_{in_flight}_to_b"] = rate / result["b_per_s"]
        for percent in ("p50", "p99"):
            ours_ms, b_ms = result[f"{kit}_scrape_{percent}_ms"], result[f"b_{percent}_ms"]
            result[f"{kit}_{percent}_ratio_to_b"] = ours_ms / b_ms
    return result
