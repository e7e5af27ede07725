"""Clients that hang up: the task goes on, or ends where that was asked for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.gateway.conftest import until
from tests.gateway.loop_router import ScriptedWorker, hold
from zscrape import wire

PAGE = {"script_name": "page", "parameters": {"url": "a"}}
RUN = "/v1/scripts/page/run"
STREAM = {"Accept": "text/event-stream"}
LINES = {"Accept": "application/x-ndjson"}


def body_of(path: str) -> dict[str, Any]:
    """Return a body for a way to run the script."""
    return {"url": "a"} if path == RUN else PAGE


@pytest.mark.parametrize(
    ("path", "headers"), [("/scrape", {}), ("/scrape", STREAM), ("/scrape", LINES), (RUN, {})]
)
@pytest.mark.parametrize("query", ["", "?on_disconnect=continue", "?on_disconnect=cancel"])
async def test_client_that_goes(make, path, headers, query):
    """Only `on_disconnect=cancel` ends the task, on every way in; nothing of the call stays."""
    gateway = make()
    worker = gateway.worker(hold)
    async with gateway.served() as served:
        async with served.client() as client:
            call = asyncio.create_task(
                client.post(path + query, json=body_of(path), headers=headers)
            )
            run = await worker.runs.get()
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        hub = gateway.hub
        await until(
            lambda: not (hub.ends.waiting_count or hub.news.waiting_count or hub.stream_count)
        )
        if "cancel" in query:
            await until(lambda: gateway.service.live_count == 0)
        else:
            worker.ok(run)
        row = await gateway.store.get(run.task_id)

    assert row.status == ("cancelled" if "cancel" in query else "completed")
    assert gateway.quiet()


async def test_reader_of_items_that_goes_half_way(make):
    """A stream that has begun ends its task as well, when its reader goes."""
    gateway = make()

    def begin(worker: ScriptedWorker, run: wire.Run) -> None:
        hold(worker, run)
        worker.say(run, ("item", 1))

    worker = gateway.worker(begin)
    path = "/scrape?on_disconnect=cancel"
    async with gateway.served() as served, served.client() as client:
        async with client.stream("POST", path, json=PAGE, headers=LINES) as answer:
            async for line in answer.aiter_lines():
                assert line == "1"
                break
        await until(lambda: gateway.service.live_count == 0)
        run = await worker.runs.get()

    assert (await gateway.store.get(run.task_id)).status == "cancelled"


async def test_others_who_wait_keep_the_task(make):
    """A task that somebody else waits for by the same key goes on."""
    gateway = make()
    worker = gateway.worker(hold)
    key = {"Idempotency-Key": "k"}
    async with gateway.served() as served, served.client() as stays, served.client() as goes:
        first = asyncio.create_task(
            goes.post("/scrape?on_disconnect=cancel", json=PAGE, headers=key)
        )
        run = await worker.runs.get()
        second = asyncio.create_task(stays.post("/scrape", json=PAGE, headers=key))
        await until(lambda: gateway.hub.ends.waiting_count == 2)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await until(lambda: gateway.hub.ends.waiting_count == 1)
        worker.ok(run, "kept")
        answer = await second

    assert answer.json()["data"] == "kept"


async def test_answer_in_time_is_no_disconnect(gateway, client):
    """A client that got its 202 has not gone: the task goes on."""
    worker = gateway.worker(hold)

    answer = await client.post(
        "/scrape?on_disconnect=cancel", json=PAGE, headers={"Prefer": "wait=0"}
    )
    worker.ok(await worker.runs.get())

    assert answer.status_code == 202
    assert (await gateway.store.get(answer.json()["request_id"])).status == "completed"


@pytest.mark.parametrize(
    "query", ["on_disconnect=maybe", "ondisconnect=cancel", "x=1", "on_disconnect=cancel&" * 2]
)
@pytest.mark.parametrize("path", ["/scrape", RUN])
async def test_query_that_means_nothing(gateway, client, path, query):
    """What cannot be meant is refused, and nothing is queued."""
    answer = await client.post(f"{path}?{query.rstrip('&')}", json=body_of(path))

    assert answer.status_code == 422
    assert gateway.router.submitted_count == 0
