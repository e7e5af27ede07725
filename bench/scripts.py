"""Scripts: a cached pin on the way of a task, and a Git repository with nothing new.

`ensure` is what every attempt pays for a script that is in the cache. The listing is held to
`git ls-remote` against the same server, 200 scripts with 10 tags each.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from tests.scripts.git_server import ENVIRON, GitServer, Upstream
from zscrape.config import RepositorySettings
from zscrape.model import Pin
from zscrape.scripts.cache import ScriptCache
from zscrape.scripts.digest import ScriptFile
from zscrape.scripts.git import GitSource

SCRIPT_COUNT = 200
TAG_COUNT = 10
ROUND_COUNT = 9
ENSURE_COUNT = 5_000


async def _ensure_us(root: Path) -> float:
    cache = ScriptCache(root / "cache")
    files = [ScriptFile(f"lib/m{number}.py", False, b"x = 1\n" * 50) for number in range(9)]
    files.append(ScriptFile("metadata.json", False, json.dumps({"name": "a"}).encode()))
    pin = Pin("r", "a", "1.0.0", await cache.store(files))

    async def never(_: Pin) -> bytes | None:
        raise AssertionError("it is in the cache")

    await cache.ensure(pin, never)
    times = []
    for _ in range(ENSURE_COUNT):
        begun = time.perf_counter()
        await cache.ensure(pin, never)
        times.append(time.perf_counter() - begun)
    await cache.close()
    return statistics.median(times) * 1e6


def _upstream(root: Path) -> None:
    upstream = Upstream(root)
    for number in range(SCRIPT_COUNT):
        upstream.script(f"s{number}")
    upstream.push(
        *(f"s{number}/v1.{minor}.0" for number in range(SCRIPT_COUNT) for minor in range(TAG_COUNT))
    )


async def _listing_ms(root: Path) -> tuple[float, float, float]:
    """Return the medians of a refresh with nothing new and of `ls-remote`, and the first scan."""
    server = GitServer(root / "served")
    url = f"{server.url}/scripts.git"
    source = GitSource(RepositorySettings(type="git", url=url), root / "store")
    try:
        begun = time.perf_counter()
        known = await source.scan(None)
        first_ms = (time.perf_counter() - begun) * 1e3
        ours, theirs = [], []
        for _ in range(ROUND_COUNT):
            begun = time.perf_counter()
            assert await source.scan(known) is known
            ours.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            await asyncio.to_thread(
                subprocess.run, ["git", "ls-remote", url], env=ENVIRON, check=True,
                capture_output=True,
            )  # fmt: skip
            theirs.append(time.perf_counter() - begun)
    finally:
        await source.close()
        server.close()
    return statistics.median(ours) * 1e3, statistics.median(theirs) * 1e3, first_ms


def measure() -> dict[str, float]:
    """Return the figures of this part."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        ensure_us = asyncio.run(_ensure_us(root))
        _upstream(root / "served")
        ours_ms, theirs_ms, first_ms = asyncio.run(_listing_ms(root))
    return {
        "ensure_us": ensure_us,
        "git_unchanged_ms": ours_ms,
        "git_ls_remote_ms": theirs_ms,
        "git_unchanged_ratio": ours_ms / theirs_ms,
        "git_first_ms": first_ms,
    }
