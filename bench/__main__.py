"""One command for every figure: `python -m bench [--json FILE] [--only NAME ...]`.

`python -m bench compare STORED NEW` holds a run to an earlier one, by ratios. `python -m bench
peers` runs other systems on the same work beside ours, each in an environment of its own that it
makes. `python -m bench goals RUN [PEERS]` tells of both where we stand, goal by goal. `python -m
bench soak` is another thing: faults for ten minutes, and exact books at the end.

Each part measures its own baseline in the same run, interleaved; only ratios mean anything
on a machine that is shared. The goals are those that the project has set itself.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import (
    arrivals,
    batch,
    browser,
    compare,
    connections,
    dashboard,
    dispatcher,
    edge,
    environments,
    fleet,
    goals,
    http,
    idle,
    isolation,
    items,
    layers,
    link,
    path,
    payload,
    schedules,
    scripts,
    slots,
    soak,
    stages,
    starts,
    store,
    supervision,
)
from bench.floors import rounds as floors
from bench.floors.ladder import rounds as ladder

PARTS: dict[str, Callable[[], dict[str, float]]] = {
    "dispatcher": dispatcher.measure,
    "edge": edge.measure,
    "connections": connections.measure,
    "fleet": fleet.measure,
    "slots": slots.measure,
    "isolation": isolation.measure,
    "supervision": supervision.measure,
    "link": link.measure,
    "layers": layers.measure,
    "path": path.measure,
    "floors": floors.measure,
    "ladder": ladder.measure,
    "stages": stages.measure,
    "idle": idle.measure,
    "arrivals": arrivals.measure,
    "payload": payload.measure,
    "items": items.measure,
    "starts": starts.measure,
    "batch": batch.measure,
    "browser": browser.measure,
    "dashboard": dashboard.measure,
    "scripts": scripts.measure,
    "environments": environments.measure,
    "http": http.measure,
    "store": store.measure,
    "schedules": schedules.measure,
}
# Which is measured only by name: all the others together are to take less than 15 minutes.
ONLY_BY_NAME = frozenset({"ladder"})
# figure -> (goal, whether more is better)
GOALS: dict[str, tuple[float, bool]] = {
    "dispatcher.lives_per_s_10_workers": (30_000, True),
    "dispatcher.share_1000_workers": (0.80, True),
    "dispatcher.share_blocked": (0.80, True),
    "edge.rate_ratio": (0.7, True),
    "edge.p50_ratio": (2.7, False),
    "edge.cpu_256_to_16": (1.1, False),
    "fleet.through_1000_per_s": (20_000, True),
    "fleet.through_1000_beats_cpu_percent_ratio": (1.4, False),
    "fleet.beating_cpu_percent": (2.5, False),
    "fleet.beating_mb": (80, False),
    "fleet.call_ratio": (1.1, False),
    "isolation.added_p50_us": (400, False),
    "isolation.added_cpu_us": (1500, False),
    # A tenth of a task at 1,000 tasks a second: what encryption may cost the whole path.
    "link.curve_added_us": (100, False),
    "link.curve_ratio": (0.9, True),
    "path.bare_p50_ratio_to_b": (1.0, False),
    "path.bare_p99_ratio_to_b": (1.5, False),
    "path.bare_rate_ratio_16_to_b": (0.8, True),
    "path.bare_rate_ratio_64_to_b": (0.8, True),
    "layers.p50_ratio": (1.05, False),
    "layers.rate_ratio": (0.95, True),
    "layers.cpu_ratio": (1.05, False),
    "path.http_p50_ratio": (2.0, False),
    "path.bare_p50_ratio": (2.0, False),
    "path.http_rate_ratio_16": (0.45, True),
    "path.bare_rate_ratio_16": (0.45, True),
    "stages.cpu_ratio_64_to_16": (1.1, False),
    "stages.idle_pss_mb": (60, False),
    "payload.10_kb_ratio": (1.15, False),
    "payload.1_mb_p50_ms": (12, False),
    "idle.up_at_rest_pss_mb": (60, False),
    "idle.up_template_bare_spare_mb": (2.5, False),
    "idle.up_template_http_spare_mb": (2.5, False),
    "starts.cli_ms": (150, False),
    "starts.up_s": (1.0, False),
    "starts.first_call_ms": (300, False),
    "batch.rate_ratio": (0.8, True),
    # Beside Chromium's own start and the page's load: ours around it, and with one that waits.
    "browser.cold_ratio": (1.3, False),
    "browser.warm_ratio": (0.5, False),
    "dashboard.first_paint_ms": (1_000, False),
    "dashboard.first_visit_kb": (300, False),
    "dashboard.event_p50_ms": (100, False),
    "dashboard.streams_share": (0.90, True),
    "scripts.ensure_us": (50, False),
    "scripts.git_unchanged_ratio": (1.5, False),
    "environments.warm_ratio": (1.3, False),
    "http.ratio": (1.15, False),
    "store.single_per_s": (1_000, True),
    "store.batch_per_s": (3_000, True),
    "store.scrape_rate_ratio": (0.95, True),
    "store.recovery_s": (10.0, False),
    "schedules.idle_cpu_percent_10000": (1.0, False),
    "schedules.due_p99_ms_100": (250, False),
}


_TABLE_WIDTH = 150  # of peers, wherever it goes to


def verdict(name: str, value: float) -> tuple[str, str]:
    """Return the goal and whether it is reached, as text."""
    goal = GOALS.get(name)
    if goal is None:
        return "", ""
    limit, is_more_better = goal
    is_reached = value >= limit if is_more_better else value <= limit
    sign = ">=" if is_more_better else "<="
    return f"{sign} {limit:,g}", "[green]reached[/]" if is_reached else "[red]missed[/]"


def main() -> None:
    """Measure, print a table, and write JSON when asked."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--only", nargs="+", choices=sorted(PARTS), help="measure these parts")
    arguments = parser.parse_args()
    console = Console()
    figures: dict[str, float] = {}
    failed: list[str] = []
    first_at = time.monotonic()
    for part, measure in PARTS.items():
        if part in arguments.only if arguments.only else part not in ONLY_BY_NAME:
            console.print(f"measuring {part} ...", style="dim", end=" ")
            began_at = time.monotonic()
            try:
                figures |= {f"{part}.{name}": value for name, value in measure().items()}
            except Exception:  # noqa: BLE001 - what the other parts tell is not to be lost by one
                console.print_exception()
                failed.append(part)
            console.print(f"{time.monotonic() - began_at:.0f} s", style="dim")
    console.print(f"{time.monotonic() - first_at:.0f} s in all", style="dim")
    table = Table("figure", "value", "goal", "", title="zscrape bench, medians")
    table.columns[1].justify = table.columns[2].justify = "right"
    for name, value in figures.items():
        table.add_row(name, f"{value:,.3f}", *verdict(name, value))
    console.print(table)
    _write(arguments.json, figures)
    if failed:
        sys.exit(f"could not be measured: {', '.join(failed)}")


def main_of_peers() -> None:
    """Measure other systems beside ours, print a table, and write JSON when asked."""
    from bench.peers import compare as peers

    parser = argparse.ArgumentParser(prog="python -m bench peers", description=peers.__doc__)
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--only", nargs="*", help="parts of the names of systems to run")
    arguments = parser.parse_args(sys.argv[2:])
    _write(arguments.json, peers.measure(Console(width=_TABLE_WIDTH), arguments.only or []))


def _write(path: Path | None, figures: dict[str, float]) -> None:
    if path is not None:
        machine = {"python": platform.python_version(), "platform": platform.platform()}
        path.write_text(json.dumps({"machine": machine, "figures": figures}, indent=2))


if __name__ == "__main__":
    if sys.argv[1:2] == ["compare"]:
        sys.exit(compare.main(sys.argv[2:], GOALS))
    if sys.argv[1:2] == ["goals"]:
        sys.exit(goals.main(sys.argv[2:], GOALS))
    if sys.argv[1:2] == ["peers"]:
        main_of_peers()
        sys.exit()
    if sys.argv[1:2] == ["soak"]:
        sys.exit(soak.main(sys.argv[2:]))
    main()
