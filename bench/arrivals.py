"""Calls that arrive whether or not the ones before are answered: latency at fixed rates, the knee.

A closed loop asks less while the system is slow, and so leaves out the calls that would have
waited longest (coordinated omission). Here each call has a moment at which it is due, evenly
spaced, and its latency counts from then, however late a connection is free for it. The rates are
shares of what a closed loop of 16 has reached in the same run. The knee is the highest of them
that is kept up with, and at whose 99th percentile a call waits no more than ten times what it
takes when there is room.
"""

from __future__ import annotations

from statistics import median

from bench.load import drive_at, percentile
from bench.path import cluster

ROUND_COUNT = 3
ROUND_S = 1.5
CONNECTION_COUNT = 128
SHARES_PERCENT = (25, 50, 70, 80, 90, 100)
_KEPT_UP_SHARE = 0.97
_KNEE_FACTOR = 10.0


def knee(rows: dict[float, tuple[float, float]], calm_p99_s: float) -> float:
    """Return the highest rate per second that is kept up with, 0 when none is.

    Args:
        rows: By the rate that was offered: the rate that was answered, and the 99th percentile
            in seconds.
        calm_p99_s: The 99th percentile when there is room.
    """
    kept = 0.0
    for offered, (answered, p99_s) in sorted(rows.items()):
        if answered < _KEPT_UP_SHARE * offered or p99_s > _KNEE_FACTOR * calm_p99_s:
            break
        kept = offered
    return kept


def measure() -> dict[str, float]:
    """Return medians over rounds at each rate, in ms, and the knee in calls per second."""
    figures: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    with cluster() as running:
        running.drive("noop_bare", in_flight=4, seconds=1.0)  # warm
        for _ in range(ROUND_COUNT):
            closed_per_s = len(running.drive("noop_bare", in_flight=16, seconds=ROUND_S)) / ROUND_S
            note("closed_loop_per_s", closed_per_s)
            rows: dict[float, tuple[float, float]] = {}
            for share in SHARES_PERCENT:
                offered = closed_per_s * share / 100
                latencies, answered = drive_at(
                    *running.address,
                    running.request("noop_bare"),
                    rate_per_s=offered,
                    seconds=ROUND_S,
                    connection_count=CONNECTION_COUNT,
                )
                rows[offered] = (answered, percentile(latencies, 99))
                note(f"at_{share}_percent_p50_ms", median(latencies) * 1e3)
                note(f"at_{share}_percent_p99_ms", rows[offered][1] * 1e3)
            calm_p99_s = rows[closed_per_s * SHARES_PERCENT[0] / 100][1]
            note("knee_per_s", knee(rows, calm_p99_s))
    result = {name: median(values) for name, values in figures.items()}
    result["knee_ratio"] = result["knee_per_s"] / result["closed_loop_per_s"]
    return result
