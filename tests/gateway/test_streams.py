"""Answers that go on: server-sent events, lines of items, lines of logs; how they end."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, MutableMapping
from typing import Any, NamedTuple

import httpx
import pytest

from tests.gateway.conftest import KEY, Served, until
from tests.gateway.loop_router import ScriptedWorker, hold
from zscrape import wire
from zscrape.gateway.api.streams import ITEMS, follow
from zscrape.gateway.app import HttpPolicy
from zscrape.model import Outcome, OutcomeCode, Record

PAGE = {"script_name": "page", "parameters": {"url": "a"}}
EVENT_STREAM = {"Accept": "text/event-stream"}
JSON_LINES = {"Accept": "application/x-ndjson"}


class Event(NamedTuple):
    """One server-sent event."""

    number: int
    kind: str
    data: Any


async def events_of(answer: httpx.Response) -> AsyncIterator[Event]:
    """Read events as they come; pings are passed over."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            assert name not in fields
            fields[name] = value
        elif fields:
            yield Event(int(fields["id"]), fields["event"], json.loads(fields["data"]))
            fields = {}


def full(worker: ScriptedWorker, run: wire.Run) -> None:
    """Say one record of each kind and end well."""
    worker.started(run)
    artifact = {
        "name": "shot.png",
        "size": 3,
        "content_type": "image/png",
        "sha256": "ab",
        "data": "AAEC",
    }
    worker.say(
        run,
        ("log", {"level": "info", "stream": "stdout", "message": "한글\nline"}),
        ("progress", {"fraction": 0.5, "text": "half"}),
        ("item", b'{"n":\n 1}'),
        ("item", [2]),
        ("artifact", artifact),
    )
    worker.ok(run, b'{"all":\n"done"}', item_count=2)


async def test_every_kind_of_event(gateway, client):
    """A stream tells states, logs, progress, items and artifacts in order, then the result."""
    gateway.worker(full)

    answer = await client.post("/scrape", json=PAGE, headers=EVENT_STREAM)
    events = [event async for event in events_of(answer)]

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [event.kind for event in events] == [
        *["state"] * 3,
        *["log", "progress", "item", "item", "artifact"],
        *["state", "result"],
    ]
    assert [event.number for event in events] == list(range(1, 11))
    states = [event.data["status"] for event in events if event.kind == "state"]
    assert states == ["queued", "assigned", "running", "completed"]
    assert events[3].data["message"] == "한글\nline"
    assert events[3].data["attempt"] == 1
    assert (events[4].data["fraction"], events[4].data["text"]) == (0.5, "half")
    assert [events[5].data, events[6].data] == [{"n": 1}, [2]]
    assert events[7].data["name"] == "shot.png"
    assert "data" not in events[7].data
    assert events[9].data["data"] == {"all": "done"}
    assert events[9].data["request_id"] == answer.headers["x-request-id"]
    assert gateway.quiet()


async def test_events_come_while_the_script_runs(make):
    """Each event leaves when it happens, and silence is filled with pings."""
    gateway = make()
    worker = gateway.worker(hold)
    async with (
        gateway.served() as served,
        served.client() as client,
        client.stream("POST", "/scrape", json=PAGE, headers=EVENT_STREAM) as answer,
    ):
        run = await worker.runs.get()
        lines = answer.aiter_lines()
        seen = []
        async for line in lines:
            seen.append(line)
            if line == ": ping":
                break
        worker.say(run, ("item", {"n": 1}))
        async for line in lines:
            seen.append(line)
            if line == "event: item":
                break
        assert gateway.service.live_count == 1  # told before the script has ended
        worker.ok(run)
        rest = [line async for line in lines]

    assert "event: state" in seen
    assert any(line == "event: result" for line in rest)
    assert gateway.quiet()


async def test_events_of_a_failure(gateway, client):
    """A failure is a result too."""

    def script(worker: ScriptedWorker, run: wire.Run) -> None:
        worker.started(run)
        worker.fail(run, OutcomeCode.BLOCKED, error_message="403")

    gateway.worker(script)

    answer = await client.post("/scrape", json=PAGE, headers=EVENT_STREAM)
    events = [event async for event in events_of(answer)]

    assert events[-1].kind == "result"
    assert events[-1].data["error"]["code"] == "blocked"
    assert events[-2].data["code"] == "blocked"


async def test_refusals_are_no_streams(gateway, client):
    """What is refused before it is a task is an envelope with its status, stream or not."""
    for headers in (EVENT_STREAM, JSON_LINES):
        answer = await client.post("/scrape", content=b"{", headers=headers)

        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["error"]["code"] == "malformed_json"


async def test_resume(gateway, client):
    """`Last-Event-ID` goes on after what was seen; past the result there is nothing: 204."""
    gateway.worker(full)
    request_id = (await client.post("/scrape", json=PAGE)).json()["request_id"]
    path = f"/v1/tasks/{request_id}/events"

    whole = [event async for event in events_of(await client.get(path))]
    rest = await client.get(path, headers={"Last-Event-ID": "7"})
    last = await client.get(path, headers={"Last-Event-ID": "9"})
    over = await client.get(path, headers={"Last-Event-ID": "10"})
    beyond = await client.get(path, headers={"Last-Event-ID": "999999"})

    assert [event async for event in events_of(rest)] == whole[7:]
    assert [event.kind async for event in events_of(last)] == ["result"]
    assert (over.status_code, beyond.status_code) == (204, 204)


@pytest.mark.parametrize("given", ["x", "-1", "1.5", "9" * 30])
async def test_bad_last_event_id(gateway, client, given):
    """A Last-Event-ID that is none of ours is refused."""
    gateway.worker()
    request_id = (await client.post("/scrape", json=PAGE)).json()["request_id"]

    answer = await client.get(f"/v1/tasks/{request_id}/events", headers={"Last-Event-ID": given})

    assert answer.status_code == 422
    assert answer.json()["problems"][0]["pointer"] == "Last-Event-ID"


async def test_many_subscribers(gateway, client):
    """Any number may follow a task, from whenever they come, and see the same."""
    worker = gateway.worker(hold)
    task = (await client.post("/v1/tasks", json=PAGE)).json()
    run = await worker.runs.get()
    early = [asyncio.create_task(client.get(task["links"]["events"])) for _ in range(5)]
    await until(lambda: gateway.hub.news.waiting_count >= 5)
    for number in range(1000):
        worker.say(run, ("item", number))
    late = [asyncio.create_task(client.get(task["links"]["events"])) for _ in range(5)]
    worker.ok(run, None, item_count=1000)

    answers = await asyncio.gather(*early, *late)

    for answer in answers:
        events = [event async for event in events_of(answer)]
        assert [event.data for event in events if event.kind == "item"] == list(range(1000))
        assert events[-1].kind == "result"
    assert gateway.quiet()


async def test_items_as_lines(make):
    """Items stream one a line as they come; the answer begins with the first of them."""
    gateway = make()
    worker = gateway.worker(hold)
    async with gateway.served() as served, served.client() as client:
        began = asyncio.Event()

        async def read() -> list[Any]:
            async with client.stream("POST", "/scrape", json=PAGE, headers=JSON_LINES) as answer:
                assert answer.status_code == 200
                found = []
                async for line in answer.aiter_lines():
                    found.append(json.loads(line))
                    began.set()
            return found

        reading = asyncio.create_task(read())
        run = await worker.runs.get()
        worker.say(run, ("log", {"message": "no item"}))
        assert not began.is_set()
        worker.say(run, ("item", b'{"n":\n1}'))
        await began.wait()
        assert gateway.service.live_count == 1
        worker.say(run, ("item", 2), ("item", "drei"))
        worker.ok(run, "data is not told", item_count=3)
        lines = await reading

    assert lines == [{"n": 1}, 2, "drei"]
    assert gateway.quiet()


async def test_failure_before_the_first_item(gateway, client):
    """What fails before its first item is an envelope with an honest status."""
    gateway.worker(hold)

    answer = await client.post("/scrape", json={**PAGE, "timeout": 0.05}, headers=JSON_LINES)

    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timeout")


async def test_failure_after_items(gateway, client):
    """What fails after items ends with a line that no item can be taken for."""

    def script(worker: ScriptedWorker, run: wire.Run) -> None:
        worker.started(run)
        worker.say(run, ("item", {"n": 1}))
        worker.fail(run, OutcomeCode.SCRIPT_ERROR, error_type="E", error_message="m")

    gateway.worker(script)

    answer = await client.post("/scrape", json=PAGE, headers=JSON_LINES)

    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines[0] == {"n": 1}
    assert lines[1]["$error"]["code"] == "script_error"


async def test_no_items(gateway, client):
    """A script that ends well without an item is an empty answer."""
    gateway.worker()

    answer = await client.post("/scrape", json=PAGE, headers=JSON_LINES)

    assert (answer.status_code, answer.content) == (200, b"")


async def test_logs(gateway, client):
    """Logs are one JSON object a line, with number, moment and attempt."""
    gateway.worker(full)
    request_id = (await client.post("/scrape", json=PAGE)).json()["request_id"]

    answer = await client.get(f"/v1/tasks/{request_id}/logs")
    after = await client.get(f"/v1/tasks/{request_id}/logs?after=4")

    (line,) = [json.loads(line) for line in answer.text.splitlines()]
    assert (line["id"], line["attempt"], line["message"]) == (4, 1, "한글\nline")
    assert line["at"].endswith("+00:00")
    assert after.text == ""


async def test_logs_follow(gateway, client):
    """`?follow=1` goes on until the task has ended; without it the answer ends at once."""
    worker = gateway.worker(hold)
    task = (await client.post("/v1/tasks", json=PAGE)).json()
    run = await worker.runs.get()
    worker.say(run, ("log", {"message": "one"}))

    now = await client.get(task["links"]["logs"])
    following = asyncio.create_task(client.get(task["links"]["logs"] + "?follow=1"))
    await until(lambda: gateway.hub.news.waiting_count)
    worker.say(run, ("log", {"message": "two"}))
    worker.ok(run)

    messages = [json.loads(line)["message"] for line in (await following).text.splitlines()]
    assert len(now.text.splitlines()) == 1
    assert messages == ["one", "two"]


async def test_logs_of_strange_clocks(gateway, client):
    """A worker whose clock is no clock does not break the answer."""

    def script(worker: ScriptedWorker, run: wire.Run) -> None:
        worker.started(run)
        for at in (float("inf"), float("nan"), 1e300, -1.0):
            record = Record("log", at, b"{}")
            index = worker._next_index[run.task_id, run.attempt]
            worker._next_index[run.task_id, run.attempt] += 1
            events = wire.Events(run.task_id, run.attempt, index, (record,))
            worker.router.receive(worker.peer, events)
        worker.ok(run)

    gateway.worker(script)
    request_id = (await client.post("/scrape", json=PAGE)).json()["request_id"]

    answer = await client.get(f"/v1/tasks/{request_id}/logs")

    assert [json.loads(line)["attempt"] for line in answer.text.splitlines()] == [1] * 4


async def test_retried_attempts_are_told(gateway, client):
    """A stream tells every attempt; `state` events say which one speaks and why it was."""

    def script(worker: ScriptedWorker, run: wire.Run) -> None:
        worker.started(run)
        worker.say(run, ("item", run.attempt))
        if run.attempt == 1:
            worker.done(run.task_id, 1, Outcome(code=OutcomeCode.BLOCKED))
        else:
            worker.ok(run, None, item_count=1)

    gateway.worker(script)
    body = {**PAGE, "retry": {"max": 1, "backoff": [0.01]}}

    answer = await client.post("/scrape", json=body, headers=EVENT_STREAM)
    events = [event async for event in events_of(answer)]

    told = [
        (event.kind, event.data if event.kind == "item" else event.data["status"])
        for event in events
        if event.kind in ("item", "state")
    ]
    assert told == [
        ("state", "queued"),
        ("state", "assigned"),
        ("state", "running"),
        ("item", 1),
        ("state", "queued"),
        ("state", "assigned"),
        ("state", "running"),
        ("item", 2),
        ("state", "completed"),
    ]
    assert events[4].data["code"] == "blocked"


async def test_lines_of_the_last_attempt_alone(gateway, client):
    """A reader that comes later gets the items of the last attempt, as `/items` does."""

    def script(worker: ScriptedWorker, run: wire.Run) -> None:
        worker.started(run)
        worker.say(run, *[("item", run.attempt)] * 300)
        if run.attempt == 1:
            worker.done(run.task_id, 1, Outcome(code=OutcomeCode.BLOCKED))
        else:
            worker.ok(run, None, item_count=300)

    gateway.worker(script)
    body = {**PAGE, "retry": {"max": 1, "backoff": [0.01]}}
    request_id = (await client.post("/scrape", json=body)).json()["request_id"]
    row = await gateway.service.get(request_id)
    sent: list[bytes] = []

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message.get("body", b""))

    await follow(gateway.state, row, ITEMS, receive, send, headers=[], lang="en")

    assert b"".join(sent).splitlines() == [b"2"] * 300


@pytest.mark.parametrize("last", [[2, 2], []])
async def test_lines_tell_when_another_attempt_begins(make, last):
    """Items that have left cannot be taken back: `$restart` says that they no longer count."""
    gateway = make()
    worker = gateway.worker(hold)
    body = {**PAGE, "retry": {"max": 1, "backoff": [0.01]}}
    async with (
        gateway.served() as served,
        served.client() as client,
    ):
        call = asyncio.create_task(_lines_of(client, body))
        run = await worker.runs.get()
        worker.say(run, ("item", 1))
        await until(lambda: gateway.hub.stream_count and gateway.hub.news.waiting_count)
        worker.done(run.task_id, 1, Outcome(code=OutcomeCode.BLOCKED))
        run = await worker.runs.get()
        worker.say(run, *[("item", item) for item in last])
        worker.ok(run, None, item_count=len(last))
        lines = await call

    assert lines == [1, {"$restart": 2}, *last]


async def _lines_of(client: httpx.AsyncClient, body: dict[str, Any]) -> list[Any]:
    answer = await client.post("/scrape", json=body, headers=JSON_LINES)
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_artifact_that_is_no_file_is_still_told(gateway, client):
    """What a script says of a file may be anything; the stream goes on behind it."""

    def script(worker: ScriptedWorker, run: wire.Run) -> None:
        worker.started(run)
        worker.say(run, ("artifact", b'{"x":1}'))
        worker.ok(run)

    gateway.worker(script)

    answer = await client.post("/scrape", json=PAGE, headers=EVENT_STREAM)
    events = [event async for event in events_of(answer)]

    assert [event.data for event in events if event.kind == "artifact"] == [{}]
    assert events[-1].kind == "result"


# ---- how streams end -----------------------------------------------------------------


async def test_reader_that_goes(make):
    """When the reader hangs up the stream ends; the task and other readers go on."""
    gateway = make()
    worker = gateway.worker(hold)
    async with gateway.served() as served, served.client() as client:
        async with client.stream("POST", "/scrape", json=PAGE, headers=EVENT_STREAM):
            run = await worker.runs.get()
            assert gateway.hub.stream_count == 1
        await until(lambda: not (gateway.hub.stream_count or gateway.hub.news.waiting_count))
        worker.ok(run, "kept")
        task = await client.get(f"/v1/tasks/{run.task_id}")

    assert task.json()["data"] == "kept"
    assert gateway.quiet()


async def test_long_poll_that_goes(make):
    """A long poll whose client hangs up leaves nothing behind."""
    gateway = make()
    worker = gateway.worker(hold)
    async with gateway.served() as served, served.client() as client:
        task = (await client.post("/v1/tasks", json=PAGE)).json()
        run = await worker.runs.get()
        polls = [
            asyncio.create_task(served_get(served, task["links"]["self"] + "?wait=60"))
            for _ in range(20)
        ]
        await until(lambda: gateway.hub.ends.waiting_count >= 20)
        for poll in polls:
            poll.cancel()
        await asyncio.gather(*polls, return_exceptions=True)
        await until(lambda: not gateway.hub.ends.waiting_count)
        worker.ok(run)

    assert gateway.quiet()


async def served_get(served: Served, path: str) -> httpx.Response:
    """Get over a connection of its own."""
    async with served.client() as client:
        return await client.get(path, timeout=30)


async def test_shutdown_is_quiet(make, caplog):
    """Open streams, polls and calls all end when the gateway closes; nothing is logged."""
    gateway = make()
    worker = gateway.worker(hold)
    async with gateway.served() as served, served.client() as client:
        task = (await client.post("/v1/tasks", json=PAGE)).json()
        await worker.runs.get()
        calls = [
            asyncio.create_task(client.get(task["links"]["events"])),
            asyncio.create_task(client.get(task["links"]["logs"] + "?follow=1")),
            asyncio.create_task(client.get(task["links"]["self"] + "?wait=60", timeout=60)),
            asyncio.create_task(client.post("/scrape", json=PAGE)),
            asyncio.create_task(client.post("/scrape", json=PAGE, headers=EVENT_STREAM)),
            asyncio.create_task(client.post("/scrape", json=PAGE, headers=JSON_LINES)),
        ]
        await until(lambda: gateway.hub.news.waiting_count + gateway.hub.ends.waiting_count >= 6)
        gateway.hub.close()
        served.server.should_exit = True
        answers = await asyncio.gather(*calls)
        await served.task

    assert [answer.status_code for answer in answers] == [200, 200, 200, 503, 200, 503]
    assert caplog.records == []


async def test_reader_that_stalls(make, caplog):
    """A reader that takes nothing is cut after the limit, and costs no memory meanwhile."""
    gateway = make(http=HttpPolicy(stall_limit_s=0.2))
    worker = gateway.worker(hold)
    async with gateway.served() as served, served.client() as client:
        task = (await client.post("/v1/tasks", json=PAGE)).json()
        run = await worker.runs.get()
        stalled = socket.create_connection(("127.0.0.1", served.port))
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = f"GET {task['links']['events']} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {KEY}\r\n\r\n"
        stalled.sendall(request.encode())
        await until(lambda: gateway.hub.stream_count)
        for _ in range(200):
            worker.say(run, ("item", "x" * 100_000))
            await asyncio.sleep(0)
        await until(lambda: not gateway.hub.stream_count)
        stalled.close()
        worker.ok(run, "others go on", item_count=200)
        shown = await client.get(task["links"]["self"])

    assert shown.json()["data"] == "others go on"
    assert gateway.quiet()


async def test_reader_that_goes_before_the_first_item(make):
    """A client that hangs up while no item has come leaves nothing behind."""
    gateway = make()
    worker = gateway.worker(hold)
    async with gateway.served() as served:
        async with served.client() as client:
            call = asyncio.create_task(client.post("/scrape", json=PAGE, headers=JSON_LINES))
            run = await worker.runs.get()
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        await until(lambda: not gateway.hub.news.waiting_count)
        worker.ok(run)

    assert gateway.quiet()
