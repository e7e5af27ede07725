"""Where we stand beside peers."""

from __future__ import annotations

import pytest

from bench.peers.goals import LEAN, standings


@pytest.mark.parametrize(
    ("field", "mine", "theirs", "is_reached"),
    [
        ("per_s", 1_000.0, 100.0, True),
        ("per_s", 999.0, 100.0, False),
        ("p50_ms", 1.0, 11.1, True),
        ("p50_ms", 1.0, 10.0, False),
    ],
)
def test_rates_are_to_be_at_least_and_times_at_most(
    field: str, mine: float, theirs: float, is_reached: bool
) -> None:
    """Ten times the rate of a fork per job, an eleventh of its time."""
    told = standings({f"{LEAN}.{field}": mine, f"RQ, fork per job.{field}": theirs})

    assert [(each.ratio, each.is_reached) for each in told] == [(mine / theirs, is_reached)]


def test_systems_that_were_not_measured_are_left_out() -> None:
    """A run of some of them says nothing of the others."""
    assert standings({f"{LEAN}.per_s": 500.0}) == []
