"""A task that waits for a person without a slot, at two gateways on one PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import SCRIPTS
from tests.faults.pair import Pair
from tests.faults.services import Cluster, until
from tests.postgres import Server

pytestmark = [pytest.mark.e2e, pytest.mark.system, pytest.mark.timeout(180)]

TAKEN_OVER_S = 30.0
BODY = {"script_name": "asks_twice", "lock_key": "red"}


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """Two gateways and a worker."""
    server = Server()
    pair = Pair(
        tmp_path, server, workers=("one",), settings={"SCRIPT_REPOSITORY_URL": str(SCRIPTS)}
    )
    yield pair
    pair.close()
    server.close()


def parked(cluster: Cluster, task_id: str, attempt: int) -> str:
    """Wait until an attempt has ended to wait for a person; return the question's id."""

    def is_parked() -> str:
        task = cluster.look(task_id)
        seen = (task["status"], task["attempts"], task["worker_id"])
        return str(task["handoff"]) if seen == ("waiting", attempt, None) else ""

    question: str = until(is_parked, TAKEN_OVER_S)
    return question


def answer(cluster: Cluster, question: str, **values: Any) -> None:
    """Be the person."""
    told = cluster.http.post(f"/v1/handoffs/{question}/answer", json={"answer": values})
    assert told.status_code == 200, told.text


def test_a_parked_task_outlives_its_gateway(pair: Pair) -> None:
    """Answered at the other gateway it goes on; taken over by that one it keeps its lock."""
    first, second = pair.both
    task_id = first.accept(BODY)
    answer(second, parked(first, task_id, 1), name="Kim")
    question = parked(first, task_id, 2)
    first.gateway.kill()
    until(lambda: second.gateway.events("tasks_adopted"), TAKEN_OVER_S)
    still = parked(second, task_id, 2)
    refused = second.http.post("/v1/tasks", json=BODY).json()["code"]
    answer(second, question, code="42")
    ended = second.look(task_id, wait_s=30)
    free = second.http.post("/v1/tasks", json=BODY).status_code

    assert still == question
    assert refused == "lock_held"
    assert (ended["status"], ended["attempts"]) == ("completed", 3)
    assert free == 202
