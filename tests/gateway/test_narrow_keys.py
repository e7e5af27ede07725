"""Keys that are for some groups of tasks only, and keys that may have only so many."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.gateway.loop_router import hold
from zscrape.gateway.api.doors import door_of
from zscrape.gateway.clients import Client
from zscrape.gateway.jwts import _client

# How each route that `run` or `read` opens keeps to the scripts and groups of a key: a new one
# belongs here once somebody has seen that it does.
DECIDED = {
    "scripts and groups": {
        "POST /scrape",
        "POST /v1/tasks/cancel",
        "POST /v1/tasks/{task_id}/retry",
        "GET /v1/tasks/export",
        "POST /v1/tasks/wait",
        "POST /v1/tasks",
        "GET /v1/tasks",
        "POST /v1/tasks/batch",
        "GET /v1/tasks/{task_id}",
        "DELETE /v1/tasks/{task_id}",
        "POST /v1/tasks/{task_id}/cancel",
        "GET /v1/tasks/{task_id}/explain",
        "GET /v1/tasks/{task_id}/events",
        "GET /v1/tasks/{task_id}/logs",
        "GET /v1/deadletters",
        "POST /v1/deadletters/retry",
        "GET /v1/tasks/{task_id}/items",
        "GET /v1/tasks/{task_id}/result",
        "GET /v1/tasks/{task_id}/capsule",
        "GET /v1/tasks/{task_id}/artifacts",
        "GET /v1/tasks/{task_id}/artifacts/{name}",
        "GET /v1/handoffs",
        "GET /v1/handoffs/{handoff_id}",
        "POST /v1/handoffs/{handoff_id}/answer",
        "POST /v1/handoffs/{handoff_id}/resolve",
        "POST /v1/handoffs/{handoff_id}/dismiss",
        "POST /v1/scripts/{name}/run",
        "GET /v1/schedules",
        "GET /v1/schedules/{schedule}",
        "POST /v1/schedules/{schedule}/trigger",
        "GET /v1/schedules/{schedule}/occurrences",
        "GET /v1/locks",
        "POST /schedule.json",
        "POST /cancel.json",
        "GET /status.json",
        "GET /listjobs.json",
        "GET /crawl.json",
        "POST /crawl.json",
    },
    "scripts": {
        "GET /listprojects.json",
        "GET /listspiders.json",
        "GET /listversions.json",
        "GET /v1/scripts",
        "GET /v1/scripts/{name}",
        "GET /v1/scripts/{name}/versions",
        "GET /v1/scripts/{name}/schema",
        "POST /v1/scripts/{name}/validate",
        "POST /v1/schedules/preview",
    },
    "no running tasks": {
        "GET /v1/workers",
    },
    "who calls": {
        "POST /logout",
        "POST /v1/logins",
        "GET /v1/me",
    },
    "nobody in particular": {
        "GET /v1/sites",
        "GET /v1/sites/{site}",
        "GET /v1/pressure",
        "GET /v1/overview",
        "GET /v1/overview/events",
        "GET /metrics",
        "GET /daemonstatus.json",
    },
    "scripts, and no groups": {
        "GET /v1/scripts/{name}/state",
        "GET /v1/scripts/{name}/state/{key:path}",
        "GET /v1/scripts/{name}/keys",
        "GET /v1/scripts/{name}/keys/{key:path}",
    },
}

NORTH, SOUTH = {"group": "north"}, {"group": "남부"}


def asked(metadata: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return the body of a task."""
    return {"script_name": "anything", "metadata": metadata or {}, **more}


async def make_key(client: httpx.AsyncClient, **wanted: Any) -> dict[str, Any]:
    """Make a key."""
    answer = await client.post("/v1/keys", json=wanted)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_key_for_one_group_knows_of_no_other(gateway, client):
    """Lists, tasks, all that belongs to them, locks and schedules end at the key's group."""
    gateway.worker()
    foreign = (await client.post("/scrape", json=asked(SOUTH))).json()["request_id"]
    nobodys = (await client.post("/scrape", json=asked())).json()["request_id"]
    never = {"script_name": "anything", "cron": "0 0 29 2 *"}
    await client.post("/v1/schedules", json={**never, "name": "southern", "metadata": SOUTH})
    await client.post("/v1/schedules", json={**never, "name": "northern", "metadata": NORTH})
    made = await make_key(client, scopes=["run", "read"], groups=["north"])
    async with gateway.client(Authorization=f"Bearer {made['key']}") as own:
        ran = (await own.post("/scrape", json=asked(NORTH))).json()
        refused = [
            await own.post("/scrape", json=asked(SOUTH)),
            await own.post("/v1/tasks", json=asked(SOUTH)),
            await own.post("/v1/tasks", json=asked({"group": ["north"]})),
            await own.post("/v1/tasks/batch", json=[asked(NORTH), asked(SOUTH)]),
        ]
        hidden = []
        for task_id in (foreign, nobodys):
            hidden.append(await own.get(f"/v1/tasks/{task_id}"))
            for part in ("events", "logs", "items", "result", "artifacts", "explain"):
                hidden.append(await own.get(f"/v1/tasks/{task_id}/{part}"))
            for part in ("cancel", "retry"):
                hidden.append(await own.post(f"/v1/tasks/{task_id}/{part}"))
        hidden += [
            await own.get("/v1/schedules/southern"),
            await own.get("/v1/schedules/southern/occurrences"),
            await own.post("/v1/schedules/southern/trigger"),
        ]
        listed = (await own.get("/v1/tasks")).json()["tasks"]
        exported = (await own.get("/v1/tasks/export")).text
        waited = (await own.post("/v1/tasks/wait", json={"ids": [foreign], "wait": 0})).json()
        letters = (await own.post("/v1/deadletters/retry", json={"ids": [foreign]})).json()
        ended = (await own.post("/v1/tasks/cancel", json={"ids": [foreign]})).json()
        schedules = (await own.get("/v1/schedules")).json()["schedules"]
        own_schedule = await own.get("/v1/schedules/northern")
        me = (await own.get("/v1/me")).json()

    assert ran["status"] == "completed"
    assert [answer.status_code for answer in refused] == [403] * len(refused)
    assert refused[0].json()["error"]["code"] == "group_forbidden"
    assert [answer.status_code for answer in hidden] == [404] * len(hidden)
    assert [task["request_id"] for task in listed] == [ran["request_id"]]
    assert ran["request_id"] in exported
    assert foreign not in exported
    assert nobodys not in exported
    assert waited["tasks"][0]["error"]["code"] == "not_found"
    assert (letters["failed_count"], ended["failed_count"]) == (1, 1)
    assert [each["name"] for each in schedules] == ["northern"]
    assert own_schedule.status_code == 200
    assert me["groups"] == ["north"]


async def test_the_only_group_of_a_key_goes_without_saying(gateway, client):
    """Its tasks are of that group; a key of several has to say of which one."""
    gateway.worker()
    one = await make_key(client, scopes=["run"], groups=["남부"])
    two = await make_key(client, scopes=["run"], groups=["north", "남부"])
    async with gateway.client(Authorization=f"Bearer {one['key']}") as own:
        bare = (await own.post("/v1/tasks", json={"script_name": "anything"})).json()
        other = (await own.post("/v1/tasks", json=asked({"shop": 7}))).json()
        sugar = await own.post("/v1/scripts/anything/run", json={"a": 1})
    async with gateway.client(
        Authorization=f"Bearer {two['key']}", **{"Accept-Language": "ko"}
    ) as own:
        untold = await own.post("/v1/tasks", json=asked())
        run = await own.post("/v1/scripts/anything/run", json={})
        told = await own.post("/v1/tasks", json=asked(SOUTH))
    metadata = [
        (await client.get(f"/v1/tasks/{each['request_id']}")).json()["metadata"]
        for each in (bare, other)
    ]

    assert metadata == [{"group": "남부"}, {"shop": 7, "group": "남부"}]
    assert sugar.json() == {"a": 1}
    assert (untold.status_code, run.status_code, told.status_code) == (403, 403, 202)
    assert "metadata.group" in untold.json()["detail"]


async def test_an_answer_to_another_group_is_none(gateway, client):
    """`max_age` finds no earlier answer of a task that the key may not see."""
    gateway.worker()
    earlier = (await client.post("/scrape", json=asked(SOUTH))).json()["request_id"]
    made = await make_key(client, scopes=["run", "read"], groups=["north"])
    async with gateway.client(Authorization=f"Bearer {made['key']}") as own:
        fresh = (await own.post("/scrape", json=asked(NORTH, max_age=60))).json()["request_id"]
        again = (await own.post("/scrape", json=asked(NORTH, max_age=60))).json()["request_id"]

    assert fresh not in (earlier, "")
    assert again == fresh


async def test_locks_of_others_are_none_of_a_narrow_keys_business(gateway, client):
    """A key of some scripts or groups is told of the locks of its own tasks, and of no others."""
    gateway.worker(hold)
    await client.post("/v1/tasks", json=asked(SOUTH, lock_key="southern"))
    await client.post("/v1/tasks", json=asked(NORTH, lock_key="northern"))
    await client.post("/v1/tasks", json=asked(SOUTH, lock_key="northern", overlap="queue_one"))
    grouped = await make_key(client, scopes=["read"], groups=["north"])
    scripted = await make_key(client, scopes=["read"], scripts=["page"])
    async with gateway.client(Authorization=f"Bearer {grouped['key']}") as own:
        seen = (await own.get("/v1/locks")).json()
        workers = (await own.get("/v1/workers")).json()["workers"]
    async with gateway.client(Authorization=f"Bearer {scripted['key']}") as own:
        unseen = (await own.get("/v1/locks")).json()

    assert [lock["key"] for lock in seen["locks"]] == ["northern"]
    assert (seen["total_count"], seen["locks"][0]["waiting"]) == (1, [])
    assert seen["locks"][0]["waiting_count"] == 1
    assert unseen == {"locks": [], "total_count": 0}
    assert [worker["running"] for worker in workers] == [[]]


async def test_other_products_calls_keep_to_scripts_and_groups(gateway, client):
    """In the words of Scrapyd and ScrapyRT a narrow key sees, starts and ends no more."""
    gateway.worker(hold)
    south = (await client.post("/v1/tasks", json=asked(SOUTH))).json()["request_id"]
    foreign = (await client.post("/v1/tasks", json={"script_name": "anything"})).json()
    made = await make_key(client, scopes=["run", "read"], groups=["north"], scripts=["page"])
    async with gateway.client(Authorization=f"Bearer {made['key']}") as own:
        states = [
            (await own.get("/status.json", params={"job": job})).json()["currstate"]
            for job in (south, foreign["request_id"])
        ]
        ended = await own.post("/cancel.json", data={"project": "default", "job": south})
        jobs = (await own.get("/listjobs.json")).json()
        projects = (await own.get("/listprojects.json")).json()["projects"]
        spider = {"project": "default", "spider": "anything"}
        started = await own.post("/schedule.json", data=spider)
        crawled = await own.get("/crawl.json", params={"spider_name": "anything", "url": "u"})

    assert states == [None, None]
    assert ended.json()["prevstate"] is None
    assert jobs["pending"] + jobs["running"] + jobs["finished"] == []
    assert projects == ["default", "page"]
    assert (started.status_code, crawled.status_code) == (403, 403)
    assert (await client.get(f"/v1/tasks/{south}")).json()["status"] not in ("cancelled", "failed")


async def test_what_a_script_keeps_is_of_all_groups(gateway, client):
    """State and keys of items are of the whole script: a key of some groups sees none of them."""
    made = await make_key(client, scopes=["read"], groups=["north"], scripts=["page"])
    async with gateway.client(Authorization=f"Bearer {made['key']}") as own:
        refused = [
            await own.get("/v1/scripts/page/state"),
            await own.get("/v1/scripts/page/state/cursor"),
            await own.get("/v1/scripts/page/keys"),
        ]

    assert [answer.status_code for answer in refused] == [403] * 3
    assert {answer.json()["code"] for answer in refused} == {"group_forbidden"}
    assert "without groups" in refused[0].json()["detail"]


def test_every_route_of_a_narrow_key_is_decided(gateway):
    """A route that `run` or `read` opens says here how it keeps to a key's scripts and groups."""
    found = {
        f"{method} {route.path}"
        for route in gateway.app.routes
        for method in route.methods - {"HEAD"}
        if (door := door_of(route)) is not None and {"run", "read"} & set(door.scopes)
    }

    assert found == set().union(*DECIDED.values())


async def test_an_admin_is_for_all_groups(client):
    """`admin` opens every door, so it is not narrowed; a group is a plain line of text."""
    both = await client.post("/v1/keys", json={"scopes": ["admin"], "groups": ["a"]})
    empty = await client.post("/v1/keys", json={"scopes": ["run"], "groups": [""]})

    assert both.status_code == 422
    assert "/groups" in both.text
    assert empty.status_code == 422


def test_a_token_may_name_groups() -> None:
    """The claim `groups` narrows as a key's groups do, and takes `admin` away."""
    claims = {"sub": "s", "exp": 1, "scope": "admin read", "groups": ["north"]}

    assert _client(claims) == Client(
        "jwt:s", frozenset({"read"}), groups=("north",), name="s", until=1.0
    )


async def test_a_key_may_have_only_so_many_tasks(gateway, client):
    """Beyond the key's own limit a task is refused until another one ends; others go on."""
    gateway.worker(hold)
    made = await make_key(client, scopes=["run"], task_limit=2)
    async with gateway.client(Authorization=f"Bearer {made['key']}") as own:
        first = (await own.post("/v1/tasks", json=asked())).json()["request_id"]
        await own.post("/v1/tasks", json=asked())
        refused = await own.post("/v1/tasks", json=asked())
        other = await client.post("/v1/tasks", json=asked())
        await own.post(f"/v1/tasks/{first}/cancel")
        again = await own.post("/v1/tasks", json=asked())

    assert made["task_limit"] == 2
    assert (refused.status_code, refused.json()["code"]) == (429, "client_queue_full")
    assert "This key may have 2 tasks" in refused.json()["detail"]
    assert "retry-after" in refused.headers
    assert other.status_code == again.status_code == 202


@pytest.mark.parametrize("limit", [0, -1, 1.5, "2"])
async def test_a_limit_is_a_whole_number(client, limit):
    """What is no number of tasks makes no key."""
    answer = await client.post("/v1/keys", json={"scopes": ["run"], "task_limit": limit})

    assert answer.status_code == 422
