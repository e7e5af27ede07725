"""Browsers: signed in by a link that works once, and used by nobody else's pages."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.gateway.conftest import KEY, Gateway
from tests.gateway.test_keys_api import make_key, with_key
from zscrape.errors.requests import CrossSite, LockedOut, LoginInvalid, Unauthorized
from zscrape.gateway.access import Access
from zscrape.gateway.clients import Client
from zscrape.gateway.guesses import FREE_COUNT
from zscrape.gateway.sessions import LINK_S, SESSION_S, Sessions

SAME = {"Origin": "http://gateway"}


def browser(gateway: Gateway, **headers: str) -> httpx.AsyncClient:
    """Return a client without a key that keeps cookies."""
    made = gateway.client(**headers)
    del made.headers["Authorization"]
    return made


async def sign_in(web: httpx.AsyncClient, path: str) -> httpx.Response:
    """Open a link."""
    answer = await web.get(path)
    assert answer.status_code == 303, answer.text
    return answer


async def test_a_link_signs_in_once(gateway, client):
    """The cookie is out of reach of scripts and of other sites; the link is worth nothing after."""
    made = (await client.post("/v1/logins")).json()
    async with browser(gateway) as web:
        answer = await sign_in(web, made["path"])
        me = (await web.get("/v1/me")).json()
        tasks = await web.get("/v1/tasks")
    async with browser(gateway) as other:
        again = await other.get(made["path"])
        nobody = await other.get("/v1/me")
    cookie = answer.headers["set-cookie"]

    assert answer.headers["location"] == "/"
    assert {"HttpOnly", "SameSite=strict", "Path=/", f"Max-Age={SESSION_S:.0f}"} <= set(
        cookie.split("; ")
    )
    assert re.match(r"zscrape_[0-9a-f]{8}=[\w-]{32};", cookie)
    assert (me["id"], me["scopes"]) == ("admin", ["admin"])
    assert tasks.status_code == 200
    assert again.status_code == 410
    assert "set-cookie" not in again.headers
    assert nobody.status_code == 401
    assert "no-referrer" in again.headers["referrer-policy"]
    assert KEY not in answer.text


async def test_a_look_at_a_link_does_not_use_it_up(gateway, client):
    """A program that asks for the head of a link alone leaves it as it is."""
    path = (await client.post("/v1/logins")).json()["path"]
    async with browser(gateway) as web:
        looked = await web.head(path)
        await sign_in(web, path)

    assert (looked.status_code, "set-cookie" in looked.headers) == (204, False)


async def test_changes_need_a_page_of_the_gateway(gateway, client):
    """A session changes something only from the gateway's own pages, or with a header beside it."""
    path = (await client.post("/v1/logins")).json()["path"]
    body = {"scopes": ["read"]}
    async with browser(gateway) as web:
        await sign_in(web, path)
        foreign = [
            await web.post("/v1/keys", json=body),
            await web.post("/v1/keys", json=body, headers={"Origin": "http://evil.example"}),
            await web.post("/v1/keys", json=body, headers={"Origin": "null"}),
            await web.post("/v1/keys", json=body, headers={"Origin": "http://gateway:81"}),
            await web.delete("/v1/deadletters?all=1", headers={"Origin": "http://gateway.evil"}),
        ]
        scraped = await web.post("/scrape", json={"script_name": "page"})
        own = await web.post("/v1/keys", json=body, headers=SAME)
        asked = await web.post("/v1/keys", json=body, headers={"X-Requested-With": "fetch"})

    assert [(answer.status_code, answer.json()["code"]) for answer in foreign] == [
        (403, "cross_site")
    ] * len(foreign)
    assert (scraped.status_code, scraped.json()["error"]["code"]) == (403, "cross_site")
    assert (own.status_code, asked.status_code) == (201, 201)


async def test_signing_out(gateway, client):
    """The session is over for whoever has the cookie, and the browser forgets it."""
    path = (await client.post("/v1/logins")).json()["path"]
    async with browser(gateway) as web:
        await sign_in(web, path)
        (kept,) = [(name, value) for name, value in web.cookies.items()]
        out = await web.post("/logout", headers=SAME)
        forgotten = dict(web.cookies)
        web.cookies.set(*kept)
        refused = await web.get("/v1/tasks")

    assert out.status_code == 303
    assert forgotten == {}
    assert refused.status_code == 401


async def test_a_session_can_do_what_its_key_can(gateway, client):
    """It has the key's scopes, and ends with the key."""
    made = await make_key(client, scopes=["read"])
    async with with_key(gateway, made["key"]) as own:
        path = (await own.post("/v1/logins")).json()["path"]
    async with browser(gateway) as web:
        await sign_in(web, path)
        allowed = await web.get("/v1/workers")
        refused = await web.post("/v1/keys", json={}, headers=SAME)
        await client.delete(f"/v1/keys/{made['id']}")
        over = await web.get("/v1/workers")

    assert (allowed.status_code, refused.status_code) == (200, 403)
    assert (over.status_code, over.json()["code"]) == (401, "key_revoked")


async def test_who_signs_in_is_on_record(gateway, client):
    """The link's making and its use are two lines of the audit, without the code."""
    path = (await client.post("/v1/logins")).json()["path"]
    async with browser(gateway) as web:
        await sign_in(web, path)
    audit = await client.get("/v1/audit")

    assert [line["action"] for line in audit.json()["audit"]] == ["login", "login.link"]
    assert path.partition("code=")[2] not in audit.text


@pytest.mark.parametrize(("lang", "words"), [("ko", "대시보드로"), ("en", "To the dashboard")])
async def test_the_page_speaks_the_readers_language(gateway, lang, words):
    """A link that is used up says so as everything else that people read."""
    async with browser(gateway, **{"Accept-Language": lang}) as web:
        page = await web.get("/login?code=used")

    assert page.status_code == 410
    assert words in page.text
    assert f'lang="{lang}"' in page.text


def test_links_and_sessions_end_in_time():
    """Ten minutes for a link, a day's work for a session, no longer than what they came from."""
    sessions = Sessions()
    old = sessions.new_link(Client("a"), 0.0)
    fresh = sessions.new_link(Client("a"), 1.0)
    short = sessions.new_link(Client("b", until=100.0), 0.0)

    assert sessions.redeem(old, LINK_S) is None
    assert sessions.redeem(short, 100.0) is None
    found = sessions.redeem(fresh, LINK_S)
    assert found is not None
    assert sessions.find(found[0], LINK_S + SESSION_S - 1) == Client("a")
    assert sessions.find(found[0], LINK_S + SESSION_S) is None


def test_memory_of_links_and_sessions_is_bounded():
    """The oldest give way."""
    sessions = Sessions()
    for number in range(1_200):
        assert sessions.redeem(sessions.new_link(Client(str(number)), 0.0), 0.0)
    for number in range(200):
        sessions.new_link(Client(str(number)), 0.0)

    assert (len(sessions._sessions), len(sessions._links)) == (1_000, 100)


def test_guessing_links_is_guessing():
    """Wrong codes count as wrong keys do."""
    access = Access("right", clock=lambda: 1_000.0)
    for _ in range(FREE_COUNT + 1):
        with pytest.raises(LoginInvalid):
            access.sign_in("wrong", "192.0.2.1")

    with pytest.raises(LockedOut):
        access.sign_in(access.new_link(), "192.0.2.1")
    assert access.sign_in(access.new_link(), "192.0.2.2")[1].id == "admin"


def cookie(access: Access, **more: str) -> dict[bytes, Any]:
    """Return the headers of a browser that is signed in."""
    token, _ = access.sign_in(access.new_link(), "")
    named = {b"cookie": f"other=1; {access.cookie_name}={token}; x".encode()}
    return {**named, **{name.replace("_", "-").encode(): it.encode() for name, it in more.items()}}


def test_which_origins_are_ours():
    """Host and port are compared, whatever their case; without a host nothing is ours."""
    access = Access("right")
    fits = cookie(access, origin="https://Gate.example:8443", host="gate.example:8443")
    no_host = cookie(access, origin="http://gate.example")

    assert access.authenticate(fits, method="POST").id == "admin"
    with pytest.raises(CrossSite):
        access.authenticate(no_host, method="POST")
    with pytest.raises(Unauthorized):
        access.authenticate({b"cookie": f"{access.cookie_name}=x".encode()}, method="GET")
    with pytest.raises(Unauthorized):
        access.authenticate({b"cookie": b"\xff;=;;"}, method="GET")
