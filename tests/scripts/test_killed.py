"""Processes that are killed while they fetch: the next one needs no repair by hand."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scripts.git_server import Upstream
from tests.scripts.web_server import WebServer
from zscrape.config import RepositorySettings
from zscrape.scripts.archive import write_tar_gz
from zscrape.scripts.cache import ScriptCache
from zscrape.scripts.catalogue import Catalogue
from zscrape.scripts.repository import open_repository
from zscrape.scripts.tree import read_tree

SCRIPT_COUNT = 8
KILL_COUNT = 3
FETCH_ALL = """
import asyncio, sys
from pathlib import Path
from tests.scripts.test_killed import fetch_all

async def main():
    print("begun", flush=True)
    await fetch_all(Path(sys.argv[1]), sys.argv[2], sys.argv[3])

asyncio.run(main())
"""


async def fetch_all(root: Path, kind: str, url: str) -> dict[str, str]:
    """Resolve every script of a repository; what is kept and cached is below `root`."""
    cache = ScriptCache(root / "cache")
    settings = RepositorySettings(type=kind, url=url, timeout_s=5.0)
    repository = open_repository(settings, cache=cache, folder=root / "known")
    catalogue = Catalogue([repository], cache)
    try:
        names = await repository.names()
        found = {name: (await catalogue.resolve(name)).pin.digest for name in names}
        for digest in cache.digests():
            assert await cache.files(digest) is not None, "an entry that does not match"
    finally:
        await catalogue.close()
        await cache.close()
    return found


@pytest.fixture(params=["dir", pytest.param("git", marks=pytest.mark.system), "http"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A repository of a type with a few scripts: its type and its address."""
    if request.param == "git" and shutil.which("git") is None:
        pytest.skip("needs the Debian package git")
    upstream = Upstream(tmp_path / "git") if request.param == "git" else None
    root = upstream.tree if upstream else tmp_path / "scripts"
    web = WebServer() if request.param == "http" else None
    for number in range(SCRIPT_COUNT):
        folder = root / f"s{number}"
        (folder / "lib").mkdir(parents=True)
        (folder / "metadata.json").write_text(f'{{"name": "s{number}", "version": "1.0.0"}}')
        (folder / "main.py").write_text(f"def run():\n    return {number}\n")
        (folder / "lib" / "data.bin").write_bytes(random.Random(number).randbytes(50_000))
        if web:
            files = read_tree(folder, folder.name).files
            web.script(folder.name, {"1.0.0": write_tar_gz(files, folder.name)})
    if upstream:
        upstream.push("v1.0.0")
    yield request.param, upstream.bare.as_uri() if upstream else web.url if web else str(root)
    if web:
        web.close()


@pytest.mark.timeout(120)
async def test_a_fetch_may_be_killed_at_any_point(tmp_path: Path, place: tuple[str, str]) -> None:
    """Whatever was half-done, the next process answers the same, and every entry is whole."""
    started_at = time.perf_counter()
    expected = await fetch_all(tmp_path / "calm", *place)
    calm_s = time.perf_counter() - started_at
    chance = random.Random(place[0])

    found = []
    for number in range(KILL_COUNT):
        root = tmp_path / f"killed-{number}"
        kill_midway([str(root), *place], chance.uniform(0, 2 * calm_s))
        found.append(await fetch_all(root, *place))

    assert len(expected) == SCRIPT_COUNT
    assert found == [expected] * KILL_COUNT


def kill_midway(arguments: list[str], delay_s: float) -> None:
    """Start a process that fetches all, and kill it this long after it has begun."""
    with subprocess.Popen(
        [sys.executable, "-c", FETCH_ALL, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        try:
            process.wait(delay_s)
        except subprocess.TimeoutExpired:
            process.kill()
