"""One budget for the whole cluster: what the site itself sees of it."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Cluster

pytestmark = pytest.mark.e2e

LIMIT_S = 50.0
RUN_COUNT = 25  # requests of five seconds
SCRIPTS = Path(__file__).parent / "site_scripts"


class Site(socketserver.ThreadingTCPServer):
    """A site that notes when each request arrives, and answers at once but for `/hang`."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.arrived: list[float] = []
        self.was_asked_to_hang = threading.Event()
        self.may_go_on = threading.Event()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class Page(socketserver.StreamRequestHandler):
    """One connection."""

    server: Site

    def handle(self) -> None:
        """Answer request by request."""
        with suppress(ConnectionError):  # an attempt that is ended hangs up
            while asked := self.rfile.readline():
                self.server.arrived.append(time.monotonic())
                while self.rfile.readline().strip():
                    pass
                if asked.startswith(b"GET /hang"):
                    self.server.was_asked_to_hang.set()
                    self.server.may_go_on.wait(LIMIT_S)
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@pytest.fixture
def site() -> Iterator[Site]:
    """Return a running site."""
    with Site() as site:
        thread = threading.Thread(target=site.serve_forever, daemon=True)
        thread.start()
        yield site
        site.may_go_on.set()
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
        {"script_name": "polite", "parameters": {"url": site.url, "pages": 4}} for _ in range(12)
    ]
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda name: cluster.start_worker(name, slots=4), ("1", "2", "3")))
        tasks = cluster.http.post("/v1/tasks", json=body).raise_for_status().json()["tasks"]
        envelopes = [
            cluster.http.get(f"/v1/tasks/{task['request_id']}", params={"wait": LIMIT_S}).json()
            for task in tasks
        ]
    finally:
        cluster.close()

    arrived = sorted(site.arrived)
    pairs = zip(arrived, arrived[RUN_COUNT - 1 :], strict=False)
    assert {each["status"] for each in envelopes} == {"completed"}
    assert len({each["worker_id"] for each in envelopes}) == 3
    assert len(arrived) == 49  # one of them for robots.txt
    assert min(sixth - first for first, sixth in zip(arrived, arrived[5:], strict=False)) > 1.0
    assert max((RUN_COUNT - 1) / (last - first) for first, last in pairs) >= 4.5


@pytest.mark.timeout(150)
def test_a_place_outlives_neither_its_attempt_nor_its_gateway(tmp_path: Path, site: Site) -> None:
    """Who waits for a site gets in once the attempt before is over, and after a restart."""
    cluster = Cluster(tmp_path, SCRIPTS)

    def begin(path: str = "") -> str:
        body = {"script_name": "polite", "parameters": {"url": site.url + path, "pages": 1}}
        task_id: str = cluster.http.post("/v1/tasks", json=body).json()["request_id"]
        return task_id

    def wait_for_the_site(task_id: str) -> str:
        while True:
            told = cluster.http.get(f"/v1/tasks/{task_id}/explain").raise_for_status().json()
            if told["reason"] == "site_wait":
                message: str = told["message"]
                return message

    def end_of(task_id: str) -> str:
        told = cluster.http.get(f"/v1/tasks/{task_id}", params={"wait": LIMIT_S}).json()
        status: str = told["status"]
        return status

    try:
        cluster.http.put("/v1/sites/127.0.0.1", json={"concurrency": 1}).raise_for_status()
        cluster.start_worker("one", slots=2)
        first = begin("/hang")
        assert site.was_asked_to_hang.wait(LIMIT_S)
        second = begin()
        message = wait_for_the_site(second)
        cluster.http.post(f"/v1/tasks/{first}/cancel").raise_for_status()
        ends = [end_of(first), end_of(second)]
        cluster.http.put("/v1/sites/127.0.0.1", json={"rate": "1/h"}).raise_for_status()
        third = begin()
        wait_for_the_site(third)
        cluster.restart_gateway()
        ends.append(end_of(third))
        kept = cluster.http.get("/v1/sites/127.0.0.1").json()
    finally:
        cluster.close()

    assert "waits for the budget of 127.0.0.1" in message
    assert ends == ["cancelled", "completed", "completed"]
    assert (kept["budget"], kept["source"]) == ({"rate": "1/h"}, "operator")
