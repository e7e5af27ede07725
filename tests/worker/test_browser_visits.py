"""Pages that `ctx.browser` visits: held to the budget and the robots.txt of their site."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.worker.conftest import Desk
from zscrape.model import OutcomeCode
from zscrape.wire import Ask, Tell

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's package chromium"),
]

_ROBOTS = "User-agent: *\nDisallow: /closed\n"
_PAGE = b"""<!doctype html><title>page</title><a href="/next">next</a>
<a id="no" href="/closed/third">no</a><img src="/picture"><iframe src="/frame"></iframe>"""


class _Handler(BaseHTTPRequestHandler):
    server: _Site

    def do_GET(self) -> None:
        """Answer: `/to/x` leads to `/x`, `/busy` asks for patience, the rest is a page."""
        self.server.seen.append(self.path)
        status = 302 if self.path.startswith("/to/") else 429 if self.path == "/busy" else 200
        body = _PAGE if self.path in ("/", "/next") else b"<title>small</title>"
        self.send_response(status)
        if status == 302:
            self.send_header("Location", self.path[3:])
        if status == 429:
            self.send_header("Retry-After", "7")
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


class _Site(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[str] = []

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"


class Gateway:
    """Answers as a gateway does that has a budget for every site of this machine."""

    def __init__(self) -> None:
        self.turns_count = 0
        self.reports: list[dict[str, Any]] = []

    def answer(self, ask: Ask) -> Tell:
        """Give a turn to everybody, and note what is told of it."""
        told: dict[str, Any] = json.loads(ask.body or b"{}")
        said: dict[str, Any] = {}
        if ask.kind == "robots":
            said = {"text": _ROBOTS}
        elif ask.kind == "site" and not told:
            said = {"sites": ["127.0.0.1"]}
        elif ask.kind == "site":
            self.turns_count += 1
            said = {"site": "127.0.0.1", "waited_s": 0.0, "token": f"turn-{self.turns_count}"}
        elif ask.kind == "seen":
            self.reports += told["reports"]
        return Tell(ask.task_id, ask.attempt, ask.request, json.dumps(said).encode(), "")

    def answers(self) -> list[tuple[int, float | None]]:
        """Return how sites have answered: status, and the patience that they ask for."""
        over = [each for each in self.reports if each["event"] == "over"]
        return [(each["status"], each["retry_after_s"]) for each in over]


@pytest.fixture(scope="module")
def site() -> Iterator[_Site]:
    """A site on loopback."""
    with _Site() as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


async def test_each_page_waits_for_its_turn_and_tells_its_answer(desk: Desk, site: _Site) -> None:
    """By address, by a click and by a redirect; pictures and frames come with their page."""
    source = """
        async def run(url, *, ctx):
            async with ctx.browser() as tab:
                await tab.go_to(url)
                async with tab.expect_navigation():
                    await (await tab.query("a")).click()
                await tab.go_to(url + "/to/landing")
                await tab.go_to(url + "/busy")
                return await tab.value("location.pathname")
    """
    gateway = Gateway()
    site.seen.clear()
    ran = await desk.browse(source, {"url": site.url}, gateway.answer)

    assert ran.data == "/busy"
    assert gateway.turns_count == 5  # the redirect has two
    assert sorted(gateway.answers(), key=str) == [
        *[(200, None)] * 3,
        (302, None),
        (429, 7.0),
    ]
    assert site.seen.count("/picture") > 0
    assert site.seen.count("/frame") > 0


async def test_all_requests_of_a_page_wait_if_the_script_says_so(desk: Desk, site: _Site) -> None:
    """With `pace="all"` the picture and the frame take turns too; with `"none"` nothing does."""
    source = """
        async def run(url, *, ctx):
            for pace in ("all", "none"):
                async with ctx.browser(pace=pace, block=("other",)) as tab:
                    await tab.go_to(url + "/")
                ctx.log.info(pace)
    """
    gateway = Gateway()
    site.seen.clear()
    ran = await desk.browse(source, {"url": site.url}, gateway.answer)

    assert ran.outcome.is_ok
    assert site.seen.count("/picture") == site.seen.count("/frame") == 2
    assert gateway.turns_count == 3


async def test_what_robots_may_not_see_is_not_asked_for(desk: Desk, site: _Site) -> None:
    """Not by its address, a click or a redirect; the outcome says so; a script may insist."""
    source = """
        async def run(url, *, ctx):
            async with ctx.browser(robots=False) as tab:
                await tab.go_to(url + "/closed/mine")
            async with ctx.browser() as tab:
                try:
                    await tab.go_to(url + "/closed/first")
                except Exception as error:
                    ctx.log.info(f"{type(error).__name__}: {error}")
                await tab.go_to(url)
                await (await tab.query("#no")).click()
                try:
                    await tab.wait_for("#never", timeout=5)
                except Exception as error:
                    ctx.log.info(f"{type(error).__name__}: {error}")
                await tab.go_to(url + "/to/closed/second")
    """
    site.seen.clear()
    ran = await desk.browse(source, {"url": site.url}, Gateway().answer)

    assert ran.outcome.code is OutcomeCode.ROBOTS_DISALLOWED
    assert f"{site.url}/closed/second" in ran.outcome.error_message
    assert [path for path in site.seen if "closed" in path] == [
        "/closed/mine",
        "/to/closed/second",
    ]
    first, third = ran.messages("log")
    assert first.startswith(f"RobotsDisallowed: {site.url}/closed/first")
    assert third.startswith(f"RobotsDisallowed: {site.url}/closed/third")


async def test_a_page_that_the_network_policy_forbids_is_told_so(desk: Desk, site: _Site) -> None:
    """The attempt ends as it would by `ctx.http`: the address, the policy, and what allows it."""
    source = """
        async def run(url, *, ctx):
            async with ctx.browser(robots=False) as tab:
                await tab.go_to(url)
    """
    ran = await desk.browse(source, {"url": site.url}, Gateway().answer, network="public")

    assert ran.outcome.code is OutcomeCode.NETWORK_DENIED, ran.outcome
    place = site.url.removeprefix("http://")
    assert ran.outcome.error_message == f"{place} (network policy: public)"
