"""`/v1/schedules`: made, shown, changed, paused, triggered; bad ones refused."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.gateway.conftest import until
from tests.gateway.loop_router import ending, hold
from zscrape.model import OutcomeCode

DAILY = {
    "name": "nightly",
    "script_name": "page",
    "cron": "30 3 * * *",
    "timezone": "Europe/Berlin",
    "parameters": {"url": "http://a"},
}
# Not due while a test runs.
NEVER = {**DAILY, "cron": "0 0 29 2 *"}


async def make(client: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    """Make a schedule."""
    answer = await client.post("/v1/schedules", json={**NEVER, **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def occurrences(client: httpx.AsyncClient, name: str = "nightly") -> list[dict[str, Any]]:
    """Return what became of a schedule's moments."""
    answer = await client.get(f"/v1/schedules/{name}/occurrences")
    found: list[dict[str, Any]] = answer.json()["occurrences"]
    return found


async def test_a_schedule_is_made_and_shown(client: httpx.AsyncClient) -> None:
    """A schedule is found by id and by name, and says when it is due next, ten times."""
    answer = await client.post("/v1/schedules", json=DAILY)
    made = answer.json()
    by_name = (await client.get("/v1/schedules/nightly")).json()
    listed = (await client.get("/v1/schedules")).json()["schedules"]

    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/schedules/{made['id']}"
    assert by_name == made
    assert len(made["next"]) == 10
    assert all("T03:30:00+0" in each for each in made["next"])
    assert made["parameters"] == {"url": "http://a"}
    assert (made["misfire"], made["overlap"], made["paused"]) == ("run_last", None, False)
    assert [each["name"] for each in listed] == ["nightly"]


async def test_a_preview_keeps_nothing(client: httpx.AsyncClient) -> None:
    """The next ten moments are told before anything is saved."""
    answer = await client.post("/v1/schedules/preview", json=DAILY)

    assert answer.status_code == 200
    assert len(answer.json()["next"]) == 10
    assert (await client.get("/v1/schedules")).json()["schedules"] == []


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"cron": "61 * * * *"}, "/cron"),
        ({"cron": "@reboot"}, "/cron"),
        ({"cron": None}, "/cron"),
        ({"interval": 60}, "/cron"),
        ({"cron": None, "interval": "soon"}, "/interval"),
        ({"cron": None, "interval": 0.5}, "/interval"),
        ({"cron": None, "interval": 10, "jitter": 10}, "/jitter"),
        ({"timezone": "Europe/Berlim"}, "/timezone"),
        ({"hours": ["9-18", "never"]}, "/hours/1"),
        ({"hours": ["9-10"]}, "/cron"),
        ({"start": "tomorrow"}, "/start"),
        ({"start": "2030-01-02", "end": "2030-01-01"}, "/end"),
        ({"end": "2020-01-01"}, "/cron"),
        ({"overlap": "perhaps"}, "/overlap"),
        ({"misfire": "perhaps"}, "/misfire"),
        ({"max_instances": 3}, "/max_instances"),
        ({"concurrency_policy": "Forbid", "overlap": "skip"}, "/concurrency_policy"),
        ({"parameters": {}}, "/parameters/url"),
        ({"lock_key": "site:{host}"}, "/lock_key"),
        ({"every": 5}, "/every"),
        ({"name": ""}, "/name"),
    ],
)
async def test_a_bad_schedule_is_refused(
    client: httpx.AsyncClient, change: dict[str, Any], pointer: str
) -> None:
    """What cannot be used is told with its place, in both languages, and nothing is kept."""
    asked = {name: it for name, it in {**DAILY, **change}.items() if it is not None}
    answer = await client.post("/v1/schedules", json=asked)
    korean = await client.post("/v1/schedules", json=asked, headers={"Accept-Language": "ko"})

    assert answer.status_code == 422, answer.text
    assert answer.json()["problems"][0]["pointer"] == pointer
    assert korean.json()["detail"] != answer.json()["detail"]
    assert (await client.get("/v1/schedules")).json()["schedules"] == []


async def test_the_nearest_zone_is_offered(client: httpx.AsyncClient) -> None:
    """A mistyped zone comes with the one that was probably meant."""
    answer = await client.post("/v1/schedules", json={**DAILY, "timezone": "Asia/Seul"})

    assert "Asia/Seoul" in answer.json()["detail"]


async def test_an_unknown_script_is_refused(client: httpx.AsyncClient) -> None:
    """A schedule of a script that there is not is never kept."""
    answer = await client.post("/v1/schedules", json={**DAILY, "script_name": "pag"})

    assert (answer.status_code, answer.json()["code"]) == (404, "script_not_found")


async def test_names_are_unique(client: httpx.AsyncClient) -> None:
    """A second schedule of a name is refused; so is a change to a name that is taken."""
    await make(client)
    await make(client, name="other")

    again = await client.post("/v1/schedules", json=NEVER)
    renamed = await client.patch("/v1/schedules/other", json={"name": "nightly"})

    assert (again.status_code, again.json()["code"]) == (409, "schedule_exists")
    assert (renamed.status_code, renamed.json()["code"]) == (409, "schedule_exists")


@pytest.mark.parametrize(
    ("told", "overlap", "misfire"),
    [
        ({"concurrency_policy": "Forbid"}, "skip", "run_last"),
        ({"concurrency_policy": "Replace"}, "replace", "run_last"),
        ({"overlap": "AllowAll"}, "allow", "run_last"),
        ({"overlap": "BufferOne"}, "queue_one", "run_last"),
        ({"overlap": "CANCEL_IN_PROGRESS"}, "replace", "run_last"),
        ({"overlap": "ENQUEUE"}, "queue_all", "run_last"),
        ({"max_instances": 1, "coalesce": False}, "skip", "all"),
        ({"coalesce": True}, None, "run_last"),
        ({"misfire": "NONE"}, None, "skip"),
        ({"misfire": "catchup"}, None, "all"),
    ],
)
async def test_words_of_other_schedulers_are_understood(
    client: httpx.AsyncClient, told: dict[str, Any], overlap: str | None, misfire: str
) -> None:
    """Kubernetes, Temporal, APScheduler and others find their policies under our names."""
    made = await make(client, **told)

    assert (made["overlap"], made["misfire"]) == (overlap, misfire)
    assert "coalesce" not in made


async def test_a_change_replaces_what_it_names(client: httpx.AsyncClient) -> None:
    """A change leaves the rest, null brings the default back, and cron gives way to interval."""
    await make(client, jitter=5, priority=3)
    answer = await client.patch(
        "/v1/schedules/nightly",
        json={"interval": "1h30m", "jitter": None, "parameters": {"url": "http://b"}},
    )
    bad = await client.patch("/v1/schedules/nightly", json={"cron": "nonsense"})
    after = (await client.get("/v1/schedules/nightly")).json()

    assert answer.status_code == 200, answer.text
    assert (after["cron"], after["interval"], after["jitter"]) == (None, 5400.0, 0.0)
    assert (after["priority"], after["parameters"]) == (3, {"url": "http://b"})
    assert bad.status_code == 422


async def test_pause_and_resume(client: httpx.AsyncClient) -> None:
    """A paused schedule has no next moment; it goes on when it is resumed. Both are idempotent."""
    await make(client)
    for _ in range(2):
        paused = (await client.post("/v1/schedules/nightly/pause")).json()
        assert (paused["paused"], paused["next_at"], paused["next"]) == (True, None, [])
    changed = (await client.patch("/v1/schedules/nightly", json={"priority": 1})).json()
    await client.post("/v1/schedules/nightly/resume")
    resumed = (await client.post("/v1/schedules/nightly/resume")).json()

    assert changed["paused"]
    assert not resumed["paused"]
    assert resumed["next_at"] is not None


async def test_a_removed_schedule_is_gone(gateway, client):
    """After a removal nothing is found of it; its name is free."""
    await make(client)

    answer = await client.delete("/v1/schedules/nightly")
    gone = await client.get("/v1/schedules/nightly")

    assert answer.json()["removed"]
    assert (gone.status_code, gone.json()["code"]) == (404, "not_found")
    assert len(gateway.scheduler) == 0
    await make(client)


async def test_pages_of_schedules(client: httpx.AsyncClient) -> None:
    """Schedules come by name, page by page, and of one script when asked."""
    for name in ("다", "가", "나"):
        await make(client, name=name, script_name="anything" if name == "나" else "page")

    first = (await client.get("/v1/schedules?limit=2")).json()
    second = (await client.get(f"/v1/schedules?limit=2&cursor={first['next_cursor']}")).json()
    own = (await client.get("/v1/schedules?script=anything")).json()

    assert [each["name"] for each in first["schedules"]] == ["가", "나"]
    assert [each["name"] for each in second["schedules"]] == ["다"]
    assert second["next_cursor"] is None
    assert [each["name"] for each in own["schedules"]] == ["나"]
    assert (await client.get("/v1/schedules?cursor=%ff")).status_code == 422


# ---- triggers ------------------------------------------------------------------------


async def test_prototype_manual_runs_in_a_row_answer_409(gateway, client):
    """Scheduler prototype 4.1: of two manual runs in a row the second is 409 naming the holder."""
    gateway.worker(hold)
    await make(client)

    first = await client.post("/v1/schedules/nightly/trigger")
    second = await client.post("/v1/schedules/nightly/trigger")
    told = await occurrences(client)

    assert first.status_code == 202
    assert (second.status_code, second.json()["code"]) == (409, "lock_held")
    assert second.json()["details"]["holder"] == first.json()["request_id"]
    assert [(each["status"], each["manual"]) for each in told] == [
        ("skipped_due_to_lock", True),
        ("fired", True),
    ]
    assert first.json()["request_id"] in told[0]["message"]


async def test_an_occurrence_tells_how_its_task_stands(gateway, client):
    """What became of a due moment is the state of its task, beside that it was started."""
    gateway.worker()
    await make(client)

    task_id = (await client.post("/v1/schedules/nightly/trigger")).json()["request_id"]
    await client.get(f"/v1/tasks/{task_id}?wait=20")
    (told,) = await occurrences(client)

    assert (told["status"], told["task_status"]) == ("fired", "completed")


async def test_a_trigger_is_a_task_of_the_schedule(gateway, client):
    """A triggered task says which schedule it is of, and how it came; a paused one runs, too."""
    gateway.worker()
    made = await make(client, paused=True)

    answer = (await client.post("/v1/schedules/nightly/trigger")).json()
    task = (await client.get(f"/v1/tasks/{answer['request_id']}?wait=5")).json()
    listed = (await client.get("/v1/tasks?origin=schedule")).json()["tasks"]

    assert (task["status"], task["origin"]) == ("completed", "schedule")
    assert task["schedule_id"] == made["id"]
    assert [each["request_id"] for each in listed] == [task["request_id"]]


async def test_one_gate_for_http_schedules_and_retries(gateway, client):
    """A key held by an HTTP call stops the schedule, and the other way round."""
    worker = gateway.worker(hold)
    await make(client, lock_key="page:{url}")
    asked = {"script_name": "page", "parameters": {"url": "http://a"}, "lock_key": "page:http://a"}

    by_http = await client.post("/v1/tasks", json=asked)
    stopped = await client.post("/v1/schedules/nightly/trigger")
    run = await worker.runs.get()
    worker.fail(run, OutcomeCode.BLOCKED)
    triggered = await client.post("/v1/schedules/nightly/trigger")
    refused = await client.post("/v1/tasks", json=asked)
    retried = await client.post(f"/v1/tasks/{by_http.json()['request_id']}/retry")

    assert (by_http.status_code, stopped.status_code) == (202, 409)
    assert (triggered.status_code, refused.status_code, retried.status_code) == (202, 409, 409)


async def test_a_retried_key_is_no_template(gateway, client):
    """A key that a value has given braces to is taken as it is when its task is done again."""
    gateway.worker(ending(OutcomeCode.BLOCKED))
    asked = {"script_name": "page", "parameters": {"url": "{x}"}, "lock_key": "page:{url}"}

    first = (await client.post("/scrape", json=asked)).json()["request_id"]
    again = await client.post(f"/v1/tasks/{first}/retry")
    task = (await client.get(f"/v1/tasks/{again.json()['request_id']}?wait=5")).json()

    assert again.status_code == 202
    assert task["lock_key"] == "page:{x}"


async def test_pause_on_failure_counts_in_a_row(gateway, client):
    """The failure that reaches the number pauses the schedule, and says why."""
    gateway.worker(ending(OutcomeCode.BLOCKED))
    await make(client, pause_on_failure=2)

    for _ in range(2):
        answer = await client.post("/v1/schedules/nightly/trigger")
        await client.get(f"/v1/tasks/{answer.json()['request_id']}?wait=5")
    await until(lambda: len(gateway.scheduler) == 0)
    paused = (await client.get("/v1/schedules/nightly")).json()
    resumed = (await client.post("/v1/schedules/nightly/resume")).json()

    assert (paused["paused"], paused["pause_reason"]) == (True, "failures")
    assert paused["failure_count"] == 2
    assert (resumed["paused"], resumed["failure_count"]) == (False, 0)
    assert any(event == "schedule_paused" for event, _ in gateway.log.told)


async def test_calls_at_once_leave_one_schedule(client: httpx.AsyncClient) -> None:
    """Of ten calls that make a schedule of one name at the same moment, one succeeds."""
    answers = await asyncio.gather(*(client.post("/v1/schedules", json=NEVER) for _ in range(10)))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9
