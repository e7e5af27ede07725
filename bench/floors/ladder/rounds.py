"""What each promise costs at least, beside the floor below them all and the product above.

All arms do the same in each round: a call at a time, then sixteen. The path is that of a task that
does nothing, in a process of its own; the edge is the gateway's part of it, with workers that
answer at once. What a rung costs is told by the processor time of each process for one task, which
is the same whoever else uses the machine, and by its ratios to B and to the echo of the same run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from statistics import median

from bench.bare import fork_rate, loops
from bench.edge import CALL, SLOT_COUNT, WORKER_COUNT, echo
from bench.floors import cluster as floors
from bench.floors.ladder.cluster import NOOP, instant, standing
from bench.floors.ladder.rungs import EDGE, Rung
from bench.floors.rounds import Arm, arm_of, many
from bench.load import percentile
from bench.path import B_MODULES, cluster
from bench.stages import processes
from bench.store import gateway
from bench.workers import simulated

ROUND_COUNT = 4
ROUND_S = 0.4
IN_FLIGHT_COUNT = 16
_WARM_S = 0.3
FLOOR, OURS = "floor", "ours"
TOP = Rung.CONTEXT


def name_of(rung: Rung) -> str:
    """Return by what its figures are known."""
    return rung.name.lower()


@contextmanager
def _arms() -> Iterator[dict[str, dict[str, Arm]]]:
    """Start everything."""
    with ExitStack() as stack:
        enter = stack.enter_context
        whole, bare, ours = enter(gateway()), enter(echo()), enter(cluster())
        workers = enter(simulated(whole.folder / "home", WORKER_COUNT, slots=SLOT_COUNT))
        whole_roles = {"gateway": whole.process.pid, "worker": workers}
        ours.data("noop_bare")
        called = partial(bare.drive, "/scrape", CALL)
        edge = {"echo": Arm(called, {"gateway": bare.process.pid})}
        edge[FLOOR] = arm_of(enter(floors.instant(WORKER_COUNT)))
        path = {FLOOR: arm_of(enter(floors.floor("fork", NOOP)))}
        for rung in Rung:
            path[name_of(rung)] = arm_of(enter(standing(rung)))
            if rung in EDGE:
                edge[name_of(rung)] = arm_of(enter(instant(rung, WORKER_COUNT)))
        edge[OURS] = Arm(partial(whole.drive, "/scrape", CALL), whole_roles)
        roles = processes(ours)
        del roles["template_http"]
        path[OURS] = Arm(partial(ours.drive, "noop_bare"), roles)
        yield {"path": path, "edge": edge}


def measure(round_count: int = ROUND_COUNT, seconds: float = ROUND_S) -> dict[str, float]:
    """Return medians over interleaved rounds, and their ratios to what was measured beside them."""
    figures: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    with _arms() as cases:
        for arms in cases.values():
            for arm in arms.values():
                arm.drive(in_flight=4, seconds=min(_WARM_S, seconds))
        for _ in range(round_count):
            took_s = loops(B_MODULES, 1)[0]
            note("b_p50_ms", median(took_s) * 1e3)
            note("b_p99_ms", percentile(took_s, 99) * 1e3)
            note("b_16_per_s", fork_rate(B_MODULES))
            for case, arms in cases.items():
                for name, arm in arms.items():
                    latencies = arm.drive(in_flight=1, seconds=seconds)
                    note(f"{case}_{name}_p50_ms", median(latencies) * 1e3)
                    note(f"{case}_{name}_p99_ms", percentile(latencies, 99) * 1e3)
                    for figure, value in many(arm, IN_FLIGHT_COUNT, seconds).items():
                        note(f"{case}_{name}_{figure}", value)
        names = {case: [*arms] for case, arms in cases.items()}
    result = {name: median(values) for name, values in figures.items()}
    for case, base in (("path", "b"), ("edge", "edge_echo")):
        for name in names[case]:
            result |= dict(_ratios(result, f"{case}_{name}", base))
        top = name_of(TOP if case == "path" else EDGE[-1])
        ours_us, top_us = (_own_us(result, f"{case}_{name}") for name in (OURS, top))
        result[f"{case}_ours_cpu_ratio_to_ladder"] = ours_us / top_us
    return result


def _own_us(result: dict[str, float], arm: str) -> float:
    """Return what an arm's own processes use for one task."""
    return result[f"{arm}_total_us"] - result[f"{arm}_caller_us"]


def _ratios(result: dict[str, float], arm: str, base: str) -> Iterator[tuple[str, float]]:
    for figure, told in (("p50_ms", "p50"), ("p99_ms", "p99"), ("16_per_s", "rate_16")):
        yield f"{arm}_{told}_ratio", result[f"{arm}_{figure}"] / result[f"{base}_{figure}"]
