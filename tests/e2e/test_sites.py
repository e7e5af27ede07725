"""One budget for the whole cluster: what the site itself sees of it."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Cluster

pytestmark = pytest.mark.e2e

RUN_COUNT = 25  # requests of five seconds
SCRIPTS = Path(__file__).parent / "site_scripts"


class Site(socketserver.ThreadingTCPServer):
    """A site that notes when each request arrives, and answers at once."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.arrived: list[float] = []

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class Page(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self) -> None:
        """Answer request by request."""
        while line := self.rfile.readline():
            self.server.arrived.append(time.monotonic())  # type: ignore[attr-defined]
            while line.strip():
                line = self.rfile.readline()
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@pytest.fixture
def site() -> Iterator[Site]:
    """Return a running site."""
    with Site() as site:
        thread = threading.Thread(target=site.serve_forever, daemon=True)
        thread.start()
        yield site
        site.shutdown()
        thread.join()


@pytest.mark.timeout(150)
def test_three_workers_keep_to_five_in_a_second(tmp_path: Path, site: Site) -> None:
    """A crowd of tasks on three workers asks a site five times in any second, and not much less.

    The first holds however late machines are. The second is that of the best stretch of five
    seconds: others use this machine, too.
    """
    cluster = Cluster(tmp_path, SCRIPTS)
    body: list[dict[str, Any]] = [
        {"script_name": "polite", "parameters": {"url": site.url, "pages": 5}} for _ in range(12)
    ]
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda name: cluster.start_worker(name, slots=4), ("1", "2", "3")))
        tasks = cluster.http.post("/v1/tasks", json=body).raise_for_status().json()["tasks"]
        envelopes = [
            cluster.http.get(f"/v1/tasks/{task['request_id']}", params={"wait": 50}).json()
            for task in tasks
        ]
    finally:
        cluster.close()

    arrived = sorted(site.arrived)
    pairs = zip(arrived, arrived[RUN_COUNT - 1 :], strict=False)
    assert {each["status"] for each in envelopes} == {"completed"}
    assert len({each["worker_id"] for each in envelopes}) == 3
    assert len(arrived) == 61  # one of them for robots.txt
    assert min(sixth - first for first, sixth in zip(arrived, arrived[5:], strict=False)) > 1.0
    assert max((RUN_COUNT - 1) / (last - first) for first, last in pairs) >= 4.5
