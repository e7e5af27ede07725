"""What a template does before its first fork leaves nothing of that to its children."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import certifi
import pytest

from zscrape.runtime import ctx_http, warming

_VISIT = """
import os, sys, time
from zscrape.runtime import warming
warming.warm()
from zscrape.runtime.channel import Channel
from zscrape.runtime.context import Context
from zscrape.runtime.said import Said
known = set(sys.modules)
ends_at = time.monotonic() + 60
ctx = Context(Said(Channel(os.open(os.devnull, os.O_RDWR)), 10_000), params={}, task_id="t",
              attempt=1, script_name="s", ends_at=ends_at)
ctx._budget()._is_alone = True
page = ctx.http.get(sys.argv[1])
assert ctx.state.__class__ and page.forms() == page.tables() == [] and ctx.http.asynchronous
print(page.title, page.css("p.row").texts, sorted(set(sys.modules) - known))
"""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<title>Page</title><p class=row>tea" if self.path == "/" else b""
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def site() -> Iterator[str]:
    """Serve one page to whoever asks for `/`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_visit_loads_nothing_that_was_not_loaded_before_the_fork(site: str) -> None:
    """A first page costs a child no import: each would be paid by every attempt."""
    command = [sys.executable, "-c", _VISIT, site]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    assert told == "Page ['tea'] []\n"


def test_warming_needs_no_network() -> None:
    """What the template tries out stays inside its process."""
    warming.warm()

    assert ctx_http._tls is not None


@pytest.mark.parametrize(("name", "is_made"), [("SSL_CERT_FILE", True), ("OTHER", False)])
def test_certificates_of_the_owner_are_read_before_a_child_is_confined(
    monkeypatch: pytest.MonkeyPatch, name: str, is_made: bool
) -> None:
    """They may lie where a script may not read; without any, only who asks a site pays for it."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    monkeypatch.setenv(name, certifi.where())
    monkeypatch.setattr(ctx_http, "_tls", None)
    warming.load()

    assert (ctx_http._tls is not None) is is_made
