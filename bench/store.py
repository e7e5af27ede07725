"""What durability costs: accepted tasks against a bare group commit, calls against no database.

The bare loop writes rows of the same size into a file on the same disk, with one thread and
one COMMIT for all that wait: what is left of its rate is everything else that a 202 needs.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from statistics import median
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from bench.load import COMPLETED, QUEUED, drive, percentile, request_bytes

ROUND_COUNT = 5
ROUND_S = 1.5
CONNECTION_COUNT = 64
BATCH_COUNT = 250
RECOVERED_COUNT = 100_000
_NOOP = "def run(n: int = 0):\n    return None\n"
_TASK = {"script_name": "noop", "parameters": {"n": 1}}


class Gateway:
    """A gateway process with one script."""

    def __init__(self, folder: Path, store: str = "sqlite") -> None:
        self.folder = folder
        script = folder / "scripts" / "noop"
        script.mkdir(parents=True, exist_ok=True)
        manifest = {"name": "noop", "version": "1.0.0", "kit": []}
        (script / "metadata.json").write_text(json.dumps(manifest))
        (script / "main.py").write_text(_NOOP)
        self._environ = {
            **os.environ,
            "SCRIPT_REPOSITORY_TYPE": "dir",
            "SCRIPT_REPOSITORY_URL": str(folder / "scripts"),
            "ZSCRAPE_STORE": store,
            "ZSCRAPE_QUEUE_LIMIT_COUNT": "10000000",
            "ZSCRAPE_QUEUE_CLIENT_LIMIT_COUNT": "10000000",
            "ZSCRAPE_SCHEDULE_TIMEOUT_S": "3600",
            "ZSCRAPE_SHUTDOWN_GRACE_S": "0",
        }
        self._processes: list[subprocess.Popen[str]] = []
        self.start()

    def start(self) -> float:
        """Start the gateway; returns the seconds until it was ready."""
        began_at = time.perf_counter()
        ready = self._begin(
            *("gateway", "--home", str(self.folder / "home")),
            *("--http", "127.0.0.1:0", "--link", "tcp://127.0.0.1:0"),
        )
        self.process = self._processes[-1]
        url = urlsplit(ready["http"])
        assert url.hostname is not None
        assert url.port is not None
        self._host, self._port, self._link = url.hostname, url.port, ready["link"]
        with (self.folder / "home" / "client.toml").open("rb") as file:
            self._key: str = tomllib.load(file)["key"]
        return time.perf_counter() - began_at

    def start_worker(self) -> None:
        """Start a worker."""
        home = str(self.folder / "home")
        self._begin("worker", "--home", home, "--join", self._link, "--slots", "4")

    def _begin(self, *arguments: str) -> dict[str, Any]:
        process = subprocess.Popen(
            [sys.executable, "-m", "zscrape", *arguments, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environ,
            text=True,
        )
        self._processes.append(process)
        assert process.stdout is not None
        ready: dict[str, Any] = json.loads(process.stdout.readline())
        return ready

    def kill(self) -> None:
        """Kill the gateway."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def drive(
        self, path: str, body: Any, *, in_flight: int, seconds: float | None = None
    ) -> list[float]:
        """Keep calls open; returns the latency of each, in seconds."""
        raw = json.dumps(body).encode()
        request = request_bytes(self._host, self._port, path, raw, self._key)
        return drive(
            self._host,
            self._port,
            request,
            in_flight=in_flight,
            seconds=ROUND_S if seconds is None else seconds,
            wanted=COMPLETED if path == "/scrape" else QUEUED,
        )

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self._host}:{self._port}"

    @property
    def key(self) -> str:
        """The key of its admin."""
        return self._key

    def get(self, path: str) -> Any:
        """Return what the gateway answers."""
        return self._call(path, None)

    def post(self, path: str, body: Any) -> Any:
        """Return what the gateway answers to a body."""
        return self._call(path, json.dumps(body).encode())

    def _call(self, path: str, body: bytes | None) -> Any:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        with urlopen(Request(f"http://{self.address}{path}", body, headers), timeout=60) as answer:
            return json.load(answer)

    def close(self) -> None:
        """End everything."""
        for process in reversed(self._processes):
            if process.poll() is None:
                process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


@contextmanager
def gateway(store: str = "sqlite") -> Iterator[Gateway]:
    """Run a gateway in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        running = Gateway(Path(folder), store)
        try:
            yield running
        finally:
            running.close()


def bare_rate(folder: Path, *, producers: int, rows: int = 1) -> float:
    """Return the rows per second of a bare group commit: one thread, one COMMIT for who waits."""
    with closing(sqlite3.connect(folder / "bare.db", isolation_level=None)) as made:
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("CREATE TABLE IF NOT EXISTS tasks (id TEXT PRIMARY KEY, body BLOB)")
    return asyncio.run(_bare(folder / "bare.db", producers, rows))


async def _bare(path: Path, producers: int, row_count: int) -> float:
    loop = asyncio.get_running_loop()
    queue: SimpleQueue[asyncio.Future[None] | None] = SimpleQueue()

    def write() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            while (first := queue.get()) is not None:
                waiting = [first]
                try:
                    while len(waiting) < 256 and (more := queue.get_nowait()) is not None:
                        waiting.append(more)
                except Empty:
                    pass
                connection.execute("BEGIN IMMEDIATE")
                rows = [(os.urandom(16).hex(), b"x" * 700) for _ in range(len(waiting) * row_count)]
                connection.executemany("INSERT INTO tasks VALUES (?, ?)", rows)
                connection.execute("COMMIT")
                for future in waiting:
                    loop.call_soon_threadsafe(future.set_result, None)

    thread = threading.Thread(target=write)
    thread.start()
    count = 0
    ends_at = time.perf_counter() + ROUND_S

    async def produce() -> None:
        nonlocal count
        while time.perf_counter() < ends_at:
            future: asyncio.Future[None] = loop.create_future()
            queue.put(future)
            await future
            count += row_count

    await asyncio.gather(*(produce() for _ in range(producers)))
    queue.put(None)
    thread.join()
    return count / ROUND_S


def _accepts(note: Any) -> None:
    with gateway() as running:
        for _ in range(ROUND_COUNT):
            note("bare_single_per_s", bare_rate(running.folder, producers=CONNECTION_COUNT))
            latencies = running.drive("/v1/tasks", _TASK, in_flight=CONNECTION_COUNT)
            note("single_per_s", len(latencies) / ROUND_S)
            note("single_p99_ms", percentile(latencies, 99) * 1e3)
            note("bare_batch_per_s", bare_rate(running.folder, producers=4, rows=BATCH_COUNT))
            latencies = running.drive("/v1/tasks", [_TASK] * BATCH_COUNT, in_flight=4)
            note("batch_per_s", len(latencies) * BATCH_COUNT / ROUND_S)


def _calls(note: Any) -> None:
    """Synchronous calls with the database and without, interleaved."""
    with gateway("sqlite") as durable, gateway("memory") as memory:
        for running in (durable, memory):
            running.start_worker()
            running.drive("/scrape", _TASK, in_flight=4)
        for _ in range(ROUND_COUNT):
            for name, running in (("durable", durable), ("memory", memory)):
                latencies = running.drive("/scrape", _TASK, in_flight=16)
                note(f"scrape_{name}_per_s", len(latencies) / ROUND_S)
                note(f"scrape_{name}_p50_ms", median(latencies) * 1e3)


def _recovery(note: Any) -> None:
    with gateway() as running:
        while running.get("/status")["queue_length"] < RECOVERED_COUNT:
            running.drive("/v1/tasks", [_TASK] * BATCH_COUNT, in_flight=4)
        running.kill()
        note("recovered_count", running_count := RECOVERED_COUNT)
        note("recovery_s", running.start())
        began_at = time.perf_counter()
        running.start_worker()
        while not running.get("/v1/tasks?status=completed&limit=1")["tasks"]:
            time.sleep(0.05)
        note("recovery_first_end_s", time.perf_counter() - began_at)
        assert running.get("/status")["queue_length"] >= running_count * 0.9


def measure() -> dict[str, float]:
    """Return medians over interleaved rounds, and the ratios to what was measured beside them."""
    figures: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    _accepts(note)
    _calls(note)
    _recovery(note)
    result = {name: median(values) for name, values in figures.items()}
    for kind in ("single", "batch"):
        result[f"{kind}_ratio"] = result[f"{kind}_per_s"] / result[f"bare_{kind}_per_s"]
    result["scrape_rate_ratio"] = result["scrape_durable_per_s"] / result["scrape_memory_per_s"]
    result["scrape_p50_ratio"] = result["scrape_durable_p50_ms"] / result["scrape_memory_p50_ms"]
    return result
