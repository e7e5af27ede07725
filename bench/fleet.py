"""1,000 workers: what their beats cost a gateway, and tasks through that many sockets.

The beats are heard by a whole gateway, beside itself with nobody connected. The tasks go
through the router and its dispatcher alone, without HTTP and store, to 10 workers and to 1,000,
all of which answer at once from one other process. How many a core would carry is told too:
that process takes the other one.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median

import psutil
import uvloop

from bench.edge import cpu_s
from bench.store import ROUND_S, Gateway, gateway
from bench.workers import simulated
from zscrape.core.dispatcher import Dispatcher
from zscrape.core.effects import DispatcherEffect, TaskFinished
from zscrape.gateway.gatekeeper import Gatekeeper, NoKeeper
from zscrape.gateway.linkkeys import LinkKeys
from zscrape.gateway.router import Router
from zscrape.model import HeartbeatPolicy, Pin, QueuePolicy, RunSpec, TaskSpec

WORKER_COUNT = 1_000
SLOT_COUNT = 4
IN_FLIGHT_COUNT = 1_000
ROUND_COUNT = 3
WATCH_S = 10.0
_RUN = RunSpec(Pin("scripts", "noop", "1.0.0", "sha256:" + "0" * 64))
_CALL = {"script_name": "noop", "parameters": {"n": 1}}


def _used_percent(pid: int) -> float:
    before_s = cpu_s(pid)
    time.sleep(WATCH_S)
    return (cpu_s(pid) - before_s) / WATCH_S * 100


def _call_us(running: Gateway) -> float:
    running.drive("/scrape", _CALL, in_flight=16)
    before_s = cpu_s(running.process.pid)
    count = len(running.drive("/scrape", _CALL, in_flight=16))
    return (cpu_s(running.process.pid) - before_s) / count * 1e6


def _memory_mb(pid: int) -> float:
    return float(psutil.Process(pid).memory_full_info().pss / 1e6)


def _beats() -> dict[str, float]:
    with gateway() as running:
        home, pid = running.folder / "home", running.process.pid
        alone, alone_mb = _used_percent(pid), _memory_mb(pid)
        with simulated(home, 4, slots=SLOT_COUNT * WORKER_COUNT // 4):
            few_us = _call_us(running)
    with gateway() as running:
        home, pid = running.folder / "home", running.process.pid
        with simulated(home, WORKER_COUNT, slots=SLOT_COUNT):
            beating, beating_mb = _used_percent(pid), _memory_mb(pid)
            beats_us = beating / 100 * ROUND_S * 1e6  # what it would have used without a call
            many_us = _call_us(running)
            many_us -= beats_us * many_us / (ROUND_S * 1e6)
    return {
        "alone_cpu_percent": alone,
        "alone_mb": alone_mb,
        "beating_cpu_percent": beating,
        "beating_mb": beating_mb,
        "call_us_4_workers": few_us,
        "call_us_1000_workers": many_us,
        "call_ratio": many_us / few_us,
    }


async def _through(worker_count: int) -> tuple[float, float]:
    """Return tasks per second, and how many a second of this process's time carries."""
    loop = asyncio.get_running_loop()
    finished, sent_count = 0, 0

    def hear(effect: DispatcherEffect) -> None:
        nonlocal finished
        if type(effect) is TaskFinished:
            finished += 1
            loop.call_soon(submit)

    def submit() -> None:
        nonlocal sent_count
        sent_count += 1
        router.submit(TaskSpec(id=f"task-{sent_count}", run=_RUN, deadline_s=300.0))

    async def pack(_digest: str) -> bytes | None:
        return None

    with tempfile.TemporaryDirectory() as folder:
        keys = LinkKeys(Path(folder))
        keeper = Gatekeeper(local_key=keys.local.public)
        await keeper.open(NoKeeper())
        router = Router(
            Dispatcher(
                gateway_id="bench", boot="1", heartbeat=HeartbeatPolicy(), queue=QueuePolicy()
            ),
            bind="tcp://127.0.0.1:0",
            gatekeeper=keeper,
            keys=keys,
            on_effect=hear,
            pack=pack,
        )
        router.start()
        keys.write_join(router.endpoint)
        workers = simulated(Path(folder), worker_count, slots=SLOT_COUNT * 100 // worker_count + 4)
        await asyncio.to_thread(workers.__enter__)
        try:
            for _ in range(min(IN_FLIGHT_COUNT, QueuePolicy().limit_count)):
                submit()
            await asyncio.sleep(0.5)  # warm
            before, before_s, began_at = finished, time.process_time(), time.perf_counter()
            await asyncio.sleep(ROUND_S)
            count = finished - before
            took_s, used_s = time.perf_counter() - began_at, time.process_time() - before_s
        finally:
            await asyncio.to_thread(workers.__exit__, None, None, None)
            router.stop()
    return count / took_s, count / used_s


def measure() -> dict[str, float]:
    """Return what 1,000 workers cost, and medians of tasks through their sockets."""
    result = _beats()
    figures: dict[str, list[float]] = {}
    for _ in range(ROUND_COUNT):
        for count in (10, WORKER_COUNT):
            rate, per_cpu_s = uvloop.run(_through(count))
            figures.setdefault(f"through_{count}_per_s", []).append(rate)
            figures.setdefault(f"through_{count}_per_cpu_s", []).append(per_cpu_s)
    return result | {name: median(values) for name, values in figures.items()}
