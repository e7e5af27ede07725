"""Ways that `ctx.browser` goes: through a proxy with a password, and with windows."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.browser import KIT, LIMITS, SHARED, nobody
from tests.worker.conftest import Ran, Stage
from zscrape.worker.network import NetworkPolicy
from zscrape.worker.slots import SlotPolicy

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's package chromium"),
]

_ACCOUNT = "Basic " + base64.b64encode(b"kim:s3cret").decode()


class _Handler(BaseHTTPRequestHandler):
    server: _Proxy
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer for every site there is, to those who may go through here."""
        is_known = self.headers.get("Proxy-Authorization") == _ACCOUNT
        self.server.seen.append((self.path, is_known))
        body = b"<title>by the proxy</title><img src='/picture'>" if is_known else b""
        self.send_response(200 if is_known else 407)
        if not is_known:
            self.send_header("Proxy-Authenticate", 'Basic realm="way out"')
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, bool]] = []


@pytest.fixture
def proxy() -> Iterator[_Proxy]:
    """A forward proxy that asks for a name and a password."""
    with _Proxy() as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@asynccontextmanager
async def staged(root: Path, **policy: Any) -> AsyncIterator[Stage]:
    """Run a stage whose scripts may reach loopback."""
    options: dict[str, Any] = {"skip_layers": SHARED, "network": NetworkPolicy("any"), **policy}
    made = Stage(root, SlotPolicy(1, root / "scratch", (root,), grace_s=0.5, **options))
    made.answer = nobody
    await made.slots.start()
    try:
        yield made
    finally:
        await made.slots.close()


@contextmanager
def displayed() -> Iterator[str]:
    """Run an X server with a screen in memory; the block gets its name."""
    reader, writer = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1400x1000x24", "-nolisten", "tcp"],
        pass_fds=[writer],
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    try:
        with os.fdopen(reader) as told:
            yield f":{told.readline().strip()}"
    finally:
        server.terminate()
        server.wait()


async def run(stage: Stage, source: str, params: Any = None) -> Ran:
    """Run a script with a browser."""
    options = {"kit": KIT, "limits": LIMITS, "timeout_s": 50.0, "network": "any"}
    return await stage.run(source, params, **options)


async def test_pages_come_through_the_proxy_with_its_password(
    tmp_path: Path, proxy: _Proxy
) -> None:
    """Every request of three pages is made by the proxy, the account known from the first on."""
    source = """
        async def run(way, *, ctx):
            async with ctx.browser(proxy=way, robots=False) as tab:
                titles = []
                for number in range(3):
                    await tab.go_to(f"http://shop.example/{number}", timeout=20)
                    titles.append(await tab.title())
                return titles
    """
    async with staged(tmp_path / "way") as stage:
        way = f"http://kim:s3cret@127.0.0.1:{proxy.server_port}"
        ran = await run(stage, source, {"way": way})

    assert ran.data == ["by the proxy"] * 3
    passed = [path for path, is_known in proxy.seen if is_known]
    assert [f"http://shop.example/{number}" in passed for number in range(3)] == [True] * 3
    assert "http://shop.example/picture" in passed


async def test_windows_need_no_display(tmp_path: Path) -> None:
    """With `headless=False` and no display it is a whole browser, drawn to no screen."""
    source = """
        async def run(*, ctx):
            async with ctx.browser(headless=False) as tab:
                await tab.go_to("data:text/html,<title>own</title><h1>own</h1>")
                await tab.save_screenshot("seen.png")
                return await tab.value("[navigator.userAgent, screen.width, document.title]")
    """
    async with staged(tmp_path / "windows") as stage:
        ran = await run(stage, source)

    agent, width, title = ran.data
    assert "HeadlessChrome" not in agent
    assert (width, title) == (1920, "own")
    assert [each["name"] for each in ran.bodies("artifact")] == ["seen.png"]


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="needs Debian's package xvfb")
async def test_windows_are_on_the_display_that_is_named(tmp_path: Path) -> None:
    """A display that scripts may reach is the browser's; one that is not there is an error."""
    source = """
        import os

        async def run(display, *, ctx):
            os.environ["DISPLAY"] = display
            async with ctx.browser(headless=False) as tab:
                return await tab.value("[screen.width, screen.height]")
    """
    open_layers = frozenset({"user", "view", "landlock"})
    with displayed() as display:
        async with staged(tmp_path / "display", skip_layers=open_layers) as stage:
            ran = await run(stage, source, {"display": display})
            lost = await run(stage, source, {"display": ":7177"})

    assert ran.data == [1400, 1000]
    assert "no display answers at DISPLAY=:7177" in lost.outcome.error_message
    assert "Debian's package xvfb" in lost.outcome.error_message
