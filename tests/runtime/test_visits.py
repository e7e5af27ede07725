"""What a tab asks of sites before and after each page, seen from the browser's side."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from zscrape.runtime.ctx_http import Http
from zscrape.runtime.gate import LocalGate
from zscrape.runtime.visits import Visits

LIMIT_S = 20.0
PAGE = "page-1"
URL = "http://shop.example/"
Hear = Callable[[dict[str, Any]], Awaitable[None]]


class Line:
    """The browser's end of a page's connection: keeps what it is told, and pauses requests."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.has_news = asyncio.Event()
        self._hear: dict[str, Hear] = {}

    async def register_callback(self, name: str, hear: Hear) -> int:
        """Tell of such events."""
        self._hear[name] = hear
        return 1

    async def execute_command_nowait(self, command: dict[str, Any]) -> None:
        """Take a command."""
        self.told.append(command["method"])
        self.has_news.set()

    async def pause(self, **more: Any) -> None:
        """Ask for the document of a page, or with its answer's head."""
        request = {"requestId": "1", "request": {"url": URL}, "resourceType": "Document"}
        await self._hear["Fetch.requestPaused"]({"params": {**request, "frameId": PAGE, **more}})

    async def close(self) -> None:
        """Let go."""


class Gate(LocalGate):
    """Notes in which thread it hears of answers."""

    def __init__(self) -> None:
        super().__init__(1e12)
        self.heard: list[tuple[int, bool]] = []

    def after(self, url: str, status: int, retry_after_s: float | None) -> None:
        """Note it."""
        is_own = threading.current_thread() is threading.main_thread()
        self.heard.append((status, is_own))


async def visits_of(line: Line, gate: Gate) -> Visits:
    """Return the visits of a tab that obeys no robots.txt."""
    http = Http(script_name="test", ends_at=1e12, gate=gate)
    made = Visits(line, PAGE, http, pace="pages", has_robots=False)
    await made.begin()
    await made.admit(URL)
    line.told.clear()
    line.has_news.clear()
    return made


async def test_document_is_held_back_until_the_page_is_ready() -> None:
    """What a visit must have before its page is loaded holds the request, once."""
    line, ready = Line(), asyncio.get_running_loop().create_future()
    visits = await visits_of(line, Gate())
    is_held = visits.hold(URL, ready)
    await line.pause()
    for _ in range(5):  # the loop has gone round, and nothing was said
        await asyncio.sleep(0)
    early = list(line.told)
    ready.set_result(None)
    await asyncio.wait_for(line.has_news.wait(), LIMIT_S)
    await visits.close()

    assert is_held
    assert early == []
    assert line.told == ["Fetch.continueRequest"]


async def test_document_goes_on_when_the_page_cannot_be_made_ready() -> None:
    """What has gone wrong is told by the visit: the browser is not left waiting."""
    line, ready = Line(), asyncio.get_running_loop().create_future()
    visits = await visits_of(line, Gate())
    visits.hold(URL, ready)
    ready.set_exception(ConnectionError("gone"))
    await line.pause()
    await asyncio.wait_for(line.has_news.wait(), LIMIT_S)
    await visits.close()

    assert line.told == ["Fetch.continueRequest"]
    assert isinstance(ready.exception(), ConnectionError)


async def test_address_that_is_not_of_the_web_is_not_held() -> None:
    """The browser asks nobody for what it has itself."""
    line, ready = Line(), asyncio.get_running_loop().create_future()
    visits = await visits_of(line, Gate())
    is_held = visits.hold("data:text/html,hello", ready)
    await visits.close()

    assert not is_held


@pytest.mark.parametrize(
    ("status", "headers", "is_own"),
    [(200, [], True), (429, [], False), (200, [{"name": "Retry-After", "value": "2"}], False)],
)
async def test_answer_is_told_before_the_page_has_it(
    status: int, headers: list[dict[str, str]], is_own: bool
) -> None:
    """Only a complaint, which is told to the cluster at once, is worth a thread."""
    line, gate = Line(), Gate()
    visits = await visits_of(line, gate)
    await line.pause()
    await asyncio.wait_for(line.has_news.wait(), LIMIT_S)
    line.has_news.clear()
    await line.pause(responseStatusCode=status, responseHeaders=headers)
    await asyncio.wait_for(line.has_news.wait(), LIMIT_S)
    heard = list(gate.heard)
    await visits.close()

    assert heard == [(status, is_own)]
    assert line.told == ["Fetch.continueRequest", "Fetch.continueRequest"]
