"""`max_age`: an earlier answer, or one on its way, serves instead of another run."""

from __future__ import annotations

import asyncio

import msgspec

from tests.gateway.conftest import until
from tests.gateway.loop_router import ending, hold
from zscrape.gateway.envelope import ReusedView
from zscrape.gateway.intake import Prepared
from zscrape.gateway.reuse import reused_view
from zscrape.model import OutcomeCode, Pin, RunSpec, TaskSpec, TaskState
from zscrape.store.tasks import TaskRow

PAGE = {"script_name": "anything", "parameters": {"url": "a", "depth": 1}}
SPEC = TaskSpec(id="new", run=RunSpec(pin=Pin("r", "page", "1.0.0", "d")))


def row(task_id: str, **values: object) -> TaskRow:
    """Return a task."""
    return TaskRow(id=task_id, script_name="page", created_at=0.0, **values)  # type: ignore[arg-type]


async def test_answer_is_marked(gateway, client):
    """A served answer names the task that it came from and how old it is, also as a header."""
    gateway.worker()
    first = await client.post("/scrape", json=PAGE)

    same = await client.post("/scrape", json={**PAGE, "max_age": 60})

    reused = same.json()["reused"]
    assert "reused" not in first.json()
    assert reused["request_id"] == first.json()["request_id"]
    assert 0 <= reused["age"] <= 60
    assert same.headers["age"] == str(int(reused["age"]))
    assert same.json()["data"] == first.json()["data"]


async def test_order_of_parameters(gateway, client):
    """The same parameters in another order and spacing are the same question."""
    gateway.worker()
    first = await client.post("/scrape", json=PAGE)
    turned = b'{"max_age": 60, "script_name": "anything", "parameters": {"depth":1,  "url": "a"}}'

    same = await client.post("/scrape", content=turned)

    assert same.json()["request_id"] == first.json()["request_id"]


async def test_failures_do_not_serve(gateway, client):
    """A task that failed is no answer: the script runs again."""
    gateway.worker(ending(OutcomeCode.BLOCKED, error_message="403"))
    first = await client.post("/scrape", json=PAGE)

    again = await client.post("/scrape", json={**PAGE, "max_age": 60})

    assert again.json()["request_id"] != first.json()["request_id"]
    assert "reused" not in again.json()


async def test_accepted_tasks_are_marked(gateway, client):
    """`POST /v1/tasks`, one or many, says which tasks are served by an earlier one."""
    gateway.worker()
    first = (await client.post("/scrape", json=PAGE)).json()["request_id"]
    other = {"script_name": "anything", "parameters": {"url": "b"}}

    one = await client.post("/v1/tasks", json={**PAGE, "max_age": 60})
    many = await client.post("/v1/tasks", json=[{**PAGE, "max_age": 60}, {**other, "max_age": 60}])

    assert (one.json()["request_id"], one.json()["status"]) == (first, "completed")
    assert one.json()["reused"]["request_id"] == first
    assert [task.get("reused", {}).get("request_id") for task in many.json()["tasks"]] == [
        first,
        None,
    ]


async def test_equal_calls_at_once_are_one_run(gateway, client):
    """Of equal calls at once one runs, and the others wait for it; 0 asks for a run of its own."""
    worker = gateway.worker(hold)
    body = {**PAGE, "max_age": 60}
    calls = [asyncio.create_task(client.post("/scrape", json=body)) for _ in range(5)]
    own = asyncio.create_task(client.post("/scrape", json={**PAGE, "max_age": 0}))
    await until(lambda: worker.runs.qsize() == 2)
    for run in (worker.runs.get_nowait(), worker.runs.get_nowait()):
        worker.ok(run)

    answers = [answer.json() for answer in await asyncio.gather(*calls)]
    apart = (await own).json()

    assert len({answer["request_id"] for answer in answers}) == 1
    assert sum("reused" in answer for answer in answers) == 4
    assert apart["request_id"] != answers[0]["request_id"]


async def test_a_webhook_is_told_of_its_own_run(gateway, client):
    """Whoever wants to be told by a webhook gets a run: an ended task tells nobody."""
    gateway.worker()
    first = await client.post("/scrape", json=PAGE)
    body = {**PAGE, "max_age": 60, "webhook_url": "http://127.0.0.1:9/told"}

    again = await client.post("/v1/tasks", json=body)

    assert again.json()["request_id"] != first.json()["request_id"]


def test_view() -> None:
    """A task asked for without a `max_age`, and the new one, are told as they are."""
    new = row("new")
    asked = Prepared(row=new, spec=SPEC, max_age_s=60.0)
    ended = row("old", status=TaskState.COMPLETED, finished_at=90.0)

    assert reused_view(asked, ended, 100.0) == ReusedView(request_id="old", age=10.0)
    assert reused_view(asked, row("live"), 100.0) == ReusedView(request_id="live", age=0.0)
    assert reused_view(asked, new, 100.0) is None
    assert reused_view(msgspec.structs.replace(asked, max_age_s=None), ended, 100.0) is None
