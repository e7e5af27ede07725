"""`/v1/locks`, and that a key never has two holders."""

from __future__ import annotations

import asyncio
import json
import sys
import time

import pytest

from tests.gateway.conftest import KEY
from tests.gateway.loop_router import hold
from zscrape.gateway.elsewhere import Nowhere
from zscrape.store.tasks import TaskRow

ASKED = {"script_name": "anything", "lock_key": "site:{host}", "parameters": {"host": "a/b?c"}}

# Stands at the line until it is told to go, asks for the key, and says what it got.
RUNNER = """
import sys, urllib.error, urllib.request
body = b'{"script_name": "anything", "lock_key": "one"}'
headers = {"Authorization": "Bearer " + sys.argv[2], "Content-Type": "application/json"}
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
for line in sys.stdin:
    asked = urllib.request.Request(sys.argv[1] + "/v1/tasks", body, headers)
    try:
        status = opener.open(asked).status
    except urllib.error.HTTPError as error:
        status = error.code
    print(status, flush=True)
"""


async def test_who_holds_what(gateway, client):
    """A lock is told with its holder, its age, and who waits for it."""
    gateway.worker(hold)
    first = (await client.post("/v1/tasks", json=ASKED)).json()["request_id"]
    second = await client.post("/v1/tasks", json={**ASKED, "overlap": "queue_one"})

    [lock] = (await client.get("/v1/locks")).json()["locks"]
    none = (await client.get("/v1/locks?prefix=other")).json()["locks"]

    assert (lock["key"], lock["holder"], lock["script_name"]) == ("site:a/b?c", first, "anything")
    assert lock["waiting"] == [second.json()["request_id"]]
    assert (lock["status"], lock["worker_id"]) == ("running", "w1")
    assert none == []


async def test_a_broken_lock_is_free(gateway, client):
    """Its holder is ended, says why, and the next may have the key."""
    gateway.worker(hold)
    task_id = (await client.post("/v1/tasks", json=ASKED)).json()["request_id"]

    answer = await client.delete("/v1/locks/site:a%2Fb%3Fc")
    task = (await client.get(f"/v1/tasks/{task_id}", headers={"Accept-Language": "ko"})).json()
    again = await client.post("/v1/tasks", json=ASKED)

    assert answer.status_code == 200
    assert (answer.json()["holder"], answer.json()["freed"]) == (task_id, True)
    assert (task["status"], task["error"]["details"]["what"]) == ("cancelled", "lock_broken")
    assert "잠금" in task["error"]["message"]
    assert again.status_code == 202


async def test_a_lock_that_nobody_holds(client):
    """Breaking it is 404; asking for nonsense is 422."""
    assert (await client.delete("/v1/locks/none")).status_code == 404
    assert (await client.delete("/v1/locks/none?forced=1")).status_code == 422


class Far(Nowhere):
    """Another gateway, whose locks are not in the database any more."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []

    async def cancel(self, row):
        """Note who is to end."""
        self.cancelled.append(row.id)


@pytest.mark.parametrize("query", ["", "?force=1"])
async def test_a_key_that_is_held_back_is_broken_where_its_holder_is(gateway, client, query):
    """A holder that only this gateway still believes in is ended there, and nobody here."""
    gateway.service.elsewhere = far = Far()
    await gateway.store.add(
        TaskRow(id="far", script_name="anything", created_at=1.0, origin="task")
    )
    dispatcher = gateway.router.dispatcher
    dispatcher.hold_back("one", holder="far", now=time.monotonic())
    asked = {"script_name": "anything", "lock_key": "one", "overlap": "queue_all"}
    waiting = (await client.post("/v1/tasks", json=asked)).json()["request_id"]

    broken = (await client.delete(f"/v1/locks/one{query}")).json()

    assert (broken["holder"], broken["freed"]) == ("far", False)
    assert broken["waiting"] == [waiting]
    assert far.cancelled == ["far"]
    assert dispatcher.held_back() == {"one": waiting}


async def test_a_missing_parameter_of_a_key_is_told(client):
    """A key that asks for a parameter which is not given names it, and nothing is queued."""
    answer = await client.post("/v1/tasks", json={**ASKED, "parameters": {"url": "x"}})

    assert answer.status_code == 422
    assert answer.json()["problems"][0]["pointer"] == "/lock_key"
    assert "host" in answer.json()["detail"]
    assert "url" in answer.json()["detail"]


async def test_a_missing_parameter_of_a_manifests_key_is_told(client, folder):
    """A key of the manifest is made of what is given and of defaults, never of `null`."""
    (folder / "scripts" / "loose").mkdir()
    (folder / "scripts" / "loose" / "main.py").write_text("def run(**given):\n    return given\n")
    manifest = {"name": "loose", "version": "1.0.0", "kit": [], "lock": {"key": "at:{host}"}}
    (folder / "scripts" / "loose" / "metadata.json").write_text(json.dumps(manifest))
    asked = {"script_name": "loose", "parameters": {"url": "a"}}

    answer = await client.post("/v1/tasks", json=asked)
    spoken = await client.post("/v1/tasks", json=asked, headers={"Accept-Language": "ko"})

    told = answer.json()
    assert (answer.status_code, told["code"]) == (422, "params_invalid")
    assert told["problems"][0]["pointer"] == "/parameters"
    assert "host" in told["problems"][0]["reason"]
    assert "잠금 키" in spoken.json()["problems"][0]["reason"]
    assert (await client.get("/v1/locks")).json()["locks"] == []


async def test_a_key_takes_the_defaults_of_the_script(gateway, client):
    """A parameter that is left out stands in the key as the script sees it."""
    asked = {"script_name": "page", "parameters": {"url": "a"}, "lock_key": "{url}:{pages}"}
    await client.post("/v1/tasks", json=asked)

    [lock] = (await client.get("/v1/locks")).json()["locks"]
    assert lock["key"] == "a:1"


async def test_a_key_that_becomes_too_long(client):
    """What its parameters make of a key is bounded."""
    answer = await client.post("/v1/tasks", json={**ASKED, "parameters": {"host": "x" * 500}})

    assert (answer.status_code, answer.json()["problems"][0]["pointer"]) == (422, "/lock_key")


@pytest.mark.timeout(120)
async def test_prototype_two_processes_200_times(gateway):
    """Scheduler prototype 4.2: of two processes that ask at the same instant one gets the key."""
    worker = gateway.worker(hold)
    async with gateway.served() as served:
        url = f"http://127.0.0.1:{served.port}"
        runners = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", RUNNER, url, KEY),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            for _ in range(2)
        ]
        told: list[list[int]] = []
        try:
            for _ in range(200):
                for runner in runners:
                    assert runner.stdin is not None
                    runner.stdin.write(b"go\n")
                answers = [await _line(runner) for runner in runners]
                told.append(sorted(answers))
                assert len(gateway.router.locks()) == 1
                worker.ok(await worker.runs.get())
        finally:
            for runner in runners:
                assert runner.stdin is not None
                runner.stdin.close()
                await runner.wait()

    assert told == [[202, 409]] * 200


async def _line(runner: asyncio.subprocess.Process) -> int:
    assert runner.stdout is not None
    return int(await runner.stdout.readline())
