"""The API on a database: what a 202 promises, and what is said while nothing can be kept."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.conftest import Gateway, until
from tests.gateway.loop_router import hold
from zscrape.store import behind
from zscrape.store.database import Database
from zscrape.store.sql import SqlTaskStore

PAGE = {"script_name": "page", "parameters": {"url": "http://a"}}
LOCKED = {"script_name": "locked", "parameters": {"url": "http://a"}}


@pytest.fixture
async def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Return an open database; the store above it closes it."""
    monkeypatch.setattr(behind, "RETRY_S", 0.01)
    return Database(tmp_path / "zscrape.db")


@pytest.fixture
async def gateway(make: Any, database: Database) -> AsyncIterator[Gateway]:
    """Return a gateway on that database."""
    store = SqlTaskStore(database)
    made: Gateway = make(store=store)
    yield made
    database._writer.execute("PRAGMA query_only=OFF")
    await store.close()


def refuse(database: Database, is_refusing: bool) -> None:
    """Let the disk refuse, or take again."""
    database._writer.execute(f"PRAGMA query_only={'ON' if is_refusing else 'OFF'}")


async def test_a_batch_is_accepted_and_run(gateway: Gateway, client: httpx.AsyncClient) -> None:
    """Every task of a batch is there, runs, and is told by the history."""
    gateway.worker(slots=4)

    answer = await client.post("/v1/tasks", json=[PAGE] * 300)
    request_ids = [task["request_id"] for task in answer.json()["tasks"]]
    await until(lambda: gateway.service.live_count == 0)
    history = (await client.get("/v1/tasks?status=completed&limit=1000")).json()["tasks"]

    assert answer.status_code == 202
    assert [task["request_id"] for task in history] == request_ids[::-1]


async def test_a_batch_of_tasks_under_one_lock(gateway: Gateway, client: httpx.AsyncClient) -> None:
    """Of tasks that exclude each other one is accepted; the refused ones leave nothing."""
    answer = await client.post("/v1/tasks", json=[LOCKED] * 3)
    history = (await client.get("/v1/tasks")).json()["tasks"]

    told = answer.json()
    assert (told["accepted_count"], told["refused_count"]) == (1, 2)
    assert told["tasks"][1]["error"]["code"] == "lock_held"
    assert len(history) == 1


async def test_a_hundred_posts_with_one_key(gateway: Gateway, client: httpx.AsyncClient) -> None:
    """Calls with one key that come together are one task, also before it is on the disk."""
    headers = {"Idempotency-Key": "once"}

    answers = await asyncio.gather(
        *(client.post("/v1/tasks", json=PAGE, headers=headers) for _ in range(100))
    )

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["request_id"] for answer in answers}) == 1
    assert len((await client.get("/v1/tasks")).json()["tasks"]) == 1


@pytest.mark.parametrize("path", ["/v1/tasks", "/scrape", "/v1/scripts/page/run"])
async def test_new_work_is_refused_while_nothing_can_be_kept(
    gateway: Gateway, client: httpx.AsyncClient, database: Database, path: str
) -> None:
    """It is a 503 with the reason and when to come again; afterwards all is as before."""
    gateway.worker()
    refuse(database, True)
    await client.post("/v1/tasks", json=PAGE)
    body = PAGE["parameters"] if path.endswith("run") else PAGE

    refused = await client.post(path, json=body)
    ready = await client.get("/ready")
    pressure = (await client.get("/v1/pressure")).json()
    refuse(database, False)
    await until(lambda: not gateway.store.fault())
    accepted = await client.post(path, json=body)

    assert refused.status_code == 503
    assert "storage_read_only" in refused.text
    assert refused.headers["retry-after"]
    assert (ready.status_code, ready.json()["status"]) == (503, "storage_read_only")
    assert (pressure["has_room"], pressure["reason"]) == (False, "storage_read_only")
    assert accepted.status_code in (200, 202)


async def test_a_cancelled_task_stays_cancelled(
    gateway: Gateway, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    """When a cancel is answered it is on the disk: no restart takes the task up again."""
    gateway.worker(hold)
    request_id = (await client.post("/v1/tasks", json=PAGE)).json()["request_id"]

    answer = await client.delete(f"/v1/tasks/{request_id}")

    assert answer.json()["status"] == "cancelled"
    other = SqlTaskStore(Database(tmp_path / "zscrape.db"))
    assert await other.take_up(0.0) == ([], 0)
    await other.close()


class Gate:
    """Holds the database's writer up while it is shut."""

    def __init__(self, database: Database) -> None:
        self._event = threading.Event()
        self._held = database.write(lambda _writer: self._wait())

    def _wait(self) -> None:
        assert self._event.wait(10)

    async def open(self) -> None:
        """Let it write."""
        self._event.set()
        await self._held


@pytest.mark.parametrize(
    ("path", "is_first"),
    [
        ("?wait=5", True),
        ("/events", True),
        ("", False),
        ("/events", False),
        ("/result", False),
        ("/explain", False),
    ],
)
async def test_an_end_is_told_when_it_is_on_the_disk(
    gateway: Gateway, client: httpx.AsyncClient, database: Database, path: str, *, is_first: bool
) -> None:
    """Until then a crash would take it back: who asks, before or after it, waits for the commit."""
    worker = gateway.worker(hold)
    request_id = (await client.post("/v1/tasks", json=PAGE)).json()["request_id"]
    run = await worker.runs.get()
    gate = Gate(database)
    asking = client.get(f"/v1/tasks/{request_id}{path}")
    if is_first:
        waiting = asyncio.create_task(asking)
        hub = gateway.hub
        await until(lambda: hub.ends.waiting_count + hub.news.waiting_count > 0)
        worker.ok(run, 1)
    else:
        worker.ok(run, 1)
        await until(lambda: gateway.service.live_count == 0)
        waiting = asyncio.create_task(asking)
    early, _ = await asyncio.wait((waiting,), timeout=0.2)
    listed = await _listed_while_shut(client, gate)
    answer = await waiting

    assert early == set()
    assert listed == "completed"
    assert answer.status_code == 200
    assert "completed" in answer.text or answer.text == "1"


async def _listed_while_shut(client: httpx.AsyncClient, gate: Gate) -> str:
    """Return the state that a list shows, which waits for the gate as well."""
    listing = asyncio.create_task(client.get("/v1/tasks"))
    await asyncio.sleep(0)
    await gate.open()
    told: str = (await listing).json()["tasks"][0]["status"]
    return told


async def test_a_plain_call_waits_for_no_commit(
    gateway: Gateway, client: httpx.AsyncClient, database: Database
) -> None:
    """Its answer is its own; only one that can be asked for again by its key is kept first."""
    gateway.worker()
    gate = Gate(database)

    plain = await client.post("/scrape", json=PAGE)
    keyed = asyncio.create_task(
        client.post("/scrape", json=PAGE, headers={"Idempotency-Key": "once"})
    )
    early, _ = await asyncio.wait((keyed,), timeout=0.2)
    await gate.open()

    assert plain.json()["status"] == "completed"
    assert early == set()
    assert (await keyed).json()["status"] == "completed"


async def test_an_end_is_told_though_the_disk_refuses(
    gateway: Gateway, client: httpx.AsyncClient, database: Database
) -> None:
    """While nothing can be kept, what is known is told."""
    worker = gateway.worker(hold)
    request_id = (await client.post("/v1/tasks", json=PAGE)).json()["request_id"]
    run = await worker.runs.get()
    refuse(database, True)
    worker.ok(run, 1)

    answer = await client.get(f"/v1/tasks/{request_id}?wait=5")

    assert answer.json()["status"] == "completed"
