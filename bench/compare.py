"""Whether a run is worse than a stored one: `python -m bench compare STORED NEW`.

Only ratios to a baseline of the same run are compared, never times: those are of a machine and
of what else it does. A ratio counts as worse beyond the tolerance, 25 % by default, which is what
rounds of one run on a shared machine differ by. Exit code 1: something is worse, 2: the files
cannot be compared.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

TOLERANCE = 0.25


class Change(NamedTuple):
    """A ratio in both runs; `factor` above 1 is worse, whichever way it counts."""

    name: str
    before: float
    after: float
    factor: float


def changes(
    before: Mapping[str, float],
    after: Mapping[str, float],
    goals: Mapping[str, tuple[float, bool]],
) -> list[Change]:
    """Return how each ratio that has a goal has changed, the worst first."""
    found = []
    for name, (_limit, is_more_better) in goals.items():
        if not is_ratio(name) or name not in before or name not in after:
            continue
        old, new = before[name], after[name]
        better, worse = (new, old) if is_more_better else (old, new)
        found.append(Change(name, old, new, worse / better if better > 0 else float("inf")))
    return sorted(found, key=lambda change: -change.factor)


def is_ratio(name: str) -> bool:
    """True iff a figure is one to a baseline of its own run."""
    words = name.rpartition(".")[2].split("_")
    return "ratio" in words or "share" in words


def main(arguments: list[str], goals: Mapping[str, tuple[float, bool]]) -> int:
    """Compare two files that `--json` has written; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench compare", description=__doc__)
    parser.add_argument("stored", type=Path, help="figures to be held to")
    parser.add_argument("new", type=Path, help="figures of now")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, metavar="SHARE")
    asked = parser.parse_args(arguments)
    try:
        before, after = (
            json.loads(path.read_text())["figures"] for path in (asked.stored, asked.new)
        )
    except (OSError, ValueError, KeyError) as error:
        sys.stderr.write(f"cannot be compared: {error!r}\n")
        return 2
    found = changes(before, after, goals)
    if not found:
        sys.stderr.write("cannot be compared: the two have no ratio in common\n")
        return 2
    return _tell(found, asked.tolerance)


def _tell(found: list[Change], tolerance: float) -> int:
    table = Table("ratio", "stored", "now", "worse by", "", title="ratios to their baselines")
    is_any_worse = False
    for change in found:
        is_worse = change.factor > 1 + tolerance
        is_any_worse |= is_worse
        told = "[red]worse[/]" if is_worse else ""
        row = (f"{change.before:,.3f}", f"{change.after:,.3f}", f"{change.factor - 1:+.0%}")
        table.add_row(change.name, *row, told)
    Console().print(table)
    return 1 if is_any_worse else 0
