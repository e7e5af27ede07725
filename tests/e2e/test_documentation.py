"""Real input: the documentation that Debian ships as HTML, crawled through the whole cluster."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Cluster

ROOT = Path("/usr/share/doc/python3-doc/html")
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
PAGE_COUNT = 320

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.system,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not ROOT.exists(), reason="needs the Debian package python3-doc"),
    pytest.mark.skipif(not Path(NGINX).exists(), reason="needs the Debian package nginx-light"),
]

CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
{user}
events {{}}
http {{
  access_log off;
  types {{ text/html html; }}
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; root {root}; charset utf-8; }}
}}
"""


class Counter(HTMLParser):
    """The test's own count, by the standard library: nothing of it is shared with the kit."""

    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.headings: list[str] = []
        self.link_count = 0
        self.code_count = 0
        self._inside: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count links and code; begin a title or heading."""
        if tag == "a" and any(name == "href" for name, _ in attrs):
            self.link_count += 1
        elif tag == "pre":
            self.code_count += 1
        elif tag in {"h1", "h2", "h3", "h4", "h5", "h6"}:
            self.headings.append("")
            self._inside = tag
        elif tag == "title":
            self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        """End a title or heading."""
        if tag == self._inside:
            self._inside = None

    def handle_data(self, data: str) -> None:
        """Collect the text of a title or heading."""
        if self._inside == "title":
            self.title += data
        elif self._inside:
            self.headings[-1] += data


def count(path: Path) -> dict[str, Any]:
    """Return what a page holds, counted independently of zscrape."""
    counter = Counter()
    counter.feed(path.read_text("utf-8"))
    return {
        "title": " ".join(counter.title.split()),
        "headings": [" ".join(heading.split()) for heading in counter.headings],
        "link_count": counter.link_count,
        "code_count": counter.code_count,
    }


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """Serve the documentation by nginx on loopback; yields the base URL."""
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    user = "user root;" if getpass.getuser() == "root" else ""
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(folder=tmp_path, root=ROOT.resolve(), port=port, user=user)
    )
    nginx = subprocess.Popen([NGINX, "-c", str(configuration)], stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        nginx.terminate()
        nginx.wait(10)


def pages() -> list[str]:
    """Return the paths to crawl, in a stable order, the longest pages left out."""
    found = sorted(ROOT.resolve().rglob("*.html"), key=lambda path: (path.stat().st_size, path))
    return [str(path.relative_to(ROOT.resolve())) for path in found[:PAGE_COUNT]]


def test_real_documentation_is_crawled_by_two_workers(cluster: Cluster, site: str) -> None:
    """What 2 workers say of 320 real pages agrees with an independent count, page by page."""
    first = cluster.start_worker("first", slots=2)
    second = cluster.start_worker("second", slots=2)
    paths = pages()
    half = len(paths) // 2

    def scrape(path: str) -> dict[str, Any]:
        body = {"script_name": "doc_page", "parameters": {"url": f"{site}/{path}"}}
        answer: dict[str, Any] = cluster.http.post("/scrape", json=body).raise_for_status().json()
        return answer

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(scrape, paths[:half]))
    batch = [
        {"script_name": "doc_page", "parameters": {"url": f"{site}/{path}"}}
        for path in paths[half:]
    ]
    accepted = cluster.http.post("/v1/tasks", json=batch).raise_for_status()
    for task in accepted.json()["tasks"]:
        ended = cluster.http.get(f"/v1/tasks/{task['request_id']}", params={"wait": 30})
        answers.append(ended.raise_for_status().json())

    assert len(answers) == len(paths) >= 300
    assert [answer["status"] for answer in answers] == ["completed"] * len(paths)
    for path, answer in zip(paths, answers, strict=True):
        assert answer["data"] == count(ROOT / path), path
    assert {answer["worker_id"] for answer in answers} == {
        first.ready["worker_id"],
        second.ready["worker_id"],
    }
