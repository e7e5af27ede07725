"""The nineteen goals of speed, where we stand, and how far anybody could come.

    python -m bench goals RUN.json [PEERS.json]

RUN is what `python -m bench --json` has written, PEERS what `python -m bench peers --json` has.
A floor is what the smallest program of the same libraries reaches at the same work in the same run
(`bench.floors`), the ladder what the least code does that keeps all of our promises
(`bench.floors.ladder`). Beside a peer, which another run has measured, each of the two is our ratio
to that peer, times its own to ours.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from bench.peers.goals import LEAN, PAGE, REUSED, B, standings

Goals = Mapping[str, tuple[float, bool]]
_WIDTH = 150
# number, what, figure of ours
_OWN = (
    (1, "p50 of a task, in that of B", "path.bare_p50_ratio_to_b"),
    (2, "its p99, in that of B", "path.bare_p99_ratio_to_b"),
    (3, "rate at 16, in B's", "path.bare_rate_ratio_16_to_b"),
    (3, "rate at 64, in B's", "path.bare_rate_ratio_64_to_b"),
    (9, "p50 with all layers, in that without", "layers.p50_ratio"),
    (9, "rate with all layers, in that without", "layers.rate_ratio"),
    (11, "edge: rate at 16, in an echo's", "edge.rate_ratio"),
    (11, "edge: p50, in an echo's", "edge.p50_ratio"),
    (12, "dispatcher: lives per second", "dispatcher.lives_per_s_10_workers"),
    (12, "dispatcher: share of it with 1,000 workers", "dispatcher.share_1000_workers"),
    (12, "dispatcher: share of it with 10,000 blocked", "dispatcher.share_blocked"),
    (12, "tasks per second by 1,000 sockets", "fleet.through_1000_per_s"),
    (13, "1,000 workers that beat: % of a core", "fleet.beating_cpu_percent"),
    (13, "1,000 workers that beat: MB", "fleet.beating_mb"),
    (14, "10 KB, in the time of nothing", "payload.10_kb_ratio"),
    (14, "1 MB, ms", "payload.1_mb_p50_ms"),
    (15, "durable submits per second, in batches", "store.batch_per_s"),
    (15, "durable submits per second, single", "store.single_per_s"),
    (15, "rate of calls with the store, in that without", "store.scrape_rate_ratio"),
    (16, "encryption: microseconds of a task", "link.curve_added_us"),
    (16, "bare messages with encryption, in those without", "link.curve_ratio"),
    (17, "idle, MB: gateway, worker, template, spares", "idle.up_at_rest_pss_mb"),
    (17, "one more spare, MB", "idle.up_template_bare_spare_mb"),
    (17, "one more spare with the kit, MB", "idle.up_template_http_spare_mb"),
    (18, "command line, ms", "starts.cli_ms"),
    (18, "`zscrape up`, s", "starts.up_s"),
    (18, "first call of a script, ms", "starts.first_call_ms"),
    (19, "processor time of a task, 64 in flight to 16", "stages.cpu_ratio_64_to_16"),
    (19, "the same at the edge, 256 to 16", "edge.cpu_256_to_16"),
    (19, "the same, 1,000 workers to 4", "fleet.call_ratio"),
)
# by the figure of ours
_FLOORS = {
    "path.bare_p50_ratio_to_b": "floors.path_floor_p50_ratio_to_b",
    "path.bare_p99_ratio_to_b": "floors.path_floor_p99_ratio_to_b",
    "path.bare_rate_ratio_16_to_b": "floors.path_floor_rate_16_ratio_to_b",
    "path.bare_rate_ratio_64_to_b": "floors.path_floor_rate_64_ratio_to_b",
    "edge.rate_ratio": "floors.edge_floor_rate_16_ratio_to_echo",
    "edge.p50_ratio": "floors.edge_floor_p50_ratio_to_echo",
    "fleet.through_1000_per_s": "fleet.bare_1000_per_s",
    "fleet.call_ratio": "fleet.bare_call_ratio",
    "fleet.beating_cpu_percent": "fleet.bare_1000_beats_cpu_percent",
    "payload.1_mb_p50_ms": "floors.large_floor_p50_ms",
    "store.batch_per_s": "store.bare_batch_per_s",
    "store.single_per_s": "store.bare_single_per_s",
    "starts.cli_ms": "starts.python_ms",
}
# by the figure of ours
_LADDERS = {
    "path.bare_p50_ratio_to_b": "ladder.path_context_p50_ratio",
    "path.bare_p99_ratio_to_b": "ladder.path_context_p99_ratio",
    "path.bare_rate_ratio_16_to_b": "ladder.path_context_rate_16_ratio",
    "edge.rate_ratio": "ladder.edge_door_rate_16_ratio",
    "edge.p50_ratio": "ladder.edge_door_p50_ratio",
}
# of what is held to peers: the case that does its work
_CASES = {LEAN: "path", PAGE: "page", REUSED: "reuse"}


class Line(NamedTuple):
    """A goal; what is None has not been measured."""

    number: int
    what: str
    limit: float
    is_more_better: bool
    ours: float | None
    floor: float | None
    ladder: float | None

    def is_reached_by(self, value: float) -> bool:
        """True iff a figure is good enough."""
        return value >= self.limit if self.is_more_better else value <= self.limit

    @property
    def verdict(self) -> str:
        """Reached or missed, and whether the floor and the ladder do better."""
        if self.ours is None:
            return "not measured"
        if self.is_reached_by(self.ours):
            return "reached"
        for told, who in ((self.floor, "floor"), (self.ladder, "ladder")):
            if told is not None and not self.is_reached_by(told):
                return f"missed, as the {who} does"
        return "missed"


def lines(run: Mapping[str, float], peers: Mapping[str, float], goals: Goals) -> list[Line]:
    """Return where we stand, in the order of the goals' numbers."""
    found = [
        Line(
            *(number, what, *goals[ours], run.get(ours)),
            floor=run.get(_FLOORS.get(ours, "")),
            ladder=run.get(_LADDERS.get(ours, "")),
        )
        for number, what, ours in _OWN
    ]
    return sorted([*found, *_beside_peers(run, peers)], key=lambda line: line.number)


def _beside_peers(run: Mapping[str, float], peers: Mapping[str, float]) -> Iterator[Line]:
    for goal, ratio, _is_reached in standings(peers):
        if goal.peer == B:  # which is in the run itself
            continue
        is_rate = goal.field == "per_s"
        figure, case = "rate_16" if is_rate else "p50", _CASES.get(goal.ours, "")
        to_floor = run.get(f"floors.{case}_ours_{figure}_ratio_to_floor")
        to_ladder = run.get(f"ladder.{case}_ours_{figure}_ratio_to_ladder")
        yield Line(
            goal.number,
            f"{goal.ours}: {'rate' if is_rate else 'p50'}, in that of {goal.peer}",
            goal.limit,
            is_rate,
            ratio,
            floor=ratio / to_floor if to_floor else None,
            ladder=ratio / to_ladder if to_ladder else None,
        )


def main(arguments: list[str], goals: Goals) -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench goals", description=__doc__)
    parser.add_argument("run", type=Path, help="figures of the bench")
    parser.add_argument("peers", type=Path, nargs="?", help="figures of the peers")
    asked = parser.parse_args(arguments)
    try:
        run = json.loads(asked.run.read_text())["figures"]
        peers = json.loads(asked.peers.read_text())["figures"] if asked.peers else {}
    except (OSError, ValueError, KeyError) as error:
        sys.stderr.write(f"no figures of a bench: {error!r}\n")
        return 2
    table = Table("#", "what", "wanted", "ours", "floor", "ladder", "", title="the goals of speed")
    for line in lines(run, peers, goals):
        sign = ">=" if line.is_more_better else "<="
        figures = (_told(line.ours), _told(line.floor), _told(line.ladder))
        table.add_row(
            str(line.number), line.what, f"{sign} {_told(line.limit)}", *figures, line.verdict
        )
    Console(width=_WIDTH).print(table)
    return 0


def _told(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"
