"""Scrapyd and ScrapyRT, and ours beside them: one small page fetched, parsed and returned.

All three get the same page from the same server on loopback.
"""

from __future__ import annotations

import json
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.http import site
from bench.load import percentile
from bench.path import Script, cluster
from bench.peers import services
from bench.peers.environments import python_with
from bench.peers.goals import PAGE

SEQUENTIAL_S = 1.5
JOB_COUNT = 4
JOBS_AT_ONCE_COUNT = 8
IN_FLIGHT_COUNT = 16
_START_LIMIT_S = 30.0

_SPIDER = """
import scrapy

class Page(scrapy.Spider):
    name = "page"
    start_urls = ["{url}"]

    def parse(self, response):
        yield {{"title": response.css("title::text").get(), "rows": len(response.css("p.row"))}}
"""
_SETTINGS = """
SPIDER_MODULES = ["shop.spiders"]
ROBOTSTXT_OBEY = False
TELNETCONSOLE_ENABLED = False
LOG_LEVEL = "ERROR"
"""
_SCRAPYD = """
[scrapyd]
bind_address = 127.0.0.1
http_port = {port}
max_proc = 2
poll_interval = 0.2
items_dir =
"""
PAGE_SOURCE = """
def run(url, ctx):
    page = ctx.http.get(url)
    return {"title": page.css("title")[0].text, "rows": len(page.css("p.row"))}
"""
LOOPBACK_ALLOWED = {"ZSCRAPE_NETWORK": "any", "ZSCRAPE_NETWORK_ALLOW": "127.0.0.0/8"}

Row = tuple[float, float, float, float, float]  # as `compare.Figures`


class System(NamedTuple):
    """How one of them is run, and what it does with a task."""

    run: Callable[[], Row]
    isolation: str


@contextmanager
def _project(url: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spiders = folder / "shop" / "spiders"
        spiders.mkdir(parents=True)
        (folder / "scrapy.cfg").write_text("[settings]\ndefault = shop.settings\n")
        for package in (folder / "shop", spiders):
            (package / "__init__.py").write_text("")
        (folder / "shop" / "settings.py").write_text(_SETTINGS)
        (spiders / "page.py").write_text(_SPIDER.format(url=url))
        yield folder


def _ask(url: str, **fields: str) -> dict[str, object]:
    data = urllib.parse.urlencode(fields).encode() if fields else None
    with urllib.request.urlopen(url, data, timeout=60) as answer:
        told: dict[str, object] = json.load(answer)
    return told


def _wait_for(url: str) -> None:
    ends_at = time.monotonic() + _START_LIMIT_S
    while True:
        try:
            _ask(url)
        except (OSError, ValueError):
            if time.monotonic() > ends_at:
                raise
            time.sleep(0.05)
        else:
            return


def _row(latencies: list[float], per_s: float, cpu_s: float, count: int, idle_bytes: int) -> Row:
    p50_ms, p99_ms = median(latencies) * 1e3, percentile(latencies, 99) * 1e3
    return p50_ms, p99_ms, per_s, cpu_s / count * 1e3, idle_bytes / 1e6


def scrapyrt() -> Row:
    """Crawl by ScrapyRT, in its one process."""
    python = python_with("scrapy", ("scrapyrt", "scrapyd"))
    port = services.free_port()
    with site() as url, _project(url) as folder:
        command = [str(python.parent / "scrapyrt"), "-p", str(port), "-i", "127.0.0.1"]
        with services.process(command, folder=folder) as server:
            question = urllib.parse.urlencode({"spider_name": "page", "url": url})
            address = f"http://127.0.0.1:{port}/crawl.json?{question}"
            _wait_for(address)
            return _by_threads(lambda: _ask(address), [server.pid])


def _by_threads(call: Callable[[], object], pids: list[int]) -> Row:
    idle_bytes, before_s = services.proportional_bytes(pids), services.used_s(pids)
    latencies: list[float] = []
    ends_at = time.perf_counter() + SEQUENTIAL_S
    while time.perf_counter() < ends_at:
        began = time.perf_counter()
        call()
        latencies.append(time.perf_counter() - began)

    def keep_calling(ends_at: float) -> int:
        count = 0
        while time.perf_counter() < ends_at:
            call()
            count += 1
        return count

    began = time.perf_counter()
    with ThreadPoolExecutor(IN_FLIGHT_COUNT) as pool:
        counts = list(pool.map(keep_calling, [began + SEQUENTIAL_S] * IN_FLIGHT_COUNT))
    per_s = sum(counts) / (time.perf_counter() - began)
    cpu_s = services.used_s(pids) - before_s
    return _row(latencies, per_s, cpu_s, len(latencies) + sum(counts), idle_bytes)


def scrapyd() -> Row:
    """Run jobs by Scrapyd: an interpreter of its own for each, two at once."""
    python = python_with("scrapy", ("scrapyrt", "scrapyd"))
    port = services.free_port()
    with site() as url, _project(url) as folder:
        (folder / "scrapyd.conf").write_text(_SCRAPYD.format(port=port))
        environ = {"PYTHONPATH": str(folder)}
        with services.process([str(python.parent / "scrapyd")], environ, folder) as server:
            base = f"http://127.0.0.1:{port}"
            _wait_for(f"{base}/daemonstatus.json")
            idle_bytes = services.proportional_bytes([server.pid])
            before_s = services.used_s([server.pid])
            latencies = [_job_s(base) for _ in range(JOB_COUNT)]
            began = time.perf_counter()
            with ThreadPoolExecutor(IN_FLIGHT_COUNT) as pool:
                list(pool.map(lambda _: _job_s(base), range(JOBS_AT_ONCE_COUNT)))
            per_s = JOBS_AT_ONCE_COUNT / (time.perf_counter() - began)
            cpu_s = services.used_s([server.pid]) - before_s
    return _row(latencies, per_s, cpu_s, JOB_COUNT + JOBS_AT_ONCE_COUNT, idle_bytes)


def _job_s(base: str) -> float:
    began = time.perf_counter()
    job = str(_ask(f"{base}/schedule.json", project="default", spider="page")["jobid"])
    while _ask(f"{base}/status.json?job={job}&project=default").get("currstate") != "finished":
        time.sleep(0.01)
    return time.perf_counter() - began


def ours() -> Row:
    """Fetch and parse it by `ctx.http`, a fresh process for each task."""
    script = Script(PAGE_SOURCE, {"kit": ["http"], "network": "any"})
    with site() as url, cluster({"page": script}, LOOPBACK_ALLOWED) as running:
        parameters = {"url": url}
        assert running.data("page", parameters) == {"title": "Page", "rows": 60}
        running.drive("page", in_flight=4, seconds=1.0, parameters=parameters)  # warm
        pids = [running.gateway_pid, running.worker_pid]
        idle_bytes, before_s = services.proportional_bytes(pids), services.used_s(pids)
        one = running.drive("page", in_flight=1, seconds=SEQUENTIAL_S, parameters=parameters)
        many = running.drive(
            "page", in_flight=IN_FLIGHT_COUNT, seconds=SEQUENTIAL_S, parameters=parameters
        )
        cpu_s = services.used_s(pids) - before_s
    return _row(one, len(many) / SEQUENTIAL_S, cpu_s, len(one) + len(many), idle_bytes)


SYSTEMS = {
    PAGE: System(ours, "a fresh process, all layers"),
    "a page: ScrapyRT": System(scrapyrt, "none: one process"),
    "a page: Scrapyd": System(scrapyd, "a fresh interpreter, no limits"),
}
