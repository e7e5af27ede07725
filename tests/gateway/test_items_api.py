"""Long lists of items: told page by page, the same as if they were told at once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.conftest import Gateway
from tests.gateway.loop_router import ScriptedWorker
from zscrape import wire
from zscrape.gateway.api import itempages
from zscrape.store.blobs import FileBlobs
from zscrape.store.database import Database
from zscrape.store.far import Far, FarPolicy
from zscrape.store.memory import MemoryTaskStore
from zscrape.store.sql import SqlTaskStore

PAGE = {"script_name": "page", "parameters": {"url": "http://a"}}
ITEMS = [{"n": number, "text": "x" * 100} for number in range(5_000)]


def many(worker: ScriptedWorker, run: wire.Run) -> None:
    """Say many items."""
    worker.started(run)
    for start in range(0, len(ITEMS), 500):
        worker.say(run, *(("item", item) for item in ITEMS[start : start + 500]))
    worker.ok(run, item_count=len(ITEMS))


@pytest.fixture(params=["sql", "memory"])
async def gateway(
    request: pytest.FixtureRequest, make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Gateway]:
    """Return a gateway that keeps most items in files, or all in memory."""
    monkeypatch.setattr(itempages, "_PAGE_BYTES", 50_000)
    if request.param == "memory":
        yield make(store=MemoryTaskStore())
        return
    far = Far(FileBlobs(tmp_path / "blobs"), FarPolicy(items_bytes=1_000))
    store = SqlTaskStore(Database(tmp_path / "zscrape.db"), far=far)
    yield make(store=store)
    await store.close()


@pytest.fixture
async def task(gateway: Gateway, client: httpx.AsyncClient) -> str:
    """Return the path of a task that has ended and is written."""
    gateway.worker(many)
    request_id = (await client.post("/scrape", json=PAGE)).json()["request_id"]
    kept = gateway.store.kept(request_id, is_urgent=True)
    if kept is not None:
        await kept
    return f"/v1/tasks/{request_id}"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ITEMS),
        ("&offset=7&limit=2500", ITEMS[7:2507]),
        ("&offset=4990", ITEMS[4990:]),
        ("&fields=n", [{"n": item["n"]} for item in ITEMS]),
    ],
)
async def test_many_items(
    client: httpx.AsyncClient, task: str, query: str, expected: list[Any]
) -> None:
    """Each item is told once, in order, in both forms, as far as it was asked for."""
    array = await client.get(f"{task}/items?format=json{query}")
    lines = await client.get(f"{task}/items?format=jsonl{query}")

    assert array.json() == expected
    assert [json.loads(line) for line in lines.text.splitlines()] == expected
    assert array.headers["x-total-count"] == "5000"
    assert array.headers["content-type"] == "application/json"
    assert lines.headers["content-type"].startswith("application/x-ndjson")


async def test_items_that_are_gone(client: httpx.AsyncClient, task: str, tmp_path: Path) -> None:
    """What is lost from the beginning is told by a code before anything else is."""
    files = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
    for path in files:
        path.unlink()

    answer = await client.get(f"{task}/items")

    if files:
        assert (answer.status_code, answer.json()["code"]) == (410, "blob_missing")
    else:
        assert answer.json() == ITEMS
