"""Peers and zscrape on the same work, in one run: submit a task that does nothing, get its result.

`python -m bench peers`. Each system has an environment of its own, made by the harness, two
workers or slots, and is called by the client library that it comes with; ours is called by HTTP.
Rounds are interleaved: each starts one system after the other, calls it one at a time and then
with 16 in flight, and ends it. What a system cannot be measured for is said, with the reason.
"""

from __future__ import annotations

import json
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from bench.bare import fork_rate, loops
from bench.load import percentile
from bench.path import B_MODULES, SLOT_COUNT, Script, cluster
from bench.peers import goals, scrapy_peers, services
from bench.peers.environments import Unavailable, python_with, versions
from bench.peers.scrapy_peers import System

ROUND_COUNT = 3
PHASE_S = 1.5
IN_FLIGHT_COUNT = 16


class Peer(NamedTuple):
    """A system: its packages, and what it does with a task."""

    packages: tuple[str, ...]
    app: str
    isolation: str
    needs_redis: bool = True


class Figures(NamedTuple):
    """What one round of one system has shown."""

    p50_ms: float
    p99_ms: float
    per_s: float
    cpu_ms: float
    idle_mb: float


PEERS = {
    "Celery, prefork, Redis": Peer(("celery[redis]",), "celery_app", "none: processes are reused"),
    "RQ, fork per job": Peer(("rq",), "rq_app", "a fork per task, no limits"),
    "Dramatiq, Redis": Peer(("dramatiq[redis]",), "dramatiq_app", "none: processes are reused"),
    "arq, polls every 5 ms": Peer(("arq",), "arq_app", "none: one process, many tasks"),
    "Taskiq, Redis list": Peer(("taskiq", "taskiq-redis"), "taskiq_app", "none: reused"),
    "Huey, Redis": Peer(("huey", "redis"), "huey_app", "none: processes are reused"),
    "Dask.distributed": Peer(("distributed",), "dask_app", "none: processes are reused", False),
    "ipyparallel": Peer(("ipyparallel",), "ipyparallel_app", "none: engines are reused", False),
    "multiprocessing.Pool, a task per child": Peer(
        (), "pool_app", "a fork per task, no limits", False
    ),
}
_NOOP = "def run():\n    return None\n"
OURS = {
    goals.KIT: (Script(_NOOP, {"kit": ["http"]}), "a fresh process, all layers"),
    goals.LEAN: (Script(_NOOP, {"kit": []}), "a fresh process, all layers"),
    goals.REUSED: (
        Script(_NOOP, {"kit": [], "reuse": 1000}),
        "all layers, a process per 1,000 tasks",
    ),
}


def peer_round(peer: Peer) -> Figures:
    """Start a peer, call it, end it.

    Raises:
        Unavailable: It cannot be had here.
    """
    python = python_with(peer.app.removesuffix("_app"), peer.packages)
    with tempfile.TemporaryDirectory() as folder:
        if not peer.needs_redis:
            return _driven(python, peer.app, "", [])
        with (
            services.redis(Path(folder)) as (url, redis_pid),
            services.workers(python, peer.app, url) as pids,
        ):
            return _driven(python, peer.app, url, [redis_pid, *pids])


def _driven(python: Path, app: str, redis_url: str, pids: list[int]) -> Figures:
    command = [str(python), "drive.py", app, str(PHASE_S)]
    with services.process(command, {"REDIS": redis_url}, is_talking=True) as driver:
        assert driver.stdin is not None
        assert driver.stdout is not None
        if driver.stdout.readline() != "ready\n":
            raise Unavailable(f"{app} could not be loaded")
        before_s = services.used_s(pids)
        driver.stdin.write("\n")
        driver.stdin.flush()
        told = driver.stdout.readline()
        if not told:
            raise Unavailable(f"{app} ended without an answer")
        latencies, count, took_s, driver_cpu_s = json.loads(told)
        cpu_s = services.used_s(pids) - before_s if pids else services.used_s([driver.pid])
        task_count = len(latencies) + count
        # Afterwards: by then all that a peer has is there. The client starts some of them.
        idle_bytes = services.proportional_bytes(pids or [driver.pid])
        driver.stdin.write("\n")
        driver.stdin.flush()
        driver.wait(30)
    cpu_ms = (cpu_s + (driver_cpu_s if pids else 0.0)) / task_count * 1e3
    return _figures(latencies, count / took_s, cpu_ms, idle_bytes / 1e6)


def _figures(latencies: list[float], per_s: float, cpu_ms: float, idle_mb: float) -> Figures:
    p50_ms, p99_ms = median(latencies) * 1e3, percentile(latencies, 99) * 1e3
    return Figures(p50_ms, p99_ms, per_s, cpu_ms, idle_mb)


def our_round(script: Script) -> Figures:
    """Start a gateway and a worker, call a script by HTTP, end them."""
    with cluster({"own": script}) as running:
        running.drive("own", in_flight=4, seconds=1.0)  # warm
        pids = [running.gateway_pid, running.worker_pid]
        idle_mb = services.proportional_bytes(pids) / 1e6
        before_s, began_s = services.used_s(pids), time.process_time()
        latencies = running.drive("own", in_flight=1, seconds=PHASE_S)
        many = running.drive("own", in_flight=IN_FLIGHT_COUNT, seconds=PHASE_S)
        cpu_s = services.used_s(pids) - before_s + time.process_time() - began_s
    cpu_ms = cpu_s / (len(latencies) + len(many)) * 1e3
    return _figures(latencies, len(many) / PHASE_S, cpu_ms, idle_mb)


def bare_round(modules: list[str]) -> Figures:
    """Fork, leave and wait, in a process that does nothing else."""
    per_s = fork_rate(modules)
    return _figures(loops(modules, 1)[0], per_s, 2e3 / per_s, 0.0)


def measure(console: Console, only: list[str]) -> dict[str, float]:
    """Run every system in turns; print the table, and return the figures by system.

    Args:
        console: Where to.
        only: Parts of names; with any, systems without one of them are left out.
    """
    rounds: dict[str, list[Figures]] = {}
    systems = _systems()
    if only:
        systems = {name: run for name, run in systems.items() if any(part in name for part in only)}
    missing: dict[str, str] = {}
    for number in range(ROUND_COUNT):
        for name, system in systems.items():
            if name in missing:
                continue
            console.print(f"round {number + 1} of {ROUND_COUNT}: {name}", style="dim")
            try:
                rounds.setdefault(name, []).append(Figures(*system.run()))
            except Unavailable as error:
                missing[name] = str(error)
    for name, reason in missing.items():
        console.print(f"skipped: {name}: {reason}", style="yellow")
    _print(console, rounds, systems)
    medians = {
        f"{name}.{field}": median(getattr(each, field) for each in figures)
        for name, figures in rounds.items()
        for field in Figures._fields
    }
    _print_goals(console, goals.standings(medians))
    return medians


def _systems() -> dict[str, System]:
    """Return all of them, ours before the others."""
    return {
        goals.B: System(partial(bare_round, B_MODULES), "a fork, nothing else"),
        "A: bare fork, lean": System(partial(bare_round, []), "a fork, nothing else"),
        **{name: System(partial(our_round, script), own) for name, (script, own) in OURS.items()},
        **{name: System(partial(peer_round, peer), peer.isolation) for name, peer in PEERS.items()},
        **scrapy_peers.SYSTEMS,
    }


def _print(console: Console, rounds: dict[str, list[Figures]], systems: dict[str, System]) -> None:
    title = f"medians of {ROUND_COUNT} interleaved rounds; spread of the rounds in brackets"
    table = Table("system", "a task's own", "p50 ms", "p99 ms", "16 in flight /s", title=title)
    table.add_column("CPU ms/task")
    table.add_column("idle MB (PSS)")
    for name, figures in rounds.items():
        p50s, rates = [each.p50_ms for each in figures], [each.per_s for each in figures]
        table.add_row(
            name,
            systems[name].isolation,
            f"{median(p50s):.2f} ({min(p50s):.2f}-{max(p50s):.2f})",
            f"{median(each.p99_ms for each in figures):.2f}",
            f"{median(rates):,.0f} ({min(rates):,.0f}-{max(rates):,.0f})",
            f"{median(each.cpu_ms for each in figures):.2f}",
            f"{median(each.idle_mb for each in figures):.0f}",
        )
    console.print(table)
    for name, peer in PEERS.items():
        if name in rounds and peer.packages:
            python = python_with(peer.app.removesuffix("_app"), peer.packages)
            console.print(f"{name}: {versions(python, peer.packages)}", style="dim")
    console.print(f"two workers or slots each, ours {SLOT_COUNT}; ours are called by HTTP")


def _print_goals(console: Console, standings: list[goals.Standing]) -> None:
    table = Table("ours", "beside", "figure", "ratio", "goal", "", title="ratios of the medians")
    for goal, ratio, is_reached in standings:
        told = "[green]reached[/]" if is_reached else "[red]missed[/]"
        sign = ">=" if goal.field == "per_s" else "<="
        limit = f"{sign} {goal.limit:.3g}"
        table.add_row(goal.ours, goal.peer, goal.field, f"{ratio:.3g}", limit, told)
    console.print(table)
