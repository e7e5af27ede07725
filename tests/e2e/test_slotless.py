"""A task that waits for a person without its slot, in a cluster of processes."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.e2e.cluster import Cluster

pytestmark = pytest.mark.e2e

LIMIT_S = 60.0


def submit(cluster: Cluster, script_name: str, **parameters: Any) -> str:
    """Accept one task; return its id."""
    body = {"script_name": script_name, "parameters": parameters}
    answer = cluster.http.post("/v1/tasks", json=body).raise_for_status()
    request_id: str = answer.json()["request_id"]
    return request_id


def show(cluster: Cluster, request_id: str, wait_s: float = 0.0) -> dict[str, Any]:
    """Return a task, once it has ended or the time is over."""
    answer = cluster.http.get(f"/v1/tasks/{request_id}", params={"wait": wait_s})
    view: dict[str, Any] = answer.raise_for_status().json()
    return view


def parked(cluster: Cluster, request_id: str, after: str | None = None) -> dict[str, Any]:
    """Wait until an attempt has ended to wait for a person, not `after` again; return the task."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        task = show(cluster, request_id, 0.05)
        if (task["status"], task["worker_id"]) == ("waiting", None) and task["handoff"] != after:
            return task
        assert time.monotonic() < deadline, task


def test_a_task_that_waits_for_a_person_leaves_its_slot(cluster: Cluster) -> None:
    """Another runs in the only slot; the answers outlive the gateway, and the script goes on."""
    cluster.start_worker("only", slots=1)
    asking = submit(cluster, "asks_twice")
    first = parked(cluster, asking)
    other = show(cluster, submit(cluster, "slow_items", number=1, seconds=0.0), 30.0)

    cluster.restart_gateway()
    still = parked(cluster, asking)
    answer = {"answer": {"name": "Kim"}}
    cluster.http.post(f"/v1/handoffs/{first['handoff']}/answer", json=answer).raise_for_status()
    second = parked(cluster, asking, after=first["handoff"])
    prompt = cluster.http.get(f"/v1/handoffs/{second['handoff']}").json()["prompt"]
    cluster.http.post(f"/v1/handoffs/{second['handoff']}/dismiss").raise_for_status()
    ended = show(cluster, asking, 30.0)
    items = cluster.http.get(f"/v1/tasks/{asking}/items").json()

    assert other["status"] == "completed"
    assert (still["handoff"], still["attempts"]) == (first["handoff"], 1)
    assert prompt == "Which code of Kim?"
    assert ended["status"] == "completed"
    # Three, unless a machine that was too busy has lost one.
    assert ended["attempts"] == second["attempts"] + 1 >= 3
    assert items == [{"attempt": ended["attempts"]}, {"name": "Kim", "code": "handoff_dismissed"}]
