"""The audit: who did what, when and from where; refused attempts too."""

from __future__ import annotations

import csv
import io

import msgspec
import pytest

from tests.gateway.test_keys_api import make_key, with_key
from zscrape.errors.storage import StorageFailed
from zscrape.gateway.api.doors import door_of
from zscrape.gateway.audit import Auditor
from zscrape.store.audit import AuditLine, AuditQuery, AuditStore

# What changes nothing of the gateway's own, or only what a client itself has made.
PLAIN = {
    ("POST", "/scrape"),
    ("POST", "/v1/tasks"),
    ("POST", "/v1/tasks/batch"),
    ("POST", "/v1/tasks/wait"),
    ("POST", "/v1/schedules/preview"),
    ("POST", "/v1/tasks/{task_id}/retry"),
    ("POST", "/v1/tasks/{task_id}/cancel"),
    ("DELETE", "/v1/tasks/{task_id}"),
    ("POST", "/v1/scripts/{name}/run"),
    ("POST", "/v1/scripts/{name}/validate"),
    ("POST", "/schedule.json"),
    ("POST", "/cancel.json"),
    ("POST", "/crawl.json"),
}


def test_every_change_has_a_name_in_the_audit(gateway):
    """Whoever adds an endpoint that changes something says what the audit calls it."""
    unnamed = [
        (method, route.path)
        for route in gateway.app.routes
        for method in route.methods - {"GET", "HEAD"}
        if not (door := door_of(route)) or not door.act
    ]

    assert set(unnamed) - PLAIN == set()


async def test_acts_are_on_record(gateway, client):
    """Who, what, to what, from where, with which result; the key itself is nowhere."""
    made = await make_key(client, scopes=["read"])
    await client.delete(f"/v1/keys/{made['id']}")
    await client.post("/v1/workers/nobody/drain")
    await client.put("/v1/scripts/page/channels/stable", json={"version": "1.4.2"})
    await client.request("DELETE", "/v1/deadletters?script=page")

    answer = await client.get("/v1/audit")
    lines = answer.json()["audit"][::-1]
    told = [(line["action"], line["target"], line["result"]) for line in lines]

    assert told == [
        ("keys.create", made["id"], "ok"),
        ("keys.revoke", made["id"], "ok"),
        ("workers.drain", "nobody", "not_found"),
        ("scripts.promote", "page/stable/1.4.2", "ok"),
        ("deadletters.drop", "script=page", "ok"),
    ]
    assert {line["actor"] for line in lines} == {"admin"}
    assert all(line["address"] and line["request_id"] and line["at"] for line in lines)
    assert made["key"] not in answer.text


async def test_who_may_not_is_on_record_too(gateway, client):
    """An attempt without the scope is one line, however often it is made at once."""
    made = await make_key(client, scopes=["run"])
    async with with_key(gateway, made["key"]) as own:
        for _ in range(5):
            assert (await own.post("/v1/keys", json={})).status_code == 403
        shut = await own.get("/v1/audit")

    found = (await client.get("/v1/audit", params={"actor": made["id"]})).json()["audit"]

    assert shut.status_code == 403
    assert [(line["action"], line["result"]) for line in found] == [("keys.create", "forbidden")]


async def test_strangers_cannot_fill_the_audit(gateway, client):
    """Calls that pretend to be signed are one line in a while."""
    async with gateway.client(**{"X-Hub-Signature-256": "sha256=00"}) as stranger:
        del stranger.headers["Authorization"]
        for _ in range(5):
            assert (await stranger.post("/v1/scripts/refresh")).status_code == 401

    (line,) = (await client.get("/v1/audit")).json()["audit"]

    assert (line["actor"], line["result"]) == ("signature", "unauthorized")


async def test_pages_filters_and_exports(gateway, client):
    """Newest first by pages; as a whole in lines or in a table where nothing is a formula."""
    store = gateway.state.audit.store
    for number in range(1, 6):
        actor = "=evil()" if number == 5 else "key_1"
        await store.add(AuditLine(at=float(number), actor=actor, action="a.b", target=str(number)))

    first = (await client.get("/v1/audit", params={"limit": 2})).json()
    query = {"limit": 2, "cursor": first["next_cursor"]}
    second = (await client.get("/v1/audit", params=query)).json()
    since = {"since": "1970-01-01T00:00:04Z", "actor": "key_1"}
    late = (await client.get("/v1/audit", params=since)).json()
    lines = (await client.get("/v1/audit?format=jsonl&action=a.b")).text.splitlines()
    table = await client.get("/v1/audit?format=csv&limit=3")

    assert [line["target"] for line in first["audit"] + second["audit"]] == ["5", "4", "3", "2"]
    assert [line["target"] for line in late["audit"]] == ["4"]
    assert late["next_cursor"] is None
    assert [msgspec.json.decode(line)["target"] for line in lines] == ["5", "4", "3", "2", "1"]
    rows = list(csv.reader(io.StringIO(table.text)))
    assert rows[0][:3] == ["at", "actor", "action"]
    assert [row[1] for row in rows[1:]] == ["'=evil()", "key_1", "key_1"]
    assert "audit.csv" in table.headers["content-disposition"]


@pytest.mark.parametrize("query", ["cursor=x", "format=xlsx", "since=then", "who=me", "limit=0"])
async def test_questions_that_cannot_be_read(client, query):
    """A filter that means nothing is refused, not passed over."""
    assert (await client.get(f"/v1/audit?{query}")).status_code == 422


async def test_old_lines_go(gateway):
    """What is older than it is kept is deleted."""
    store = AuditStore(gateway.tables)
    await store.add(AuditLine(at=1.0, actor="a", action="x"))
    await store.add(AuditLine(at=2.0, actor="a", action="y"))

    await store.sweep(before=2.0)

    assert [line.action for line in (await store.page(AuditQuery())).lines] == ["y"]


async def test_a_line_that_cannot_be_kept_is_told(gateway):
    """The act is done by then; the log has the line instead."""

    class Broken(AuditStore):
        async def add(self, line):
            raise StorageFailed(reason="no disk")

    lost = []
    auditor = Auditor(
        Broken(gateway.tables), on_loss=lambda line, error: lost.append((line, error))
    )

    await auditor.note("keys.create", actor="admin", target="key_1")

    assert [(line.action, line.target, error.code) for line, error in lost] == [
        ("keys.create", "key_1", "storage_failed")
    ]
