"""One worker that serves two gateways: its slots are shared, and never too many run."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Cluster
from tests.e2e.conftest import SCRIPTS

pytestmark = pytest.mark.e2e
TASK_COUNT = 8


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[tuple[Cluster, Cluster]]:
    """Two gateways that know nothing of each other."""
    first = Cluster(tmp_path / "first", SCRIPTS)
    second = Cluster(tmp_path / "second", SCRIPTS)
    yield first, second
    second.close()
    first.close()


def scrape(gateway: Cluster, seconds: float = 0.2) -> dict[str, Any]:
    """Run one slow task to its end; returns the envelope."""
    body = {"script_name": "moments", "parameters": {"seconds": seconds}}
    document: dict[str, Any] = gateway.http.post("/scrape", json=body).raise_for_status().json()
    return document


def together(documents: list[dict[str, Any]]) -> int:
    """Return how many of these tasks ran at once, at the most, by their own clocks."""
    moments = []
    for document in documents:
        moments += [(document["data"][0]["at"], 1), (document["data"][-1]["at"], -1)]
    count = most = 0
    for _, change in sorted(moments):
        count += change
        most = max(most, count)
    return most


def test_worker_serves_both_and_never_runs_too_many(gateways: tuple[Cluster, Cluster]) -> None:
    """Both gateways' tasks end on the one worker, two at a time; the dead one's slots move on."""
    first, second = gateways
    links = ",".join(each.token() for each in gateways)
    worker = first.start_worker("worker", slots=2, join=links)
    worker_id = worker.ready["worker_id"]
    for each in gateways:
        each.wait_for_worker(worker_id)
    with ThreadPoolExecutor(2 * TASK_COUNT) as pool:
        waiting = [pool.submit(scrape, each) for each in gateways for _ in range(TASK_COUNT)]
        documents = [each.result() for each in waiting]
    first.gateway.signal(signal.SIGKILL)
    first.gateway.wait()
    with ThreadPoolExecutor(TASK_COUNT) as pool:
        after = list(pool.map(lambda _: scrape(second, 1.0), range(TASK_COUNT)))

    assert {document["status"] for document in documents + after} == {"completed"}
    assert {document["worker_id"] for document in documents + after} == {worker_id}
    assert {document["item_count"] for document in documents + after} == {10}
    assert together(documents) == 2
    assert together(after) == 2


def test_one_slot_goes_to_whoever_needs_it(gateways: tuple[Cluster, Cluster]) -> None:
    """With fewer slots than gateways, a call at either of them is answered all the same."""
    links = ",".join(each.token() for each in gateways)
    worker = gateways[0].start_worker("worker", slots=1, join=links)
    for each in gateways:
        each.wait_for_worker(worker.ready["worker_id"])
    documents = [scrape(each, 0.01) for _ in range(3) for each in gateways]

    assert {document["status"] for document in documents} == {"completed"}
