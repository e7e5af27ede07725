"""What is wanted of zscrape beside its peers, as ratios of medians of one run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

KIT, LEAN, REUSED = "zscrape", 'zscrape, "kit": []', 'zscrape, "reuse": 1000'
B, PAGE = "B: bare fork, 14 MB", "a page: zscrape"


class Goal(NamedTuple):
    """A figure of ours in that of a peer; `limit` is the least for rates, the most for times."""

    number: int
    ours: str
    peer: str
    field: str  # of `compare.Figures`
    limit: float


class Standing(NamedTuple):
    """A goal, where we stand, and whether that is enough."""

    goal: Goal
    ratio: float
    is_reached: bool


GOALS = [
    Goal(1, LEAN, B, "p50_ms", 1.0),
    Goal(2, LEAN, B, "p99_ms", 1.5),
    Goal(3, LEAN, B, "per_s", 0.8),
    *(
        goal
        for ours in (LEAN, KIT)
        for goal in (
            Goal(4, ours, "RQ, fork per job", "per_s", 10),
            Goal(4, ours, "RQ, fork per job", "p50_ms", 1 / 11),
            Goal(5, ours, "Celery, prefork, Redis", "per_s", 2),
            Goal(5, ours, "Celery, prefork, Redis", "p50_ms", 0.45),
            Goal(6, ours, "Huey, Redis", "p50_ms", 1.1),
            Goal(7, ours, "multiprocessing.Pool, a task per child", "per_s", 2.5),
        )
    ),
    Goal(8, PAGE, "a page: ScrapyRT", "p50_ms", 0.4),
    Goal(8, PAGE, "a page: ScrapyRT", "per_s", 4.5),
    Goal(8, PAGE, "a page: Scrapyd", "p50_ms", 1 / 150),
    Goal(10, REUSED, "Huey, Redis", "p50_ms", 0.75),
    Goal(10, REUSED, "Huey, Redis", "per_s", 2),
    Goal(10, REUSED, "Taskiq, Redis list", "per_s", 4),
    Goal(10, REUSED, "Celery, prefork, Redis", "per_s", 8),
]


def standings(figures: Mapping[str, float]) -> list[Standing]:
    """Return where we stand, goal by goal, for those systems that have been measured.

    Args:
        figures: Medians by `SYSTEM.FIELD`.
    """
    found = []
    for goal in GOALS:
        mine = figures.get(f"{goal.ours}.{goal.field}")
        theirs = figures.get(f"{goal.peer}.{goal.field}")
        if mine is None or not theirs:
            continue
        ratio = mine / theirs
        is_rate = goal.field == "per_s"
        found.append(Standing(goal, ratio, ratio >= goal.limit if is_rate else ratio <= goal.limit))
    return found
