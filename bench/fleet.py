"""1,000 workers: what their beats cost a gateway, and tasks through that many sockets.

The beats are heard by a whole gateway, beside itself with nobody connected; calls are made to it
in turns with others that have four workers and 16. Of 16 calls in flight four go to each of four
workers, in one packet where they come together; with 16 workers and more each has its own. The
tasks go through the router and its dispatcher alone, without HTTP and store, to 10 workers and to
1,000, all of which answer at once from one other process; beside them a bare ROUTER, to which
1,000 answer as well. It is asked for 16 messages at a time too, of four peers and of 1,000: most of
what a call costs more with a thousand workers it costs more as well, since each answer is a packet
of its own then, and each peer's state has grown cold meanwhile. What is told of a task's processor
time is without that of the beats, which come in bursts, one a second: their share is taken over
whole seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TypeAlias

import psutil
import uvloop

from bench.barerouter import RUN, BareRouter
from bench.edge import cpu_s
from bench.store import ROUND_S, Gateway, gateway
from bench.workers import simulated
from zscrape.core.dispatcher import Dispatcher
from zscrape.core.effects import DispatcherEffect, TaskFinished
from zscrape.gateway.facts import all_to
from zscrape.gateway.gatekeeper import Gatekeeper
from zscrape.gateway.linkkeys import LinkKeys
from zscrape.gateway.router import Router
from zscrape.model import HeartbeatPolicy, QueuePolicy, TaskSpec

WORKER_COUNT = 1_000
FEW_COUNT = 4
CALL_COUNT = 16  # in flight, and workers for one call each
SLOT_COUNT = 4
IN_FLIGHT_COUNT = 1_000
ROUND_COUNT = 3
CALLS_ROUND_COUNT = 5
WATCH_S = 6.0
BEATS_S = 2.0  # whole intervals, or it is one burst more or less
_CALL = {"script_name": "noop", "parameters": {"n": 1}}


def _used_percent(pid: int) -> float:
    before_s = cpu_s(pid)
    time.sleep(WATCH_S)
    return (cpu_s(pid) - before_s) / WATCH_S * 100


def _call_us(running: Gateway) -> float:
    """Return a call's processor time at the gateway, without that of beats."""
    pid = running.process.pid
    before_s, began_at = cpu_s(pid), time.perf_counter()
    time.sleep(BEATS_S)
    beats_share = (cpu_s(pid) - before_s) / (time.perf_counter() - began_at)
    running.drive("/scrape", _CALL, in_flight=CALL_COUNT)
    before_s, began_at = cpu_s(pid), time.perf_counter()
    count = len(running.drive("/scrape", _CALL, in_flight=CALL_COUNT))
    used_s = cpu_s(pid) - before_s - beats_share * (time.perf_counter() - began_at)
    return used_s / count * 1e6


def _memory_mb(pid: int) -> float:
    return float(psutil.Process(pid).memory_full_info().pss / 1e6)


def _beats() -> dict[str, float]:
    with gateway() as many, contextlib.ExitStack() as others:
        home, pid = many.folder / "home", many.process.pid
        alone, alone_mb = _used_percent(pid), _memory_mb(pid)
        others.enter_context(simulated(home, WORKER_COUNT, slots=SLOT_COUNT))
        beating, beating_mb = _used_percent(pid), _memory_mb(pid)
        gateways = {WORKER_COUNT: many}
        for count in (FEW_COUNT, CALL_COUNT):
            few = gateways[count] = others.enter_context(gateway())
            slots = SLOT_COUNT * WORKER_COUNT // count
            others.enter_context(simulated(few.folder / "home", count, slots=slots))
        calls_us = [
            {count: _call_us(gateways[count]) for count in sorted(gateways)}
            for _ in range(CALLS_ROUND_COUNT)
        ]

    def ratio_to(count: int) -> float:
        return median(round_us[WORKER_COUNT] / round_us[count] for round_us in calls_us)

    return {
        "connection_kb": (beating_mb - alone_mb) * 1e3 / WORKER_COUNT,
        "alone_cpu_percent": alone,
        "alone_mb": alone_mb,
        "beating_cpu_percent": beating,
        "beating_mb": beating_mb,
        **{
            f"call_us_{count}_workers": median(round_us[count] for round_us in calls_us)
            for count in sorted(gateways)
        },
        "call_more_us": median(
            round_us[WORKER_COUNT] - round_us[FEW_COUNT] for round_us in calls_us
        ),
        "call_ratio": ratio_to(FEW_COUNT),
        f"call_ratio_to_{CALL_COUNT}": ratio_to(CALL_COUNT),
    }


class _Product:
    """The router and its dispatcher, given a task for each that ends; as a `BareRouter` is."""

    def __init__(self, keys: LinkKeys) -> None:
        self._loop = asyncio.get_running_loop()
        self._sent_count = 0
        self.answered_count = 0
        dispatcher = Dispatcher(
            gateway_id="bench", boot="1", heartbeat=HeartbeatPolicy(), queue=QueuePolicy()
        )
        self._router = Router(
            dispatcher,
            bind="tcp://127.0.0.1:0",
            gatekeeper=Gatekeeper(local_key=keys.local.public),
            keys=keys,
            hearers=all_to(self._hear),
            pack=self._pack,
        )
        self._router.start()
        self.endpoint = self._router.endpoint
        self.stop = self._router.stop

    def begin(self, in_flight: int) -> None:
        """Keep so many tasks open."""
        for _ in range(in_flight):
            self._submit()

    def _submit(self) -> None:
        self._sent_count += 1
        self._router.submit(TaskSpec(id=f"task-{self._sent_count}", run=RUN, deadline_s=300.0))

    def _hear(self, effect: DispatcherEffect) -> None:
        if type(effect) is TaskFinished:
            self.answered_count += 1
            self._loop.call_soon(self._submit)

    async def _pack(self, _digest: str) -> bytes | None:
        return None


_Make: TypeAlias = Callable[[LinkKeys], _Product | BareRouter]


async def _through(make: _Make, worker_count: int) -> dict[str, float]:
    """Return what beats cost, tasks per second, and what one costs; of few at a time as well."""
    with tempfile.TemporaryDirectory() as folder:
        keys = LinkKeys(Path(folder))
        router = make(keys)
        keys.write_join(router.endpoint)
        workers = simulated(Path(folder), worker_count, slots=SLOT_COUNT * 100 // worker_count + 4)
        await asyncio.to_thread(workers.__enter__)
        try:
            await asyncio.sleep(0.5)  # what came with them is over
            _, beats_s, took_s = await _spent(router, BEATS_S)
            beats_share = beats_s / took_s
            router.begin(CALL_COUNT)
            _, call_us = await _rate(router, beats_share)
            router.begin(IN_FLIGHT_COUNT - CALL_COUNT)
            per_s, task_us = await _rate(router, beats_share)
        finally:
            await asyncio.to_thread(workers.__exit__, None, None, None)
            router.stop()
    return {
        "beats_cpu_percent": beats_share * 100,
        "call_us": call_us,
        "per_s": per_s,
        "task_us": task_us,
    }


async def _rate(router: _Product | BareRouter, beats_share: float) -> tuple[float, float]:
    """Return tasks per second, and the processor time of one without that of beats."""
    await asyncio.sleep(0.5)  # warm
    count, used_s, took_s = await _spent(router, ROUND_S)
    return count / took_s, (used_s - beats_share * took_s) / count * 1e6


async def _spent(router: _Product | BareRouter, seconds: float) -> tuple[int, float, float]:
    """Return tasks, processor time and time of a while."""
    before, before_s, began_at = router.answered_count, time.process_time(), time.perf_counter()
    await asyncio.sleep(seconds)
    took_s, used_s = time.perf_counter() - began_at, time.process_time() - before_s
    return router.answered_count - before, used_s, took_s


def measure() -> dict[str, float]:
    """Return what 1,000 workers cost, and medians of tasks through their sockets."""
    result = _beats()
    cases: dict[str, tuple[_Make, int]] = {
        "through_10": (_Product, 10),
        f"through_{WORKER_COUNT}": (_Product, WORKER_COUNT),
        f"bare_{FEW_COUNT}": (BareRouter, FEW_COUNT),
        f"bare_{WORKER_COUNT}": (BareRouter, WORKER_COUNT),
    }
    figures: dict[str, list[float]] = {}
    for _ in range(ROUND_COUNT):
        for name, (make, count) in cases.items():
            for figure, value in uvloop.run(_through(make, count)).items():
                figures.setdefault(f"{name}_{figure}", []).append(value)
    result |= {name: median(values) for name, values in figures.items()}
    many, bare = f"through_{WORKER_COUNT}", f"bare_{WORKER_COUNT}"
    for figure in ("beats_cpu_percent", "per_s", "task_us"):
        result[f"{many}_{figure}_ratio"] = result[f"{many}_{figure}"] / result[f"{bare}_{figure}"]
    few_us, many_us = (result[f"bare_{count}_call_us"] for count in (FEW_COUNT, WORKER_COUNT))
    result["bare_call_more_us"], result["bare_call_ratio"] = many_us - few_us, many_us / few_us
    result["through_task_us_ratio"] = result[f"{many}_task_us"] / result["through_10_task_us"]
    return result
