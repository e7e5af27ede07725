"""Spans of calls, tasks, attempts and scripts, with the real SDK."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanContext, SpanKind, StatusCode

from tests.gateway.conftest import KEY
from zscrape.core.effects import (
    TaskAccepted,
    TaskAssigned,
    TaskFinished,
    TaskQueued,
    TaskStarted,
)
from zscrape.gateway.spans import Spans
from zscrape.model import Outcome, OutcomeCode, TaskState
from zscrape.store.tasks import TaskRow

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


class Told:
    """What makes spans, and the spans that it has told."""

    def __init__(self, **options: Any) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False, **options)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.now_ns = 1_000_000_000
        self.spans = Spans(provider, clock_ns=self._tick)

    def _tick(self) -> int:
        self.now_ns += 1_000
        return self.now_ns

    def named(self) -> dict[str, ReadableSpan]:
        """Return the spans by their names."""
        return {span.name: span for span in self._exporter.get_finished_spans()}


def parent_of(span: ReadableSpan) -> str:
    """Return the id of a span's parent, in hexadecimal."""
    return "" if span.parent is None else f"{span.parent.span_id:016x}"


def id_of(span: ReadableSpan) -> str:
    """Return a span's id, in hexadecimal."""
    return f"{context_of(span).span_id:016x}"


def context_of(span: ReadableSpan) -> SpanContext:
    """Return what a span is known by."""
    context = span.get_span_context()
    assert context is not None
    return context


def row(status: TaskState = TaskState.COMPLETED, code: OutcomeCode = OutcomeCode.OK) -> TaskRow:
    """Return a task that has ended."""
    return TaskRow(
        id="t", script_name="page", created_at=1.0, status=status, outcome=Outcome(code=code)
    )


async def test_retried_task_has_a_span_for_each_attempt() -> None:
    """A failed attempt is an error of its own; the task is as it ended."""
    told = Told()
    note = told.spans.note
    note(TaskAccepted("t"))
    note(TaskAssigned("t", 1, "w1"))
    note(TaskStarted("t", 1, "w1"))
    note(TaskQueued("t", 1, code=OutcomeCode.BLOCKED, delay_s=1.0))
    note(TaskAssigned("t", 2, "w2"))
    note(TaskStarted("t", 2, "w2"))
    note(TaskFinished("t", 2, "w2", Outcome(code=OutcomeCode.OK)))
    told.spans.ended(row())
    spans = told.named()

    assert set(spans) == {"task page", "attempt 1", "attempt 2", "script"}
    task, first, second = spans["task page"], spans["attempt 1"], spans["attempt 2"]
    assert parent_of(task) == ""
    assert parent_of(first) == parent_of(second) == id_of(task)
    assert parent_of(spans["script"]) == id_of(second)
    assert first.status.status_code is StatusCode.ERROR
    assert first.attributes is not None
    assert first.attributes["zscrape.outcome.code"] == "blocked"
    assert first.attributes["zscrape.worker.id"] == "w1"
    assert second.status.status_code is StatusCode.UNSET
    assert task.status.status_code is StatusCode.UNSET
    assert task.start_time is not None
    assert first.start_time is not None
    assert first.end_time is not None
    assert second.start_time is not None
    assert task.start_time < first.start_time < first.end_time < second.start_time


async def test_script_whose_start_comes_with_its_end_has_a_span() -> None:
    """Whoever is told of both at once knows of the script too."""
    told = Told()
    told.spans.note(TaskAssigned("t", 1, "w", is_accepted=True))
    ended = TaskFinished("t", 1, "w", Outcome(code=OutcomeCode.OK), has_begun=True)
    told.spans.note(ended)
    told.spans.ended(row())
    spans = told.named()

    assert parent_of(spans["script"]) == id_of(spans["attempt 1"])


async def test_parked_task_is_no_failure() -> None:
    """An attempt that ends because a person is asked has not failed."""
    told = Told()
    told.spans.note(TaskAccepted("t"))
    told.spans.note(TaskAssigned("t", 1, "w"))
    told.spans.note(TaskQueued("t", 1, code=OutcomeCode.OK, parked_on="question"))

    (attempt,) = told.named().values()
    assert attempt.attributes is not None
    assert attempt.attributes["zscrape.parked"] is True
    assert attempt.status.status_code is StatusCode.UNSET


async def test_task_that_never_ran_has_a_span() -> None:
    """A script that cannot be resolved is a task that ended as it began."""
    told = Told()
    never = row(TaskState.FAILED)
    never.outcome = None
    never.error_code = "script_not_found"
    told.spans.ended(never)

    (task,) = told.named().values()
    assert task.status.status_code is StatusCode.ERROR
    assert task.status.description == "script_not_found"
    assert task.start_time == 1_000_000_000


async def test_facts_of_tasks_that_are_not_known_are_left_alone() -> None:
    """What was under way elsewhere makes no span, and no error."""
    told = Told()
    told.spans.note(TaskAssigned("t", 3, "w"))
    told.spans.note(TaskStarted("t", 3, "w"))
    told.spans.note(TaskFinished("t", 3, "w", Outcome(code=OutcomeCode.OK)))

    assert told.named() == {}


# ---- calls ---------------------------------------------------------------------------


@pytest.fixture
def traced(gateway: Any) -> Told:
    """Spans of a gateway with a worker."""
    told = Told()
    applied = gateway.router.on_effect

    def apply(fact: Any) -> None:
        told.spans.note(fact)
        applied(fact)

    ended = gateway._ended

    def end(task: TaskRow) -> None:
        ended(task)
        told.spans.ended(task)

    gateway.router.on_effect = apply
    gateway.service._ledger._on_end = end
    gateway.app = told.spans.around(gateway.app)
    return told


@pytest.mark.parametrize("path", ["/scrape", "/v1/scripts/page/run"])
async def test_call_is_the_parent_of_its_task(gateway: Any, traced: Told, path: str) -> None:
    """From the caller's own span down to the script there is one line of parents."""
    gateway.worker()
    body = (
        {"url": "u"} if path != "/scrape" else {"script_name": "page", "parameters": {"url": "u"}}
    )
    async with gateway.client(traceparent=f"00-{TRACE}-{PARENT}-01") as client:
        answer = await client.post(path, json=body)
        view = (await client.get(f"/v1/tasks/{answer.headers['x-request-id']}")).json()
    spans = traced.named()
    call = spans["POST /scrape" if path == "/scrape" else "POST /v1/scripts/{name}/run"]

    assert answer.status_code == 200
    assert parent_of(call) == PARENT
    assert call.kind is SpanKind.SERVER
    assert call.attributes is not None
    assert call.attributes["http.response.status_code"] == 200
    assert call.attributes["zscrape.request.id"] == answer.headers["x-request-id"]
    assert parent_of(spans["task page"]) == id_of(call)
    assert parent_of(spans["attempt 1"]) == id_of(spans["task page"])
    assert {f"{context_of(span).trace_id:032x}" for span in spans.values()} == {TRACE}
    assert view["trace_id"] == TRACE


async def test_looking_is_followed_only_where_asked_for(gateway: Any, traced: Told) -> None:
    """A dashboard that looks makes no spans; a program that traces itself has them."""
    async with gateway.client() as client:
        await client.get("/v1/tasks")
        before = dict(traced.named())
        await client.get("/v1/tasks", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
        await client.post("/v1/none/of/these", json={})

    assert before == {}
    assert set(traced.named()) == {"GET /v1/tasks", "POST"}


async def test_unsampled_call_costs_no_lines(gateway: Any) -> None:
    """Where the sampler says no, a task carries no trace that nobody will find."""
    told = Told(sampler=ALWAYS_OFF)
    gateway.app = told.spans.around(gateway.app)
    gateway.worker()
    async with gateway.client(Authorization=f"Bearer {KEY}") as client:
        made = await client.post(
            "/scrape", json={"script_name": "page", "parameters": {"url": "u"}}
        )
        view = (await client.get(f"/v1/tasks/{made.json()['request_id']}")).json()

    assert view["trace_id"] is None
    assert told.named() == {}
