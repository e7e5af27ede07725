"""Schedules and locks of a real cluster, with processes that die in the middle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGKILL, SIGSTOP
from typing import Any

import pytest

from tests.e2e.cluster import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]  # processes start again and again

SCRIPTS = Path(__file__).parent / "scripts"
# Short enough for a test, in the same proportion as the defaults.
LEASE = {"ZSCRAPE_HEARTBEAT_LEASE_S": "4", "ZSCRAPE_HEARTBEAT_MARGIN_S": "1"}
# Longer than a gateway takes to start where much else runs; its script looks for a file of ours.
LONG_LEASE = {"ZSCRAPE_HEARTBEAT_LEASE_S": "30", "ZSCRAPE_ISOLATION_SKIP": "user,view,landlock"}
AT_ONCE = {"ZSCRAPE_SHUTDOWN_GRACE_S": "0"}


@pytest.fixture(params=[LEASE], ids=["short lease"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    """A cluster, by default with a short lease."""
    cluster = Cluster(tmp_path, SCRIPTS, {**AT_ONCE, **request.param})
    yield cluster
    cluster.close()


def add(cluster: Cluster, **asked: Any) -> None:
    """Make a schedule that is not due by itself, unless it is asked for."""
    body = {"name": "s", "script_name": "slow_items", "cron": "@yearly"}
    if "interval" in asked:
        del body["cron"]
    answer = cluster.http.post("/v1/schedules", json={**body, **asked})
    assert answer.status_code == 201, answer.text


def trigger(cluster: Cluster) -> Any:
    """Trigger the schedule; return the answer."""
    return cluster.http.post("/v1/schedules/s/trigger")


def task(cluster: Cluster, request_id: str, wait_s: float = 0) -> dict[str, Any]:
    """Return a task."""
    answer = cluster.http.get(f"/v1/tasks/{request_id}", params={"wait": wait_s})
    view: dict[str, Any] = answer.raise_for_status().json()
    return view


def occurrences(cluster: Cluster) -> list[str]:
    """Return what became of the schedule's moments, newest first."""
    answer = cluster.http.get("/v1/schedules/s/occurrences?limit=1000").raise_for_status()
    return [each["status"] for each in answer.json()["occurrences"]]


def until(is_so: Callable[[], bool]) -> None:
    """Ask until it is so; the test's own time limit ends what never is."""
    while not is_so():
        pass


def test_prototype_killed_holder_frees_its_lock(cluster: Cluster) -> None:
    """Scheduler prototype 4.3: a worker killed with the lock does not keep it beyond its lease."""
    first = cluster.start_worker("first", slots=1)
    add(cluster, parameters={"number": 1, "seconds": 1.0})
    request_id = trigger(cluster).json()["request_id"]
    until(lambda: task(cluster, request_id)["status"] == "running")

    first.signal(SIGKILL)
    refused = trigger(cluster)
    cluster.start_worker("second", slots=1)
    ended = task(cluster, request_id, 30)
    again = trigger(cluster)

    assert (refused.status_code, refused.json()["details"]["holder"]) == (409, request_id)
    assert (ended["status"], ended["attempts"]) == ("completed", 2)
    assert again.status_code == 202
    assert task(cluster, again.json()["request_id"], 30)["status"] == "completed"


@pytest.mark.parametrize("cluster", [LONG_LEASE], indirect=True, ids=["long lease"])
def test_dkron_1569_a_restarted_gateway_knows_the_holder(cluster: Cluster, tmp_path: Path) -> None:
    """Killed and started again, the gateway starts no second copy beside the one that runs."""
    cluster.start_worker("steady", slots=2)
    go = tmp_path / "go"
    add(cluster, parameters={"number": 1, "seconds": 0.0, "hold": str(go)})
    request_id = trigger(cluster).json()["request_id"]
    until(lambda: task(cluster, request_id)["item_count"] >= 1)

    cluster.restart_gateway()
    refused = trigger(cluster)
    [lock] = cluster.http.get("/v1/locks").json()["locks"]
    go.touch()
    ended = task(cluster, request_id, 30)
    again = trigger(cluster)

    assert (refused.status_code, lock["holder"]) == (409, request_id)
    assert (ended["status"], ended["attempts"]) == ("completed", 1)
    assert again.status_code == 202
    assert occurrences(cluster) == ["fired", "skipped_due_to_lock", "fired"]


def test_infrahub_9856_a_worker_that_dies_before_it_runs(cluster: Cluster) -> None:
    """Frozen before the script has begun, then killed: neither lock nor schedule is stuck."""
    frozen = cluster.start_worker("frozen", slots=1)
    frozen.signal(SIGSTOP)
    add(cluster, parameters={"number": 1, "seconds": 0.0})
    request_id = trigger(cluster).json()["request_id"]
    before = task(cluster, request_id)["status"]
    frozen.signal(SIGKILL)
    cluster.start_worker("next", slots=1)

    ended = task(cluster, request_id, 30)
    again = trigger(cluster)

    assert before == "assigned"
    assert ended["status"] == "completed"
    assert again.status_code == 202


def test_a_restart_across_due_moments(cluster: Cluster) -> None:
    """What was due while no gateway was there is on record, and one moment is made up for."""
    cluster.start_worker("steady", slots=2)
    add(cluster, interval=1, parameters={"number": 1, "seconds": 0.0}, overlap="allow")
    until(lambda: occurrences(cluster).count("fired") >= 2)

    cluster.restart_gateway()
    until(lambda: occurrences(cluster).count("fired") >= 4)

    answer = cluster.http.get("/v1/schedules/s/occurrences?limit=1000").json()["occurrences"]
    seconds = [each["due_at"] for each in answer]
    made = [each["request_id"] for each in answer if each["status"] == "fired"]
    assert len(set(seconds)) == len(seconds)
    assert len(set(made)) == len(made)
    assert all(task(cluster, each, 20)["status"] == "completed" for each in made)
