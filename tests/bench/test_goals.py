"""The nineteen goals as one table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.__main__ import GOALS
from bench.goals import Line, lines, main
from bench.peers.goals import KIT, LEAN, REUSED

RQ = "RQ, fork per job"


def by_number(run: dict[str, float], peers: dict[str, float]) -> dict[int, Line]:
    """Return the last line of each goal."""
    return {line.number: line for line in lines(run, peers, GOALS)}


def test_goals_without_a_figure_are_there_all_the_same() -> None:
    """A table of a part of the bench says what it does not know."""
    found = by_number({}, {})

    assert set(found) == set(range(1, 20)) - {4, 5, 6, 7, 8, 10}
    assert {line.verdict for line in found.values()} == {"not measured"}


@pytest.mark.parametrize(
    ("ours", "floor", "verdict"),
    [
        (0.9, 0.6, "reached"),
        (1.8, 0.6, "missed"),
        (1.8, 1.1, "missed, as the floor does"),
    ],
)
def test_a_goal_that_the_floor_misses_is_told_apart(
    ours: float, floor: float, verdict: str
) -> None:
    """What the smallest program cannot do is the machine's limit, not ours."""
    run = {"path.bare_p50_ratio_to_b": ours, "floors.path_floor_p50_ratio_to_b": floor}

    assert by_number(run, {})[1].verdict == verdict


def test_a_goal_that_the_least_code_of_all_promises_misses_is_told_apart() -> None:
    """What no program that keeps them reaches is the promises' price."""
    run = {
        "path.bare_p50_ratio_to_b": 1.8,
        "floors.path_floor_p50_ratio_to_b": 0.8,
        "ladder.path_context_p50_ratio": 1.2,
    }

    line = by_number(run, {})[1]

    assert (line.ladder, line.verdict) == (1.2, "missed, as the ladder does")


def test_the_floor_beside_a_peer_is_ours_to_the_peer_by_ours_to_the_floor() -> None:
    """Eight times the peer's rate, and half of the floor's: the floor has sixteen times."""
    peers = {f"{LEAN}.per_s": 800.0, f"{RQ}.per_s": 100.0}

    line = by_number({"floors.path_ours_rate_16_ratio_to_floor": 0.5}, peers)[4]

    assert (line.ours, line.floor, line.verdict) == (8.0, 16.0, "missed")


def test_the_ladder_beside_a_peer_is_told_as_the_floor_is_and_of_the_same_work_only() -> None:
    """A script with the kit does other work than the ladder's."""
    run = {"ladder.reuse_ours_rate_16_ratio_to_ladder": 0.8}
    peers = {f"{REUSED}.per_s": 1_600.0, f"{KIT}.per_s": 800.0, "Huey, Redis.per_s": 1_000.0}
    peers["Celery, prefork, Redis.per_s"] = 500.0

    found = lines(run, peers, GOALS)

    reused, kit = (
        next(each for each in found if each.what.startswith(f"{name}: rate"))
        for name in (REUSED, KIT)
    )
    assert (reused.ours, reused.ladder) == (1.6, 2.0)
    assert (kit.ours, kit.ladder) == (1.6, None)


def test_files_without_figures_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there ends with 2, one with figures with 0."""
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"figures": {"starts.cli_ms": 100.0}}))

    codes = [main([str(path)], GOALS), main([str(tmp_path / "none.json")], GOALS)]

    said = capsys.readouterr()
    assert codes == [0, 2]
    assert "reached" in said.out
    assert "no figures" in said.err
