"""What operators do to the catalogue by HTTP: refresh, webhooks, prefetch, channels."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import httpx
import pytest

from zscrape import wire
from zscrape.gateway.app import HttpPolicy

SECRET = "s3cret"


def write_versions(folder: Path, name: str, *versions: str) -> None:
    """Write versions of a script side by side."""
    for version in versions:
        place = folder / "scripts" / name / version
        place.mkdir(parents=True)
        (place / "main.py").write_text(f"def run():\n    return {version!r}\n")
        (place / "metadata.json").write_text(json.dumps({"name": name, "version": version}))


@pytest.fixture
def versioned(folder):
    """A script with three versions."""
    write_versions(folder, "many", "1.0.0", "1.1.0", "2.0.0-beta.1")


async def version_of(client: httpx.AsyncClient, request: str) -> str:
    """Return which version a request stands for now."""
    answer = await client.get(f"/v1/scripts/many?version={request}")
    told: dict[str, str] = answer.json()
    return told.get("version") or told["code"]


async def test_refresh(client):
    """Every repository is told of, and whether anything has changed."""
    answer = await client.post("/v1/scripts/refresh")

    assert answer.status_code == 200
    assert answer.json() == {
        "changed": False,
        "repositories": [{"name": "dir", "changed": False}],
    }


@pytest.mark.usefixtures("versioned")
async def test_promote_and_roll_back(client):
    """A channel stands for what was promoted last, and goes back step by step."""
    path = "/v1/scripts/many/channels/stable"
    told = [await version_of(client, "stable")]
    first = await client.put(path, json={"version": "1.0.0"})
    told.append(await version_of(client, "stable"))
    second = await client.put(path, json={"version": "^1"})
    told.append(await version_of(client, "stable"))
    back = await client.put(path, json={"rollback": True})
    told.append(await version_of(client, "stable"))
    listed = (await client.get("/v1/scripts/many/versions")).json()
    gone = await client.delete(path)
    told.append(await version_of(client, "stable"))

    assert told == ["1.1.0", "1.0.0", "1.1.0", "1.0.0", "1.1.0"]
    assert first.json() == {
        "script_name": "many",
        "channel": "stable",
        "version": "1.0.0",
        "previous": "",
    }
    assert (second.json()["version"], second.json()["previous"]) == ("1.1.0", "1.0.0")
    assert (back.json()["version"], back.json()["previous"]) == ("1.0.0", "1.1.0")
    assert listed["channels"] == {"stable": "1.0.0"}
    assert gone.json()["version"] == ""


@pytest.mark.usefixtures("versioned")
async def test_beta_without_a_promotion_is_the_newest_pre_release_of_that_name(client):
    """A pre-release is given only to who asks for it, by its name."""
    assert await version_of(client, "beta") == "2.0.0-beta.1"
    assert await version_of(client, "alpha") == "version_not_found"
    assert await version_of(client, "latest") == "1.1.0"


@pytest.mark.usefixtures("versioned")
@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("many/channels/stable", {"version": "9.0.0"}, 404, "version_not_found"),
        ("nope/channels/stable", {"version": "1.0.0"}, 404, "script_not_found"),
        ("many/channels/stable", {"rollback": True}, 404, "not_found"),
        ("many/channels/stable", {}, 422, "invalid_request"),
        ("many/channels/stable", {"version": "1.0.0", "rollback": True}, 422, "invalid_request"),
        ("many/channels/stable", {"versoin": "1.0.0"}, 422, "invalid_request"),
        ("many/channels/latest", {"version": "1.0.0"}, 422, "invalid_request"),
        ("many/channels/1.x", {"version": "1.0.0"}, 422, "invalid_request"),
        ("many/channels/Stable%20", {"version": "1.0.0"}, 422, "invalid_request"),
    ],
)
async def test_changes_that_cannot_be_made(client, path, body, status, code):
    """A wrong change is told and changes nothing."""
    answer = await client.put(f"/v1/scripts/{path}", json=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert (await client.get("/v1/scripts/many/versions")).json()["channels"] == {}


async def test_removing_a_channel_that_is_not_there(client):
    """There is nothing to forget."""
    answer = await client.delete("/v1/scripts/page/channels/stable")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.usefixtures("versioned")
async def test_every_form_of_version_runs_and_is_answered_with_its_pin(gateway, client):
    """Ranges, `latest`, channels and digests are resolved once; the answer says to what."""
    gateway.worker()
    digest = (await client.get("/v1/scripts/many?version=1.0.0")).json()["digest"]
    forms = {"^1.0": "1.1.0", "1.x": "1.1.0", "latest": "1.1.0", "beta": "2.0.0-beta.1"}
    forms |= {"1.0.0": "1.0.0", digest: "1.0.0"}
    answers = {}
    for form in forms:
        body = {"script_name": "many", "version": form, "parameters": {}}
        answers[form] = (await client.post("/scrape", json=body)).json()

    assert {form: each["version"] for form, each in answers.items()} == forms
    assert {each["status"] for each in answers.values()} == {"completed"}
    assert len({each["digest"] for each in answers.values()}) == 3
    assert answers[digest]["digest"] == answers["1.0.0"]["digest"] == digest


async def test_prefetch(gateway, client):
    """Every worker with the right tags is told to get ready; others are left alone."""
    fit = gateway.worker(worker_id="fit")
    answer = await client.post("/v1/scripts/prefetch", json={"script_name": "page"})
    shown = (await client.get("/v1/scripts/page")).json()

    told = answer.json()
    assert answer.status_code == 202
    assert (told["name"], told["version"], told["workers"]) == ("page", "1.4.2", ["fit"])
    assert told["digest"] == shown["digest"]
    asked = [message for message in fit.received if isinstance(message, wire.Prepare)]
    assert [each.run.pin.digest for each in asked] == [told["digest"]]
    assert shown["cached_on"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [({"script_name": "nope"}, 404), ({}, 422), ({"script_name": "page", "x": 1}, 422)],
)
async def test_prefetch_of_what_is_not_there(client, body, status):
    """A script that cannot be resolved is a problem, as elsewhere."""
    assert (await client.post("/v1/scripts/prefetch", json=body)).status_code == status


# ---- webhooks ------------------------------------------------------------------------


def signature_of(body: bytes, secret: str = SECRET) -> str:
    """Return what a Git host puts beside a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Hub-Signature-256": signature_of(b'{"ref": 1}')}, 200),
        ({"X-Gitlab-Token": SECRET}, 200),
        ({"X-Hub-Signature-256": signature_of(b'{"ref": 2}')}, 401),
        ({"X-Hub-Signature-256": signature_of(b'{"ref": 1}', "other")}, 401),
        ({"X-Hub-Signature-256": "sha256="}, 401),
        ({"X-Gitlab-Token": ""}, 401),
        ({"X-Gitlab-Token": "other"}, 401),
        ({}, 401),
        ({"X-Hub-Signature-256": signature_of(b'{"ref": 1}'), "X-Api-Key": "wrong"}, 401),
    ],
)
async def test_webhook_is_signed(make, headers, status):
    """A push from a Git host needs no key but the shared secret; anything else is refused."""
    gateway = make(http=HttpPolicy(webhook_secret=SECRET))
    client = gateway.client()
    del client.headers["Authorization"]

    answer = await client.post("/v1/scripts/refresh", content=b'{"ref": 1}', headers=headers)

    assert answer.status_code == status, answer.text
    await client.aclose()


@pytest.mark.parametrize("token", ["", "None"])
async def test_without_a_secret_no_webhook_is_believed(gateway, token):
    """Signed with nothing is not signed, and no other path takes signatures."""
    client = gateway.client()
    del client.headers["Authorization"]
    refresh = await client.post("/v1/scripts/refresh", headers={"X-Gitlab-Token": token})
    other = await client.post("/v1/scripts/prefetch", headers={"X-Gitlab-Token": token})

    assert (refresh.status_code, other.status_code) == (401, 401)
    await client.aclose()
