"""What was accepted outlives the gateway: killed, started again, and all is accounted for."""

from __future__ import annotations

import concurrent.futures
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from signal import SIGKILL
from typing import Any

import httpx
import pytest

from tests.e2e.cluster import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]  # gateways start again and again
# Longer than a gateway takes to start where much else runs, and a worker to dial it again.
LONG_LEASE = {"ZSCRAPE_HEARTBEAT_LEASE_S": "60"}


def submit(cluster: Cluster, seconds: float, **asked: Any) -> str:
    """Accept one task; return its id."""
    parameters = {"number": 1, "seconds": seconds}
    body = {"script_name": "slow_items", "parameters": parameters, **asked}
    answer = cluster.http.post("/v1/tasks", json=body).raise_for_status()
    request_id: str = answer.json()["request_id"]
    return request_id


def show(cluster: Cluster, request_id: str, wait_s: float = 30.0) -> dict[str, Any]:
    """Return a task, once it has ended or the time is over."""
    answer = cluster.http.get(f"/v1/tasks/{request_id}", params={"wait": wait_s})
    view: dict[str, Any] = answer.raise_for_status().json()
    return view


def wait_until(cluster: Cluster, request_id: str, is_so: Callable[[dict[str, Any]], bool]) -> None:
    """Ask until a task looks as wanted."""
    deadline = time.monotonic() + 40
    while not is_so(show(cluster, request_id, 0)):
        assert time.monotonic() < deadline


def test_queued_tasks_run_after_the_gateway_was_killed(cluster: Cluster) -> None:
    """Every 202 is still there after `kill -9`, and runs once a worker comes."""
    request_ids = [submit(cluster, 0.0) for _ in range(20)]

    cluster.restart_gateway()

    before = [show(cluster, request_id, 0)["status"] for request_id in request_ids]
    cluster.start_worker("late", slots=2)
    ended = [show(cluster, request_id) for request_id in request_ids]
    assert set(before) == {"queued"}
    assert {task["status"] for task in ended} == {"completed"}
    assert {task["attempts"] for task in ended} == {1}


@pytest.mark.parametrize("cluster", [LONG_LEASE], indirect=True, ids=["long lease"])
def test_a_running_attempt_is_adopted(cluster: Cluster) -> None:
    """An attempt that runs while the gateway is killed and started again is not repeated."""
    cluster.start_worker("steady", slots=1)
    request_id = submit(cluster, 3.0)
    wait_until(cluster, request_id, lambda task: task["item_count"] >= 2)

    cluster.restart_gateway()

    task = show(cluster, request_id)
    items = cluster.http.get(f"/v1/tasks/{request_id}/items").json()
    assert (task["status"], task["attempts"]) == ("completed", 1)
    assert [item["step"] for item in items] == list(range(10))


def test_an_outcome_waits_for_the_gateway(cluster: Cluster) -> None:
    """What ended while no gateway was there is delivered to the next one, once."""
    cluster.start_worker("patient", slots=1)
    request_id = submit(cluster, 1.0)
    wait_until(cluster, request_id, lambda task: task["item_count"] >= 1)

    cluster.kill_gateway()
    time.sleep(1.5)
    cluster.start_gateway_again()

    task = show(cluster, request_id)
    assert (task["status"], task["attempts"]) == ("completed", 1)
    assert len(cluster.http.get(f"/v1/tasks/{request_id}/items").json()) == 10


def test_a_synchronous_call_is_found_by_its_key(cluster: Cluster) -> None:
    """A caller whose gateway was killed asks again with the same key and gets the first answer."""
    cluster.start_worker("steady", slots=1)
    body = {"script_name": "slow_items", "parameters": {"number": 1, "seconds": 3.0}}
    headers = {"Idempotency-Key": "once"}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        calling = pool.submit(cluster.http.post, "/scrape", json=body, headers=headers)
        request_id = newest(cluster)
        wait_until(cluster, request_id, lambda task: task["item_count"] >= 2)
        cluster.restart_gateway()
        with pytest.raises(httpx.TransportError):
            calling.result()

    again = cluster.http.post("/scrape", json=body, headers=headers).json()

    assert again["request_id"] == request_id
    assert (again["status"], again["attempts"]) == ("completed", 1)


def newest(cluster: Cluster) -> str:
    """Return the id of the newest task, once there is one."""
    deadline = time.monotonic() + 20
    while True:
        tasks = cluster.http.get("/v1/tasks").json()["tasks"]
        if tasks:
            request_id: str = tasks[0]["request_id"]
            return request_id
        assert time.monotonic() < deadline


def test_a_synchronous_call_that_nobody_ran(cluster: Cluster) -> None:
    """One that had no attempt yet ends with a code of its own: nobody waits for it."""
    body = {"script_name": "slow_items", "parameters": {"number": 1}, "tags": ["nowhere"]}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        calling = pool.submit(cluster.http.post, "/scrape", json=body)
        request_id = newest(cluster)
        cluster.restart_gateway()
        with pytest.raises(httpx.TransportError):
            calling.result()

    task = show(cluster, request_id)

    assert (task["status"], task["error"]["code"]) == ("failed", "gateway_lost")


def test_a_second_gateway_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    """Two gateways never share a home: the second one says so and ends with 3."""
    result = gateway(tmp_path / "gateway")

    assert result.returncode == 3
    assert "home_in_use" in result.stdout + result.stderr


def test_a_damaged_database_is_told_at_the_start(cluster: Cluster, tmp_path: Path) -> None:
    """The gateway does not start on it, names the file and the repair, and leaves it alone."""
    path = tmp_path / "gateway" / "zscrape.db"
    cluster.gateway.end()
    content = bytearray(path.read_bytes())
    content[4096:12288] = b"\xff" * 8192
    path.write_bytes(content)

    result = gateway(tmp_path / "gateway")

    told = result.stdout + result.stderr
    assert result.returncode == 3
    assert str(path) in told
    assert "zscrape restore" in told
    assert path.read_bytes() == bytes(content)


def gateway(home: Path) -> subprocess.CompletedProcess[str]:
    """Start a gateway that is expected not to stay."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "zscrape", "gateway", "--home", str(home), "--json"),
            *("--http", "127.0.0.1:0", "--link", "tcp://127.0.0.1:0", "--lang", "en"),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_locked_database_refuses_and_recovers(cluster: Cluster, tmp_path: Path) -> None:
    """While another program locks the database new work is 503 with a reason; then it goes on."""
    with closing(sqlite3.connect(tmp_path / "gateway" / "zscrape.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        body = {"script_name": "slow_items", "parameters": {"number": 1}}
        refused = cluster.http.post("/v1/tasks", json=body)
        health = cluster.http.get("/health").json()
        other.execute("ROLLBACK")

    deadline = time.monotonic() + 20
    while cluster.http.get("/ready").status_code != 200:
        assert time.monotonic() < deadline
    accepted = cluster.http.post("/v1/tasks", json=body)

    assert (refused.status_code, refused.json()["reason"]) == (503, "storage_locked")
    assert "retry-after" in refused.headers
    assert health["components"]["store"] == "storage_locked"
    assert accepted.status_code == 202


def test_killed_again_and_again_while_tasks_come(cluster: Cluster) -> None:
    """Whatever moment the gateway is killed at, each 202 ends exactly once and well."""
    cluster.start_worker("steady", slots=2)
    accepted: list[str] = []
    for _ in range(3):
        accepted += [submit(cluster, 0.2) for _ in range(8)]
        os.kill(cluster.gateway.pid, SIGKILL)
        cluster.restart_gateway()

    ended = [show(cluster, request_id) for request_id in accepted]

    assert {task["status"] for task in ended} == {"completed"}
