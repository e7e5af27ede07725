"""Whose scripts a gateway runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.gateway.conftest import Gateway
from zscrape.ops.publishing import sign_folder
from zscrape.scripts.signing import SigningKey, new_key_pair
from zscrape.scripts.trust import Trust

CALL = {"script_name": "page", "parameters": {"url": "x"}}


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    """A new key."""
    return new_key_pair(tmp_path / "publisher.pem")[0]


def trust_in(key: SigningKey, *, is_required: bool) -> Trust:
    """Return trust in one key."""
    return Trust({key.id: key.public}, is_required)


async def test_strict_mode_queues_nothing_unsigned(make: Any, key: SigningKey) -> None:
    """Every door says why, in the caller's language, and no worker hears of it."""
    gateway: Gateway = make(trust=trust_in(key, is_required=True))
    worker = gateway.worker()
    async with gateway.client() as client:
        scraped = (await client.post("/scrape", json=CALL)).json()
        queued = await client.post("/v1/tasks", json=CALL, headers={"Accept-Language": "ko"})
        run = await client.post("/v1/scripts/page/run", json={"url": "x"})

    assert (scraped["status"], scraped["error"]["code"]) == ("failed", "signature_invalid")
    assert "zscrape scripts sign" in scraped["error"]["message"]
    assert (queued.status_code, queued.json()["code"]) == (422, "signature_invalid")
    assert "서명" in queued.text
    assert run.status_code == 422
    assert worker.runs.empty()
    assert gateway.service.live_count == 0


async def test_strict_mode_runs_what_a_trusted_key_signed(
    make: Any, key: SigningKey, folder: Path
) -> None:
    """The catalogue tells by whom."""
    sign_folder(folder / "scripts" / "page", key)
    gateway: Gateway = make(trust=trust_in(key, is_required=True))
    gateway.worker()
    async with gateway.client() as client:
        scraped = (await client.post("/scrape", json=CALL)).json()
        shown = (await client.get("/v1/scripts/page")).json()

    assert scraped["status"] == "completed"
    assert shown["signature"] == {"status": "valid", "key_id": key.id, "name": "publisher"}
    assert shown["warnings"] == []


async def test_a_lie_is_refused_without_strict_mode_and_a_stranger_is_told(
    make: Any, key: SigningKey, folder: Path
) -> None:
    """A signature that does not fit ends the call; one that nobody can check is a warning."""
    for name in ("page", "anything"):
        sign_folder(folder / "scripts" / name, key)
    manifest = folder / "scripts" / "page" / "metadata.json"
    manifest.write_text(manifest.read_text().replace("1.4.2", "1.4.3"))
    gateway: Gateway = make(trust=trust_in(key, is_required=False))
    believing_nobody: Gateway = make()
    async with gateway.client() as client, believing_nobody.client() as other:
        scraped = (await client.post("/scrape", json=CALL)).json()
        shown = (await other.get("/v1/scripts/anything")).json()

    assert scraped["error"]["code"] == "signature_invalid"
    assert "was changed after" in scraped["error"]["message"]
    assert [each["code"] for each in shown["warnings"]] == ["signature_unknown"]


async def test_a_lock_key_that_is_too_long_points_into_the_body(gateway: Gateway) -> None:
    """In a batch, the fault stands at the task that made it."""
    good = {"script_name": "locked", "parameters": {"url": "x"}}
    long = {"script_name": "locked", "parameters": {"url": "x" * 300}}
    async with gateway.client() as client:
        answer = await client.post("/v1/tasks/batch", json={"tasks": [good, long]})

    assert answer.status_code == 422
    assert answer.json()["problems"][0]["pointer"] == "/tasks/1/parameters"
    assert gateway.service.live_count == 0
