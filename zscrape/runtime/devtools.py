"""The DevTools protocol over Chromium's pipes, as connections that pydoll takes for websockets.

Through the pipes there is one conversation, and each page is a session in it. pydoll opens a
websocket for the browser and for each page; here each becomes a `Line`, which numbers its
commands as it likes and hears only what is its own.

Addresses look like those of websockets: `ws://pipe-1/devtools/page/ID`.

Source: Chromium's `devtools_pipe_handler.cc`: messages are JSON, each ended by a NUL.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosedError
from websockets.protocol import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from zscrape.runtime.chromium import Chromium

_READ_BYTES = 65_536  # what a pipe holds; memory for a megabyte would be mapped anew each time
_PAGE_PATH = "/devtools/page/"

_wires: dict[str, Wire] = {}


async def connect(address: str, **_options: Any) -> Line:
    """Open a line; takes the place of `websockets.connect`.

    Raises:
        ConnectionClosedError: There is no such browser, or not any more.
    """
    parts = urlsplit(address)
    wire = _wires.get(parts.hostname or "")
    if wire is None:
        raise ConnectionClosedError(None, None)
    target = parts.path[len(_PAGE_PATH) :] if parts.path.startswith(_PAGE_PATH) else ""
    return await wire.open(target)


class Line:
    """One connection, to the browser or to one page: what pydoll uses of a websocket."""

    def __init__(self, wire: Wire) -> None:
        self.state = State.OPEN
        self.session = ""  # empty: that of the browser itself
        self._wire = wire
        self._heard: asyncio.Queue[str | None] = asyncio.Queue()

    async def send(self, text: str) -> None:
        """Send a command.

        Raises:
            ConnectionClosedError: The browser has ended, or the line was closed.
        """
        if self.state is not State.OPEN:
            raise ConnectionClosedError(None, None)
        self._wire.send(self, json.loads(text))

    async def recv(self) -> str:
        """Return the next answer or event.

        Raises:
            ConnectionClosedError: There will be no more.
        """
        heard = await self._heard.get()
        if heard is None:
            raise ConnectionClosedError(None, None)
        return heard

    async def ping(self) -> None:
        """Return when the browser has answered.

        Raises:
            ConnectionClosedError: It has ended.
        """
        await self._wire.call("Browser.getVersion", {})

    async def close(self) -> None:
        """Let go of the page; what waits to be heard is thrown away."""
        if self.state is State.OPEN:
            self._wire.close_line(self)
            self.end()

    def hear(self, message: dict[str, Any]) -> None:
        """Take what the browser has said to this line."""
        if message.get("sessionId") == self.session:
            del message["sessionId"]
        self._heard.put_nowait(json.dumps(message))

    def end(self) -> None:
        """Note that nothing more will be said."""
        self.state = State.CLOSED
        self._heard.put_nowait(None)


class Wire:
    """The pipes of one browser, within one event loop."""

    def __init__(self, chromium: Chromium) -> None:
        self.name = f"pipe-{chromium.pid}"
        self._chromium = chromium
        self._loop = asyncio.get_running_loop()
        self._count = 0
        # Who has asked what under which number; ours are answered by a future.
        self._asked: dict[int, tuple[Line, int] | asyncio.Future[Any]] = {}
        self._lines: list[Line] = []
        self._owners: dict[str, Line] = {}  # by session: pages, and what pages have attached
        self._unread = bytearray()
        self._unsent = bytearray()
        self._is_open = True
        self._loop.add_reader(chromium.read_fd, self._on_readable)
        _wires[self.name] = self

    @property
    def address(self) -> str:
        """The address of the browser itself."""
        return f"ws://{self.name}/devtools/browser"

    def page_address(self, target: str) -> str:
        """Return the address of a page."""
        return f"ws://{self.name}{_PAGE_PATH}{target}"

    async def open(self, target: str) -> Line:
        """Return a line to a page, or to the browser itself if `target` is empty.

        Raises:
            ConnectionClosedError: The browser has ended, or there is no such page.
        """
        line = Line(self)
        if target:
            options = {"targetId": target, "flatten": True}
            answer = await self.call("Target.attachToTarget", options)
            line.session = answer["sessionId"]
            self._owners[line.session] = line
        elif not self._is_open:
            raise ConnectionClosedError(None, None)
        self._lines.append(line)
        return line

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """Ask the browser itself; return the result.

        Raises:
            ConnectionClosedError: It has ended, or refuses.
        """
        if not self._is_open:
            raise ConnectionClosedError(None, None)
        answered: asyncio.Future[Any] = self._loop.create_future()
        self._write({"id": self._number(answered), "method": method, "params": params})
        answer = await answered
        if answer is None or "error" in answer:
            raise ConnectionClosedError(None, None)
        return answer["result"]

    def send(self, line: Line, message: dict[str, Any]) -> None:
        """Send a line's command under a number of ours."""
        message["id"] = self._number((line, message["id"]))
        if line.session:
            message.setdefault("sessionId", line.session)
        self._write(message)

    def close_line(self, line: Line) -> None:
        """Forget a line; the browser lets go of its page."""
        self._lines.remove(line)
        self._owners = {name: owner for name, owner in self._owners.items() if owner is not line}
        if line.session and self._is_open:
            ignored: asyncio.Future[Any] = self._loop.create_future()
            params = {"sessionId": line.session}
            number = self._number(ignored)
            self._write({"id": number, "method": "Target.detachFromTarget", "params": params})

    def close(self) -> None:
        """End every line; the pipes stay whose they are."""
        if not self._is_open:
            return
        self._is_open = False
        _wires.pop(self.name, None)
        self._loop.remove_reader(self._chromium.read_fd)
        self._loop.remove_writer(self._chromium.write_fd)
        for asked in self._asked.values():
            if isinstance(asked, asyncio.Future) and not asked.done():
                asked.set_result(None)
        for line in self._lines:
            line.end()

    # ---- the pipes -------------------------------------------------------------------

    def _number(self, who: tuple[Line, int] | asyncio.Future[Any]) -> int:
        self._count += 1
        self._asked[self._count] = who
        return self._count

    def _write(self, message: dict[str, Any]) -> None:
        is_first = not self._unsent
        self._unsent += json.dumps(message).encode() + b"\0"
        if is_first:
            self._on_writable()

    def _on_writable(self) -> None:
        fd = self._chromium.write_fd
        try:
            while self._unsent:
                del self._unsent[: os.write(fd, self._unsent)]
        except BlockingIOError:
            self._loop.add_writer(fd, self._on_writable)
            return
        except OSError:  # it has ended: the reader tells everybody
            self._unsent.clear()
        self._loop.remove_writer(fd)

    def _on_readable(self) -> None:
        try:
            data = os.read(self._chromium.read_fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        searched = len(self._unread)
        self._unread += data
        while (end := self._unread.find(b"\0", searched)) >= 0:
            raw = bytes(self._unread[:end])
            del self._unread[: end + 1]
            searched = 0
            self._hear(json.loads(raw))

    def _hear(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._answer(message)
            return
        session = message.get("sessionId", "")
        owner = self._owners.get(session)
        self._follow(message, owner)
        if owner is not None:
            owner.hear(message)
        elif not session:
            self._tell_all(lambda line: line.hear(dict(message)))

    def _answer(self, message: dict[str, Any]) -> None:
        asked = self._asked.pop(message["id"], None)
        if isinstance(asked, asyncio.Future):
            if not asked.done():
                asked.set_result(message)
        elif asked is not None:
            line, message["id"] = asked
            result = message.get("result")
            if isinstance(result, dict) and isinstance(result.get("sessionId"), str):
                self._owners.setdefault(result["sessionId"], line)
            if line.state is State.OPEN:
                line.hear(message)

    def _follow(self, message: dict[str, Any], owner: Line | None) -> None:
        """Note which sessions begin and end."""
        method = message.get("method")
        if method == "Target.attachedToTarget" and owner is not None:
            self._owners[message["params"]["sessionId"]] = owner
        elif method == "Target.detachedFromTarget":
            gone = self._owners.pop(message["params"]["sessionId"], None)
            if gone is not None and gone.session == message["params"]["sessionId"]:
                self._lines.remove(gone)
                gone.end()

    def _tell_all(self, tell: Callable[[Line], None]) -> None:
        for line in self._lines:
            if not line.session:
                tell(line)
