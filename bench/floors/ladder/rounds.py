"""What each promise costs at least, beside the floor below them all and the product above.

All arms do the same in each round: a call at a time, then sixteen. The edge is the gateway's part,
with workers that answer at once. The path is that of a task that does nothing, in a process of its
own: by the first rung, by the last that is the gateway's, and by all above that. With reuse a
process runs many such tasks, one after the other; there it is the last rung alone. What a rung
costs is told by the processor time of each process for one task, which is the same whoever else
uses the machine, and by its ratios to B and to the echo of the same run. Ratios are medians of
those of the rounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from bench.path import B_MODULES, Script, cluster
from bench.stages import processes
from bench.store import gateway
from bench.workers import simulated

ROUND_COUNT = 5
ROUND_S = 0.35
IN_FLIGHT_COUNT = 16
_WARM_S = 0.3
_REUSE = {"reuse": 1000}  # as of the peers' run
FLOOR, OURS = "floor", "ours"
TOP = Rung.CONTEXT
_PATH = (Rung.HTTP, *tuple(Rung)[len(EDGE) - 1 :])


def name_of(rung: Rung) -> str:
    """Return by what its figures are known."""
    return rung.name.lower()


@contextmanager
def _arms() -> Iterator[dict[str, dict[str, Arm]]]:
    """Start everything."""
    with ExitStack() as stack:
        enter = stack.enter_context
        reused = {"reused": Script(NOOP, {"kit": [], **_REUSE})}
        whole, bare, ours = enter(gateway()), enter(echo()), enter(cluster(reused))
        workers = enter(simulated(whole.folder / "home", WORKER_COUNT, slots=SLOT_COUNT))
        whole_roles = {"gateway": whole.process.pid, "worker": workers}
        for script in ("noop_bare", "reused"):
            ours.data(script)  # its template begins with it
        called = partial(bare.drive, "/scrape", CALL)
        edge = {"echo": Arm(called, {"gateway": bare.process.pid})}
        edge[FLOOR] = arm_of(enter(floors.instant(WORKER_COUNT)))
        path = {FLOOR: arm_of(enter(floors.floor("fork", NOOP)))}
        edge |= {name_of(rung): arm_of(enter(instant(rung, WORKER_COUNT))) for rung in EDGE}
        path |= {name_of(rung): arm_of(enter(standing(rung))) for rung in _PATH}
        edge[OURS] = Arm(partial(whole.drive, "/scrape", CALL), whole_roles)
        roles = processes(ours)
        del roles["template_http"]
        path[OURS] = Arm(partial(ours.drive, "noop_bare"), roles)
        reuse = {
            FLOOR: arm_of(enter(floors.floor("reuse", NOOP))),
            name_of(TOP): arm_of(enter(standing(TOP, manifest=_REUSE))),
            OURS: Arm(partial(ours.drive, "reused"), roles),
        }
        yield {"path": path, "reuse": reuse, "edge": edge}


def measure(round_count: int = ROUND_COUNT, seconds: float = ROUND_S) -> dict[str, float]:
    """Return medians over interleaved rounds, and of ratios to what was measured beside them."""
    figures: dict[str, list[float]] = {}
    with _arms() as cases:
        for arms in cases.values():
            for arm in arms.values():
                arm.drive(in_flight=4, seconds=min(_WARM_S, seconds))
        for _ in range(round_count):
            for name, value in _round(cases, seconds):
                figures.setdefault(name, []).append(value)
        names = {case: [*arms] for case, arms in cases.items()}
    result = {name: median(values) for name, values in figures.items()}
    for case, base in (("path", "b"), ("edge", "edge_echo")):
        for name in names[case]:
            result |= _ratios(figures, f"{case}_{name}", base, "ratio")
    for case in names:
        top = f"{case}_{name_of(EDGE[-1] if case == 'edge' else TOP)}"
        result |= _ratios(figures, f"{case}_{OURS}", top, "ratio_to_ladder")
        result[f"{case}_ours_cpu_ratio_to_ladder"] = _ratio(
            figures, f"{case}_{OURS}_own_us", f"{top}_own_us"
        )
    return result


def _round(cases: Mapping[str, Mapping[str, Arm]], seconds: float) -> Iterator[tuple[str, float]]:
    took_s = loops(B_MODULES, 1)[0]
    yield "b_p50_ms", median(took_s) * 1e3
    yield "b_p99_ms", percentile(took_s, 99) * 1e3
    yield "b_16_per_s", fork_rate(B_MODULES)
    for case, arms in cases.items():
        for name, arm in arms.items():
            prefix = f"{case}_{name}"
            latencies = arm.drive(in_flight=1, seconds=seconds)
            yield f"{prefix}_p50_ms", median(latencies) * 1e3
            yield f"{prefix}_p99_ms", percentile(latencies, 99) * 1e3
            told = many(arm, IN_FLIGHT_COUNT, seconds)
            yield from ((f"{prefix}_{figure}", value) for figure, value in told.items())
            yield f"{prefix}_own_us", told["total_us"] - told["caller_us"]


def _ratios(figures: Mapping[str, list[float]], arm: str, base: str, word: str) -> dict[str, float]:
    """Return an arm's times and rate in those of a base."""
    named = {"p50": "p50_ms", "p99": "p99_ms", "rate_16": "16_per_s"}
    return {
        f"{arm}_{told}_{word}": _ratio(figures, f"{arm}_{figure}", f"{base}_{figure}")
        for told, figure in named.items()
    }


def _ratio(figures: Mapping[str, list[float]], above: str, below: str) -> float:
    return median(a / b for a, b in zip(figures[above], figures[below], strict=True))
