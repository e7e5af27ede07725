"""`POST /v1/tasks/wait`, and idempotency of each task of a batch."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.gateway.loop_router import hold
from tests.gateway.test_idempotency import SlowStore


def task(url: str, key: str | None = None) -> dict[str, Any]:
    """Return one task of a batch."""
    more = {} if key is None else {"idempotency_key": key}
    return {"script_name": "page", "parameters": {"url": url}, **more}


async def submitted(client: Any, *tasks: dict[str, Any]) -> list[Any]:
    """Submit a batch; return the ids, or the codes of errors."""
    answer = await client.post("/v1/tasks/batch", json={"tasks": list(tasks)})
    assert answer.status_code == 202, answer.text
    return [
        each["error"]["code"] if "error" in each else each["request_id"]
        for each in answer.json()["tasks"]
    ]


async def test_wait_answers_when_enough_have_ended(make):
    """`count` ends wake the call; those still running are counted, not told."""
    gateway = make()
    worker = gateway.worker(hold, slots=4)
    async with gateway.client() as client:
        ids = await submitted(client, task("a"), task("b"), task("c"))
        call = asyncio.create_task(
            client.post("/v1/tasks/wait", json={"ids": ids, "wait": 30, "count": 2})
        )
        runs = [await worker.runs.get() for _ in ids]
        worker.ok(runs[0], "one")
        worker.ok(runs[1], "two")
        answer = (await call).json()

    assert [each["status"] for each in answer["tasks"]] == ["completed", "completed"]
    assert answer["pending_count"] == 1


async def test_wait_tells_of_ended_and_unknown_tasks_at_once(make):
    """What has ended needs no waiting; an unknown id is an error of its own, with data asked."""
    gateway = make()
    gateway.worker()
    async with gateway.client() as client:
        ids = await submitted(client, task("a"))
        await client.get(f"/v1/tasks/{ids[0]}", params={"wait": 10})
        body = {"ids": [*ids, "nope", *ids], "count": 1_000, "data": True}
        answer = (await client.post("/v1/tasks/wait", json=body)).json()

    unknown, ended = answer["tasks"]
    assert (unknown["request_id"], unknown["error"]["code"]) == ("nope", "not_found")
    assert ended["request_id"] == ids[0]
    assert "data" in ended


async def test_wait_ends_with_its_time(make):
    """Nothing has ended: an empty answer, and the task goes on."""
    gateway = make()
    gateway.worker(hold)
    async with gateway.client() as client:
        ids = await submitted(client, task("a"))
        answer = (await client.post("/v1/tasks/wait", json={"ids": ids, "wait": 0.01})).json()

    assert answer == {"tasks": [], "pending_count": 1}


@pytest.mark.parametrize(
    "body",
    [{}, {"ids": []}, {"ids": ["a"], "wait": -1}, {"ids": ["a"], "count": 0}, {"idz": ["a"]}, []],
)
async def test_wait_refuses_what_it_cannot_read(client, body):
    """A wrong body is a 4xx with the place of the fault."""
    answer = await client.post("/v1/tasks/wait", json=body)

    assert answer.status_code in (400, 422)
    assert answer.json()["problems"]


async def test_a_batch_that_comes_again_makes_no_new_task(make):
    """Each task of a batch has a key of its own; the same keys are the same tasks."""
    gateway = make()
    gateway.worker()
    async with gateway.client() as client:
        first = await submitted(client, task("a", "r1:a"), task("b", "r1:b"), task("c"))
        again = await submitted(client, task("b", "r1:b"), task("d", "r1:d"), task("a", "r1:a"))

    assert [again[2], again[0]] == first[:2]
    assert again[1] not in first


async def test_a_key_stands_for_one_body_in_a_batch_too(make):
    """Another body under a key is a conflict of that task alone; twins in one batch are one."""
    gateway = make()
    gateway.worker()
    async with gateway.client() as client:
        first = await submitted(client, task("a", "k"), task("a", "k"), task("b", "k"), task("c"))
        again = await submitted(client, task("z", "k"), task("y"))

    assert first[0] == first[1]
    assert (first[2], again[0]) == ("idempotency_conflict", "idempotency_conflict")
    assert first[3] not in ("idempotency_conflict", first[0])


async def test_batches_with_the_same_keys_at_once_make_each_task_once(make, monkeypatch):
    """Two gateway calls race for the same keys: the store lets one in, both are told of it."""
    monkeypatch.setattr("tests.gateway.conftest.MemoryTaskStore", SlowStore)
    gateway = make()
    gateway.worker()
    tasks = [task(str(number), f"r1:{number}") for number in range(20)]
    async with gateway.client() as client:
        answers = await asyncio.gather(*(submitted(client, *tasks) for _ in range(5)))
        history = (await client.get("/v1/tasks", params={"limit": 1000})).json()["tasks"]

    assert all(answer == answers[0] for answer in answers)
    assert len(history) == 20


async def test_a_single_task_has_its_key_in_the_header(client):
    """The field is for batches alone: elsewhere it is unknown, not ignored."""
    answer = await client.post("/v1/tasks", json=task("a", "k"))

    assert answer.status_code == 422
    assert answer.json()["problems"][0]["pointer"] == "/idempotency_key"
