"""/v1/tasks/export: the history in one stream."""

from __future__ import annotations

import csv
import io
from typing import Any

import msgspec
import pytest

from tests.gateway.loop_router import ending
from zscrape.model import OutcomeCode


def lines(text: str) -> list[dict[str, Any]]:
    """Return the documents of an answer in JSON lines."""
    return [msgspec.json.decode(line) for line in text.splitlines()]


def table(text: str) -> list[dict[str, str]]:
    """Return the rows of an answer in CSV."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def _fill(gateway: Any, client: Any, count: int) -> None:
    gateway.worker()
    bodies = [{"script_name": "page", "parameters": {"url": str(n)}} for n in range(count)]
    for start in range(0, count, 1_000):
        await client.post("/v1/tasks/batch", json=bodies[start : start + 1_000])


async def test_every_task_once(gateway, client):
    """All tasks, newest first, across pages; without data unless it is asked for."""
    await _fill(gateway, client, 2_345)

    whole = await client.get("/v1/tasks/export")
    part = await client.get("/v1/tasks/export?limit=1001&data=1&status=completed")

    urls = [task["parameters"]["url"] for task in lines(whole.text)]
    assert urls == [str(n) for n in reversed(range(2_345))]
    assert lines(whole.text)[0]["data"] is None
    assert len(lines(part.text)) == 1_001
    assert lines(part.text)[0]["data"] == {"url": "2344"}
    assert whole.headers["content-type"].startswith("application/x-ndjson")


async def test_errors_stand_in_full(gateway, client):
    """An export has the whole error: code, words, type and traceback."""
    told = {"error_type": "ValueError", "error_message": "bad\nline", "traceback": "File main.py"}
    gateway.worker(ending(OutcomeCode.SCRIPT_ERROR, **told))
    await client.post("/scrape", json={"script_name": "page", "parameters": {"url": "=1+1"}})

    [line] = lines((await client.get("/v1/tasks/export?script=page")).text)
    [row] = table((await client.get("/v1/tasks/export?format=csv")).text)

    assert line["error"]["traceback"] == "File main.py"
    assert "bad\nline" in line["error"]["message"]
    assert (row["status"], row["error_code"]) == ("failed", "script_error")
    assert row["error_traceback"] == "File main.py"
    assert row["parameters"] == '{"url":"=1+1"}'


async def test_table_has_all_columns_and_data_at_will(gateway, client):
    """The table's columns are the same for every task; moments are ISO 8601."""
    await _fill(gateway, client, 60)

    bare = table((await client.get("/v1/tasks/export?format=csv")).text)
    full = table((await client.get("/v1/tasks/export?format=csv&data=1&limit=2")).text)

    assert len(bare) == 60
    assert "data" not in bare[0]
    assert [row["data"] for row in full] == ['{"url":"59"}', '{"url":"58"}']
    assert full[0]["finished_at"].endswith("+00:00")
    assert full[0]["tags"] == full[0]["error_code"] == ""


@pytest.mark.parametrize("query", ["format=xml", "limit=0", "statuss=failed", "status=nope"])
async def test_bad_query(client, query):
    """A query that cannot be meant is refused before anything is sent."""
    assert (await client.get(f"/v1/tasks/export?{query}")).status_code == 422


async def test_no_tasks(client):
    """Nothing that fits is an empty stream, or a table of names alone."""
    empty = await client.get("/v1/tasks/export")
    names = await client.get("/v1/tasks/export?format=csv")

    assert (empty.status_code, empty.text) == (200, "")
    assert names.text.startswith("request_id,status,")
