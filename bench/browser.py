"""An attempt with a browser, from `POST /scrape` to its answer, beside Chromium on its own.

The script opens a page of the bundled site and returns its title. The bare side starts the same
Chromium with the same flags, opens the same page by the DevTools protocol and reads the title,
with nothing of ours around it but the priority that attempts have: as root, Chromium would raise
that of its threads above everybody's, which no attempt can. Rounds are interleaved: bare, cold
(the attempt starts its browser), warm (one waits ready). Between them is time for the next one to
get ready.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from zscrape.client import Client, find_gateway
from zscrape.ops.role import Role
from zscrape.ops.site import Site
from zscrape.runtime import chromium, devtools, syscalls

ROUND_COUNT = 5
NICE = 10  # that of attempts: see `runtime/template.py`
REST_S = 4.0  # a browser that starts ahead takes a second or two of both processors

_MANIFEST = {"name": "title", "version": "1.0.0", "kit": ["http", "browser"], "timeout": 60}
_SOURCE = """\
async def run(url: str, *, ctx):
    async with ctx.browser() as tab:
        await tab.go_to(url)
        return await tab.title()
"""


async def _bare(url: str, folder: str) -> str:
    running = chromium.start(f"{folder}/browser", confine=_yield_to_others)
    wire = devtools.Wire(running)
    try:
        while not (pages := await _pages(wire)):  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.005)
        line = await wire.open(pages[0])
        await _ask(line, 1, "Page.enable", {})
        await _ask(line, 2, "Page.navigate", {"url": url})
        while json.loads(await line.recv()).get("method") != "Page.loadEventFired":
            pass
        told = await _ask(line, 3, "Runtime.evaluate", {"expression": "document.title"})
        title: str = told["result"]["value"]
        return title
    finally:
        wire.close()
        running.end()


def _yield_to_others() -> None:
    os.nice(NICE)
    if os.geteuid() == 0:
        syscalls.drop_capabilities()


async def _pages(wire: devtools.Wire) -> list[str]:
    told = await wire.call("Target.getTargets", {})
    return [each["targetId"] for each in told["targetInfos"] if each["type"] == "page"]


async def _ask(line: devtools.Line, number: int, method: str, params: dict[str, Any]) -> Any:
    await line.send(json.dumps({"id": number, "method": method, "params": params}))
    while True:
        message = json.loads(await line.recv())
        if message.get("id") == number:
            return message["result"]


def bare_s(url: str) -> float:
    """Return how long Chromium alone takes to start and to show a page."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        assert asyncio.run(_bare(url, folder))
        elapsed_s = time.perf_counter() - started
        chromium.remove_ended()
        return elapsed_s


@contextmanager
def _cluster(ahead_count: int) -> Iterator[Client]:
    """Run a gateway and a worker that keeps so many browsers ready."""
    with ExitStack() as parts:
        home = Path(parts.enter_context(tempfile.TemporaryDirectory()))
        script = home / "scripts" / "title"
        script.mkdir(parents=True)
        (script / "metadata.json").write_text(json.dumps(_MANIFEST))
        (script / "main.py").write_text(_SOURCE)
        environ = {**os.environ, "ZSCRAPE_BROWSER_AHEAD": str(ahead_count)}

        def start(verb: str, *arguments: str) -> dict[str, Any]:
            role = Role(verb, ["--home", str(home), *arguments], environ=environ)
            parts.callback(role.stop)
            return dict(role.wait_ready())

        addresses = ("--http", "127.0.0.1:0", "--link", "tcp://127.0.0.1:0")
        ready = start("gateway", *addresses, "--scripts", str(home / "scripts"))
        start(*("worker", "--join", ready["link"], "--slots", "2"), "--network-allow", "127.0.0.1")
        yield parts.enter_context(Client(find_gateway(home=home, environ={})))


def _scrape_s(client: Client, url: str) -> float:
    started = time.perf_counter()
    envelope = client.run("title", {"url": url}, timeout=60)
    assert envelope["status"] == "completed", envelope
    return time.perf_counter() - started


def measure() -> dict[str, float]:
    """Return medians over interleaved rounds, and their ratios to Chromium alone."""
    found: dict[str, list[float]] = {"bare": [], "cold": [], "warm": []}
    with Site() as site, _cluster(0) as cold, _cluster(1) as warm:
        url = f"{site.url}/"
        for client in (cold, warm):  # templates begin with the first attempt
            _scrape_s(client, url)
        for _ in range(ROUND_COUNT):
            time.sleep(REST_S)
            found["bare"].append(bare_s(url))
            for name, client in (("cold", cold), ("warm", warm)):
                time.sleep(REST_S)
                found[name].append(_scrape_s(client, url))
    result = {f"{name}_ms": 1e3 * median(values) for name, values in found.items()}
    result["cold_ratio"] = result["cold_ms"] / result["bare_ms"]
    result["warm_ratio"] = result["warm_ms"] / result["bare_ms"]
    return result
