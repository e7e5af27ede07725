"""What a refused call leaves: nothing that only the collector would find, its body least of all."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pytest

from tests.gateway.loop_router import hold
from zscrape.errors import ZscrapeError
from zscrape.gateway.app import HttpPolicy
from zscrape.gateway.tasks import TaskPolicy
from zscrape.model import QueuePolicy
from zscrape.store.tasks import TaskQuery

PAGE = {"script_name": "page", "parameters": {"url": "a"}}
LOCKED = {"script_name": "locked", "parameters": {"url": "a"}}
CALL_COUNT = 3


@pytest.fixture
def garbage() -> Iterator[Callable[[], list[str]]]:
    """Return what tells which of our errors the collector finds, who does not come by itself."""

    def found() -> list[str]:
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        return [repr(each) for each in gc.garbage if isinstance(each, ZscrapeError)]

    gc.collect()
    gc.disable()
    yield found
    gc.set_debug(0)
    gc.garbage.clear()
    gc.collect()
    gc.enable()


@pytest.mark.parametrize(
    "call",
    [
        {"json": {"script_name": "nobody"}},
        {"json": {**PAGE, "version": "9.9"}},
        {"json": {"script_name": "page", "parameters": {"url": 1}}},
        {"json": {"script_name": "broken"}},
        {"content": b"{"},
        {"json": {"script_name": "page", "params": {}}},
        {"json": PAGE, "headers": {"Authorization": "Bearer wrong"}},
        {"json": PAGE, "headers": {"Authorization": ""}},
        {"content": b"x" * 3_000},
        {"json": LOCKED},
        {"json": LOCKED, "headers": {"Prefer": "handling=lenient"}},
        {"url": "/nowhere", "json": PAGE},
        {"url": "/v1/tasks", "json": {"script_name": "nobody"}},
        {"url": "/v1/tasks", "json": LOCKED},
        {"url": "/v1/tasks", "json": [{"script_name": "nobody"}] * 3},
        {"url": "/v1/tasks", "json": [LOCKED] * 3},
    ],
    ids=[
        "script", "version", "params", "manifest", "json", "field", "wrong-key", "no-key",
        "long", "lock", "lock-usual", "path", "tasks", "tasks-lock", "batch", "batch-lock",
    ],
)  # fmt: skip
async def test_a_refused_call_leaves_nothing_for_the_collector(make, garbage, call):
    """A call's error goes with its answer: none waits, with the call's body, to be found."""
    gateway = make(http=HttpPolicy(body_limit_bytes=2_000))
    worker = gateway.worker(hold)
    async with gateway.served() as served, served.client() as client:
        await client.post("/v1/tasks", json=LOCKED)
        await worker.runs.get()
        for _ in range(CALL_COUNT):
            answer = await client.post(**{"url": "/scrape", **call})
            assert "completed" not in answer.text, answer.text
        assert garbage() == []


async def test_a_call_that_finds_the_queue_full_leaves_nothing(make, garbage):
    """An overload is no time to hold bodies."""
    gateway = make(queue=QueuePolicy(limit_count=1), tasks=TaskPolicy(match_timeout_s=60.0))
    async with gateway.served() as served, served.client() as client:
        await client.post("/scrape", json=PAGE, headers={"Prefer": "wait=0"})
        for headers in ({}, {"Prefer": "wait=1"}):
            answer = await client.post("/scrape", json=PAGE, headers=headers)
            assert answer.json()["error"]["code"] == "queue_full", answer.text
        assert garbage() == []
        assert len((await gateway.store.page(TaskQuery())).rows) == 1  # nor is it kept
