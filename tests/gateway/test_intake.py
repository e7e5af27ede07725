"""From a request to a task: what the spec says, and how often a repository is looked at."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from zscrape.gateway.requests import RetryRequest, TaskRequest
from zscrape.model import RETRIED_BY_DEFAULT, OutcomeCode, Overlap, RetryPolicy
from zscrape.scripts.catalogue import Script


def _request(name: str = "page", **fields: Any) -> TaskRequest:
    parameters = msgspec.Raw(b'{"url":"a"}') if name in ("page", "locked") else msgspec.Raw(b"{}")
    return TaskRequest(script_name=name, parameters=parameters, **fields)


async def _prepare(gateway: Any, request: TaskRequest, **options: Any) -> Any:
    return await gateway.service.prepare(request, origin="task", client="c", **options)


async def test_spec(gateway):
    """The spec says what the request and the manifest ask for."""
    request = _request("korean", tags=("gpu",), priority=7, timeout=9.0, lock_key="k")

    prepared = await _prepare(gateway, request)

    spec = prepared.spec
    assert spec.requires == {"kr", "gpu"}
    assert (spec.priority, spec.deadline_s) == (7, 9.0)
    assert spec.lock is not None
    assert (spec.lock.key, spec.lock.overlap) == ("k", Overlap.SKIP)
    assert spec.run.pin.digest == prepared.row.digest
    assert spec.id == prepared.row.id


async def test_patience(gateway):
    """Who waits at an open call learns soon that no worker matches; a queued task is patient."""
    open_call = await _prepare(gateway, _request(), is_awaited=True)
    queued = await _prepare(gateway, _request())

    assert open_call.spec.match_timeout_s == 0.05
    assert queued.spec.match_timeout_s == queued.spec.schedule_timeout_s == 300


@pytest.mark.parametrize(
    ("asked", "policy"),
    [
        (None, RetryPolicy()),
        (RetryRequest(max=0), RetryPolicy()),
        (RetryRequest(), RetryPolicy(3, (15, 30, 60), 300, RETRIED_BY_DEFAULT)),
        (RetryRequest(max=2), RetryPolicy(2, (15, 30, 60), 300, RETRIED_BY_DEFAULT)),
        (
            RetryRequest(max=1, backoff=(1.0,), cap=5.0, on=frozenset({OutcomeCode.BLOCKED})),
            RetryPolicy(1, (1.0,), 5.0, frozenset({OutcomeCode.BLOCKED})),
        ),
        (
            RetryRequest(max=1, route={OutcomeCode.BLOCKED: ("a", "b")}),
            RetryPolicy(
                1,
                (15, 30, 60),
                300,
                RETRIED_BY_DEFAULT,
                {OutcomeCode.BLOCKED: frozenset({"a", "b"})},
            ),
        ),
    ],
)
async def test_retry_policy(gateway, asked, policy):
    """What a request leaves open of its retries is filled in."""
    prepared = await _prepare(gateway, _request(retry=asked))

    assert prepared.spec.retry == policy


@pytest.mark.parametrize("is_warm", [True, False])
async def test_a_turn_shares_one_look(gateway, monkeypatch, is_warm):
    """Requests of one turn share a look that did not wait; every other looks for itself."""
    script: Script = await gateway.catalogue.resolve("page", None)
    looks = []

    def look(name: str, version: str | None) -> Script | None:
        looks.append((name, version))
        return script if is_warm else None

    async def resolve(_name: str, _version: str | None) -> Script:
        await asyncio.sleep(0)
        return script

    monkeypatch.setattr(gateway.catalogue, "at_hand", look)
    monkeypatch.setattr(gateway.catalogue, "resolve", resolve)

    await asyncio.gather(*(_prepare(gateway, _request()) for _ in range(50)))
    first_turn_count = len(looks)
    await asyncio.gather(*(_prepare(gateway, _request(version="1.x")) for _ in range(50)))
    await _prepare(gateway, _request())

    assert first_turn_count == (1 if is_warm else 50)
    assert looks[-1] == ("page", None)
    assert len(looks) == 2 * first_turn_count + 1


async def test_an_edit_between_turns_is_seen(gateway, folder):
    """A request that is made after an edit gets the edited script, however soon it comes."""
    digests = set()

    for number in range(20):
        (folder / "scripts" / "page" / "main.py").write_text(
            f"def run(url: str):\n    return {number}\n"
        )
        digests.add((await _prepare(gateway, _request())).row.digest)
        await asyncio.sleep(0)  # requests that come over a socket are a turn apart at least

    assert len(digests) == 20
