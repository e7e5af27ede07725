"""The failure capsule: all that is known of a failed attempt, and no key in it."""

from __future__ import annotations

import base64
import io
import json
import zipfile
import zlib
from typing import Any

from tests.gateway.conftest import until
from tests.gateway.loop_router import ending
from zscrape.gateway.capsules import masked
from zscrape.model import OutcomeCode
from zscrape.runtime.recording import CONTENT_TYPE, MASK

RECORDING = {
    "exchanges": [
        {
            "method": "GET",
            "url": "https://me:pw@a.example/?token=1",
            "request_headers": [["Cookie", "a=b"]],
            "request_body": {"text": ""},
            "status": 200,
            "headers": [["Content-Type", "text/html"]],
            "body": {"text": "<p>안녕</p>"},
            "is_cut": False,
            "error": "",
            "elapsed_s": 0.1,
        }
    ],
    "dropped_count": 3,
    "page": None,
    "screenshot": base64.b64encode(b"\x89PNG picture").decode(),
    "environment": {"python": "3.12.1"},
}
BODY = {"script_name": "anything", "parameters": {"url": "a", "password": "hush"}}


def saved(document: Any) -> dict[str, Any]:
    """Return a recording as a worker sends it."""
    raw = document if isinstance(document, bytes) else zlib.compress(json.dumps(document).encode())
    data = base64.b64encode(raw).decode()
    return {"name": "recording", "size": len(raw), "content_type": CONTENT_TYPE, "data": data}


def failing(document: Any = RECORDING) -> Any:
    """Return what a worker does that fails every attempt, after it has told its recording."""

    def script(worker: Any, run: Any) -> None:
        worker.say(
            run,
            ("log", {"level": "info", "stream": "log", "message": "looking"}),
            ("recording", saved(document)),
        )
        worker.fail(run, OutcomeCode.SCRIPT_ERROR, error_type="ValueError", traceback="main.py:1")

    return script


def parts_of(packed: bytes) -> dict[str, bytes]:
    """Return the files of a capsule."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


async def test_capsule(gateway, client):
    """It has the pin, the parameters, the log, the exchanges, the last page and the script."""
    gateway.worker(failing())
    task_id = (await client.post("/scrape", json=BODY)).json()["request_id"]

    answer = await client.get(f"/v1/tasks/{task_id}/capsule")

    parts = parts_of(answer.content)
    told, recording = json.loads(parts["capsule.json"]), json.loads(parts["recording.json"])
    assert answer.headers["content-type"] == "application/zip"
    assert f"capsule-{task_id}-1.zip" in answer.headers["content-disposition"]
    assert told["script"]["version"] == "1.0.0"
    assert told["parameters"] == {"url": "a", "password": MASK}
    assert told["error"]["code"] == "script_error"
    assert told["environment"]["python"] == "3.12.1"
    assert (told["exchange_count"], told["dropped_exchange_count"]) == (1, 3)
    assert recording["exchanges"][0]["url"] == f"https://{MASK}@a.example/?token={MASK}"
    assert recording["exchanges"][0]["request_headers"] == [["Cookie", MASK]]
    assert parts["page.html"].decode() == "<p>안녕</p>"
    assert parts["screenshot.png"] == b"\x89PNG picture"
    assert parts["traceback.txt"] == b"main.py:1"
    assert b'"message":"looking"' in parts["log.jsonl"]
    assert parts["script.tar.gz"].startswith(b"\x1f\x8b")


async def test_recording_is_no_artifact(gateway, client):
    """Neither the list of artifacts nor the stream tells of it."""
    gateway.worker(failing())
    task_id = (await client.post("/scrape", json=BODY)).json()["request_id"]

    listed = (await client.get(f"/v1/tasks/{task_id}/artifacts")).json()["artifacts"]
    events = (await client.get(f"/v1/tasks/{task_id}/events")).text

    assert listed == []
    assert "looking" in events
    assert CONTENT_TYPE not in events


async def test_killed_child_has_the_rest(gateway, client):
    """Without a recording the capsule has what the gateway knows; so with one that is spoilt."""
    gateway.worker(ending(OutcomeCode.CRASHED, fields={"reason": "SIGKILL"}))
    task_id = (await client.post("/scrape", json=BODY)).json()["request_id"]
    parts = parts_of((await client.get(f"/v1/tasks/{task_id}/capsule")).content)

    assert "recording.json" not in parts
    assert json.loads(parts["capsule.json"])["error"]["code"] == "crashed"


async def test_spoilt_recording_is_none(gateway, client):
    """What a child has made of its recording harms nobody."""
    gateway.worker(failing(b"no zlib"))
    task_id = (await client.post("/scrape", json=BODY)).json()["request_id"]

    answer = await client.get(f"/v1/tasks/{task_id}/capsule")

    assert answer.status_code == 200
    assert "recording.json" not in parts_of(answer.content)


async def test_capsule_of_an_attempt(gateway, client):
    """Each failed attempt has its own, also before the task has ended and after it did well."""

    def second(worker: Any, run: Any) -> None:
        if run.attempt == 1:
            failing({**RECORDING, "dropped_count": 1})(worker, run)
        else:
            worker.ok(run, b"1")

    gateway.worker(second)
    retry = {"max": 1, "backoff": [0.01], "on": ["script_error"]}
    task = (await client.post("/scrape", json={**BODY, "retry": retry})).json()
    path = f"/v1/tasks/{task['request_id']}/capsule"

    first = await client.get(path)
    beyond = await client.get(f"{path}?attempt=3")

    assert task["status"] == "completed"
    assert json.loads(parts_of(first.content)["capsule.json"])["attempt"] == 1
    assert beyond.status_code == 404


async def test_no_capsule_of_what_did_well(gateway, client):
    """A task without any failure has none."""
    gateway.worker()
    task_id = (await client.post("/scrape", json=BODY)).json()["request_id"]

    answer = await client.get(f"/v1/tasks/{task_id}/capsule")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_who_only_runs_gets_no_source(gateway, client):
    """A key that runs a script sees its own failures, and not the script's source."""
    gateway.worker(failing())
    made = await client.post("/v1/keys", json={"name": "runner", "scopes": ["run"]})
    async with gateway.client(Authorization=f"Bearer {made.json()['key']}") as own:
        task_id = (await own.post("/scrape", json=BODY)).json()["request_id"]
        parts = parts_of((await own.get(f"/v1/tasks/{task_id}/capsule")).content)

    assert "script.tar.gz" not in parts
    assert "recording.json" in parts


async def test_durable_task(gateway, client):
    """A queued task has its capsule as a call has."""
    gateway.worker(failing())
    task_id = (await client.post("/v1/tasks", json=BODY)).json()["request_id"]
    await until(lambda: gateway.service.live(task_id) is None)

    assert (await client.get(f"/v1/tasks/{task_id}/capsule")).status_code == 200


def test_names_of_secrets() -> None:
    """Values under names of secrets are blanked out at any depth, addresses lose their keys."""
    told = masked(
        {
            "api_key": "1",
            "user": {"Password": "x", "name": "ann"},
            "list": [{"auth_token": 3}, "https://a.example/?key=1"],
            "keyboard": "us",
            "secret": None,
        }
    )

    assert told == {
        "api_key": MASK,
        "user": {"Password": MASK, "name": "ann"},
        "list": [{"auth_token": MASK}, f"https://a.example/?key={MASK}"],
        "keyboard": "us",
        "secret": None,
    }
