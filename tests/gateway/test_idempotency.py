"""`Idempotency-Key`: calls with one key are one call, on every way in, for a day."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.gateway.loop_router import ending, hold
from zscrape.gateway.keylocks import KeyLocks
from zscrape.model import OutcomeCode, TaskSpec
from zscrape.store.memory import MemoryTaskStore
from zscrape.store.tasks import TaskRow

PAGE = {"script_name": "page", "parameters": {"url": "a"}}
RUN = "/v1/scripts/page/run"
KEY = {"Idempotency-Key": "order-1"}


class SlowStore(MemoryTaskStore):
    """A store that lets others have a turn wherever a database would."""

    async def add(self, row: TaskRow, spec: TaskSpec | None = None) -> None:
        """Keep a new task, some turns later."""
        for _ in range(3):
            await asyncio.sleep(0)
        await super().add(row, spec)
        await asyncio.sleep(0)

    async def find_by_key(self, client: str, idempotency_key: str) -> TaskRow | None:
        """Find a task, a turn later."""
        await asyncio.sleep(0)
        return await super().find_by_key(client, idempotency_key)


@pytest.fixture
def slow(make: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a gateway whose store waits."""
    monkeypatch.setattr("tests.gateway.conftest.MemoryTaskStore", SlowStore)
    return make()


def body_of(path: str, url: str = "a") -> dict[str, Any]:
    """Return a body for a way to run the script."""
    return {"url": url} if path == RUN else {"script_name": "page", "parameters": {"url": url}}


@pytest.mark.parametrize("path", ["/scrape", RUN, "/v1/tasks"])
async def test_a_hundred_at_once_are_one_task(slow, path):
    """However many calls come at once with one key, one task is made, and all are told of it."""
    worker = slow.worker(hold)
    async with slow.client() as client:
        calls = [
            asyncio.create_task(client.post(path, json=body_of(path), headers=KEY))
            for _ in range(100)
        ]
        worker.ok(await worker.runs.get(), "once")
        answers = await asyncio.gather(*calls)
        other = await client.post(path, json=body_of(path, "b"), headers=KEY)

    assert len({answer.headers["x-request-id"] for answer in answers}) == 1
    assert slow.router.submitted_count == 1
    assert worker.runs.empty()
    assert other.status_code == 409


async def test_different_bodies_at_once(slow):
    """Of two bodies with one key the first is done and the other is told of it."""
    slow.worker()
    async with slow.client() as client:
        answers = await asyncio.gather(
            *(client.post("/scrape", json=body_of("/scrape", url), headers=KEY) for url in "ab")
        )

    assert sorted(answer.status_code for answer in answers) == [200, 409]


@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
async def test_streams_are_told_from_the_beginning(gateway, client, accept):
    """A call that comes again gets the whole stream of the first task, ended or not."""
    worker = gateway.worker(hold)
    headers = {**KEY, "Accept": accept}
    first = asyncio.create_task(client.post("/scrape", json=PAGE, headers=headers))
    run = await worker.runs.get()
    worker.say(run, ("item", 1))
    second = asyncio.create_task(client.post("/scrape", json=PAGE, headers=headers))
    await asyncio.sleep(0)
    worker.say(run, ("item", 2))
    worker.ok(run, None, item_count=2)

    texts = [(await call).text for call in (first, second)]
    late = (await client.post("/scrape", json=PAGE, headers=headers)).text

    assert texts[0] == texts[1] == late
    assert gateway.router.submitted_count == 1


async def test_script_that_is_not_there_fails_once(slow):
    """A call whose script cannot be resolved is the same failed task when it comes again."""
    async with slow.client() as client:
        calls = [client.post("/scrape", json={"script_name": "no"}, headers=KEY) for _ in range(5)]
        answers = await asyncio.gather(*calls)

    assert {answer.json()["error"]["code"] for answer in answers} == {"script_not_found"}
    assert len({answer.json()["request_id"] for answer in answers}) == 1


async def test_keys_are_each_clients_own_and_last_a_day(gateway, client):
    """After a day a key means nothing any more, and stands for the next task it comes with."""
    gateway.worker()
    first = (await client.post("/scrape", json=PAGE, headers=KEY)).json()["request_id"]
    row = await gateway.store.get(first)
    row.created_at -= 86_390
    same = (await client.post("/scrape", json=PAGE, headers=KEY)).json()["request_id"]
    row.created_at -= 20

    later = (await client.post("/scrape", json=PAGE, headers=KEY)).json()["request_id"]
    again = (await client.post("/scrape", json=PAGE, headers=KEY)).json()["request_id"]

    assert same == first
    assert later == again != first


async def test_refused_call_takes_no_key(gateway, client):
    """A call that was refused may come again with its key."""
    worker = gateway.worker(hold)
    locked = {"script_name": "locked", "parameters": {"url": "a"}}
    holder = (await client.post("/v1/tasks", json=locked)).json()["request_id"]
    refused = await client.post("/scrape", json=locked, headers=KEY)
    worker.ok(await worker.runs.get())
    accepted = asyncio.create_task(client.post("/scrape", json=locked, headers=KEY))
    worker.ok(await worker.runs.get(), "second")

    assert refused.status_code == 409
    assert refused.json()["error"]["details"]["holder"] == holder
    assert (await accepted).json()["data"] == "second"


async def test_failures_are_told_again(gateway, client):
    """A key stands for its task however that has ended."""
    gateway.worker(ending(OutcomeCode.BLOCKED, error_message="403"))
    answers = [await client.post(RUN, json={"url": "a"}, headers=KEY) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [502, 502]
    assert len({json.loads(answer.text)["request_id"] for answer in answers}) == 1


async def test_key_locks_leave_nothing():
    """A key that nobody holds any more is forgotten, also when who waited was cancelled."""
    locks: KeyLocks[str] = KeyLocks()
    order: list[int] = []

    async def act(number: int) -> None:
        async with locks.hold("key"):
            order.append(number)
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(act(number)) for number in range(4)]
    await asyncio.sleep(0)
    tasks[2].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert order == [0, 1, 3]
    assert len(locks) == 0
