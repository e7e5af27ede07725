"""Requests of a page: held back by kind or address, or listened to for their JSON."""

from __future__ import annotations

import asyncio
import base64
import fnmatch
import json
from typing import TYPE_CHECKING, Any

from pydoll.exceptions import PydollException

if TYPE_CHECKING:
    from collections.abc import Iterable

# What DevTools calls them (`Network.ResourceType`).
KINDS = {
    "image": "Image",
    "font": "Font",
    "media": "Media",
    "stylesheet": "Stylesheet",
    "script": "Script",
    "xhr": "XHR",
    "fetch": "Fetch",
    "websocket": "WebSocket",
    "ping": "Ping",
    "other": "Other",
}
_JSON_ENDING = "json"  # `application/json`, `application/ld+json`
_BODY_PATIENCE_S = 10.0


def blocked_patterns(what: Iterable[str]) -> list[dict[str, str]]:
    """Return patterns for `Fetch.enable`: of kinds, or of addresses with `*` in them.

    Raises:
        ValueError: One is neither.
    """
    if isinstance(what, str):
        what = (what,)
    patterns = []
    for each in what:
        if each in KINDS:
            patterns.append({"urlPattern": "*", "resourceType": KINDS[each]})
        elif "*" in each or "://" in each:
            patterns.append({"urlPattern": each})
        else:
            known = ", ".join(KINDS)
            raise ValueError(f"{each!r} is no address with a * and none of: {known}")
    return patterns


class Blocker:
    """Fails what matches before it is sent."""

    def __init__(self, line: Any) -> None:
        self._line = line
        self._patterns: list[dict[str, str]] = []

    async def add(self, patterns: list[dict[str, str]]) -> None:
        """Hold back these as well."""
        if not self._patterns:
            await self._line.register_callback("Fetch.requestPaused", self._on_paused)
        self._patterns += patterns
        params = {"patterns": self._patterns}
        await self._line.execute_command({"method": "Fetch.enable", "params": params})

    async def close(self) -> None:
        """Let go of the page."""
        await self._line.close()

    async def _on_paused(self, event: dict[str, Any]) -> None:
        params = {"requestId": event["params"]["requestId"], "errorReason": "BlockedByClient"}
        await self._line.execute_command_nowait({"method": "Fetch.failRequest", "params": params})


class Captured:
    """One JSON answer that a page has got."""

    def __init__(self, url: str, status: int, data: Any) -> None:
        self.url = url
        self.status = status
        self.data = data

    def __repr__(self) -> str:
        return f"Captured({self.url!r}, {self.status})"


class Capturing:
    """Listens to a page's answers and keeps those that are JSON, in the order of their ends."""

    def __init__(self, line: Any, address: str) -> None:
        self.found: list[Captured] = []
        self._line = line
        self._address = address
        self._open: dict[str, dict[str, Any]] = {}  # by request, how its answer begins
        self._reading: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    async def begin(self) -> None:
        """Listen."""
        await self._line.register_callback("Network.requestWillBeSent", self._on_request)
        await self._line.register_callback("Network.responseReceived", self._on_response)
        await self._line.register_callback("Network.loadingFinished", self._on_finished)
        await self._line.register_callback("Network.loadingFailed", self._on_failed)
        await self._line.execute_command({"method": "Network.enable", "params": {}})

    async def finish(self) -> None:
        """Wait for the answers to all that the page's scripts have asked by now."""
        try:
            await asyncio.wait_for(self._idle.wait(), _BODY_PATIENCE_S)
        except asyncio.TimeoutError:  # noqa: UP041 - another class before 3.11
            return

    async def close(self) -> None:
        """Stop listening."""
        for task in self._reading:
            task.cancel()
        await self._line.close()

    async def _on_request(self, event: dict[str, Any]) -> None:
        params = event["params"]
        is_asked = params.get("type") in ("XHR", "Fetch")
        if is_asked and fnmatch.fnmatchcase(params["request"]["url"], self._address):
            self._open[params["requestId"]] = {}
            self._idle.clear()

    async def _on_response(self, event: dict[str, Any]) -> None:
        params = event["params"]
        answer = params["response"]
        is_wanted = fnmatch.fnmatchcase(answer["url"], self._address)
        if is_wanted and answer.get("mimeType", "").endswith(_JSON_ENDING):
            self._open[params["requestId"]] = answer
            self._idle.clear()
        elif params["requestId"] in self._open:
            self._close(params["requestId"])

    async def _on_failed(self, event: dict[str, Any]) -> None:
        self._close(event["params"]["requestId"])

    async def _on_finished(self, event: dict[str, Any]) -> None:
        request = event["params"]["requestId"]
        answer = self._open.get(request)
        if answer:
            del self._open[request]
            task = asyncio.get_running_loop().create_task(self._read(request, answer))
            self._reading.add(task)
            task.add_done_callback(self._on_read)

    def _close(self, request: str) -> None:
        self._open.pop(request, None)
        self._look()

    def _on_read(self, task: asyncio.Task[None]) -> None:
        self._reading.discard(task)
        self._look()

    def _look(self) -> None:
        if not self._open and not self._reading:
            self._idle.set()

    async def _read(self, request: str, answer: dict[str, Any]) -> None:
        command = {"method": "Network.getResponseBody", "params": {"requestId": request}}
        try:
            told = (await self._line.execute_command(command))["result"]
        except PydollException:  # the page has gone on: the browser has thrown it away
            return
        raw = base64.b64decode(told["body"]) if told["base64Encoded"] else told["body"]
        try:
            data = json.loads(raw)
        except ValueError:  # it only said that it was JSON
            return
        self.found.append(Captured(answer["url"], answer["status"], data))
