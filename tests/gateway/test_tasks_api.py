"""/v1/tasks: submit, history, long poll, explain, cancel, and what a task has brought."""

from __future__ import annotations

import asyncio
import base64
import csv
import io
from typing import Any

import openpyxl
import pytest

from tests.gateway.conftest import until
from tests.gateway.loop_router import ScriptedWorker, ending, hold
from zscrape import wire
from zscrape.gateway.app import HttpPolicy
from zscrape.model import OutcomeCode, QueuePolicy
from zscrape.store.memory import MemoryPolicy

PAGE = {"script_name": "page", "parameters": {"url": "a"}}


async def test_submit(gateway, client):
    """A task is accepted with 202 and where to find it, and answers as the envelope later."""
    gateway.worker()

    accepted = await client.post("/v1/tasks", json={**PAGE, "metadata": {"mine": 1}})
    task = await client.get(accepted.headers["location"])

    told = accepted.json()
    assert accepted.status_code == 202
    assert set(told) == {"request_id", "status", "links"}
    assert (
        accepted.headers["location"] == told["links"]["self"] == f"/v1/tasks/{told['request_id']}"
    )
    assert accepted.headers["x-request-id"] == told["request_id"]
    assert task.json()["status"] == "completed"
    assert task.json()["data"] == {"url": "a"}
    assert task.json()["parameters"] == {"url": "a"}
    assert task.json()["metadata"] == {"mine": 1}
    assert (task.json()["origin"], task.json()["client"]) == ("task", "admin")
    assert task.headers["x-request-id"] == told["request_id"]


async def test_submit_waits_for_a_worker(gateway, client):
    """A task without an open call waits for a worker that fits longer than an open call does."""
    accepted = await client.post("/v1/tasks", json={"script_name": "korean"})
    open_call = await client.post("/scrape", json={"script_name": "korean"})
    waiting = await client.get(accepted.headers["location"])
    gateway.worker(tags=("kr",))
    done = await client.get(accepted.headers["location"] + "?wait=5")

    assert open_call.status_code == 503
    assert waiting.json()["status"] == "queued"
    assert done.json()["status"] == "completed"


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/tasks/batch"])
async def test_submit_many(gateway, client, path):
    """An array is many tasks, answered in order."""
    gateway.worker()
    bodies = [{"script_name": "page", "parameters": {"url": str(n)}} for n in range(100)]

    answer = await client.post(path, json=bodies)

    told = answer.json()
    assert answer.status_code == 202
    assert (told["accepted_count"], told["refused_count"]) == (100, 0)
    urls = [
        (await client.get(task["links"]["self"])).json()["data"]["url"] for task in told["tasks"]
    ]
    assert urls == [str(n) for n in range(100)]


async def test_submit_many_in_an_object(gateway, client):
    """`{"tasks": [...]}` is the same as an array."""
    gateway.worker()

    answer = await client.post("/v1/tasks/batch", json={"tasks": [PAGE, PAGE]})

    assert answer.json()["accepted_count"] == 2


async def test_submit_many_into_a_full_queue(make):
    """What the queue still takes is accepted, the rest is refused in its place."""
    gateway = make(queue=QueuePolicy(limit_count=2))
    worker = gateway.worker(hold, slots=1)
    async with gateway.client() as client:
        answer = await client.post("/v1/tasks", json=[PAGE] * 5)
        none = await client.post("/v1/tasks", json=[PAGE] * 2)
        for _ in range(3):
            worker.ok(await worker.runs.get())

    told = answer.json()
    assert answer.status_code == 202
    assert (told["accepted_count"], told["refused_count"]) == (3, 2)
    assert told["tasks"][4]["error"]["code"] == "queue_full"
    assert int(answer.headers["retry-after"]) > 0
    assert (none.status_code, none.json()["code"]) == (503, "queue_full")
    assert none.json()["reason"] == "queue_full"
    assert gateway.quiet()


async def test_idempotent_submit(gateway, client):
    """The same Idempotency-Key is the same task."""
    gateway.worker()
    headers = {"Idempotency-Key": "a"}

    first = await client.post("/v1/tasks", json=PAGE, headers=headers)
    again = await client.post("/v1/tasks", json=PAGE, headers=headers)
    other = await client.post("/v1/tasks", json={**PAGE, "priority": 1}, headers=headers)

    assert first.json()["request_id"] == again.json()["request_id"]
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


async def test_history(gateway, client):
    """History is newest first, page by page, without gap or repetition while tasks come in."""
    gateway.worker()
    ids = [(await client.post("/v1/tasks", json=PAGE)).json()["request_id"] for _ in range(25)]

    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await client.get(f"/v1/tasks?limit=10{cursor}")).json()
        seen += [task["request_id"] for task in page["tasks"]]
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
        await client.post("/v1/tasks", json=PAGE)

    assert seen == ids[::-1]


async def test_history_filters(gateway, client):
    """Filters combine; several states may be asked for."""
    gateway.worker(hold)
    await client.post("/v1/tasks", json=PAGE)
    await client.post("/scrape", json={"script_name": "nope"})
    await client.post("/v1/tasks", json=[{"script_name": "anything"}])

    async def names(query: str) -> list[str]:
        answer = await client.get(
            "/v1/tasks", params=dict(pair.split("=") for pair in query.split("&"))
        )
        return [task["script_name"] for task in answer.json()["tasks"]]

    assert await names("status=running,failed") == ["anything", "nope", "page"]
    assert await names("status=failed") == ["nope"]
    assert await names("script=page") == ["page"]
    assert await names("origin=batch") == ["anything"]
    assert await names("script=page&status=failed") == []
    assert await names("since=2020-01-01") == ["anything", "nope", "page"]
    assert await names("since=2020-01-01T00:00:00Z") == ["anything", "nope", "page"]
    assert await names("since=2999-01-01T00:00:00+09:00") == []


async def test_long_poll(gateway, client):
    """`?wait=` answers when the task ends, or with its state when the time is over."""
    worker = gateway.worker(hold)
    task = (await client.post("/v1/tasks", json=PAGE)).json()
    run = await worker.runs.get()

    early = await client.get(task["links"]["self"] + "?wait=0.05")
    zero = await client.get(task["links"]["self"] + "?wait=0")
    polling = asyncio.create_task(client.get(task["links"]["self"] + "?wait=1e9"))
    await until(lambda: gateway.hub.ends.waiting_count)
    worker.ok(run, "done")

    assert early.json()["status"] == zero.json()["status"] == "running"
    assert (await polling).json()["data"] == "done"
    assert gateway.quiet()


async def test_progress_is_shown(gateway, client):
    """A running task shows how far it is, how many items it has and since when it runs."""
    worker = gateway.worker(hold)
    task = (await client.post("/v1/tasks", json=PAGE)).json()
    run = await worker.runs.get()
    worker.say(run, ("progress", {"fraction": 0.25, "text": "1/4"}), ("item", 1))

    shown = (await client.get(task["links"]["self"])).json()
    listed = (await client.get("/v1/tasks")).json()["tasks"][0]

    assert shown["progress"] == listed["progress"] == {"fraction": 0.25, "text": "1/4"}
    assert shown["item_count"] == 1
    assert shown["started_at"] >= shown["assigned_at"] >= shown["created_at"]


async def test_waiting_for_a_retry(gateway, client):
    """A task that rests for its next try says when it comes and what went wrong."""
    gateway.worker(ending(OutcomeCode.BLOCKED, error_message="403"))
    body = {**PAGE, "retry": {"max": 1, "backoff": [60]}}
    task = (await client.post("/v1/tasks", json=body)).json()

    shown = (await client.get(task["links"]["self"])).json()
    explained = (await client.get(task["links"]["self"] + "/explain")).json()
    await client.delete(task["links"]["self"])

    assert (shown["status"], shown["last_error"]) == ("queued", "blocked")
    assert shown["next_retry_at"] > shown["created_at"]
    assert explained["reason"] == "retry_later"


async def test_explain(gateway, client):
    """`explain` says in both languages why a task waits, where it runs, and that it has ended."""
    task = (await client.post("/v1/tasks", json=PAGE)).json()
    path = task["links"]["self"] + "/explain"

    waiting = await client.get(path)
    korean = await client.get(path, headers={"Accept-Language": "ko"})
    worker = gateway.worker(hold)
    running = await client.get(path)
    worker.ok(await worker.runs.get())
    ended = await client.get(path)

    assert waiting.json()["reason"] == "no_worker"
    assert "zscrape worker" in waiting.json()["message"]
    assert "워커" in korean.json()["message"]
    assert (running.json()["reason"], running.json()["worker_id"]) == ("running", "w1")
    assert ended.json()["reason"] == "finished"
    assert "completed" in ended.json()["message"]


@pytest.mark.parametrize(("method", "suffix"), [("POST", "/cancel"), ("DELETE", "")])
async def test_cancel(gateway, client, method, suffix):
    """Cancel ends a running task, tells its worker, and is no error when it comes again."""
    worker = gateway.worker(hold)
    task = (await client.post("/v1/tasks", json=PAGE)).json()
    await worker.runs.get()

    first = await client.request(method, task["links"]["self"] + suffix)
    again = await client.request(method, task["links"]["self"] + suffix)

    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["status"] == again.json()["status"] == "cancelled"
    assert first.json()["error"]["code"] == "cancelled"
    assert sum(isinstance(message, wire.Cancel) for message in worker.received) == 1


async def test_cancel_of_a_finished_task(gateway, client):
    """A final state never changes."""
    gateway.worker()
    task = (await client.post("/v1/tasks", json=PAGE)).json()

    answer = await client.post(task["links"]["cancel"])

    assert answer.json()["status"] == "completed"


async def test_tasks_are_forgotten_in_time(make):
    """Ended tasks beyond what is kept are gone, oldest first: 404."""
    gateway = make(kept=MemoryPolicy(final_count=3))
    gateway.worker()
    async with gateway.client() as client:
        tasks = [(await client.post("/v1/tasks", json=PAGE)).json() for _ in range(5)]
        answers = [await client.get(task["links"]["self"]) for task in tasks]

    assert [answer.status_code for answer in answers] == [404, 404, 200, 200, 200]


# ---- what a task has brought ---------------------------------------------------------

ITEMS = [
    {"name": "콩", "price": 1.5, "tags": ["a", "b"]},
    {"name": 'q"uote, comma', "stock": None, "ok": True},
    "bare",
    {"name": "line\nend"},
]


async def _with_items(gateway: Any, client: Any) -> dict[str, str]:
    def script(worker: ScriptedWorker, run: wire.Run) -> None:
        worker.started(run)
        worker.say(run, *(("item", item) for item in ITEMS))
        worker.ok(run, ITEMS, item_count=len(ITEMS))

    gateway.worker(script)
    links: dict[str, str] = (await client.post("/v1/tasks", json=PAGE)).json()["links"]
    return links


async def test_items(gateway, client):
    """Items come as JSON, as lines, or as a table, whole or in part."""
    links = await _with_items(gateway, client)

    whole = await client.get(links["items"])
    part = await client.get(links["items"] + "?offset=1&limit=2")
    beyond = await client.get(links["items"] + "?offset=10")
    lines = await client.get(links["items"] + "?format=jsonl")
    table = await client.get(links["items"] + "?format=csv")

    assert whole.json() == ITEMS
    assert whole.headers["x-total-count"] == "4"
    assert (part.json(), beyond.json()) == (ITEMS[1:3], [])
    assert len(lines.text.splitlines()) == 4
    assert lines.headers["content-type"].startswith("application/x-ndjson")
    assert table.headers["content-type"].startswith("text/csv")
    assert list(csv.reader(io.StringIO(table.text, newline=""))) == [
        ["name", "price", "tags", "stock", "ok", "value"],
        ["콩", "1.5", '["a","b"]', "", "", ""],
        ['q"uote, comma', "", "", "", "true", ""],
        ["", "", "", "", "", "bare"],
        ["line\nend", "", "", "", "", ""],
    ]


async def test_items_by_name(gateway, client):
    """`fields` and `omit` choose among the names of items, in every format."""
    links = await _with_items(gateway, client)

    few = await client.get(links["items"] + "?fields=ok,name&limit=2")
    rest = await client.get(links["items"] + "?omit=name,tags,stock")
    lines = await client.get(links["items"] + "?format=jsonl&fields=name&limit=1")
    table = await client.get(links["items"] + "?format=csv&fields=price,none,name&limit=1")

    assert few.text == '[{"name":"콩"},{"ok":true,"name":"q\\"uote, comma"}]'
    assert rest.json() == [{"price": 1.5}, {"ok": True}, "bare", {}]
    assert lines.text == '{"name":"콩"}\n'
    assert table.text.splitlines() == ["price,none,name", "1.5,,콩"]


async def test_items_as_a_spreadsheet(gateway, client):
    """XLSX has the same columns, numbers as numbers, and no cell that is a formula."""
    items = [
        {"name": "=1+1", "price": 1.5, "ok": True},
        {"big": 2**60, "nested": {"a": [1]}, "odd": "a\x00b\ud7ff"},
        "bare",
    ]

    def script(worker: ScriptedWorker, run: wire.Run) -> None:
        worker.started(run)
        worker.say(run, *(("item", item) for item in items))
        worker.ok(run, [], item_count=3)

    gateway.worker(script)
    links = (await client.post("/v1/tasks", json=PAGE)).json()["links"]

    answer = await client.get(links["items"] + "?format=xlsx")

    sheet = openpyxl.load_workbook(io.BytesIO(answer.content))["items"]
    cells = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert cells[0] == ["name", "price", "ok", "big", "nested", "odd", "value"]
    assert cells[1][:3] == ["=1+1", 1.5, True]
    assert cells[2][3:6] == [str(2**60), '{"a":[1]}', "ab\ud7ff"]
    assert cells[3][6] == "bare"
    assert sheet["A2"].data_type == "s"
    assert answer.headers["content-disposition"].endswith('.xlsx"')


@pytest.mark.parametrize("query", ["format=xml", "offset=-1", "limit=0", "limit=x", "ofset=1"])
async def test_bad_queries_of_items(gateway, client, query):
    """A query that cannot be meant is refused."""
    links = await _with_items(gateway, client)

    answer = await client.get(f"{links['items']}?{query}")

    assert answer.status_code == 422


async def test_many_items_are_sent_in_pieces(gateway, client):
    """Large answers are sent in pieces and arrive whole."""

    def script(worker: ScriptedWorker, run: wire.Run) -> None:
        worker.started(run)
        worker.say(run, *(("item", "x" * 10_000) for _ in range(200)))
        worker.ok(run, None, item_count=200)

    gateway.worker(script)
    links = (await client.post("/v1/tasks", json=PAGE)).json()["links"]

    answer = await client.get(links["items"])

    assert [len(item) for item in answer.json()] == [10_000] * 200
    assert int(answer.headers["content-length"]) == len(answer.content)


async def test_result(gateway, client):
    """`/result` is the data itself; there is none before the end, nor after a failure."""
    worker = gateway.worker(hold)
    links = (await client.post("/v1/tasks", json=PAGE)).json()["links"]
    run = await worker.runs.get()

    early = await client.get(links["result"])
    worker.ok(run, b'{"exact": 1.10}')
    late = await client.get(links["result"])

    assert (early.status_code, early.json()["code"]) == (404, "not_found")
    assert late.content == b'{"exact": 1.10}'


async def test_artifacts(make):
    """Saved files are listed with the task and served as they were; markup never as a page."""
    gateway = make(http=HttpPolicy())
    files = {
        "shot.png": (b"\x89PNG", "image/png"),
        "page.html": (b"<script>", "text/html; charset=utf-8"),
        "odd": (b"1", "text/html\r\nSet-Cookie: a=b"),
    }

    def script(worker: ScriptedWorker, run: wire.Run) -> None:
        worker.started(run)
        for name, (content, content_type) in files.items():
            told = {
                "name": name,
                "size": len(content),
                "content_type": content_type,
                "sha256": "ab",
                "data": base64.b64encode(content).decode(),
            }
            worker.say(run, ("artifact", told))
        worker.say(run, ("artifact", {"name": "torn", "size": 1, "data": "?"}))
        worker.ok(run, None)

    gateway.worker(script)
    async with gateway.client() as client:
        envelope = (await client.post("/scrape", json=PAGE)).json()
        base = f"/v1/tasks/{envelope['request_id']}/artifacts"
        listed = (await client.get(base)).json()["artifacts"]
        image = await client.get(f"{base}/shot.png")
        markup = await client.get(f"{base}/page.html")
        odd = await client.get(f"{base}/odd")
        torn = await client.get(f"{base}/torn")
        missing = await client.get(f"{base}/nope")
        outside = await client.get(f"{base}/..%2f..%2fetc%2fpasswd")

    assert envelope["artifacts"] == listed
    assert [each["name"] for each in listed] == [*files, "torn"]
    assert listed[0]["link"] == f"{base}/shot.png"
    assert (image.content, image.headers["content-type"]) == (b"\x89PNG", "image/png")
    assert image.headers["content-disposition"].startswith("inline")
    assert markup.headers["content-disposition"].startswith("attachment")
    assert markup.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in markup.headers["content-security-policy"]
    assert odd.headers["content-type"] == "application/octet-stream"
    assert "set-cookie" not in odd.headers
    assert {torn.status_code, missing.status_code, outside.status_code} == {404}


async def test_artifact_saved_again(gateway, client):
    """A file saved again under its name replaces the first."""

    def script(worker: ScriptedWorker, run: wire.Run) -> None:
        worker.started(run)
        for content in (b"one", b"second"):
            data = base64.b64encode(content).decode()
            worker.say(run, ("artifact", {"name": "a", "size": len(content), "data": data}))
        worker.ok(run, None)

    gateway.worker(script)
    envelope = (await client.post("/scrape", json=PAGE)).json()

    answer = await client.get(envelope["artifacts"][0]["link"])

    assert len(envelope["artifacts"]) == 1
    assert answer.content == b"second"


async def test_table_runs_no_formula(gateway, client):
    """A cell that a spreadsheet would run as a formula is marked as text."""

    def script(worker: ScriptedWorker, run: wire.Run) -> None:
        worker.started(run)
        worker.say(run, ("item", {"name": "=HYPERLINK(1)", "price": -1}))
        worker.ok(run, [], item_count=1)

    gateway.worker(script)
    links = (await client.post("/v1/tasks", json=PAGE)).json()["links"]

    table = await client.get(links["items"] + "?format=csv")

    assert list(csv.reader(io.StringIO(table.text, newline=""))) == [
        ["name", "price"],
        ["'=HYPERLINK(1)", "-1"],
    ]
