"""The row of the promise table about repositories: down, slow, corrupt and lying ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.notes import read_notes
from tests.faults.services import SCRIPTS, Cluster, pause, until
from tests.scripts.web_server import WebServer, silence, status
from zscrape.scripts.archive import write_tar_gz
from zscrape.scripts.tree import read_tree

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

REFRESH_S = 0.2
EVIL = "def run(**rest):\n    raise SystemExit('this must never run')\n"


def archive(root: Path, *, version: str = "1.0.0", **manifest: Any) -> bytes:
    """Return the script that takes notes as an archive, with a manifest that says more."""
    folder = root / f"noted-{version}" / "noted"
    shutil.copytree(SCRIPTS / "noted", folder)
    told = json.loads((folder / "metadata.json").read_text())
    (folder / "metadata.json").write_text(json.dumps({**told, "version": version, **manifest}))
    return write_tar_gz(read_tree(folder, "noted").files, f"noted-{version}")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WebServer]:
    """A web server with one version of the script."""
    server = WebServer()
    server.put("/api/scripts", {"scripts": ["noted"]})
    server.script("noted", {"1.0.0": archive(tmp_path)})
    yield server
    if not server.closing.is_set():
        server.close()


@pytest.fixture
def fed(tmp_path: Path, server: WebServer) -> Iterator[Cluster]:
    """A cluster whose gateway reads from that server, and has run the script once."""
    settings = {
        "SCRIPT_REPOSITORY_TYPE": "http",
        "SCRIPT_REPOSITORY_URL": server.url,
        "SCRIPT_REFRESH_INTERVAL": str(REFRESH_S),
    }
    cluster = Cluster(tmp_path, scripts=None, settings=settings)
    cluster.start_worker("worker", slots=1)
    assert cluster.scrape(cluster.task(0))["status"] == "completed"
    yield cluster
    cluster.close()


def test_repository_down(fed: Cluster, server: WebServer) -> None:
    """Cached scripts run on, on a new worker and a restarted gateway too; the rest names it."""
    server.close()
    pause(2 * REFRESH_S)

    again = fed.scrape(fed.task(1))
    unknown = fed.scrape({"script_name": "nowhere"})
    until(lambda: fed.http.get("/health").json()["status"] == "degraded")
    fed.workers["worker"].end()
    fed.start_worker("other", slots=1)  # its cache is empty: the gateway gives it the bytes
    fed.restart_gateway()
    restarted = fed.scrape(fed.task(2))

    assert [each["status"] for each in (again, restarted)] == ["completed"] * 2
    assert unknown["status"] == "failed"
    assert unknown["error"]["code"] in ("script_not_found", "repository_unavailable")


def test_repository_slow(fed: Cluster, server: WebServer) -> None:
    """What is known answers at once while the repository does not answer at all."""
    server.fail("/api/scripts", *[silence] * 50)
    pause(2 * REFRESH_S)

    asked_count = len(server.asked("/api/scripts"))
    ended = [fed.scrape(fed.task(number)) for number in range(10)]
    waited_count = len(server.asked("/api/scripts")) - asked_count

    assert {each["status"] for each in ended} == {"completed"}
    assert waited_count < 5  # had each waited for an answer, as many were given up meanwhile


def test_repository_corrupt(fed: Cluster, server: WebServer, tmp_path: Path) -> None:
    """A torn download is never executed; the error names the repository; the old one runs."""
    good = archive(tmp_path, version="1.1.0")
    server.script("noted", {"1.0.0": server.pages["/noted/1.0.0"].content, "1.1.0": good[:400]})
    fed.http.post("/v1/scripts/refresh").raise_for_status()

    torn = fed.scrape({**fed.task(1), "version": "1.1.0"})
    old = fed.scrape({**fed.task(2), "version": "1.0.0"})
    server.script("noted", {"1.1.0": good})
    fed.http.post("/v1/scripts/refresh").raise_for_status()
    healed = fed.scrape({**fed.task(3), "version": "1.1.0"})

    assert torn["status"] == "failed"
    assert "scripts" in torn["error"]["message"]
    assert [each["status"] for each in (old, healed)] == ["completed"] * 2
    assert {note.number for note in read_notes(fed.notes, "start")} == {0, 2, 3}


def test_repository_lying(fed: Cluster, server: WebServer, tmp_path: Path) -> None:
    """Bytes other than those that the manifest's checksums promise are never executed."""
    lie = {"main.py": f"sha256:{'0' * 64}"}
    server.script("noted", {"2.0.0": archive(tmp_path, version="2.0.0", checksums=lie)})
    fed.http.post("/v1/scripts/refresh").raise_for_status()

    lied = fed.scrape({**fed.task(1), "version": "2.0.0"})

    assert lied["status"] == "failed"
    assert lied["error"]["code"] == "integrity_error"
    assert {note.number for note in read_notes(fed.notes, "start")} == {0}


def test_repository_failing_now_and_then(fed: Cluster, server: WebServer) -> None:
    """Errors of a server that comes and goes are nobody's business but the log's."""
    for _ in range(5):
        server.fail("/api/scripts", *[status(500)] * 20)
        pause(2 * REFRESH_S)
        assert fed.scrape(fed.task(1))["status"] == "completed"
        server.fail("/api/scripts")
        pause(2 * REFRESH_S)
        assert fed.scrape(fed.task(2))["status"] == "completed"


def test_cache_that_was_changed(fed: Cluster) -> None:
    """A script that somebody has changed on the worker's disk is not executed but fetched again."""
    changed = 0
    for path in (fed.root / "worker").rglob("main.py"):
        path.chmod(0o644)
        path.write_text(EVIL)
        changed += 1

    again = fed.scrape(fed.task(1))

    assert changed == 1
    assert (again["status"], again["data"]["number"]) == ("completed", 1)
