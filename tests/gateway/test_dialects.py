"""The calls of Scrapyd and ScrapyRT: who may make them, what they do, how they refuse."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from tests.gateway.conftest import KEY
from zscrape.gateway.api.dialects import key_headers, refusal
from zscrape.messages import CATALOGUE


def basic(user: str, password: str) -> dict[str, str]:
    """Return the header of Basic authentication."""
    told = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {told}"}


@pytest.fixture
async def worked(gateway: Any) -> Any:
    """A gateway with a worker that gives parameters back."""
    gateway.worker()
    return gateway


# ---- keys ----------------------------------------------------------------------------


@pytest.mark.parametrize(("user", "password"), [("anybody", KEY), (KEY, "")])
async def test_key_comes_as_the_password(gateway: Any, user: str, password: str) -> None:
    """Clients of these calls know Basic authentication alone; elsewhere it opens nothing."""
    async with gateway.client(**basic(user, password)) as client:
        own = await client.get("/daemonstatus.json")
        other = await client.get("/v1/scripts")

    assert (own.status_code, own.json()["status"]) == (200, "ok")
    assert other.status_code == 401


@pytest.mark.parametrize("told", ["Basic", "Basic !", "Basic Og==", "Basic eDp5"])
@pytest.mark.parametrize("path", ["/schedule.json", "/crawl.json"])
async def test_strangers_are_refused_in_the_dialect(gateway: Any, told: str, path: str) -> None:
    """No key, half a header and a wrong key are told as these clients read it."""
    async with gateway.client(Authorization=told) as client:
        answer = await client.post(path, data={"project": "page"})

    assert answer.status_code == 401
    assert answer.json()["status"] == "error"
    assert answer.json()["message"]
    assert "www-authenticate" in answer.headers  # never Basic: a browser would keep the key
    assert "Basic" not in answer.headers["www-authenticate"]


def test_a_browser_s_session_opens_none_of_them() -> None:
    """A page of a stranger could else start scripts by an image's address."""
    headers = {b"cookie": b"session=1", b"x-api-key": b"k"}

    assert key_headers("/crawl.json", headers) == {b"x-api-key": b"k"}
    assert key_headers("/v1/tasks", headers) == headers


# ---- Scrapyd -------------------------------------------------------------------------


async def post(client: httpx.AsyncClient, path: str, **fields: Any) -> dict[str, Any]:
    """Send a form, and return the answer, which is a 200 whatever it says."""
    answer = await client.post(path, data=fields)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def get(client: httpx.AsyncClient, path: str, **query: Any) -> dict[str, Any]:
    """Ask, and return the answer, which is a 200 whatever it says."""
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_job_is_a_task(worked: Any) -> None:
    """A scheduled job runs with its fields as parameters, typed by the script's schema."""
    async with worked.client() as client:
        made = await post(
            client, "/schedule.json", project="default", spider="page", url="3", pages="2"
        )
        task = (await client.get(f"/v1/tasks/{made['jobid']}?wait=20")).json()
        state = await get(client, "/status.json", job=made["jobid"])
        jobs = await get(client, "/listjobs.json", project="page")
        again = await post(client, "/cancel.json", project="page", job=made["jobid"])

    assert (made["status"], made["node_name"]) == ("ok", "test")
    assert task["parameters"] == {"url": "3", "pages": 2}
    assert state["currstate"] == "finished"
    assert [each["id"] for each in jobs["finished"]] == [made["jobid"]]
    assert jobs["finished"][0]["spider"] == "page"
    assert jobs["finished"][0]["log_url"].endswith("/logs")
    assert again["prevstate"] is None


async def test_own_job_id_is_kept(gateway: Any) -> None:
    """An id of the caller's own finds the task, and the same job twice is one task."""
    asked = {"project": "page", "spider": "page", "url": "u", "jobid": "night-1"}
    async with gateway.client() as client:
        made = [await post(client, "/schedule.json", **asked) for _ in range(2)]
        jobs = await get(client, "/listjobs.json")
        state = await get(client, "/status.json", job="night-1")
        ended = await post(client, "/cancel.json", project="page", job="night-1", signal="KILL")
        over = await get(client, "/status.json", job="night-1")

    assert [each["jobid"] for each in made] == ["night-1", "night-1"]
    assert [each["id"] for each in jobs["pending"]] == ["night-1"]
    assert jobs["pending"][0]["args"] == {"url": "u"}
    assert (state["currstate"], ended["prevstate"]) == ("pending", "pending")
    assert over["currstate"] == "finished"


async def test_projects_spiders_and_versions(gateway: Any) -> None:
    """Each script is a project with one spider and its own versions; `default` holds them all."""
    async with gateway.client() as client:
        projects = (await get(client, "/listprojects.json"))["projects"]
        every = (await get(client, "/listspiders.json", project="default"))["spiders"]
        one = (await get(client, "/listspiders.json", project="page"))["spiders"]
        versions = (await get(client, "/listversions.json", project="page"))["versions"]

    assert projects[0] == "default"
    assert set(projects[1:]) == set(every)
    assert one == ["page"]
    assert versions == ["1.4.2"]


@pytest.mark.parametrize(
    ("path", "fields", "words"),
    [
        ("/schedule.json", {"spider": "page"}, "project: this parameter is required"),
        ("/schedule.json", {"project": "shop", "spider": "page"}, "use project=page"),
        ("/schedule.json", {"project": "none", "spider": "none"}, "none"),
        ("/schedule.json", {"project": "page", "spider": "page", "_version": "9.9"}, "9.9"),
        ("/schedule.json", {"project": "page", "spider": "page"}, "/parameters/url"),
        (
            "/schedule.json",
            {"project": "page", "spider": "page", "setting": "DOWNLOAD_DELAY=2"},
            "zscrape sites set",
        ),
        (
            "/schedule.json",
            {"project": "page", "spider": "page", "url": "u", "priority": "0.5"},
            "whole number",
        ),
        (
            "/schedule.json",
            {"project": "page", "spider": "page", "url": "u", "jobid": "a b"},
            "visible ASCII",
        ),
        ("/cancel.json", {"project": "page"}, "job: this parameter is required"),
    ],
)
async def test_what_cannot_be_done_says_why(
    client: httpx.AsyncClient, path: str, fields: dict[str, str], words: str
) -> None:
    """An error names what is wrong, and what to do instead."""
    told = await post(client, path, **fields)

    assert told["status"] == "error"
    assert words in told["message"]


async def test_unknown_job_has_no_state(client: httpx.AsyncClient) -> None:
    """A job that is not known is no error, as in Scrapyd."""
    state = await get(client, "/status.json", job="none")
    ended = await post(client, "/cancel.json", project="page", job="none")

    assert (state["status"], state["currstate"]) == ("ok", None)
    assert (ended["status"], ended["prevstate"]) == ("ok", None)


async def test_eggs_and_other_bodies_are_refused(client: httpx.AsyncClient) -> None:
    """An egg is not read, and a body that is no form is told as such."""
    egg = await client.post("/addversion.json", data={"project": "p"}, files={"egg": b"x" * 9_000})
    gone = [
        await client.post(f"/{name}.json", data={"project": "page", "version": "1"})
        for name in ("delversion", "delproject")
    ]
    other = await client.post("/schedule.json", json={"project": "page"})
    wrong = await client.get("/schedule.json")

    # Whoever deploys by the status must see that nothing was deployed.
    assert [each.status_code for each in (egg, *gone)] == [501] * 3
    assert all("scripts publish" in each.json()["message"] for each in (egg, *gone))
    assert "application/json" in other.json()["message"]
    assert (wrong.status_code, wrong.json()["status"]) == (405, "error")


@pytest.mark.parametrize(
    ("path", "content", "media", "words"),
    [
        ("/schedule.json", b"a&" * 400_000, "application/x-www-form-urlencoded", "1000 fields"),
        ("/schedule.json", b"\xff=\xfe&%00=%00", "application/x-www-form-urlencoded", "project"),
        ("/crawl.json", b'{"request":' * 50_000, "application/json", ""),
        ("/crawl.json", b"[]", "application/json", ""),
        ("/crawl.json", b"\xff", "application/json", ""),
    ],
)
async def test_hostile_bodies_are_refused_in_the_dialect(
    client: httpx.AsyncClient, path: str, content: bytes, media: str, words: str
) -> None:
    """Too many fields, bytes that are no text and endless nesting are errors like any other."""
    headers = {"Content-Type": media}
    answer = await client.post(path, content=content, headers=headers)

    assert answer.status_code in (200, 400)
    assert answer.json()["status"] == "error"
    assert words in answer.json()["message"]


async def test_refusals_speak_korean(client: httpx.AsyncClient) -> None:
    """Words are in the reader's language here too."""
    headers = {"Accept-Language": "ko"}
    answer = await client.post("/delproject.json", headers=headers, data={"project": "p"})

    assert "게시" in answer.json()["message"]


async def test_narrow_keys_stay_narrow(make: Any) -> None:
    """A key for some scripts sees and starts those alone."""
    gateway = make()
    async with gateway.client() as admin:
        asked = {"name": "few", "scopes": ["run"], "scripts": ["page"]}
        key = (await admin.post("/v1/keys", json=asked)).json()["key"]
        other = await post(admin, "/schedule.json", project="anything", spider="anything")
    async with gateway.client(**basic("few", key)) as client:
        projects = (await get(client, "/listprojects.json"))["projects"]
        jobs = await get(client, "/listjobs.json")
        state = await get(client, "/status.json", job=other["jobid"])
        refused = await client.post(
            "/schedule.json", data={"project": "default", "spider": "anything"}
        )

    assert projects == ["default", "page"]
    assert jobs["pending"] == []
    assert state["currstate"] is None
    assert refused.status_code == 403
    assert refused.json()["status"] == "error"


# ---- ScrapyRT ------------------------------------------------------------------------


async def test_crawl_answers_with_items(worked: Any) -> None:
    """`url` and `crawl_args` are parameters, and what the script gives are the items."""
    args = '{"depth": 2, "name": "3"}'
    async with worked.client() as client:
        answer = await client.get(
            "/crawl.json", params={"spider_name": "anything", "url": "u", "crawl_args": args}
        )
        asked = {"url": "u", "dont_filter": True}
        posted = await client.post(
            "/crawl.json",
            json={"spider_name": "anything", "request": asked, "crawl_args": {"depth": 2}},
        )

    told = answer.json()
    assert answer.status_code == 200, answer.text
    assert (told["status"], told["spider_name"]) == ("ok", "anything")
    assert told["items"][0]["url"] == "u"
    assert told["items"][0]["depth"] == 2
    assert told["stats"]["item_scraped_count"] == 1
    assert told["items_dropped"] == []
    assert posted.json()["items"][0]["depth"] == 2


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({"url": "u"}, 400, "spider_name"),
        ({"spider_name": "anything"}, 400, "url"),
        ({"spider_name": "none", "url": "u"}, 404, "none"),
        ({"spider_name": "anything", "url": "u", "callback": "parse"}, 400, "crawl_args"),
        ({"spider_name": "anything", "url": "u", "max_requests": "3"}, 400, "max_requests"),
        ({"spider_name": "anything", "url": "u", "crawl_args": "["}, 400, "crawl_args: must be"),
        ({"spider_name": "page", "url": "u", "crawl_args": '{"pages": "x"}'}, 400, "pages"),
    ],
)
async def test_crawl_refuses_in_its_own_form(
    client: httpx.AsyncClient, query: dict[str, str], status: int, words: str
) -> None:
    """An error has its status twice, and words that say what to do."""
    answer = await client.get("/crawl.json", params=query)
    told = answer.json()

    assert answer.status_code == status, answer.text
    assert (told["status"], told["code"]) == ("error", status)
    assert words in told["message"]


async def test_crawl_of_requests_that_are_none(client: httpx.AsyncClient) -> None:
    """Objects that are none are told by their name."""
    for asked in ({"request": 1}, {"request": {"url": "u"}, "crawl_args": 1}):
        answer = await client.post("/crawl.json", json={"spider_name": "anything", **asked})

        assert answer.status_code == 400
        assert "JSON object" in answer.json()["message"]


def test_paths_of_ours_are_no_dialect() -> None:
    """Every other path is refused as it was."""
    from zscrape.errors.requests import Unauthorized

    assert refusal("/v1/tasks", Unauthorized(), "r", "en") is None
    assert "http.dialect_form" in CATALOGUE
