"""`/v1/tokens` and taking workers' keys back, by the API of a gateway with a real link."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.conftest import Gateway
from tests.gateway.test_link_strangers import Link
from tests.link_keys import make_known
from zscrape.config import parse_token


@pytest.fixture
async def link(tmp_path: Path) -> AsyncIterator[Link]:
    """A link that listens."""
    link = Link(tmp_path / "link")
    link.router.start()
    yield link
    link.joining.stop()
    link.router.stop()


@pytest.fixture
async def api(gateway: Gateway, link: Link) -> AsyncIterator[httpx.AsyncClient]:
    """The API of a gateway with this link."""
    gateway.state.joining = link.joining
    async with gateway.client() as client:
        yield client


async def test_token_is_told_once(api: httpx.AsyncClient, link: Link) -> None:
    """The answer to its making has the line to paste; the list has nothing that lets one in."""
    made = await api.post("/v1/tokens", json={"name": "spare", "uses": 2, "expires_in": 60})
    listed = (await api.get("/v1/tokens")).json()

    document = made.json()
    assert made.status_code == 201
    assert document["command"] == f"zscrape worker --join {document['token']}"
    assert parse_token(document["token"]).addresses == (link.router.endpoint,)
    assert parse_token(document["token"]).server_keys == link.keys.public_keys
    assert document["is_local"] is True
    assert listed["tokens"] == [
        {name: document[name] for name in listed["tokens"][0]}  # the same, but for the secret
    ]
    assert "token" not in listed["tokens"][0]
    assert (listed["tokens"][0]["status"], listed["tokens"][0]["uses"]) == ("active", 2)


async def test_token_says_what_to_dial(api: httpx.AsyncClient) -> None:
    """Several addresses can be given, for gateways that share their keys."""
    addresses = ["tcp://10.0.0.1:5555", "tcp://gateway.example.com:5555"]
    made = (await api.post("/v1/tokens", json={"addresses": addresses, "expires_in": None})).json()

    assert list(parse_token(made["token"]).addresses) == addresses
    assert made["is_local"] is False
    assert made["expires_at"] is None


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"uses": 0}, "/uses"),
        ({"expires_in": 0}, "/expires_in"),
        ({"addresses": ["http://x:1"]}, "/addresses/0"),
        ({"addresses": ["tcp://x:0"]}, "/addresses/0"),
        ({"label": "x"}, "/label"),
        ({"name": "a\nb"}, "/name"),
    ],
)
async def test_bad_token_is_refused(
    api: httpx.AsyncClient, link: Link, body: dict[str, Any], pointer: str
) -> None:
    """What is wrong is told with its place, and no token is made."""
    answer = await api.post("/v1/tokens", json=body)

    assert answer.status_code == 422
    assert pointer in answer.text
    assert link.joining.tokens == []


async def test_token_is_revoked(api: httpx.AsyncClient) -> None:
    """It stays in the list as revoked; one that is not there is 404."""
    made = (await api.post("/v1/tokens")).json()
    revoked = await api.delete(f"/v1/tokens/{made['id']}")
    unknown = await api.delete("/v1/tokens/none")

    assert (revoked.status_code, revoked.json()["status"]) == (200, "revoked")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")


async def test_worker_keys_are_taken_back(api: httpx.AsyncClient, link: Link) -> None:
    """A worker is revoked, then removed; one that is not known is 404."""
    await make_known(link.keys, link.door, "w")
    revoked = await api.post("/v1/workers/w/revoke")
    again = await api.post("/v1/workers/w/revoke")
    removed = await api.delete("/v1/workers/w")
    unknown = await api.delete("/v1/workers/w")

    assert revoked.json() == {"id": "w", "status": "revoked"}
    assert removed.json() == {"id": "w", "status": "removed"}
    assert (again.status_code, unknown.status_code) == (404, 404)


async def test_key_of_the_link_is_changed(api: httpx.AsyncClient, link: Link) -> None:
    """The answer says when; until then tokens carry both keys."""
    before = link.keys.public_keys
    answer = await api.post("/v1/tokens/rotate-key", json={"overlap": 3600})
    made = (await api.post("/v1/tokens")).json()
    listed = (await api.get("/v1/tokens")).json()

    assert answer.status_code == 202
    assert answer.json()["key_changes_at"] == listed["key_changes_at"]
    assert parse_token(made["token"]).server_keys[:1] == before
    assert len(parse_token(made["token"]).server_keys) == 2
