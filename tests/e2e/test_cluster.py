"""Gateways and workers as processes: what happens when one of them dies, freezes or leaves."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.cluster import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

TASK_COUNT = 10
RUN_S = 10.0  # longer than a worker takes to start on a busy machine


def run_slow(cluster: Cluster, number: int) -> dict[str, Any]:
    """Run one slow task by an open HTTP call and return its envelope."""
    body = {"script_name": "slow_items", "parameters": {"number": number, "seconds": RUN_S}}
    answer = cluster.http.post("/scrape", json=body)
    assert answer.status_code == 200, answer.text
    envelope: dict[str, Any] = answer.json()
    return envelope


def wait_until_running(cluster: Cluster, count: int) -> None:
    """Follow the tasks' own events until `count` of them run."""
    seen = 0
    while seen < count:
        tasks = cluster.http.get("/v1/tasks", params={"status": "running"}).json()["tasks"]
        seen = len(tasks)


def test_tasks_of_a_killed_worker_complete_on_another(cluster: Cluster) -> None:
    """Ten slow tasks on a worker that is killed all complete, once each, on the other worker."""
    doomed = cluster.start_worker("doomed", slots=TASK_COUNT)
    with ThreadPoolExecutor(TASK_COUNT) as pool:
        calls = [pool.submit(run_slow, cluster, number) for number in range(TASK_COUNT)]
        wait_until_running(cluster, TASK_COUNT)
        heir = cluster.start_worker("heir", slots=TASK_COUNT)

        doomed.signal(signal.SIGKILL)
        envelopes = [call.result() for call in calls]

    assert [envelope["status"] for envelope in envelopes] == ["completed"] * TASK_COUNT
    assert {envelope["worker_id"] for envelope in envelopes} == {heir.ready["worker_id"]}
    assert {envelope["attempts"] for envelope in envelopes} == {2}
    assert sorted(envelope["data"][0]["number"] for envelope in envelopes) == list(
        range(TASK_COUNT)
    )
    assert all(envelope["item_count"] == 10 for envelope in envelopes)
    assert doomed.wait() == -signal.SIGKILL


def test_late_result_of_a_frozen_worker_is_refused(cluster: Cluster) -> None:
    """A worker that was frozen while its task ran elsewhere changes nothing when it wakes."""
    frozen = cluster.start_worker("frozen", slots=1)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(run_slow, cluster, 1)
        wait_until_running(cluster, 1)
        heir = cluster.start_worker("heir", slots=1)

        frozen.signal(signal.SIGSTOP)
        envelope = call.result()
        frozen.signal(signal.SIGCONT)

    assert envelope["status"] == "completed"
    assert envelope["worker_id"] == heir.ready["worker_id"]
    # The woken worker is taken back: two more tasks at once need both.
    with ThreadPoolExecutor(2) as pool:
        envelopes = list(pool.map(lambda number: run_slow(cluster, number), (2, 3)))
    assert {envelope["status"] for envelope in envelopes} == {"completed"}
    kept = cluster.http.get(f"/v1/tasks/{envelope['request_id']}").json()
    assert kept["worker_id"] == heir.ready["worker_id"]
    assert kept["attempts"] == 2


def test_drained_worker_ends_what_it_runs(cluster: Cluster) -> None:
    """SIGTERM lets a worker finish its task; it takes nothing new and exits with 0."""
    leaving = cluster.start_worker("leaving", slots=1)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(run_slow, cluster, 1)
        wait_until_running(cluster, 1)

        leaving.signal(signal.SIGTERM)
        envelope = call.result()

    assert envelope["status"] == "completed"
    assert envelope["attempts"] == 1
    assert leaving.wait() == 0


def test_second_signal_ends_a_worker_at_once(cluster: Cluster) -> None:
    """Two SIGTERMs end a worker that is still running a task, which then runs elsewhere."""
    leaving = cluster.start_worker("leaving", slots=1)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(run_slow, cluster, 1)
        wait_until_running(cluster, 1)
        heir = cluster.start_worker("heir", slots=1)

        leaving.signal(signal.SIGTERM)
        cluster.wait_for_worker(leaving.ready["worker_id"], status="draining")
        leaving.signal(signal.SIGTERM)
        code = leaving.wait()
        envelope = call.result()

    assert code == 0
    assert envelope["status"] == "completed"
    assert envelope["worker_id"] == heir.ready["worker_id"]
    assert envelope["attempts"] == 2


def test_restarted_gateway_gets_its_workers_back(cluster: Cluster) -> None:
    """A worker finds a gateway that was started again at the same address, and runs for it."""
    worker = cluster.start_worker("faithful", slots=1)
    cluster.restart_gateway()

    cluster.wait_for_worker(worker.ready["worker_id"])
    envelope = run_slow(cluster, 7)

    assert envelope["status"] == "completed"
    assert envelope["worker_id"] == worker.ready["worker_id"]
