"""Calls that come too often: 429, when to come again, and how much is left."""

from __future__ import annotations

import pytest

from zscrape.config.settings import ScriptDefaults
from zscrape.core.bucket import Rate
from zscrape.gateway.ratelimits import LocalLimiter

PAGE = {"script_name": "page", "parameters": {"url": "u"}}


class Clock:
    """Time that stands until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock(gateway):
    """Let each client of the gateway call twice, then once in two seconds."""
    clock = Clock()
    gateway.state.limiter = LocalLimiter(Rate(0.5, 2), clock)
    return clock


@pytest.mark.parametrize("lang", ["en", "ko"])
async def test_a_call_too_soon_is_429(client, clock, lang):
    """The answer says when to come again, and so it is."""
    headers = {"Accept-Language": lang}
    codes = [(await client.get("/v1/workers")).status_code for _ in range(2)]
    refused = await client.get("/v1/workers", headers=headers)
    clock.now += float(refused.headers["retry-after"])
    again = await client.get("/v1/workers")

    assert codes == [200, 200]
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert "gateway.client_rate" in refused.json()["detail"]
    assert again.status_code == 200


async def test_every_answer_says_what_is_left(gateway, client, clock):
    """Old and new names of the fields agree, on refusals and on the main call too."""
    gateway.worker()
    first = await client.post("/scrape", json=PAGE)
    await client.get("/v1/workers")
    refused = await client.post("/scrape", json=PAGE)

    assert first.headers["ratelimit"] == '"client";r=1;t=2'
    assert first.headers["ratelimit-policy"] == '"client";q=2;w=4'
    assert (first.headers["ratelimit-limit"], first.headers["ratelimit-remaining"]) == ("2", "1")
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "rate_limited"
    assert (refused.headers["ratelimit-remaining"], refused.headers["ratelimit-reset"]) == (
        "0",
        "4",
    )
    assert refused.headers["retry-after"] == "2"


async def test_who_needs_no_key_is_not_counted(client, clock):
    """Looking at the gateway's health is free, and a wrong key uses up nobody's calls."""
    for _ in range(5):
        assert (await client.get("/health")).status_code == 200
        wrong = await client.get("/v1/workers", headers={"Authorization": "Bearer wrong"})
        assert wrong.status_code == 401

    assert (await client.get("/v1/workers")).status_code == 200


async def test_without_a_limit_nothing_is_told(client):
    """A gateway without a rate neither counts nor adds fields."""
    answer = await client.get("/v1/workers")

    assert not [name for name in answer.headers if name.startswith("ratelimit")]


async def test_one_script_has_a_rate_of_its_own(make):
    """What is asked of a script too often is refused, whoever asks; others go on."""
    gateway = make(defaults={"page": ScriptDefaults(rate=0.001)})
    async with gateway.client() as client:
        first = await client.post("/v1/tasks", json=PAGE)
        second = await client.post("/v1/tasks", json=PAGE)
        other = await client.post("/v1/tasks", json={"script_name": "anything"})

    assert first.status_code == other.status_code == 202
    assert (second.status_code, second.json()["code"]) == (429, "rate_limited")
    assert "[scripts.NAME]" in second.json()["detail"]
    assert int(second.headers["retry-after"]) > 900
