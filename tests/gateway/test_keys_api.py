"""API keys over HTTP: made, listed, used, expired and revoked; and every endpoint by scope."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from starlette.routing import Route

from tests.gateway.conftest import KEY, Gateway
from tests.gateway.loop_router import hold
from zscrape.gateway.access import Access
from zscrape.gateway.api import dialects
from zscrape.gateway.api.doors import Door, door_of
from zscrape.gateway.keyring import KeyRing, NewKey, digest_of
from zscrape.store.keys import KeyStore


async def make_key(client: httpx.AsyncClient, **body: Any) -> Any:
    """Make a key and return what is told of it."""
    answer = await client.post("/v1/keys", json={"scopes": ["run"], **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


def with_key(gateway: Gateway, key: str) -> httpx.AsyncClient:
    """Return a client that calls with this key."""
    return gateway.client(Authorization=f"Bearer {key}")


async def test_a_key_is_shown_once_and_kept_as_a_hash(gateway, client):
    """The answer to its making has the key; no list and no table has it."""
    made = await make_key(client, name="nightly", scopes=["read", "run"], rate="600/m")
    listed = (await client.get("/v1/keys")).json()["keys"]
    rows = await gateway.tables.read(lambda reader: reader.execute("SELECT * FROM api_keys"))
    told = repr([tuple(row) for row in rows])

    assert made["key"].startswith(made["prefix"])
    assert made["rate_per_s"] == 10
    assert [key["id"] for key in listed] == ["admin", made["id"]]
    assert listed[1] == {name: value for name, value in made.items() if name != "key"}
    assert (listed[1]["scopes"], listed[1]["created_by"]) == (["read", "run"], "admin")
    assert made["key"] not in told


async def test_both_headers_take_a_key_and_its_use_is_seen(gateway, client):
    """`Authorization: Bearer` and `X-Api-Key` are the same door."""
    made = await make_key(client, scopes=["read"])

    async with gateway.client() as bare:
        del bare.headers["Authorization"]
        by_header = await bare.get("/v1/workers", headers={"X-Api-Key": made["key"]})
    async with with_key(gateway, made["key"]) as own:
        by_bearer = await own.get("/v1/workers")
    listed = (await client.get("/v1/keys")).json()["keys"][1]

    assert (by_header.status_code, by_bearer.status_code) == (200, 200)
    assert listed["last_used_at"] is not None


async def test_a_revoked_key_is_told_so(gateway, client):
    """From the answer of DELETE on nobody comes in; revoking again is no error."""
    made = await make_key(client, scopes=["read"])

    first = await client.delete(f"/v1/keys/{made['id']}")
    again = await client.delete(f"/v1/keys/{made['id']}")
    unknown = await client.delete("/v1/keys/key_none")
    async with with_key(gateway, made["key"]) as own:
        refused = await own.get("/v1/workers")

    assert (first.status_code, first.json()["status"]) == (200, "revoked")
    assert again.json() == first.json()
    assert unknown.status_code == 404
    assert (refused.status_code, refused.json()["code"]) == (401, "key_revoked")


async def test_the_first_key_stays(client):
    """Nobody locks everybody out: the key of the home folder is not revoked over HTTP."""
    refused = await client.delete("/v1/keys/admin")

    assert refused.status_code == 422
    assert "client.toml" in refused.json()["detail"]


async def test_a_key_expires_at_its_moment(gateway):
    """The clock decides, and the answer says when it was."""
    now = [1_000.0]
    ring = KeyRing(KeyStore(gateway.tables), clock=lambda: now[0])
    gateway.state.keys, gateway.state.access = ring, Access(KEY, ring, clock=lambda: now[0])
    key, _ = await ring.create(NewKey(scopes=("read",), expires_at=1_060.0), by="admin")
    async with with_key(gateway, key) as own:
        before = await own.get("/v1/workers")
        now[0] = 1_060.0
        after = await own.get("/v1/workers")

    assert before.status_code == 200
    assert (after.status_code, after.json()["code"]) == (401, "key_expired")
    assert "1970-01-01T00:17:40" in after.json()["detail"]


async def test_another_gateway_sees_changes(gateway):
    """What one gateway makes and revokes, the next look of another one at the store shows."""
    here, there = gateway.keys, KeyRing(KeyStore(gateway.tables))
    key, row = await here.create(NewKey(scopes=("run",)), by="admin")
    digest = digest_of(key.encode())

    assert there.find(digest) is None
    await there.load()
    seen = there.find(digest)
    assert seen is not None
    assert seen.client.id == row.id
    mark = await KeyStore(gateway.tables).mark()
    await here.revoke(row.id)
    assert await KeyStore(gateway.tables).mark() != mark
    await there.load()
    gone = there.find(digest)
    assert gone is not None
    assert gone.revoked_at is not None


async def test_a_look_at_the_store_takes_no_new_key_away(gateway):
    """A key that is made while the keys are being read is known from its answer on."""
    ring, reading, made = gateway.keys, asyncio.Event(), asyncio.Event()

    class Slow(KeyStore):
        async def all(self):
            rows = await super().all()
            reading.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(made.wait(), 0.05)  # as long as nothing is made meanwhile
            return rows

    ring._store = Slow(gateway.tables)
    loading = asyncio.create_task(ring.load())
    await reading.wait()
    key, row = await ring.create(NewKey(scopes=("run",)), by="admin")
    made.set()
    await loading

    assert ring.known(row.id) is not None
    revoked = await ring.revoke(row.id)
    assert revoked.revoked_at is not None
    found = ring.find(digest_of(key.encode()))
    assert found is not None
    assert found.revoked_at == revoked.revoked_at


async def test_uses_are_kept_and_old_keys_forgotten(gateway):
    """The last use outlives the process; what ended long ago goes."""
    key, row = await gateway.keys.create(NewKey(scopes=("run",)), by="admin")
    gateway.state.access.authenticate({b"x-api-key": key.encode()}, "127.0.0.1")
    await gateway.keys.keep_uses()
    later = KeyRing(KeyStore(gateway.tables))
    await later.load()

    assert later.row(row.id).last_used_at == gateway.keys.row(row.id).last_used_at is not None
    await later.revoke(row.id)
    await later.sweep(before=10**12)
    assert later.rows() == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"scopes": []}, "/scopes"),
        ({}, "/scopes"),
        ({"scopes": ["root"]}, "/scopes/0"),
        ({"scopes": ["admin"], "scripts": ["a"]}, "/scripts"),
        ({"scopes": ["run"], "scripts": ["ok", "No!"]}, "/scripts/1"),
        ({"scopes": ["run"], "rate": "0/s"}, "/rate"),
        ({"scopes": ["run"], "rate": "fast"}, "/rate"),
        ({"scopes": ["run"], "expires_in": 0}, "/expires_in"),
        ({"scopes": ["run"], "name": "a\nb"}, "/name"),
        ({"scopes": ["run"], "script": "a"}, "/script"),
    ],
)
async def test_keys_that_cannot_be_made(client, body, pointer):
    """What is wrong is told with its place, and nothing is made."""
    refused = await client.post("/v1/keys", json=body)

    assert refused.status_code == 422
    assert [problem["pointer"] for problem in refused.json()["problems"]] == [pointer]
    assert len((await client.get("/v1/keys")).json()["keys"]) == 1


@pytest.mark.parametrize("is_scrape", [True, False])
async def test_a_stream_ends_with_its_key(gateway, client, is_scrape):
    """Who is revoked hears no more of a task that is being followed; the task goes on."""
    gateway.worker(hold)
    made = await make_key(client, scopes=["run", "read"])
    body = {"script_name": "anything"}
    async with (
        gateway.served() as served,
        served.client(Authorization=f"Bearer {made['key']}", Accept="text/event-stream") as own,
    ):
        if is_scrape:
            call = own.build_request("POST", "/scrape", json=body)
        else:
            task_id = (await own.post("/v1/tasks", json=body)).json()["request_id"]
            call = own.build_request("GET", f"/v1/tasks/{task_id}/events")
        stream = await own.send(call, stream=True)
        lines = stream.aiter_lines()
        first = await anext(lines)
        await client.delete(f"/v1/keys/{made['id']}")
        rest = [line async for line in lines]
        await stream.aclose()

    assert stream.status_code == 200
    assert first.startswith("id: 1")
    assert not any("result" in line for line in rest)
    assert gateway.service.live_count == 1
    assert gateway.reports == []


# ---- every endpoint by every scope ---------------------------------------------------


def endpoints(gateway: Gateway) -> Iterator[tuple[str, str, Door]]:
    """Yield method, path and decision of every endpoint."""
    for route in gateway.app.routes:
        door = door_of(route)
        assert isinstance(route, Route)
        assert door is not None
        for method in sorted((route.methods or set()) - {"HEAD"}):
            yield method, re.sub(r"\{.*?\}", "nothing", route.path), door


@pytest.mark.parametrize("scope", ["run", "read", "admin"])
async def test_every_endpoint_by_scope(gateway, client, scope):
    """A key gets 403 with the missing scope exactly where the decision says so."""
    made = await make_key(client, scopes=[scope])
    # A stream of whatever happens has an end of its own.
    gateway.state.policy = msgspec.structs.replace(gateway.state.policy, max_wait_s=0.1)
    wrong = []
    async with with_key(gateway, made["key"]) as own:
        for method, path, door in endpoints(gateway):
            answer = await own.request(method, path)
            is_let_in = door.is_open or scope in ("admin", *door.scopes)
            document = answer.json() if answer.status_code == 403 else {}
            told = document.get("error") or document  # `/scrape` tells it in an envelope
            missing = told.get("details", {}).get("scope")
            if path in dialects.PATHS:  # in the words of other products there is but a text
                named = re.search(r"`(run|read|admin)`", document.get("message", ""))
                missing = named[1] if named else None
            if missing != (None if is_let_in else door.scopes[0]):
                wrong.append((method, path, answer.status_code, missing))

    assert wrong == []


async def test_no_endpoint_but_open_ones_without_a_key(gateway):
    """Without a key every door is shut, except where the decision is `open`."""
    wrong = []
    async with gateway.client() as bare:
        del bare.headers["Authorization"]
        for method, path, door in endpoints(gateway):
            answer = await bare.request(method, path)
            if (answer.status_code == 401) == door.is_open:
                wrong.append((method, path, answer.status_code))

    assert wrong == []


# ---- what a narrowed key sees --------------------------------------------------------


async def test_a_key_for_one_script_knows_of_no_other(gateway, client):
    """Lists, tasks, their logs, items and ends, retries, exports: all end at the key's scripts."""
    gateway.worker()
    foreign = (await client.post("/scrape", json={"script_name": "anything"})).json()
    made = await make_key(client, scopes=["run", "read"], scripts=["pag*"])
    task_id = foreign["request_id"]
    async with with_key(gateway, made["key"]) as own:
        body = {"script_name": "page", "parameters": {"url": "u"}}
        ran = (await own.post("/scrape", json=body)).json()
        refused = [
            await own.post("/scrape", json={"script_name": "anything"}),
            await own.post("/v1/tasks", json={"script_name": "anything"}),
            await own.post("/v1/tasks/batch", json=[body, {"script_name": "anything"}]),
            await own.post("/v1/scripts/anything/run"),
            await own.get("/v1/scripts/anything"),
            await own.get("/v1/scripts/anything/versions"),
            await own.post("/v1/scripts/anything/validate"),
        ]
        hidden = [await own.get(f"/v1/tasks/{task_id}")]
        for part in ("events", "logs", "items", "result", "artifacts", "artifacts/x", "explain"):
            hidden.append(await own.get(f"/v1/tasks/{task_id}/{part}"))
        for part in ("cancel", "retry"):
            hidden.append(await own.post(f"/v1/tasks/{task_id}/{part}"))
        listed = (await own.get("/v1/tasks")).json()["tasks"]
        exported = (await own.get("/v1/tasks/export")).text
        letters = (await own.post("/v1/deadletters/retry", json={"ids": [task_id]})).json()
        ended = (await own.post("/v1/tasks/cancel", json={"ids": [task_id]})).json()
        scripts = (await own.get("/v1/scripts")).json()["scripts"]

    assert ran["status"] == "completed"
    assert [answer.status_code for answer in refused] == [403] * len(refused)
    assert refused[0].json()["error"]["code"] == "script_forbidden"
    assert [answer.status_code for answer in hidden] == [404] * len(hidden)
    assert [task["request_id"] for task in listed] == [ran["request_id"]]
    assert ran["request_id"] in exported
    assert task_id not in exported
    assert (letters["failed_count"], ended["failed_count"]) == (1, 1)
    assert ended["tasks"][0]["error"]["code"] == "not_found"
    assert [script["name"] for script in scripts] == ["page"]


async def test_a_key_that_only_runs_sees_its_own_tasks(gateway, client):
    """`run` follows what it has started; what others have started is `read`."""
    gateway.worker()
    body = {"script_name": "anything", "parameters": {"a": 1}}
    foreign = (await client.post("/scrape", json=body)).json()["request_id"]
    runner = await make_key(client, scopes=["run"])
    reader = await make_key(client, scopes=["read"])
    async with with_key(gateway, runner["key"]) as own:
        # An earlier answer of somebody else is no answer to a key that may not see it.
        made = (await own.post("/scrape", json={**body, "max_age": 60})).json()["request_id"]
        seen = await own.get(f"/v1/tasks/{made}")
        hidden = await own.get(f"/v1/tasks/{foreign}")
        listed = (await own.get("/v1/tasks")).json()["tasks"]
    async with with_key(gateway, reader["key"]) as other:
        everything = (await other.get("/v1/tasks")).json()["tasks"]

    assert made != foreign
    assert seen.json()["client"] == runner["id"]
    assert hidden.status_code == 404
    assert [task["request_id"] for task in listed] == [made]
    assert {task["request_id"] for task in everything} == {made, foreign}
