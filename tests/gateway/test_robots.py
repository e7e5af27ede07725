"""robots.txt for scripts: fetched once, kept for a while, and never from where we may not look."""

from __future__ import annotations

import asyncio
import base64
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from zscrape.errors.requests import InvalidRequest
from zscrape.gateway.asked import Asked
from zscrape.gateway.outbound import Outbound
from zscrape.gateway.robots import KEPT_S, RETRIED_S, RobotsFiles
from zscrape.model import Network, Pin, RunSpec

LOOPBACK = ("127.0.0.0/8",)


class Desk:
    """A site on loopback, and what knows its robots.txt."""

    def __init__(self, allowed: tuple[str, ...] = LOOPBACK) -> None:
        self.now = 1000.0
        self.answer = b""
        self.asked: list[str] = []
        self.visited: list[str] = []
        self.was_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.outbound = Outbound(allowed=allowed)
        self.files = RobotsFiles(self.outbound, self._visit, clock=lambda: self.now)
        self._server: asyncio.Server | None = None
        self.origin = ""

    @asynccontextmanager
    async def _visit(self, host: str, run: RunSpec) -> AsyncIterator[None]:
        self.visited.append(host)
        yield

    def say(self, status: int, text: str = "", **headers: str) -> None:
        """Have the site answer so from now on."""
        body = text.encode()
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.answer = "\r\n".join([*lines, "", ""]).encode() + body

    async def start(self) -> None:
        """Serve."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.origin = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.split(b" ")[1].decode())
        self.was_asked.set()
        await self.may_answer.wait()
        writer.write(self.answer)
        writer.close()

    async def close(self) -> None:
        """End all of it."""
        await self.files.close()
        await self.outbound.close()
        if self._server is not None:
            self._server.close()

    async def robots(self, origin: str | None = None, network: Network = "public") -> Any:
        """Ask as a script does."""
        body = msgspec.json.encode({"origin": origin or self.origin})
        run = RunSpec(Pin("r", "shop", "1.0.0", "sha256:0"), network=network)
        told = await self.files.answer(Asked("t", 1, 1, "robots", body, "w", run))
        return msgspec.json.decode(told)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """Return a running site."""
    desk = Desk()
    await desk.start()
    yield desk
    await desk.close()


async def test_it_is_fetched_once_for_all_who_ask(desk: Desk) -> None:
    """Many at once share one request, which counts as one of the site's; so do later ones."""
    desk.say(200, "User-agent: *\nDisallow: /private\n")
    desk.may_answer.clear()
    asking = [asyncio.create_task(desk.robots()) for _ in range(10)]
    await desk.was_asked.wait()
    asking[0].cancel()
    desk.may_answer.set()
    told = await asyncio.gather(*asking[1:])
    later = await desk.robots()
    before = list(desk.asked)
    desk.now += KEPT_S
    await desk.robots()

    assert {each["text"] for each in [*told, later]} == {"User-agent: *\nDisallow: /private\n"}
    assert before == ["/robots.txt"]
    assert desk.asked == ["/robots.txt", "/robots.txt"]
    assert desk.visited == [desk.origin.removeprefix("http://")] * 2


@pytest.mark.parametrize(
    ("status", "text", "again_s"),
    [
        (404, "", KEPT_S),
        (403, "", KEPT_S),
        (500, "User-agent: *\nDisallow: /\n", RETRIED_S),
        (503, "User-agent: *\nDisallow: /\n", RETRIED_S),
    ],
)
async def test_a_status_says_what_may_be_asked(
    desk: Desk, status: int, text: str, again_s: float
) -> None:
    """No file allows all, a site that fails allows nothing; the latter is asked again soon."""
    desk.say(status, "whatever")
    told = await desk.robots()
    desk.say(200, "fine")
    desk.now += again_s - 1.0
    still = await desk.robots()
    desk.now += 1.0
    then = await desk.robots()

    assert told == still == {"text": text}
    assert then == {"text": "fine"}


async def test_redirects_are_followed_to_a_limit(desk: Desk) -> None:
    """A file that has gone elsewhere is found there; one that goes round in circles is none."""
    desk.say(301, Location="/elsewhere.txt")
    told = await desk.robots()

    assert told == {"text": ""}
    assert desk.asked == ["/robots.txt", *["/elsewhere.txt"] * 5]


async def test_a_long_file_is_cut_at_a_line_and_fits_the_link(desk: Desk) -> None:
    """500 KiB are read, and they come over the link in less."""
    desk.say(200, "Disallow: /some/path\n" * 50_000)
    told = await desk.robots()
    text = zlib.decompress(base64.b64decode(told["deflated"])).decode()

    assert set(text.split("\n")) == {"Disallow: /some/path"}
    assert 490_000 < len(text) < 512_000


async def test_what_we_may_not_look_at_is_left_to_the_script() -> None:
    """A private address, a site that is not there, or a script without a network: no answer."""
    desk = Desk(allowed=())
    await desk.start()
    desk.say(200, "fine")
    private = await desk.robots()
    absent = await desk.robots("http://127.0.0.1:1")
    offline = await desk.robots("http://example.com", network="none")
    await desk.close()

    assert [private, absent, offline] == [{"text": None}] * 3
    assert desk.asked == []


@pytest.mark.parametrize(
    "origin", ["example.com", "ftp://example.com", "http://a b", "http://a@b.c", "http://*"]
)
async def test_what_is_no_origin_is_refused(desk: Desk, origin: str) -> None:
    """Only the robots.txt of a site can be asked for."""
    with pytest.raises(InvalidRequest):
        await desk.robots(origin)
