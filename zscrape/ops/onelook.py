"""The repositories of the settings, opened anew for one look, past what a gateway has cached."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from zscrape.config import Settings
from zscrape.scripts.cache import ScriptCache
from zscrape.scripts.repository import Repository, open_repository

_NEVER_S = 1e9  # one look at each repository is enough


@asynccontextmanager
async def open_anew(settings: Settings) -> AsyncIterator[tuple[list[Repository], ScriptCache]]:
    """Open the repositories on a cache of their own, which goes with them.

    Raises:
        ConfigError: One of them cannot be opened.
    """
    with tempfile.TemporaryDirectory(prefix="zscrape-look-") as scratch:
        cache = ScriptCache(Path(scratch) / "cache")
        repositories = [
            open_repository(
                each,
                cache=cache,
                folder=Path(scratch) / "repositories" / each.name,
                refresh_interval_s=_NEVER_S,
            )
            for each in settings.repositories
        ]
        try:
            yield repositories, cache
        finally:
            for repository in repositories:
                await repository.close()
            await cache.close()
