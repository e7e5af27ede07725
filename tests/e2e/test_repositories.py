"""The same script from every type of repository, and again when the repository is gone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Cluster
from tests.scripts.git_server import GitServer, Upstream, git
from tests.scripts.s3_servers import ACCESS_KEY, SECRET_KEY, MotoServer
from tests.scripts.web_server import WebServer
from zscrape.scripts.archive import write_tar_gz
from zscrape.scripts.tree import read_tree

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("git") is None, reason="needs the Debian package git"),
]

SOURCE = 'def run(name: str):\n    return {"hello": name}\n'


class Places:
    """One script in four places, each of which can be stopped."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "dir"
        script = self.folder / "greet"
        (script / "lib").mkdir(parents=True)
        manifest = {"name": "greet", "version": "1.2.0", "kit": []}
        (script / "metadata.json").write_text(json.dumps(manifest))
        (script / "main.py").write_text(SOURCE)
        (script / "lib" / "tool.sh").write_text("#!/bin/sh\n")
        (script / "lib" / "tool.sh").chmod(0o755)
        files = read_tree(script, "greet").files
        self.upstream = Upstream(root / "git")
        shutil.copytree(script, self.upstream.tree / "greet")
        self.upstream.push("greet/v1.2.0")
        self.git = GitServer(root / "git")
        self.web = WebServer()
        self.web.put("/api/scripts", {"scripts": ["greet"]})
        self.web.script("greet", {"1.2.0": write_tar_gz(files, "greet-1.2.0")})
        self.s3 = MotoServer()
        self.s3.begin()
        for file in files:
            metadata = {"zscrape-executable": "1"} if file.is_executable else {}
            self.s3.put(f"greet/1.2.0/{file.path}", file.content, Metadata=metadata)

    def environ(self, kind: str) -> dict[str, str]:
        """Return the contract's variables for one of them."""
        s3 = {
            "S3_BUCKET_NAME": self.s3.bucket,
            "S3_ENDPOINT_URL": self.s3.url,
            "S3_ACCESS_KEY": ACCESS_KEY,
            "S3_SECRET_KEY": SECRET_KEY,
        }
        urls = {
            "dir": str(self.folder),
            "git": f"{self.git.url}/scripts.git",
            "http": self.web.url,
        }
        url = {"SCRIPT_REPOSITORY_URL": urls[kind]} if kind in urls else s3
        return {"SCRIPT_REPOSITORY_TYPE": kind, "SCRIPT_REFRESH_INTERVAL": "0.2", **url}

    def stop(self, kind: str) -> None:
        """Take one away."""
        if kind == "dir":
            self.folder.rename(self.folder.with_name("gone"))
        elif kind == "git":
            self.git.close()
        elif kind == "http":
            self.web.close()
        else:
            self.s3.close()


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Places:
    """The four places; each test stops its own."""
    return Places(tmp_path_factory.mktemp("places"))


def call(cluster: Cluster, name: str) -> dict[str, Any]:
    """Run the script; return its envelope."""
    body = {"script_name": "greet", "version": "^1.0", "parameters": {"name": name}}
    envelope: dict[str, Any] = cluster.http.post("/scrape", json=body).json()
    return envelope


@pytest.mark.parametrize("kind", ["git", "http", "s3", "dir"])
def test_same_script_from_every_repository(tmp_path: Path, places: Places, kind: str) -> None:
    """The digest and the answer are the same everywhere; without the repository they still are."""
    expected = read_tree_digest(places.folder / "greet")
    cluster = Cluster(tmp_path, None, settings=places.environ(kind))
    try:
        cluster.start_worker("w", slots=1)
        first = call(cluster, "one")
        places.stop(kind)
        again = call(cluster, "two")
        cluster.restart_gateway()
        restarted = run_pin(cluster, "1.2.0")
    finally:
        cluster.close()

    assert (first["status"], first["data"]) == ("completed", {"hello": "one"}), first
    assert (first["version"], first["digest"]) == ("1.2.0", expected)
    assert (again["status"], again["digest"]) == ("completed", expected), again
    assert (restarted["status"], restarted["digest"]) == ("completed", expected), restarted


def run_pin(cluster: Cluster, version: str) -> dict[str, Any]:
    """Run one exact version."""
    body = {"script_name": "greet", "version": version, "parameters": {"name": "pin"}}
    envelope: dict[str, Any] = cluster.http.post("/scrape", json=body).json()
    return envelope


def read_tree_digest(folder: Path) -> str:
    """Return the digest of a script's folder."""
    from zscrape.scripts.digest import tree_digest

    return tree_digest(read_tree(folder, "greet").files)


def test_new_tag_is_live_after_a_refresh(tmp_path: Path) -> None:
    """Nothing is restarted: a tag is pushed, the catalogue refreshed, and the range moves on."""
    upstream = Upstream(tmp_path / "git")
    upstream.script("watch", answer="old")
    upstream.push("v1.0.0")
    environ = {
        "SCRIPT_REPOSITORY_TYPE": "git",
        "SCRIPT_REPOSITORY_URL": upstream.bare.as_uri(),
        "SCRIPT_REFRESH_INTERVAL": "3600",
    }
    cluster = Cluster(tmp_path / "homes", None, settings=environ)
    try:
        cluster.start_worker("w", slots=1)
        body = {"script_name": "watch", "version": "1.x", "parameters": {}}
        before = cluster.http.post("/scrape", json=body).json()
        upstream.script("watch", answer="new")
        upstream.push("watch@1.1.0", "nightly")
        git(upstream.tree, "tag", "v2.0.0-beta.1")
        git(upstream.tree, "push", "-q", "--tags", "origin")
        stale = cluster.http.post("/scrape", json=body).json()
        refreshed = cluster.http.post("/v1/scripts/refresh").json()
        after = cluster.http.post("/scrape", json=body).json()
        beta = cluster.http.post("/scrape", json={**body, "version": "beta"}).json()
    finally:
        cluster.close()

    assert [each["data"] for each in (before, stale, after, beta)] == ["old", "old", "new", "new"]
    assert [each["version"] for each in (before, after, beta)] == ["1.0.0", "1.1.0", "2.0.0-beta.1"]
    assert refreshed["changed"]
