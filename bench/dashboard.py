"""The dashboard with 100,000 tasks in the store, in a real Chromium, and what its streams cost.

* First paint: a first visit with an empty cache, from the navigation's start to the first
  contentful paint by the browser's own clock, and until the figures are there; and all the
  bytes of that visit, headers included.
* An event: a script yields a row with the moment it did so; a page that shows the task notes
  when the row is in its table. Both read the same clock. Meanwhile calls are kept open.
* 200 open streams of the overview: calls per second with and without them, in turn.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from bench.browser import _pages
from bench.load import percentile
from bench.store import Gateway, gateway
from zscrape.runtime import chromium, devtools

STORED_COUNT = 100_000
STREAM_COUNT = 200
PAINT_ROUND_COUNT = 5
STREAM_ROUND_COUNT = 5
IN_FLIGHT_COUNT = 16
EVENT_COUNT = 100
EVENT_LOAD_COUNT = 4  # calls that are kept open meanwhile

_TICKER = f"""\
import time

def run(ctx):
    for _ in range({EVENT_COUNT}):
        yield {{"at_ms": time.time() * 1000}}
        time.sleep(0.1)
"""
_NOOP = {"script_name": "noop"}
# Rows as they come, with the age of each at the moment it was in the table.
_WATCH = """
window.ages = [];
new MutationObserver(() => {
  const rows = document.querySelectorAll(".items tbody tr");
  for (; window.ages.length < rows.length;) {
    const [, at] = rows[window.ages.length].cells;
    window.ages.push(Date.now() - Number(at.textContent));
  }
}).observe(document.body, { childList: true, subtree: true });
"""
_PAINTED = (
    "performance.getEntriesByName('first-contentful-paint').length"
    " && document.querySelector('.stats')"
)
_VISIT = """(() => {
  const entries = performance.getEntries().filter((each) => "transferSize" in each);
  return [performance.getEntriesByName("first-contentful-paint")[0].startTime,
    entries.reduce((sum, each) => sum + each.transferSize, 0)];
})()"""
_READER = """
import selectors, socket, sys
host, port, key, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
lines = ("GET /v1/overview/events HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {key}")
ask = "\\r\\n".join((*lines, "", "")).encode()
selector, fresh = selectors.DefaultSelector(), set()
selector.register(sys.stdin, selectors.EVENT_READ)
for _ in range(count):
    one = socket.create_connection((host, port))
    one.sendall(ask)
    selector.register(one, selectors.EVENT_READ)
    fresh.add(one)
while True:
    for key, _ in selector.select():
        if key.fileobj is sys.stdin:
            sys.exit()
        assert key.fileobj.recv(1 << 18)
        if fresh:
            fresh.discard(key.fileobj)
            if not fresh:
                print("ready", flush=True)
"""


def _fill(folder: Path) -> None:
    """Make of one ended task as many, spread over a day."""
    (path,) = [each for each in (folder / "home").rglob("*.db") if _has_tasks(each)]
    with closing(sqlite3.connect(path)) as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(tasks)")]
        values = {
            "seq": "(SELECT max(seq) FROM tasks) + n",
            "id": "substr(t.id, 1, 24) || printf('%012x', n)",
            "created_at": "t.created_at - n * 0.86",
            "finished_at": "t.finished_at - n * 0.86",
        }
        told = ", ".join(values.get(name, f"t.{name}") for name in columns)
        database.execute(
            f"WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted"
            f" WHERE n < {STORED_COUNT}) INSERT INTO tasks ({', '.join(columns)})"
            f" SELECT {told} FROM counted, (SELECT * FROM tasks WHERE finished_at IS NOT NULL"
            " LIMIT 1) AS t"
        )
        database.commit()


def _has_tasks(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as database:
        return bool(database.execute("SELECT 1 FROM sqlite_master WHERE name = 'tasks'").fetchone())


@contextmanager
def _filled() -> Iterator[Gateway]:
    with gateway() as running:
        running.start_worker()
        running.drive("/scrape", _NOOP, in_flight=1)
        running.close()
        _fill(running.folder)
        script = running.folder / "scripts" / "ticker"
        script.mkdir()
        (script / "metadata.json").write_text('{"name": "ticker", "version": "1.0.0", "kit": []}')
        (script / "main.py").write_text(_TICKER)
        running.start()
        running.start_worker()
        yield running


class _Page:
    """One page of a browser, by the DevTools protocol."""

    def __init__(self, line: devtools.Line) -> None:
        self._line = line
        self._number = 0

    async def ask(self, method: str, **params: Any) -> Any:
        """Send a command and return its answer."""
        self._number += 1
        await self._line.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            message = json.loads(await self._line.recv())
            if message.get("id") == self._number:
                return message["result"]

    async def value(self, expression: str) -> Any:
        """Return what an expression in the page is."""
        told = await self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        return told["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until an expression in the page holds."""
        while not await self.value(f"Boolean({expression})"):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)


@asynccontextmanager
async def _page() -> AsyncIterator[_Page]:
    with tempfile.TemporaryDirectory(prefix="zs", ignore_cleanup_errors=True) as folder:
        running = chromium.start(f"{folder}/browser", confine=lambda: None)
        wire = devtools.Wire(running)
        try:
            while not (pages := await _pages(wire)):  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.005)
            yield _Page(await wire.open(pages[0]))
        finally:
            wire.close()
            running.end()


async def _visits(page: _Page, url: str, note: Callable[[str, float], None]) -> None:
    """Visit the overview with an empty cache, several times."""
    for number in range(PAINT_ROUND_COUNT + 1):
        await page.ask("Network.clearBrowserCache")
        await page.ask("Page.navigate", url="about:blank")
        await page.ask("Page.navigate", url=url + "/")
        await page.until(f"location.href !== 'about:blank' && {_PAINTED}")
        shown_ms = await page.value("performance.now()")
        paint_ms, size_bytes = await page.value(_VISIT)
        if number:  # the first is to warm
            note("first_paint_ms", paint_ms)
            note("figures_shown_ms", shown_ms)
            note("first_visit_kb", size_bytes / 1000)


async def _events(page: _Page, running: Gateway) -> list[float]:
    """Return how old each row of a running task is, once it is in the page's table."""
    task_id = await asyncio.to_thread(_start_ticker, running)
    is_over = threading.Event()

    def load() -> None:
        while not is_over.is_set():
            running.drive("/scrape", _NOOP, in_flight=EVENT_LOAD_COUNT)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        await page.value(_WATCH)
        await page.value(f"location.hash = '#/tasks/{task_id}'")
        await page.until(f"window.ages.length >= {EVENT_COUNT}")
        ages: list[float] = await page.value("window.ages")
    finally:
        is_over.set()
        await asyncio.to_thread(thread.join)
    return ages[EVENT_COUNT // 10 :]  # those before the page was open are no news


def _start_ticker(running: Gateway) -> str:
    told = running.post("/v1/tasks", {"script_name": "ticker"})
    return str(told["request_id"])


@contextmanager
def _streams(running: Gateway) -> Iterator[None]:
    """Keep streams of the overview open, read by a process of its own."""
    host, _, port = running.address.partition(":")
    reader = subprocess.Popen(
        [sys.executable, "-c", _READER, host, port, running.key, str(STREAM_COUNT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdin is not None
    assert reader.stdout is not None
    try:
        assert reader.stdout.readline() == "ready\n"
        yield
    finally:
        reader.stdin.close()
        reader.wait()
        reader.stdout.close()


def _throughput(running: Gateway, note: Callable[[str, float], None]) -> None:
    for number in range(STREAM_ROUND_COUNT + 1):
        without = len(running.drive("/scrape", _NOOP, in_flight=IN_FLIGHT_COUNT))
        with _streams(running):
            beside = len(running.drive("/scrape", _NOOP, in_flight=IN_FLIGHT_COUNT))
        if number:  # the first is to warm
            note("streams_share", beside / without)


def measure() -> dict[str, float]:
    """Return medians, and the share of the throughput that is left beside open streams."""
    figures: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    async def look(running: Gateway) -> list[float]:
        url = f"http://{running.address}"
        async with _page() as page:
            path = running.post("/v1/logins", {})["path"]
            await page.ask("Page.navigate", url=url + path)
            await page.until(_PAINTED)
            await _visits(page, url, note)
            return await _events(page, running)

    with _filled() as running:
        ages_ms = asyncio.run(look(running))
        _throughput(running, note)
    chromium.remove_ended()
    result = {name: median(values) for name, values in figures.items()}
    return {**result, "event_p50_ms": median(ages_ms), "event_p95_ms": percentile(ages_ms, 95)}
