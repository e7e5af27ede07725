"""Locks of two gateways on one PostgreSQL: a key has one holder, and is free when it is gone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.pair import Pair
from tests.faults.services import Cluster, until
from tests.postgres import Server

pytestmark = [pytest.mark.e2e, pytest.mark.system, pytest.mark.timeout(300)]

# A lease, its margin, the work of taking over, and what a busy machine adds.
TAKEN_OVER_S = 60.0
RUNNER = """
import sys
import httpx
url, key, body = sys.argv[1:]
headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
    for _ in sys.stdin:
        answer = client.post("/v1/tasks", content=body)
        print(answer.status_code, answer.json().get("request_id"), flush=True)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A PostgreSQL server."""
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Pair]:
    """Two gateways and no worker: who has been accepted waits until it is cancelled."""
    pair = Pair(tmp_path_factory.mktemp("pair"), server, workers=())
    yield pair
    pair.close()


def ask(cluster: Cluster, key: str, **more: Any) -> Any:
    """Ask for a key without waiting for it; return the answer."""
    body = cluster.task(1, lock_key=key, **{"overlap": "skip", **more})
    return cluster.http.post("/v1/tasks", json=body)


def cancel(cluster: Cluster, task_id: str) -> None:
    """End a task, wherever it is."""
    cluster.http.post(f"/v1/tasks/{task_id}/cancel").raise_for_status()


@contextmanager
def runner(cluster: Cluster, key: str) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that asks for a key whenever it is told to."""
    body = json.dumps(cluster.task(1, lock_key=key, overlap="skip"))
    client_key = cluster.http.headers["Authorization"].removeprefix("Bearer ")
    url = cluster.gateway.ready["http"]
    with subprocess.Popen(
        [sys.executable, "-c", RUNNER, url, client_key, body],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def test_prototype_4_2_two_gateways_200_times(pair: Pair) -> None:
    """Two processes ask two gateways for a key at the same instant: never two holders."""
    told: list[list[str]] = []
    with runner(pair.first, "race") as one, runner(pair.second, "race") as two:
        for _ in range(200):
            for each in (one, two):
                assert each.stdin is not None
                each.stdin.write("go\n")
                each.stdin.flush()
            answers = [_line(each) for each in (one, two)]
            told.append(sorted(status for status, _ in answers))
            for cluster, (status, task_id) in zip(pair.both, answers, strict=True):
                if status == "202":
                    cancel(cluster, task_id)

    assert Counter(map(tuple, told)) == {("202", "409"): 200}


def _line(process: subprocess.Popen[str]) -> tuple[str, str]:
    assert process.stdout is not None
    status, task_id = process.stdout.readline().split()
    return status, task_id


def test_a_key_of_a_task_that_never_ran_comes_free(pair: Pair) -> None:
    """A task that ends before it was sent to any worker frees its key at every gateway."""
    first, second = pair.both
    task_id = ask(first, "unsent").json()["request_id"]
    before = ask(second, "unsent")
    cancel(first, task_id)
    until(lambda: ask(second, "unsent").status_code == 202)

    assert before.status_code == 409
    assert before.json()["details"]["holder"] == task_id


def locks(cluster: Cluster, key: str) -> list[dict[str, Any]]:
    """Return who holds a key, by what one gateway says."""
    answer = cluster.http.get("/v1/locks", params={"prefix": key}).raise_for_status()
    found: list[dict[str, Any]] = answer.json()["locks"]
    return found


def test_locks_are_told_and_broken_at_either_gateway(pair: Pair) -> None:
    """Both say the same holder, once, with who waits; broken at the other, the key comes free."""
    first, second = pair.both
    holder = ask(first, "far").json()["request_id"]
    waiting = ask(second, "far", overlap="queue_all").json()["request_id"]
    told = [locks(each, "far") for each in pair.both]
    broken = second.http.delete("/v1/locks/far").raise_for_status().json()
    until(lambda: [each["holder"] for each in locks(second, "far")] == [waiting])
    again = second.http.delete("/v1/locks/far").raise_for_status().json()
    until(lambda: locks(first, "far") == [])

    assert [[each["holder"] for each in found] for found in told] == [[holder], [holder]]
    assert told[1][0]["waiting"] == [waiting]
    assert (broken["holder"], broken["freed"]) == (holder, False)
    assert first.look(holder)["status"] == "cancelled"
    assert (again["holder"], again["freed"]) == (waiting, True)
    assert second.http.delete("/v1/locks/far").status_code == 404


def test_locks_are_broken_beside_a_gateway_that_has_just_come(
    tmp_path: Path, server: Server
) -> None:
    """Before either has renewed its lease, and with that counted the others, it is as later."""
    pair = Pair(tmp_path, server, workers=())
    try:
        first, second = pair.both
        ways = {"there": (first, second), "back": (second, first)}
        held = {key: ask(one, key).json()["request_id"] for key, (one, _) in ways.items()}
        told = {key: locks(other, key) for key, (_, other) in ways.items()}
        for key, (_, other) in ways.items():
            other.http.delete(f"/v1/locks/{key}").raise_for_status()
        for key, (one, _) in ways.items():
            one.wait_for(held[key], "cancelled")
    finally:
        pair.close()

    assert {key: [each["holder"] for each in found] for key, found in told.items()} == {
        key: [task_id] for key, task_id in held.items()
    }


def test_prototype_4_3_a_gateway_killed_while_it_holds(pair: Pair) -> None:
    """The other takes its task over and refuses others until that ends; then the key is free."""
    first, second = pair.both
    holder = ask(first, "killed").json()["request_id"]
    first.gateway.kill()
    refused = ask(second, "killed")
    until(lambda: second.gateway.events("tasks_adopted"), TAKEN_OVER_S)
    still = ask(second, "killed")
    cancel(second, holder)
    until(lambda: ask(second, "killed").status_code == 202, TAKEN_OVER_S)
    assert first.start_gateway_again().is_ready

    told = [(each.status_code, each.json()["details"]["holder"]) for each in (refused, still)]
    assert told == [(409, holder)] * 2
    assert ask(first, "killed").status_code == 409


def test_prototype_4_3_storage_down_is_told_at_once(pair: Pair, server: Server) -> None:
    """Without the database nobody gets a lock: 503 with the reason, then it goes on by itself."""
    server.stop("immediate")
    try:
        refused = [ask(each, "down") for each in pair.both]
    finally:
        server.start()
    until(lambda: ask(pair.first, "down").status_code == 202, TAKEN_OVER_S)
    until(lambda: ask(pair.second, "down").status_code == 409, TAKEN_OVER_S)

    assert [each.status_code for each in refused] == [503, 503]
    assert {each.json()["code"] for each in refused} == {"storage_unavailable"}
    # Immediate by the issue; no second would be, and a busy machine may take some.
    assert max(each.elapsed.total_seconds() for each in refused) < 10.0
