"""More than the cluster can do: refused with a reason, fair to every client, within memory."""

from __future__ import annotations

import gc

import msgspec
import psutil
import pytest

from tests.gateway.conftest import KEY
from tests.gateway.loop_router import hold
from zscrape.errors.refusals import QueueFull
from zscrape.gateway.requests import TaskRequest
from zscrape.model import QueuePolicy

PAGE = {"script_name": "page", "parameters": {"url": "a"}}
QUEUED_COUNT = 100_000
# Measured: 2.4 KB a task, the row, the task of the core and the first log entry together.
TASK_LIMIT_BYTES = 5_000


@pytest.mark.parametrize("path", ["/scrape", "/v1/tasks", "/v1/scripts/page/run"])
async def test_client_beyond_its_limit(make, path):
    """A client with too many unfinished tasks is told 429, when to come again, and why."""
    gateway = make(queue=QueuePolicy(client_limit_count=1))
    worker = gateway.worker(hold)
    body = {"url": "a"} if path.endswith("run") else PAGE
    async with gateway.client() as client:
        await client.post("/v1/tasks", json=PAGE)

        refused = await client.post(path, json=body)
        worker.ok(await worker.runs.get())
        accepted = await client.post("/v1/tasks", json=PAGE)
        worker.ok(await worker.runs.get())

    told = refused.json()
    assert (refused.status_code, accepted.status_code) == (429, 202)
    assert int(refused.headers["retry-after"]) > 0
    assert told.get("reason", told.get("error", {}).get("code")) == "client_queue_full"


async def test_client_of_a_task_reaches_the_queue(gateway, client):
    """The queue knows whose task it is."""
    gateway.worker(hold, slots=1)
    for _ in range(2):
        await client.post("/v1/tasks", json=PAGE)

    clients = {task.spec.client for task in gateway.router.dispatcher._lives.tasks.values()}
    await client.post("/v1/tasks/cancel", json={"all": True})

    assert clients == {gateway.state.access.authenticate({b"x-api-key": KEY.encode()}).id}


@pytest.mark.timeout(120)
async def test_memory_of_a_full_queue_is_bounded(make):
    """100,000 waiting tasks take a few kilobytes each; those that are refused take nothing."""
    gateway = make(queue=QueuePolicy(limit_count=QUEUED_COUNT))
    request = TaskRequest(script_name="page", parameters=msgspec.Raw(b'{"url":"a"}'))
    process = psutil.Process()

    async def fill(count: int) -> int:
        refused_count = 0
        for _ in range(count):
            prepared = await gateway.service.prepare(request, origin="task", client="c")
            try:
                await gateway.service.accept(prepared)
            except QueueFull:
                refused_count += 1
        return refused_count

    await fill(1_000)
    gc.collect()
    before = process.memory_info().rss
    assert await fill(QUEUED_COUNT - 1_000) == 0
    gc.collect()
    full = process.memory_info().rss
    assert await fill(20_000) == 20_000
    gc.collect()
    after = process.memory_info().rss

    assert gateway.router.snapshot().queued_count == QUEUED_COUNT
    assert (full - before) / QUEUED_COUNT < TASK_LIMIT_BYTES
    assert after - full < 20_000_000
