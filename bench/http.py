"""What `ctx.http` adds to bare httpx: 1,000 small pages from loopback, one after another.

The server is a process of its own that answers with the same bytes whatever it is asked.
Each round asks the pages once by each client, the two in turn by hundreds; the ratio is of
the medians of the rounds. Both read the body and hand out its text.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import httpx

from zscrape.runtime.ctx_http import Http
from zscrape.runtime.recording import Recording

PAGE_COUNT = 1_000
PORTION_COUNT = 100
ROUND_COUNT = 5

_SERVER = """
import asyncio
BODY = b"<!doctype html><title>Page</title>" + b"<p class=row>tea and cake</p>" * 60
HEAD = (b"HTTP/1.1 200 OK\\r\\nContent-Type: text/html; charset=utf-8\\r\\n"
        b"Content-Length: %d\\r\\n\\r\\n" % len(BODY))

class Answer(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.left = transport, b""
    def data_received(self, data):
        self.left += data
        count = self.left.count(b"\\r\\n\\r\\n")
        if count:
            self.left = self.left.rpartition(b"\\r\\n\\r\\n")[2]
            self.transport.write((HEAD + BODY) * count)

async def main():
    server = await asyncio.get_running_loop().create_server(Answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


def _portion_s(get: Callable[[str], str], url: str, first: int) -> float:
    began = time.perf_counter()
    for number in range(first, first + PORTION_COUNT):
        get(f"{url}/page/{number}")
    return time.perf_counter() - began


def _compare(url: str) -> dict[str, float]:
    ends_at = time.monotonic() + 3600
    own = Http(script_name="bench", ends_at=ends_at, recorder=Recording())  # as `ctx.http` is
    bare = httpx.Client(verify=httpx.create_ssl_context(), trust_env=False)
    clients: dict[str, Callable[[str], str]] = {
        "bare": lambda page: bare.get(page).text,
        "own": lambda page: own.get(page).text,
    }
    took: dict[str, list[float]] = {name: [] for name in clients}
    for number in range(ROUND_COUNT + 1):
        sums = dict.fromkeys(clients, 0.0)
        for first in range(0, PAGE_COUNT, PORTION_COUNT):
            for name, get in clients.items():
                sums[name] += _portion_s(get, url, first)
        if number:  # the first is to warm
            for name, sum_s in sums.items():
                took[name].append(sum_s)
    own.close()
    bare.close()
    return {
        "bare_page_us": median(took["bare"]) / PAGE_COUNT * 1e6,
        "page_us": median(took["own"]) / PAGE_COUNT * 1e6,
        "ratio": median(
            mine / theirs for mine, theirs in zip(took["own"], took["bare"], strict=True)
        ),
    }


@contextmanager
def site() -> Iterator[str]:
    """Run the server; gives its address."""
    server = subprocess.Popen([sys.executable, "-c", _SERVER], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.kill()
        server.communicate()


def measure() -> dict[str, float]:
    """Return the time of a page by each client, and their ratio."""
    with site() as url:
        return _compare(url)
