"""`GET /metrics`: what is counted, under which names, and for whom."""

from __future__ import annotations

from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from zscrape.core.effects import TaskQueued, WorkerLost
from zscrape.core.snapshots import WorkerSnapshot, WorkerStatus
from zscrape.gateway.app import HttpPolicy
from zscrape.gateway.counters import (
    CLIENT_LIMIT_COUNT,
    OTHER,
    SCRIPT_LIMIT_COUNT,
    Counters,
    Histogram,
)
from zscrape.model import Load, Outcome, OutcomeCode, TaskState, Usage, WorkerFacts
from zscrape.store.tasks import TaskRow

# Contract section 8, by name; a family of counters is told without its `_total`.
CONTRACT = (
    *("scraping_requests", "scraping_request_duration_seconds", "scraping_queue_length"),
    *("scraping_active_workers", "system_memory_usage_percent", "system_cpu_usage_percent"),
    *("zscrape_slots", "zscrape_attempts", "zscrape_dispatch_latency_seconds"),
    *("zscrape_prepare_seconds", "zscrape_child_seconds", "zscrape_oldest_queued_seconds"),
    *("zscrape_fetch_seconds", "zscrape_environment_seconds", "zscrape_environments"),
    *("zscrape_site_budget_wait_seconds", "zscrape_schedule_occurrences"),
    *("zscrape_scripts", "zscrape_heartbeats_missed", "zscrape_orphans_killed"),
)


async def figures(client: httpx.AsyncClient) -> dict[str, Any]:
    """Return the samples of each family as `{labels: value}`, by the sample's name."""
    answer = await client.get("/metrics")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = {}
    for family in text_string_to_metric_families(answer.text):
        told[family.name] = None
        for sample in family.samples:
            told.setdefault(sample.name, None)
            told[sample.name] = told[sample.name] or {}
            told[sample.name][tuple(sorted(sample.labels.items()))] = sample.value
    return told


def ended(script: str = "page", client: str = "admin", **fields: Any) -> TaskRow:
    """Return a task that has ended after a quarter of a second."""
    row = TaskRow(id="t", script_name=script, created_at=100.0, client=client, digest="sha256:d")
    row.status, row.finished_at = TaskState.COMPLETED, 100.25
    for name, value in fields.items():
        setattr(row, name, value)
    return row


async def test_every_name_of_the_contract_is_there(gateway):
    """A task that ran and one of an unknown script are counted under the promised names."""
    gateway.worker()
    async with gateway.client() as client:
        await client.post("/scrape", json={"script_name": "page", "parameters": {"url": "u"}})
        await client.post("/scrape", json={"script_name": "nobody-knows"})
        told = await figures(client)

    assert [name for name in CONTRACT if name not in told] == []
    admin = ("client_id", "admin")
    assert told["scraping_requests_total"] == {
        (admin, ("script_name", "page"), ("status", "completed")): 1,
        (admin, ("script_name", OTHER), ("status", "failed")): 1,
    }
    assert told["scraping_request_duration_seconds_count"][(("script_name", "page"),)] == 1
    assert told["zscrape_attempts_total"][(("code", "ok"),)] == 1
    assert told["zscrape_dispatch_latency_seconds_count"] == {(): 1}
    assert told["scraping_active_workers"] == {(): 1}
    assert told["scraping_queue_length"] == {(): 0}
    assert told["zscrape_component_up"][(("component", "store"),)] == 1


async def test_a_reader_may_ask_for_openmetrics(gateway):
    """Prometheus names the formats that it reads; the newer one is given."""
    async with gateway.client(Accept="application/openmetrics-text; version=1.0.0") as client:
        answer = await client.get("/metrics")

    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


async def test_figures_need_a_key_for_everybodys_tasks(gateway):
    """They name scripts and clients: no key, `run` alone, and a narrowed key are refused."""
    keys = [
        {"name": "reader", "scopes": ["read"]},
        {"name": "runner", "scopes": ["run"]},
        {"name": "narrow", "scopes": ["read"], "scripts": ["page"]},
    ]
    async with gateway.client() as client:
        made = [(await client.post("/v1/keys", json=each)).json()["key"] for each in keys]
        answers = [
            await client.get("/metrics", headers={"Authorization": f"Bearer {key}"})
            for key in (*made, "wrong")
        ]

    assert [answer.status_code for answer in answers] == [200, 403, 403, 401]


async def test_figures_can_be_open(make):
    """With `metrics_open` nobody is asked for a key, and the rest stays closed."""
    gateway = make(http=HttpPolicy(is_metrics_open=True))
    async with gateway.client(Authorization="") as client:
        answers = [await client.get(path) for path in ("/metrics", "/v1/workers")]

    assert [answer.status_code for answer in answers] == [200, 401]


def test_labels_are_bounded():
    """Whatever names come, there are so many series and no more; the rest is `other`."""
    counters = Counters()

    for number in range(SCRIPT_LIMIT_COUNT * 3):
        counters.take(ended(f"script_{number}", f"client_{number}"))

    scripts = {series[0] for series in counters.requests}
    clients = {series[2] for series in counters.requests}
    assert len(scripts) == len(counters.durations) == SCRIPT_LIMIT_COUNT + 1
    assert len(clients) == CLIENT_LIMIT_COUNT + 1
    assert counters.requests[(OTHER, "completed", OTHER)] == SCRIPT_LIMIT_COUNT * 2
    assert sum(counters.requests.values()) == SCRIPT_LIMIT_COUNT * 3


def test_plain_ends_are_counted_together():
    """They wait for one another, small ones alone; whoever looks finds all of them counted."""
    counters = Counters()

    def counted_count() -> int:
        return sum(counters.requests.values())

    counters.take(plain := ended(outcome=Outcome(code=OutcomeCode.OK, data=b"1")))
    counts = [counted_count()]
    counters.take(ended(outcome=Outcome(code=OutcomeCode.BLOCKED)))
    counts.append(counted_count())
    counters.take(ended(outcome=Outcome(code=OutcomeCode.OK, data=b"1" * 10_000)))
    counts.append(counted_count())
    for _ in range(100):
        counters.take(plain)
    counts.append(counted_count())
    counters.settle()

    assert [*counts, counted_count()] == [0, 2, 3, 67, 103]


def test_a_task_with_much_in_it_is_not_kept_until_others_end():
    """Parameters and metadata are the user's, and go with the task."""
    counters = Counters()
    large, described = (ended(attempts=1, assigned_at=100.1, started_at=100.2) for _ in range(2))
    large.parameters = b'{"text":"' + b"x" * 5_000 + b'"}'
    described.metadata = {"team": "tea"}

    for number, row in enumerate((large, described), 1):
        row.outcome = Outcome(code=OutcomeCode.OK)
        counters.take(row)
        assert counters.attempts["ok"] == number


def test_attempts_are_counted_by_how_they_ended():
    """One that is tried again counts as well as the one that ends the task."""
    counters = Counters()
    row = ended(attempts=2, assigned_at=100.1, started_at=100.2, is_dead_letter=True)
    row.dropped_reason = "retry_exhausted"
    usage = Usage(fetch_s=0.001, environment_s=0.01, has_built=True)
    row.outcome = Outcome(code=OutcomeCode.BLOCKED, prepare_s=0.02, run_s=3.0, usage=usage)

    counters.note(TaskQueued("t", 1, OutcomeCode.TIMEOUT, 15.0))
    counters.note(TaskQueued("t2", 1))
    counters.note(WorkerLost("w", "silent", ()))
    counters.take(row)

    assert {code: count for code, count in counters.attempts.items() if count} == {
        "timeout": 1,
        "blocked": 1,
    }
    assert counters.dead_letters["retry_exhausted"] == 1
    assert counters.workers_lost["silent"] == 1
    assert sum(counters.dispatch.counts) == 0  # the wait of a first attempt is not known here
    assert (counters.prepare.sum, counters.child.sum) == (0.02, 3.0)
    assert (counters.fetch.sum, counters.environment.sum) == (0.001, 0.01)
    assert counters.environments == {"kept": 0, "built": 1}


def test_scripts_are_counted_by_whether_they_were_there():
    """An attempt whose script had to be fetched is no hit of the cache."""
    counters = Counters()

    for has_fetched in (True, False, False):
        row = ended(attempts=1, assigned_at=100.1, started_at=100.2)
        row.outcome = Outcome(code=OutcomeCode.OK, usage=Usage(has_fetched=has_fetched))
        counters.take(row)
    counters.settle()

    assert counters.scripts == {"kept": 2, "fetched": 1}


def test_what_workers_clear_away_is_added_up():
    """A worker tells its sum since it started; one that has started anew begins at zero."""
    counters = Counters()

    for one, other in ((2, 0), (2, 5), (1, 6), (4, None)):
        told = {"one": one, "other": other}
        counters.look(
            WorkerSnapshot(
                id=name,
                status=WorkerStatus.LIVE,
                slots=1,
                in_flight_count=0,
                tags=(),
                facts=WorkerFacts(),
                load=Load(leftover_count=count),
                running=(),
                warm_count=0,
                last_heard_s=0.0,
            )
            for name, count in told.items()
            if count is not None
        )

    assert counters.leftover_count == 2 + 5 + 1 + 1 + 3


def test_a_histogram_counts_each_value_once():
    """A value at a bound is not above it; one below zero is a clock that was set."""
    histogram = Histogram((1.0, 2.0))

    for value in (1.0, 1.5, 2.5, -4.0):
        histogram.add(value)

    assert histogram.counts == [2, 1, 1]
    assert histogram.sum == 5.0


def test_a_histogram_adds_up_numbers_alone():
    """What a worker tells is not trusted: no number and less than nothing add nothing."""
    one_by_one, at_once = Histogram((1.0,)), Histogram((1.0,))
    told = [float("nan"), -5.0, 1.0, 0.0, float("nan"), 2.0]
    for value in told:
        one_by_one.add(value)
    at_once.add_all(told)

    assert at_once.sum == one_by_one.sum == 3.0
