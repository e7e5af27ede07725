"""What all layers of isolation cost the whole path: calls with them, in turns with calls without.

Two clusters of the same code, one of them without every layer that can be left out. The machine
moves by more than the layers cost, so the rounds are short and many, what is compared are the two
halves of each round, and every other round begins with the other half.
"""

from __future__ import annotations

import time
from statistics import median

from bench.path import Cluster, cluster
from bench.stages import processes, used
from zscrape.model import SKIPPABLE_LAYERS

ROUND_COUNT = 20
ROUND_S = 0.4
IN_FLIGHT_COUNT = 16
_WARM_S = 1.0
_SETTLE_S = 0.2
_SCRIPT = "noop_bare"
_WITHOUT = {"ZSCRAPE_ISOLATION_SKIP": ",".join(SKIPPABLE_LAYERS)}


def _cpu_us(running: Cluster) -> float:
    """Return what the processes of a cluster and the children that have ended have used so far."""
    found = [used(pid) for pid in processes(running).values()]
    return sum(each.main_us + each.threads_us + each.children_us for each in found)


def _half(running: Cluster) -> dict[str, float]:
    latencies = running.drive(_SCRIPT, in_flight=1, seconds=ROUND_S)
    before_us = _cpu_us(running)
    count = len(running.drive(_SCRIPT, in_flight=IN_FLIGHT_COUNT, seconds=ROUND_S))
    time.sleep(_SETTLE_S)  # what was asked last is over
    cpu_us = (_cpu_us(running) - before_us) / (count + IN_FLIGHT_COUNT)
    return {"p50": median(latencies), "rate": count / ROUND_S, "cpu": cpu_us}


def measure() -> dict[str, float]:
    """Return the medians of the rounds' ratios, and how far the middle half of them lies apart."""
    ratios: dict[str, list[float]] = {"p50": [], "rate": [], "cpu": []}
    with cluster() as whole, cluster({}, _WITHOUT) as none:
        for running in (whole, none):
            running.drive(_SCRIPT, in_flight=4, seconds=_WARM_S)
        for number in range(ROUND_COUNT):
            order = (whole, none) if number % 2 else (none, whole)
            halves = {id(running): _half(running) for running in order}
            for name, told in ratios.items():
                told.append(halves[id(whole)][name] / halves[id(none)][name])
    result = {f"{name}_ratio": median(told) for name, told in ratios.items()}
    for name, told in ratios.items():
        ordered = sorted(told)
        result[f"{name}_spread"] = ordered[-(len(told) // 4) - 1] - ordered[len(told) // 4]
    return result
