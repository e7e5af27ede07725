"""Where the processor time of one task goes: microseconds by process and stage.

Wall time means little on a machine that others use too; what each process has used is told
by the kernel, whoever else runs. Calls of a no-op script are kept open, and for each process
of the cluster the difference is taken: of its main thread and of the rest (libzmq's), of the
page faults, and, for children, of all that their template has waited for. What a child uses
before its attempt is read off a spare that waits. Beside it a process that has imported the
same and only forks: B of the goals has `threading` and `logging` in 14 MB.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.path import KITS, Cluster, cluster

ROUND_COUNT = 5
ROUND_S = 1.2
IN_FLIGHT_COUNT = 16
MANY_COUNT = 64  # a task must not cost more because others wait
_TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")
# Fields of /proc/PID/stat behind the name: see proc(5).
_MINOR, _MINOR_OF_CHILDREN, _USER_OF_CHILDREN, _SYSTEM_OF_CHILDREN = 7, 8, 13, 14
_SETTLE_S = 0.5
# B: what every system that gives each task a fresh process of this size must pay.
_BARE = """
import json, logging, os, resource, sys, threading
block = bytearray(int(sys.argv[1]))
block[::4096] = b"x" * len(block[::4096])
import gc
gc.collect(); gc.freeze(); gc.disable()
for _ in range(int(sys.argv[2])):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
own, ended = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([own[0] + own[1], ended[0] + ended[1]]))
"""


class Used(NamedTuple):
    """What one process has used so far."""

    main_us: float
    threads_us: float
    faults_count: float
    children_us: float
    children_faults_count: float

    def since(self, before: Used) -> Used:
        """Return what it has used since then."""
        return Used(*(now - then for now, then in zip(self, before, strict=True)))


def used(pid: int) -> Used:
    """Return what a process has used until now."""
    tasks = {
        int(path.name): int((path / "schedstat").read_text().split()[0]) / 1e3
        for path in Path(f"/proc/{pid}/task").iterdir()
    }
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    ticks = int(words[_USER_OF_CHILDREN]) + int(words[_SYSTEM_OF_CHILDREN])
    main_us = tasks.pop(pid)
    return Used(
        main_us,
        sum(tasks.values()),
        int(words[_MINOR]),
        ticks * _TICK_US,
        int(words[_MINOR_OF_CHILDREN]),
    )


def below(pid: int) -> Iterator[int]:
    for path in Path(f"/proc/{pid}/task").iterdir():
        for word in (path / "children").read_text().split():
            yield int(word)


def _command(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def processes(running: Cluster) -> dict[str, int]:
    """Return the processes of a cluster by what they do; templates as `template_KIT`."""
    return processes_of(running.gateway_pid, running.worker_pid)


def processes_of(gateway_pid: int, worker_pid: int) -> dict[str, int]:
    """Return a gateway, a worker and what is below it, by what they do."""
    found = {"gateway": gateway_pid, "worker": worker_pid}
    for pid in below(worker_pid):
        words = _command(pid)
        if "template" in words:
            kit = words[words.index("template") + 4]
            found[f"template_{kit or 'bare'}"] = pid
        elif any("supervisor" in word for word in words):
            found["supervisor"] = pid
    return found


def _ahead(template_pid: int) -> tuple[float, float]:
    """Return what a spare has used that waits, and its page faults: medians of those there are."""
    waiting = [used(pid) for pid in below(template_pid)]
    return (
        median(each.main_us for each in waiting),
        median(each.faults_count for each in waiting),
    )


def _held_mb(pid: int, *kinds: str) -> float:
    """Return what a process holds of some kinds, as `smaps_rollup` names them."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(each.split()[1]) for each in lines if each.startswith(kinds)) / 1000


def each_held_mb(pids: Iterable[int], *kinds: str) -> Iterator[float]:
    """Return what each holds that has not ended meanwhile."""
    for pid in pids:
        with suppress(ProcessLookupError, FileNotFoundError):
            yield _held_mb(pid, *kinds)


def held_mb(named: dict[str, int]) -> dict[str, float]:
    """Return what processes hold while nothing runs, and what one more spare would add."""
    told: dict[str, float] = {}
    for name, pid in named.items():
        told[f"{name}_pss_mb"] = _held_mb(pid, "Pss:")
        if name.startswith("template_"):
            spares = list(below(pid))
            told[f"{name}_pss_mb"] += sum(each_held_mb(spares, "Pss:"))
            told[f"{name}_spare_mb"] = median(
                each_held_mb(spares, "Private_Dirty:", "Private_Clean:")
            )
    told["pss_mb"] = sum(value for name, value in told.items() if name.endswith("_pss_mb"))
    return told


def bare_us(mb: int, count: int = 400) -> tuple[float, float]:
    """Return the processor time of one fork, parent's and child's, of a process of this size."""
    command = [sys.executable, "-I", "-c", _BARE, str(mb * 1_000_000), str(count)]
    told = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    own_s, ended_s = told.strip("[]\n ").split(",")
    return float(own_s) * 1e6 / count, float(ended_s) * 1e6 / count


def _round(running: Cluster, kit: str, in_flight: int, seconds: float) -> dict[str, float]:
    pids = processes(running)
    template = f"template_{kit}"
    roles = {name: pid for name, pid in pids.items() if name[:9] != "template_" or name == template}
    before = {name: used(pid) for name, pid in roles.items()}
    count = len(running.drive(f"noop_{kit}", in_flight=in_flight, seconds=seconds))
    time.sleep(_SETTLE_S)  # what has been asked last is over, and spares are there again
    count += in_flight  # whose answers nobody has waited for
    spent = {name: used(pid).since(before[name]) for name, pid in roles.items()}
    told: dict[str, float] = {}
    for name, each in spent.items():
        role = name.partition("_")[0]
        told[f"{role}_us"] = each.main_us / count
        told[f"{role}_faults"] = each.faults_count / count
        if role in ("gateway", "worker"):
            told[f"{role}_threads_us"] = each.threads_us / count
    child_us = spent[template].children_us / count
    ahead_us, ahead_faults = _ahead(pids[template])
    told["child_ahead_us"] = ahead_us
    told["child_run_and_exit_us"] = child_us - ahead_us
    told["child_ahead_faults"] = ahead_faults
    told["child_faults"] = spent[template].children_faults_count / count
    parts = ("gateway", "gateway_threads", "worker", "worker_threads", "supervisor", "template")
    told["total_us"] = child_us + sum(told.get(f"{part}_us", 0.0) for part in parts)
    return told


def measure(
    round_count: int = ROUND_COUNT, seconds: float = ROUND_S, in_flight: int = IN_FLIGHT_COUNT
) -> dict[str, float]:
    """Return medians over interleaved rounds, for each kit, and those of bare forks."""
    figures: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    with cluster() as running:
        for kit in KITS:
            running.drive(f"noop_{kit}", in_flight=in_flight, seconds=1.0)  # warm
        for _ in range(round_count):
            parent_us, child_us = bare_us(0)
            note("fork_parent_us", parent_us)
            note("fork_child_us", child_us)
            for kit in KITS:
                for name, value in _round(running, kit, in_flight, seconds).items():
                    note(f"{kit}_{name}", value)
            many = _round(running, "bare", MANY_COUNT, seconds)
            note(f"bare_total_us_{MANY_COUNT}", many["total_us"])
        idle = {f"idle_{name}": mb for name, mb in held_mb(processes(running)).items()}
    result = {name: median(values) for name, values in figures.items()} | idle
    fork_us = result["fork_parent_us"] + result["fork_child_us"]
    for kit in KITS:
        result[f"{kit}_total_ratio"] = result[f"{kit}_total_us"] / fork_us
    result["cpu_ratio_64_to_16"] = result[f"bare_total_us_{MANY_COUNT}"] / result["bare_total_us"]
    return result
