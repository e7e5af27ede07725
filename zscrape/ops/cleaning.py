"""Clean the script cache by hand, beside a gateway and workers that may be running.

They need not be asked: whoever uses the cache marks what it uses at least once an hour, and
nothing that was marked in the last two hours is removed, whatever age is asked for.
"""

from __future__ import annotations

from msgspec import Struct

from zscrape.config import Settings
from zscrape.errors import ConfigError
from zscrape.scripts.cache import Evicted, open_cache


class Cleaned(Struct, frozen=True):
    """What was removed from the cache, or would be, and how much stays."""

    cache: str
    removed: tuple[Evicted, ...]
    removed_count: int
    removed_bytes: int
    kept_count: int
    is_dry_run: bool


async def clean_cache(
    settings: Settings,
    *,
    older_than_h: float | None = None,
    limit_count: int | None = None,
    is_dry_run: bool = False,
) -> Cleaned:
    """Remove scripts that nobody has used for long from the cache.

    Args:
        settings: Where the cache is, and its limits.
        older_than_h: Unused for how long; None: as the settings say.
        limit_count: No more than so many.
        is_dry_run: Only tell.

    Raises:
        ConfigError: The cache cannot be read or written.
    """
    folder = settings.cache_dir
    if not folder.exists():
        return Cleaned(str(folder), (), 0, 0, 0, is_dry_run)
    try:
        cache = open_cache(settings)
        before_count = len(cache.digests())
        removed = await cache.evict(
            max_age_h=older_than_h, limit_count=limit_count, is_dry_run=is_dry_run
        )
        await cache.close()
    except OSError as error:
        raise ConfigError(source=str(folder), reason=error.strerror or str(error)) from error
    return Cleaned(
        cache=str(folder),
        removed=removed,
        removed_count=len(removed),
        removed_bytes=sum(each.size_bytes for each in removed),
        kept_count=before_count - len(removed),
        is_dry_run=is_dry_run,
    )
