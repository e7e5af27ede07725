"""Cleaning the cache by hand."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from zscrape.config import Settings
from zscrape.errors import ConfigError
from zscrape.ops.cleaning import clean_cache
from zscrape.scripts.cache import ScriptCache
from zscrape.scripts.digest import ScriptFile


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A cache of its own."""
    return Settings(home=tmp_path, cache_dir=tmp_path / "cache")


async def filled(settings: Settings, *ages_h: float) -> list[str]:
    """Store one script per age, last used so many hours ago."""
    cache = ScriptCache(settings.cache_dir)
    digests = []
    for number, age_h in enumerate(ages_h):
        digest = await cache.store([ScriptFile("main.py", False, b"%d" % number * 10)])
        moment = time.time() - age_h * 3600
        os.utime(settings.cache_dir / "used" / digest[7:], (moment, moment))
        digests.append(digest)
    await cache.close()
    return digests


async def test_what_was_not_used_for_long_is_removed_and_told(settings: Settings) -> None:
    """Without an age the settings' own counts: a week."""
    old, young = await filled(settings, 200, 100)

    cleaned = await clean_cache(settings)

    assert [each.digest for each in cleaned.removed] == [old]
    assert (cleaned.removed_count, cleaned.removed_bytes, cleaned.kept_count) == (1, 10, 1)
    assert ScriptCache(settings.cache_dir).digests() == (young,)


async def test_an_age_can_be_given_and_a_dry_run_removes_nothing(settings: Settings) -> None:
    """The dry run tells what would go."""
    old, _ = await filled(settings, 30, 3)

    would = await clean_cache(settings, older_than_h=24, is_dry_run=True)
    kept = ScriptCache(settings.cache_dir).digests()
    cleaned = await clean_cache(settings, older_than_h=24)

    assert would.is_dry_run
    assert would.removed == cleaned.removed
    assert cleaned.removed[0].digest == old
    assert len(kept) == 2


async def test_what_a_running_gateway_or_worker_uses_stays(settings: Settings) -> None:
    """Whatever age is asked for: they mark what they use, and what is marked is kept."""
    used, kept, unused = await filled(settings, 50, 50, 50)
    gateway = ScriptCache(settings.cache_dir)
    worker = ScriptCache(settings.cache_dir)
    await gateway.store([ScriptFile("main.py", False, b"0" * 10)])
    await worker.evict([kept])

    cleaned = await clean_cache(settings, older_than_h=0)

    assert [each.digest for each in cleaned.removed] == [unused]
    assert set(gateway.digests()) == {used, kept}


async def test_no_cache_is_clean_and_is_not_made(settings: Settings) -> None:
    """Looking does not leave a folder behind."""
    assert (await clean_cache(settings)).removed_count == 0
    assert not settings.cache_dir.exists()


async def test_a_cache_that_cannot_be_used_is_told(settings: Settings) -> None:
    """A file in its place is an error that names it."""
    settings.cache_dir.write_text("a file in the way")

    with pytest.raises(ConfigError, match="cache"):
        await clean_cache(settings)
