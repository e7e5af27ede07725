"""One gateway with a worker and one browser for all tests of a file."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.dashboard.browser import Screen, opened
from tests.e2e.cluster import Cluster

SCRIPTS = Path(__file__).parent / "scripts"


class Site:
    """A cluster, and what a test asks of it beside the browser."""

    def __init__(self, cluster: Cluster) -> None:
        self._http = cluster.http
        self.url: str = cluster.gateway.ready["http"]
        self.key = cluster.key

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return what the API answers."""
        answer = self._http.request(method, path, json=body).raise_for_status()
        return answer.json() if answer.content else None

    def link(self) -> str:
        """Return the path that signs a browser in, once."""
        path: str = self.call("POST", "/v1/logins")["path"]
        return path

    def scrape(self, script: str, **body: Any) -> str:
        """Run a task to its end; returns its id."""
        told = self.call("POST", "/scrape", {"script_name": script, **body})
        task_id: str = told["request_id"]
        return task_id

    def start(self, script: str, **body: Any) -> str:
        """Accept a task; returns its id."""
        told = self.call("POST", "/v1/tasks", {"script_name": script, **body})
        task_id: str = told["request_id"]
        return task_id

    def status(self, task_id: str) -> str:
        """Return the state of a task."""
        told: str = self.call("GET", f"/v1/tasks/{task_id}")["status"]
        return told

    def key_with(self, *scopes: str) -> str:
        """Return a new key."""
        key: str = self.call("POST", "/v1/keys", {"scopes": scopes, "name": "<i>test</i>"})["key"]
        return key


@pytest.fixture(scope="module")
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A gateway and a worker as processes, with the scripts of these tests or of the file."""
    scripts = getattr(request.module, "SCRIPTS", SCRIPTS)
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), scripts)
    try:
        cluster.start_worker("worker", slots=3)
        yield Site(cluster)
    finally:
        cluster.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(site: Site) -> AsyncIterator[Screen]:
    """A browser in which nobody is signed in yet."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs Debian's package chromium")
    async with opened(site.url, program) as screen:
        yield screen


@pytest_asyncio.fixture(loop_scope="module")
async def screen(browser: Screen, site: Site) -> AsyncIterator[Screen]:
    """The browser, wide, in English, signed in; what it told of that is a fault fails the test."""
    await browser.resize(1440)
    await browser.load(site.link())
    await browser.run("localStorage.clear(); localStorage.setItem('zscrape.lang', 'en')")
    await browser.load("/")
    await browser.see("Overview")
    browser.faults.clear()
    yield browser
    faults, others = list(browser.faults), foreign(browser, site)

    assert faults == []
    assert others == set()


def foreign(screen: Screen, site: Site) -> set[str]:
    """Return the addresses that were asked of another host."""
    ours = (site.url, "blob:", "data:", "about:")
    return {each for each in screen.addresses if not each.startswith(ours)}
