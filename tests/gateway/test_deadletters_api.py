"""/v1/deadletters and what ends or repeats tasks: retries by hand, cancels by filter."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.gateway.loop_router import echo, ending, hold
from zscrape import wire
from zscrape.model import Outcome, OutcomeCode, QueuePolicy

PAGE = {"script_name": "page", "parameters": {"url": "a"}}
ONCE = {"max": 1, "backoff": [0.01], "on": ["blocked"]}
BLOCKED = ending(OutcomeCode.BLOCKED, error_message="403")


async def make_letter(client: httpx.AsyncClient, **more: Any) -> str:
    """Run a task whose tries are used up; return its id."""
    answer = await client.post("/scrape", json={**PAGE, "retry": ONCE, **more})
    return str(answer.json()["request_id"])


async def letters(client: httpx.AsyncClient, query: str = "") -> list[dict[str, Any]]:
    """Return the dead letters."""
    answer = await client.get(f"/v1/deadletters{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["deadletters"]
    return found


async def test_exhausted_task_is_a_dead_letter(gateway, client):
    """A task whose tries are used up is listed with why, and its document says so as well."""
    gateway.worker(BLOCKED)

    task_id = await make_letter(client)
    task = (await client.get(f"/v1/tasks/{task_id}")).json()
    [letter] = await letters(client)

    assert letter["request_id"] == task_id
    assert (letter["retry_count"], letter["next_retry_at"]) == (1, None)
    assert (letter["last_error"], letter["dropped_reason"]) == ("blocked", "retry_exhausted")
    assert "403" in letter["error_message"]
    assert (task["retry_count"], task["dropped_reason"]) == (1, "retry_exhausted")
    assert task["error"]["code"] == "blocked"


async def test_failure_without_retries_is_no_dead_letter(gateway, client):
    """Where nobody asked for retries a failure is a failure; so is one that is never retried."""
    gateway.worker(BLOCKED)
    await client.post("/scrape", json=PAGE)
    await make_letter(client, retry={"max": 1, "backoff": [0.01], "on": ["timeout"]})

    assert await letters(client) == []


async def test_poison_task_goes_there_at_once(gateway, client):
    """A task that takes its template with it three times is poison, with tries left."""
    deadly = {"fields": {"reason": "gone", "lost_with": "template"}}
    gateway.worker(ending(OutcomeCode.CRASHED, **deadly))

    answer = await client.post("/scrape", json={**PAGE, "retry": {"max": 50, "backoff": [0.001]}})
    [letter] = await letters(client, "?reason=poison")

    assert answer.json()["attempts"] == 3
    assert letter["last_error"] == "crashed"
    assert await letters(client, "?reason=retry_exhausted") == []


async def test_filters_and_pages(gateway, client):
    """Script, reason and moment choose; the cursor leads to the next page."""
    gateway.worker(BLOCKED)
    first = await make_letter(client)
    second = await make_letter(client, script_name="anything")
    page = (await client.get("/v1/deadletters?limit=1")).json()

    rest = (await client.get(f"/v1/deadletters?cursor={page['next_cursor']}")).json()

    assert [each["request_id"] for each in page["deadletters"]] == [second]
    assert [each["request_id"] for each in rest["deadletters"]] == [first]
    assert [each["request_id"] for each in await letters(client, "?script=page")] == [first]
    assert await letters(client, "?since=2999-01-01") == []
    assert (await client.get("/v1/deadletters?reason=nope")).status_code == 422


async def test_retry_by_id(gateway, client):
    """A retried letter is a new task of the same pin, and off the list."""
    worker = gateway.worker(BLOCKED)
    task_id = await make_letter(client, metadata={"mine": 1}, priority=7)
    worker.script = echo

    answer = await client.post("/v1/deadletters/retry", json={"ids": [task_id, "nope"]})
    told = answer.json()
    new_id = told["deadletters"][0]["retried_as"]
    new = (await client.get(f"/v1/tasks/{new_id}?wait=5")).json()
    old = (await client.get(f"/v1/tasks/{task_id}")).json()

    assert answer.status_code == 202
    assert (told["retried_count"], told["failed_count"]) == (1, 1)
    assert told["deadletters"][1]["error"]["code"] == "not_found"
    assert (new["status"], new["origin"], new["retry_of"]) == ("completed", "retry", task_id)
    assert (new["digest"], new["parameters"]) == (old["digest"], old["parameters"])
    assert (new["metadata"], new["priority"]) == ({"mine": 1}, 7)
    assert (old["status"], old["retried_as"]) == ("failed", new_id)
    assert await letters(client) == []


async def test_retry_runs_the_same_bytes(gateway, client, folder):
    """An edit after the failure does not change what is done again."""
    worker = gateway.worker(BLOCKED)
    task_id = await make_letter(client)
    before = (await client.get(f"/v1/tasks/{task_id}")).json()["digest"]
    (folder / "scripts/page/main.py").write_text("def run(url: str):\n    return 'edited'\n")
    worker.script = echo

    again = await client.post(f"/v1/tasks/{task_id}/retry")
    edited = await client.post("/scrape", json=PAGE)

    new = (await client.get(again.headers["location"])).json()
    assert new["digest"] == before
    assert edited.json()["digest"] != before


async def test_letter_that_fails_again_is_a_letter_again(gateway, client):
    """The new task has the tries of the old one, and may become a dead letter itself."""
    gateway.worker(BLOCKED)
    task_id = await make_letter(client)

    answer = await client.post("/v1/deadletters/retry", json={"script": "page"})
    new_id = answer.json()["deadletters"][0]["retried_as"]
    await client.get(f"/v1/tasks/{new_id}?wait=5")

    [letter] = await letters(client)
    assert (letter["request_id"], letter["retry_of"]) == (new_id, task_id)
    assert letter["attempts"] == 2


async def test_retry_at_once_makes_one_task(gateway, client):
    """Two callers who retry the same letters get each letter once between them."""
    worker = gateway.worker(BLOCKED)
    ids = [await make_letter(client) for _ in range(5)]
    worker.script = hold

    answers = await asyncio.gather(
        *(client.post("/v1/deadletters/retry", json={"all": True}) for _ in range(4))
    )

    retried = [
        each["request_id"]
        for answer in answers
        for each in answer.json()["deadletters"]
        if "retried_as" in each
    ]
    assert sorted(retried) == sorted(ids)
    assert worker.runs.qsize() == 5


async def test_limit_bounds_a_retry(gateway, client):
    """`limit` retries that many, the newest first."""
    worker = gateway.worker(BLOCKED)
    first = await make_letter(client)
    await make_letter(client)
    worker.script = echo

    answer = await client.post("/v1/deadletters/retry", json={"all": True, "limit": 1})

    assert answer.json()["retried_count"] == 1
    assert [each["request_id"] for each in await letters(client)] == [first]


async def test_refused_retry_leaves_the_letter(make):
    """A letter whose new task is not accepted stays a letter."""
    gateway = make(queue=QueuePolicy(limit_count=1))
    worker = gateway.worker(BLOCKED)
    async with gateway.client() as client:
        task_id = await make_letter(client)
        gateway.router.drain_worker(worker.id, is_draining=True)
        await client.post("/v1/tasks", json=PAGE)

        answer = await client.post("/v1/deadletters/retry", json={"ids": [task_id]})
        [letter] = await letters(client)
        await client.post("/v1/tasks/cancel", json={"all": True})

    assert answer.json()["deadletters"][0]["error"]["code"] == "queue_full"
    assert letter["request_id"] == task_id


@pytest.mark.parametrize("query", ["ids={id}", "script=page", "reason=retry_exhausted", "all=1"])
async def test_drop(gateway, client, query):
    """Dropped letters are off the list and stay in the history."""
    gateway.worker(BLOCKED)
    task_id = await make_letter(client)

    answer = await client.delete("/v1/deadletters?" + query.format(id=task_id))
    again = await client.delete(f"/v1/deadletters?ids={task_id}")

    assert (answer.status_code, answer.json()["dropped_count"]) == (200, 1)
    assert again.json()["deadletters"][0]["error"]["code"] == "not_found"
    assert await letters(client) == []
    kept = (await client.get(f"/v1/tasks/{task_id}")).json()
    assert (kept["dropped_reason"], kept["retried_as"]) == ("retry_exhausted", None)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"ids": ["a"], "script": "page"}, "/ids"),
        ({"limit": 0, "all": True}, "/limit"),
        ({"scripts": "page"}, "/scripts"),
        ({"since": "yesterday"}, "/since"),
    ],
)
async def test_selection_says_what_it_means(client, body, pointer):
    """Nothing selected, too much selected and what cannot be read are refused, with the place."""
    answer = await client.post("/v1/deadletters/retry", json=body)

    assert answer.status_code == 422
    assert answer.json()["problems"][0]["pointer"] == pointer


async def test_empty_selection_drops_nothing(gateway, client):
    """To drop all letters `all=1` must be said."""
    gateway.worker(BLOCKED)
    await make_letter(client)

    answer = await client.delete("/v1/deadletters")

    assert answer.status_code == 422
    assert len(await letters(client)) == 1


# ---- one task again ------------------------------------------------------------------


async def test_retry_of_any_ended_task(gateway, client):
    """A task that has completed can be done again too; while it runs that is a 409."""
    worker = gateway.worker(hold)
    task_id = (await client.post("/v1/tasks", json=PAGE)).json()["request_id"]
    run = await worker.runs.get()

    early = await client.post(f"/v1/tasks/{task_id}/retry")
    worker.ok(run, "first")
    answer = await client.post(f"/v1/tasks/{task_id}/retry")
    worker.ok(await worker.runs.get(), "second")

    assert (early.status_code, early.json()["code"]) == (409, "task_running")
    assert answer.status_code == 202
    assert answer.json()["retry_of"] == task_id
    new = (await client.get(answer.headers["location"])).json()
    assert (new["data"], new["retry_of"]) == ("second", task_id)
    assert (await client.get(f"/v1/tasks/{task_id}")).json()["data"] == "first"


async def test_retry_with_a_key_makes_one_task(gateway, client):
    """A retry that is posted again with its Idempotency-Key is the same task."""
    gateway.worker()
    task_id = (await client.post("/scrape", json=PAGE)).json()["request_id"]
    headers = {"Idempotency-Key": "again"}

    first = await client.post(f"/v1/tasks/{task_id}/retry", headers=headers)
    second = await client.post(f"/v1/tasks/{task_id}/retry", headers=headers)

    assert first.json()["request_id"] == second.json()["request_id"] != task_id


async def test_retry_of_a_script_that_was_not_there(gateway, client, folder):
    """A task that never had a pin is resolved anew."""
    gateway.worker()
    task_id = (await client.post("/scrape", json={"script_name": "late"})).json()["request_id"]

    refused = await client.post(f"/v1/tasks/{task_id}/retry")
    home = folder / "scripts/late"
    home.mkdir()
    (home / "metadata.json").write_text('{"name": "late", "version": "1.0.0", "kit": []}')
    (home / "main.py").write_text("def run():\n    return 1\n")
    answer = await client.post(f"/v1/tasks/{task_id}/retry")

    assert (refused.status_code, refused.json()["code"]) == (404, "script_not_found")
    assert answer.status_code == 202


# ---- many ended at once --------------------------------------------------------------


async def test_cancel_by_filter(gateway, client):
    """Only what fits the filter and has not ended is cancelled."""
    worker = gateway.worker(hold, slots=1)
    running = (await client.post("/v1/tasks", json=PAGE)).json()["request_id"]
    queued = (await client.post("/v1/tasks", json=PAGE)).json()["request_id"]
    other = await client.post("/v1/tasks", json={"script_name": "anything"})

    answer = await client.post("/v1/tasks/cancel", json={"script": "page", "status": "queued"})
    left = await client.get("/v1/tasks?status=queued,running")

    assert answer.json()["tasks"] == [{"request_id": queued, "status": "cancelled"}]
    assert (answer.json()["cancelled_count"], answer.json()["failed_count"]) == (1, 0)
    ids = {each["request_id"] for each in left.json()["tasks"]}
    assert ids == {running, other.json()["request_id"]}
    worker.done(running, 1, Outcome(OutcomeCode.OK, data=b"1"))


async def test_cancel_by_id(gateway, client):
    """Named tasks are cancelled; one that has ended stays, one that is unknown is told."""
    gateway.worker()
    done = (await client.post("/scrape", json=PAGE)).json()["request_id"]
    waiting = (await client.post("/v1/tasks", json={"script_name": "korean"})).json()["request_id"]

    answer = await client.post("/v1/tasks/cancel", json={"ids": [done, waiting, "nope"]})

    told = answer.json()
    assert [each.get("status") for each in told["tasks"]] == ["completed", "cancelled", None]
    assert (told["cancelled_count"], told["failed_count"]) == (1, 1)


async def test_cancel_of_everything(gateway, client):
    """All that waits and runs is ended by one call, in pages; ended states cancel nothing."""
    worker = gateway.worker(hold, slots=2)
    bodies = [{"script_name": "page", "parameters": {"url": str(n)}} for n in range(450)]
    await client.post("/v1/tasks/batch", json=bodies)

    nothing = await client.post("/v1/tasks/cancel", json={"status": ["completed"]})
    limited = await client.post("/v1/tasks/cancel", json={"all": True, "limit": 10})
    rest = await client.post("/v1/tasks/cancel", json={"all": True})

    assert nothing.json()["cancelled_count"] == 0
    assert limited.json()["cancelled_count"] == 10
    assert rest.json()["cancelled_count"] == 440
    assert sum(isinstance(each, wire.Cancel) for each in worker.received) == 2
    assert gateway.service.live_count == 0


async def test_cancel_must_select(client):
    """A cancel that selects nothing cancels nothing."""
    answer = await client.post("/v1/tasks/cancel", json={})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
