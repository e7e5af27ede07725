"""Children of the floors find what they write to copied, as the product's do."""

from __future__ import annotations

import os

import pytest

from bench.floors import forks
from bench.floors.cluster import Floor, floor
from bench.floors.ladder.cluster import NOOP, standing
from bench.floors.ladder.rungs import Rung
from bench.stages import used

FAULTS_COUNT = 60  # some twenty; without pins it is a hundred more


@pytest.fixture(autouse=True)
def _ring() -> None:
    """Pass over kernels that pin nothing by io_uring."""
    ring_fd = forks.make_ring()
    if ring_fd < 0:
        pytest.skip("no io_uring")
    os.close(ring_fd)


def faults_of_a_child(running: Floor) -> float:
    """Return how many page faults a child takes in its life."""
    template = next(pid for role, pid in running.roles.items() if role == "template")
    running.drive(in_flight=4, seconds=0.2)
    before = used(template).children_faults_count
    count = len(running.drive(in_flight=4, seconds=0.5))
    return (used(template).children_faults_count - before) / count


def test_children_of_the_floor_take_few_page_faults() -> None:
    """What each of them writes to is pinned in their template."""
    with floor("fork", NOOP) as running:
        assert faults_of_a_child(running) < FAULTS_COUNT


@pytest.mark.parametrize("rung", [Rung.WORKERS, Rung.DEADLINE, Rung.LAYERS, Rung.CONTEXT])
def test_children_of_a_rung_take_few_page_faults(rung: Rung) -> None:
    """So are those of the rungs that add to what a child does."""
    with standing(rung) as running:
        assert faults_of_a_child(running) < FAULTS_COUNT
