"""The floors do the work that they are measured by."""

from __future__ import annotations

import pytest

from bench.floors.cluster import floor, instant
from bench.floors.rounds import PAGE_FLOORS, page_floor
from bench.http import site

ADD = "import os\n\ndef run(text):\n    return {'text': text * 3, 'pid': os.getpid()}\n"


@pytest.mark.parametrize(("way", "count"), [("fork", 6), ("reuse", 1), ("inside", 1)])
def test_a_floor_runs_its_script_in_as_many_processes_as_its_way_says(way: str, count: int) -> None:
    """A fresh process for each task, one for all of them, or the worker's own."""
    with floor(way, ADD) as running:
        told = [running.data({"text": f"tea {number}"}) for number in range(6)]

        assert [each["text"] for each in told] == [f"tea {number}" * 3 for number in range(6)]
        assert len({each["pid"] for each in told}) == count
        assert (told[0]["pid"] == running.roles["worker"]) == (way == "inside")


def test_a_floor_carries_large_results_of_several_at_once() -> None:
    """More than any buffer between the processes holds, by more calls than there are slots."""
    with floor("fork", "def run():\n    return 'x' * 1_000_000\n") as running:
        running.drive(in_flight=8, seconds=0.2)

        assert running.data() == "x" * 1_000_000


@pytest.mark.parametrize("way", PAGE_FLOORS)
def test_the_floor_of_a_page_fetches_and_parses_it(way: str) -> None:
    """By what its template has warmed up."""
    with site() as url, page_floor(way, url) as running:
        told = running.data({"url": url})

    assert told == {"title": "Page", "rows": 60}


def test_workers_that_answer_at_once_need_no_process() -> None:
    """Nothing is what they answer."""
    with instant(2) as running:
        assert [running.data() for _ in range(4)] == [None] * 4
