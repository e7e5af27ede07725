"""A worker that sends bytes which are no JSON breaks no answer of the gateway."""

from __future__ import annotations

import msgspec
import pytest

from tests.gateway.loop_router import encode, hold
from zscrape.gateway.distrust import json_fault
from zscrape.model import OutcomeCode

PAGE = {"script_name": "page", "parameters": {"url": "u"}}
NOT_JSON = [
    b"",
    b"nonsense",
    b'{"a": 1',
    b'"\xff"',
    b"NaN",
    b'"\x01"',
    b"1 2",
    b"[" * 100_000 + b"]" * 100_000,
    b'1}, "status": "completed"',
]
JSON = [b"null", b" [1, 2] ", b'"\xea\xb0\x80"', b"1e999", b"9" * 5_000]


@pytest.mark.parametrize("document", NOT_JSON, ids=lambda document: repr(document[:12]))
def test_what_is_not_json_is_told(document):
    """Half a document, another encoding, no number, depth without end: each has a reason."""
    assert json_fault(document)


@pytest.mark.parametrize("document", JSON, ids=lambda document: repr(document[:12]))
def test_what_is_json_passes(document):
    """A document that the standard allows has no fault, even one that Python could not hold."""
    assert json_fault(document) == ""


@pytest.mark.parametrize("data", NOT_JSON, ids=lambda document: repr(document[:12]))
async def test_data_that_is_no_json_is_result_invalid(gateway, client, data):
    """The task has failed, the reason is told, and the envelope is whole."""
    gateway.worker(lambda worker, run: worker.ok(run, data))

    answer = await client.post("/scrape", json=PAGE)

    told = answer.json()
    assert (answer.status_code, told["status"], told["data"]) == (200, "failed", None)
    assert told["error"]["code"] == OutcomeCode.RESULT_INVALID
    assert "not JSON" in told["error"]["message"]
    assert [kind for kind, _ in gateway.invalid] == ["data"]


@pytest.mark.parametrize("kind", ["item", "log", "progress", "artifact"])
async def test_records_that_are_no_json_are_dropped(gateway, client, kind):
    """What was said well stays readable in every form; what was not is counted, told once."""
    worker = gateway.worker(hold)
    task_id = (await client.post("/v1/tasks", json=PAGE)).json()["request_id"]
    run = await worker.runs.get()
    worker.say(run, ("item", {"a": 1}), *((kind, body) for body in NOT_JSON), ("item", {"a": 2}))
    worker.ok(run, [1], item_count=2)

    items = await client.get(f"/v1/tasks/{task_id}/items")
    lines = await client.get(f"/v1/tasks/{task_id}/items?format=jsonl")
    events = await client.get(f"/v1/tasks/{task_id}/events")
    task = (await client.get(f"/v1/tasks/{task_id}")).json()

    assert items.json() == [{"a": 1}, {"a": 2}]
    assert [msgspec.json.decode(line) for line in lines.content.splitlines()] == items.json()
    for line in events.content.splitlines():
        if line.startswith(b"data: "):
            msgspec.json.decode(line.removeprefix(b"data: "))
    assert (task["item_count"], task["dropped_count"]) == (2, len(NOT_JSON))
    assert [told for told, _ in gateway.invalid] == [kind]


async def test_a_table_survives_any_item(gateway, client):
    """An item that Python cannot hold stands in the table as it was written."""
    worker = gateway.worker(hold)
    task_id = (await client.post("/v1/tasks", json=PAGE)).json()["request_id"]
    run = await worker.runs.get()
    items = [*JSON, b'{"=a": 1}', encode({"=a": 2})]
    worker.say(run, *(("item", body) for body in items))
    worker.ok(run)

    table = await client.get(f"/v1/tasks/{task_id}/items?format=csv")

    rows = table.text.splitlines()
    assert table.status_code == 200
    assert rows[0] == "value,'=a"
    assert rows[4] == "1e999,"
    assert len(rows) == 1 + len(items)


async def test_an_artifact_that_no_script_can_save_is_not_listed(gateway, client):
    """A name that no script can give becomes no link, nor a size beyond all disks."""
    worker = gateway.worker(hold)
    task_id = (await client.post("/v1/tasks", json=PAGE)).json()["request_id"]
    run = await worker.runs.get()
    names = ["page.html", "../../etc/passwd", "..", "a/b", "", "x" * 200, 'a"\r\nSet-Cookie: b']
    worker.say(run, *(("artifact", {"name": name, "size": 1, "data": "eA=="}) for name in names))
    worker.say(run, ("artifact", {"name": "b.html", "size": 2**70, "data": "eA=="}))
    worker.ok(run)

    listed = (await client.get(f"/v1/tasks/{task_id}/artifacts")).json()["artifacts"]

    assert [each["name"] for each in listed] == ["page.html"]
