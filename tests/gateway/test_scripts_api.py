"""/v1/scripts: the catalogue, dry validation, and the short way to run one."""

from __future__ import annotations

import asyncio

import pytest

from tests.gateway.loop_router import ending, hold
from zscrape.gateway.app import HttpPolicy
from zscrape.model import OutcomeCode


async def test_catalogue(client):
    """Every script is listed, also one that cannot be used, with what is wrong with it."""
    answer = await client.get("/v1/scripts", headers={"Accept-Language": "ko"})

    scripts = {script["name"]: script for script in answer.json()["scripts"]}
    assert set(scripts) == {"anything", "broken", "korean", "locked", "page"}
    assert scripts["page"]["version"] == "1.4.2"
    assert scripts["broken"]["problems"][0]["pointer"] == "/version"


async def test_a_repository_that_is_gone_is_told_with_what_is_known(client, folder):
    """What was asked for before is shown with a warning; the list says what cannot be read."""
    before = (await client.get("/v1/scripts/page")).json()
    (folder / "scripts").rename(folder / "away")
    shown = (await client.get("/v1/scripts/page", headers={"Accept-Language": "ko"})).json()
    listed = (await client.get("/v1/scripts")).json()
    refreshed = await client.post("/v1/scripts/refresh")

    assert (before["warnings"], shown["digest"]) == ([], before["digest"])
    assert [each["code"] for each in shown["warnings"]] == ["repository_stale"]
    assert "저장소 dir" in shown["warnings"][0]["reason"]
    assert [each["name"] for each in listed["scripts"]] == ["page"]
    assert listed["repositories"] == [{"name": "dir", "error": "the folder cannot be read"}]
    assert (refreshed.status_code, refreshed.json()["code"]) == (502, "repository_unavailable")


async def test_one_script(client):
    """One script shows its manifest, its digest, its schema and its versions."""
    shown = await client.get("/v1/scripts/page")
    versions = await client.get("/v1/scripts/page/versions")
    schema = await client.get("/v1/scripts/page/schema?version=^1")

    assert shown.json()["digest"].startswith("sha256:")
    assert shown.json()["versions"] == versions.json()["versions"] == ["1.4.2"]
    assert shown.json()["parameters"] == schema.json()
    assert schema.json()["required"] == ["url"]


async def test_what_is_known_of_each_version(gateway, client, folder):
    """Digests that are known, null elsewhere, who has which, and what the script requires."""
    for version, lines in (("1.0.0", ""), ("1.1.0", "attrs >= 24\n")):
        place = folder / "scripts" / "needy" / version
        place.mkdir(parents=True)
        (place / "metadata.json").write_text(f'{{"name": "needy", "version": "{version}"}}')
        (place / "main.py").write_text("def run():\n    return 1\n")
        (place / "requirements.txt").write_text(lines)
    digest = (await client.get("/v1/scripts/needy")).json()["digest"]
    gateway.worker(worker_id="near", warm=(digest,))
    shown = (await client.get("/v1/scripts/needy")).json()
    older = (await client.get("/v1/scripts/needy?version=1.0.0")).json()
    pinned = (await client.get(f"/v1/scripts/needy?version={digest}")).json()
    listed = (await client.get("/v1/scripts/needy/versions")).json()

    assert shown["requirements"] == ["attrs>=24"]
    assert (older["requirements"], shown["python_version"]) == ([], ">=3.8")
    assert shown["cached_on"] == ["near"]
    assert shown["details"] == {
        "1.1.0": {"digest": digest, "cached_on": ["near"]},
        "1.0.0": {"digest": None, "cached_on": []},
    }
    assert older["details"]["1.0.0"] == {"digest": older["digest"], "cached_on": []}
    assert pinned["version"] == "1.1.0"
    assert list(listed["details"]) == listed["versions"] == ["1.1.0", "1.0.0"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/scripts/nope", 404, "script_not_found"),
        ("/v1/scripts/nope/versions", 404, "script_not_found"),
        ("/v1/scripts/nope/schema", 404, "script_not_found"),
        ("/v1/scripts/page?version=9", 404, "version_not_found"),
        ("/v1/scripts/page?version=>>1", 422, "version_not_found"),
        ("/v1/scripts/page?versoin=1", 422, "invalid_request"),
        ("/v1/scripts/broken", 422, "manifest_invalid"),
        ("/v1/scripts/..%2fpage", 404, "not_found"),
    ],
)
async def test_scripts_that_are_not_there(client, path, status, code):
    """What cannot be shown is a problem with its own code."""
    answer = await client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def test_validate(gateway, client):
    """Dry validation tells every misfit and runs nothing."""
    gateway.worker()

    good = await client.post("/v1/scripts/page/validate", json={"url": "a"})
    bad = await client.post("/v1/scripts/page/validate", json={"url": 1, "zzz": 2})

    assert good.json()["valid"] is True
    assert good.json()["version"] == "1.4.2"
    assert (bad.status_code, bad.json()["valid"]) == (200, False)
    assert {problem["pointer"] for problem in bad.json()["problems"]} == {
        "/parameters/url",
        "/parameters/zzz",
    }
    assert gateway.router.submitted_count == 0


async def test_run(gateway, client):
    """The body is the parameters and the answer is the data itself, with its facts as headers."""
    gateway.worker()

    answer = await client.post("/v1/scripts/page/run?version=1.x&timeout=9.5", json={"url": "a"})
    task = await client.get(f"/v1/tasks/{answer.headers['x-request-id']}")

    assert (answer.status_code, answer.json()) == (200, {"url": "a"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-script-version"] == "1.4.2"
    assert (task.json()["origin"], task.json()["timeout"]) == ("run", 9.5)


async def test_run_without_a_body(gateway, client):
    """A script without parameters needs no body."""
    gateway.worker()

    answer = await client.post("/v1/scripts/anything/run")

    assert (answer.status_code, answer.json()) == (200, {})


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (OutcomeCode.SCRIPT_ERROR, 500),
        (OutcomeCode.CRASHED, 500),
        (OutcomeCode.MEMORY_LIMIT, 500),
        (OutcomeCode.RESULT_INVALID, 500),
        (OutcomeCode.INTERNAL, 500),
        (OutcomeCode.BLOCKED, 502),
        (OutcomeCode.CAPTCHA_REQUIRED, 502),
        (OutcomeCode.INTEGRITY_ERROR, 502),
        (OutcomeCode.TIMEOUT, 504),
        (OutcomeCode.RATE_LIMITED, 429),
        (OutcomeCode.ENTRY_POINT_INVALID, 422),
    ],
)
async def test_failures_of_run(gateway, client, code, status):
    """A failure is a problem with an honest status, the code and the task's id."""
    gateway.worker(ending(code, error_type="E", error_message="m", traceback="main.py:1"))

    answer = await client.post("/v1/scripts/anything/run", json={})

    assert (answer.status_code, answer.json()["code"]) == (status, code.value)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert answer.json()["traceback"] == "main.py:1"


async def test_run_without_a_worker(client):
    """Without a worker the answer is soon 503, with a reason and Retry-After."""
    answer = await client.post("/v1/scripts/korean/run", json={})

    assert (answer.status_code, answer.json()["reason"]) == (503, "no_matching_worker")
    assert int(answer.headers["retry-after"]) > 0


async def test_run_that_is_too_slow(gateway, client):
    """`?timeout=` ends the task: 504."""
    gateway.worker(hold)

    answer = await client.post("/v1/scripts/anything/run?timeout=0.05", json={})

    assert (answer.status_code, answer.json()["code"]) == (504, "timeout")


async def test_run_that_need_not_be_awaited(gateway, client):
    """`Prefer: wait=N` ends the call with 202 and where the task is."""
    worker = gateway.worker(hold)

    answer = await client.post("/v1/scripts/anything/run", json={}, headers={"Prefer": "wait=0.05"})
    worker.ok(await worker.runs.get())

    assert (answer.status_code, answer.json()["status"]) == (202, "running")
    assert answer.headers["location"].startswith("/v1/tasks/")


async def test_run_whose_data_is_large(make):
    """Data over the inline limit is where the answer points to."""
    gateway = make(http=HttpPolicy(inline_limit_bytes=10))
    gateway.worker()
    async with gateway.client() as client:
        answer = await client.post("/v1/scripts/anything/run", json={"a": "x" * 100})
        data = await client.get(answer.headers["location"])

    assert answer.status_code == 303
    assert data.json() == {"a": "x" * 100}


async def test_run_when_the_gateway_closes(gateway, client):
    """A run that waits when the gateway closes is answered 503."""
    worker = gateway.worker(hold)
    call = asyncio.create_task(client.post("/v1/scripts/anything/run", json={}))
    await worker.runs.get()
    gateway.hub.close()

    answer = await call

    assert (answer.status_code, answer.json()["code"]) == (503, "draining")


async def test_idempotent_run(gateway, client):
    """The same key is the same run; another script with that key is a conflict."""
    gateway.worker()
    headers = {"Idempotency-Key": "k"}

    first = await client.post("/v1/scripts/anything/run", json={"a": 1}, headers=headers)
    again = await client.post("/v1/scripts/anything/run", json={"a": 1}, headers=headers)
    other = await client.post("/v1/scripts/page/run", json={"a": 1}, headers=headers)

    assert first.headers["x-request-id"] == again.headers["x-request-id"]
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


async def test_idempotent_run_of_another_version(gateway, client):
    """What stands in the query belongs to the call: another version with that key is a conflict."""
    gateway.worker()
    headers = {"Idempotency-Key": "k"}
    path = "/v1/scripts/anything/run"

    first = await client.post(f"{path}?version=1.0.0", json={}, headers=headers)
    again = await client.post(f"{path}?version=1.0.0", json={}, headers=headers)
    other = await client.post(path, json={}, headers=headers)

    assert first.headers["x-request-id"] == again.headers["x-request-id"]
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


async def test_an_edit_is_live(gateway, client, folder):
    """An edited script is what the next run runs."""
    gateway.worker()
    before = await client.post("/v1/scripts/page/run", json={"url": "a"})
    (folder / "scripts" / "page" / "main.py").write_text("def run(link: str):\n    return link\n")

    after = await client.post("/v1/scripts/page/run", json={"url": "a"})

    assert before.status_code == 200
    assert (after.status_code, after.json()["code"]) == (422, "params_invalid")
