"""By which id others know a call."""

from __future__ import annotations

import pytest

from tests.gateway.conftest import until
from tests.gateway.loop_router import ScriptedWorker
from zscrape.core.effects import TaskFinished
from zscrape.gateway.facts import FactTeller, tell
from zscrape.gateway.tracing import trace_of
from zscrape.model import Outcome, OutcomeCode
from zscrape.wire import Run

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def runs_of(worker: ScriptedWorker) -> list[Run]:
    """Return what a worker was asked to run."""
    return [each for each in worker.received if isinstance(each, Run)]


@pytest.mark.parametrize(
    ("headers", "trace_id"),
    [
        ({}, ""),
        ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, TRACE),
        ({"traceparent": f"cc-{TRACE}-00f067aa0ba902b7-01-later"}, TRACE),
        ({"traceparent": f"ff-{TRACE}-00f067aa0ba902b7-01"}, ""),
        ({"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01", "x-request-id": "a"}, "a"),
        ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "x-request-id": "a"}, TRACE),
        ({"x-request-id": "order/42:7"}, "order/42:7"),
        ({"x-request-id": "a" * 129}, ""),
        ({"x-request-id": "two words"}, ""),
        ({"x-request-id": "\x1b[31m"}, ""),
        ({"x-request-id": "a\n"}, ""),
    ],
)
def test_the_trace_of_a_call(headers, trace_id):
    """`traceparent` goes first; what could forge a log's line is nobody's id."""
    raw = {name.encode(): value.encode() for name, value in headers.items()}

    assert trace_of(raw) == trace_id


@pytest.mark.parametrize(
    "path", ["/scrape", "/v1/tasks", "/v1/tasks/batch", "/v1/scripts/page/run"]
)
async def test_every_way_in_takes_it_along(gateway, path):
    """Whichever call makes a task, the worker and the task's view are told."""
    worker = gateway.worker()
    task = {"script_name": "page", "parameters": {"url": "u"}}
    body = {"/v1/tasks/batch": [task], "/v1/scripts/page/run": task["parameters"]}.get(path, task)
    async with gateway.client(**{"X-Request-Id": "order-42"}) as client:
        answer = await client.post(path, json=body)
        await until(lambda: bool(runs_of(worker)))
        (run,) = runs_of(worker)
        view = (await client.get(f"/v1/tasks/{run.task_id}")).json()

    assert answer.status_code in (200, 202)
    assert run.trace_id == "order-42"
    assert view["trace_id"] == "order-42"


async def test_a_retry_keeps_it(gateway):
    """What is done again belongs to the call that asked first."""
    worker = gateway.worker()
    async with gateway.client() as client:
        task = {"script_name": "page", "parameters": {"url": "u"}}
        first = await client.post("/scrape", json=task, headers={"X-Request-Id": "order-42"})
        await client.post(f"/v1/tasks/{first.json()['request_id']}/retry")
        await until(lambda: len(runs_of(worker)) == 2)

    assert [run.trace_id for run in runs_of(worker)] == ["order-42"] * 2


def test_the_end_of_a_traced_task_is_told():
    """A task that went well is a debug line; one that somebody follows is told to all."""
    told = []

    class Log:
        def bind(self):
            return self

        def is_enabled_for(self, _level):
            return True

        def debug(self, event, **fields):
            told.append(("debug", fields.get("trace_id")))

        def info(self, event, **fields):
            told.append(("info", fields.get("trace_id")))

    teller = FactTeller(Log(), clock=lambda: 0.0)
    teller.listen(lambda fact: None)

    for trace_id in ("order-42", ""):
        tell(TaskFinished("t", 1, "w", Outcome(OutcomeCode.OK), trace_id=trace_id), teller.hearers)

    assert told == [("info", "order-42"), ("debug", None)]
