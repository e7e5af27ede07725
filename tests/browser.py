"""A small site for browsers on loopback, and what tests of `ctx.browser` have in common."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil

from zscrape.scripts.manifest import parse_manifest
from zscrape.wire import Ask, Tell

# What a manifest with this kit and nothing said of limits gives.
LIMITS = parse_manifest(
    b'{"name": "tab", "version": "1.0.0", "kit": ["http", "browser"]}', "tab"
).limits
KIT = ("http", "browser")
# Users go by the process of a worker. Two `Slots` in this one would have the same, and what one
# ends by its user would be the other's as well.
SHARED = frozenset({"user"})

_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360000002000001e221bc33000000"
    "0049454e44ae426082"
)
_HOME = """<!doctype html><title>Home</title><h1>Hello</h1>
<img id="picture" src="/pixel.png"
  onload="this.dataset.is='shown'" onerror="this.dataset.is='held'">
<p id="late"></p><a id="file" href="/report.csv" download>report</a>
<script>
setTimeout(() => {
  const found = document.createElement("b");
  found.className = "ready";
  found.textContent = "it is ready";
  document.getElementById("late").append(found);
}, 100);
</script>"""
_LIST = """<!doctype html><title>List</title><ul></ul><div style="height: 2000px"></div>
<script>
let page = 0, busy = false;
async function more() {
  if (busy || page >= 5) return;
  busy = true;
  const rows = await (await fetch(`/api/rows?page=${++page}`)).json();
  for (const row of rows) document.querySelector("ul").insertAdjacentHTML("beforeend",
    `<li style="height: 100px">${row.name}</li>`);
  busy = false;
}
addEventListener("scroll", more);
more();
</script>"""
_WHO = "<!doctype html><title>Who</title><pre>{}</pre>"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Site

    def do_GET(self) -> None:
        """Answer."""
        self.server.seen.append(self.path)
        path, _, query = self.path.partition("?")
        found = self.server.pages.get(path)
        if found is not None:
            self._send("text/html; charset=utf-8", found.encode())
        elif path == "/api/rows":
            number = int(query.rpartition("=")[2])
            rows = [{"name": f"row {number}.{place}"} for place in range(10)]
            self._send("application/json", json.dumps(rows).encode())
        elif path == "/pixel.png":
            self._send("image/png", _PIXEL)
        elif path == "/report.csv":
            self._send("text/csv", b"name,price\nlamp,12\n")
        elif path == "/who":
            told = {name.lower(): value for name, value in self.headers.items()}
            body = _WHO.format(json.dumps(told)).encode()
            self._send("text/html", body, cookie="visited=yes; Path=/")
        else:
            self._send("text/html", b"<title>none</title>", status=404)

    def _send(self, kind: str, body: bytes, *, status: int = 200, cookie: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if cookie:
            self.send_header("Set-Cookie", cookie)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


class Site(ThreadingHTTPServer):
    """The site: pages by path, and the paths that it has been asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[str] = []
        self.pages = {"/": _HOME, "/list": _LIST}

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving() -> Iterator[Site]:
    """Have a site for as long as the block runs."""
    site = Site()
    thread = threading.Thread(target=site.serve_forever, daemon=True)
    thread.start()
    yield site
    site.shutdown()
    site.server_close()
    thread.join()


def browsers(root: Path) -> list[int]:
    """Return the processes of browsers whose profile lies beneath `root`."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words: list[str] = process.info["cmdline"] or []
        if any(word.startswith(f"--user-data-dir={root}") for word in words):
            found.append(process.pid)
    return found


def profiles(root: Path) -> list[Path]:
    """Return the folders of browsers beneath `root`."""
    return [
        Path(folder, name)
        for folder, names, _ in os.walk(root)  # what goes meanwhile is no fault
        for name in names
        if name.startswith(".browser")
    ]


def nobody(ask: Ask) -> Tell:
    """Answer what a script asks as a worker does that has no gateway."""
    return Tell(ask.task_id, ask.attempt, ask.request, b'{"message":"none"}', "unsupported")


async def eventually(test: Callable[[], bool]) -> None:
    """Wait for a state of the machine that nothing announces, on a busy machine too."""
    async with asyncio.timeout(40):
        while not test():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.02)
