"""A gateway of the floors and its workers as processes, and how to call them."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.load import ask, drive, request_bytes
from bench.stages import below

_END_S = 20
_HOST = "127.0.0.1"


class Floor:
    """A gateway that runs, and who works for it."""

    def __init__(self, port: int, roles: Mapping[str, int]) -> None:
        self.roles = dict(roles)  # processes by what they do
        self._port = port

    def drive(
        self, *, in_flight: int, seconds: float, parameters: Mapping[str, Any] | None = None
    ) -> list[float]:
        """Keep calls open; returns the latency of each, in seconds."""
        request = self._request(parameters or {})
        return drive(_HOST, self._port, request, in_flight=in_flight, seconds=seconds)

    def data(self, parameters: Mapping[str, Any] | None = None) -> Any:
        """Call once; returns the data."""
        return json.loads(ask(_HOST, self._port, self._request(parameters or {})))["data"]

    def _request(self, parameters: Mapping[str, Any]) -> bytes:
        body = json.dumps({"script_name": "noop", "parameters": parameters}).encode()
        return request_bytes(_HOST, self._port, "/scrape", body, "key")


@contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=_END_S)


@contextmanager
def instant(worker_count: int) -> Iterator[Floor]:
    """Run a gateway whose workers answer at once."""
    with process("bench.floors.gateway", str(worker_count)) as gateway:
        assert gateway.stdout is not None
        told = json.loads(gateway.stdout.readline())
        command = ("bench.floors.instant", told["link"], told["key"], str(worker_count))
        with process(*command) as workers:
            assert gateway.stdout.readline() == "ready\n"
            yield Floor(told["port"], {"gateway": gateway.pid, "worker": workers.pid})


@contextmanager
def floor(way: str, source: str, warm: str = "") -> Iterator[Floor]:
    """Run a gateway and a worker with one script; `warm` is what its template imports first."""
    with (
        tempfile.TemporaryDirectory() as folder,
        process("bench.floors.gateway", "1") as gateway,
    ):
        (Path(folder) / "main.py").write_text(source)
        if warm:
            (Path(folder) / "warm.py").write_text(warm)
        assert gateway.stdout is not None
        told = json.loads(gateway.stdout.readline())
        command = ("bench.floors.worker", told["link"], told["key"], folder, way)
        with process(*command) as worker:
            assert gateway.stdout.readline() == "ready\n"
            roles = {"gateway": gateway.pid, "worker": worker.pid}
            templates = [("template", pid) for pid in below(worker.pid)]
            yield Floor(told["port"], roles | dict(templates))
