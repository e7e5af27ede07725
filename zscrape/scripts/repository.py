"""The seam behind which scripts come from a folder, Git, a web server or S3.

A repository answers from what it knows. `revision` is asked on the way of every request, so
it never waits: a folder looks at its files' times, and a repository behind a network says
which state of it was last fetched while it refreshes behind the scenes.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from zscrape.config import REPOSITORY_TYPES, RepositorySettings, Settings
from zscrape.errors import ConfigError
from zscrape.onuse import on_use
from zscrape.scripts.cache import ScriptCache
from zscrape.scripts.digest import ScriptFile
from zscrape.scripts.keptdirectory import KeptDirectory
from zscrape.scripts.source import Source

if TYPE_CHECKING:
    from zscrape.scripts import remote
else:  # a folder needs none of it
    remote = on_use("zscrape.scripts.remote")


class Repository(Protocol):
    """Where scripts come from. Several are asked in order; the first that has a name wins."""

    @property
    def name(self) -> str:
        """What pins and people call this repository."""
        ...

    @property
    def fault(self) -> str:
        """Why it cannot be read, as far as is known without asking; empty: it can."""
        ...

    def revision(self, script_name: str, version: str | None) -> Hashable | None:
        """Return a mark of what was last answered for a script.

        It stays the same while `versions` and, for `version`, `fetch` would answer the same
        again; with `version` None it stands for the answer "no such script". None means that
        what was answered may no longer be relied on. Never waits; costs microseconds.
        """
        ...

    async def names(self) -> tuple[str, ...]:
        """Return the names of all scripts, sorted.

        Raises:
            RepositoryUnavailable: It cannot be reached or read, and nothing is cached.
        """
        ...

    async def versions(self, script_name: str) -> tuple[str, ...]:
        """Return the versions of a script, newest first; empty when it has no such script.

        Raises:
            ManifestInvalid: The only version is the manifest's, and it cannot be read.
            RepositoryUnavailable: It cannot be reached or read, and nothing is cached.
        """
        ...

    async def channels(self, script_name: str) -> Mapping[str, str]:
        """Return which version each channel of a script stands for."""
        ...

    def digests(self, script_name: str) -> Mapping[str, str]:
        """Return the digests of a script's versions, as far as they are known without a look."""
        ...

    async def manifest(self, script_name: str, version: str) -> bytes:
        """Return `metadata.json` of a version that `versions` listed.

        Raises:
            FilesInvalid: It has none, or it is not a regular file.
            RepositoryUnavailable: It cannot be reached or read, and nothing is cached.
        """
        ...

    async def fetch(self, script_name: str, version: str) -> tuple[ScriptFile, ...]:
        """Return all files of a version that `versions` listed, `metadata.json` among them.

        Raises:
            FilesInvalid: A path, a link, a size or a count is not usable; all faults at once.
            RepositoryUnavailable: It cannot be reached or read, and nothing is cached.
        """
        ...

    async def refresh(self) -> bool:
        """Look at it now, whatever was known; True iff something has changed.

        Raises:
            RepositoryUnavailable: It cannot be reached or read; what was known stays known.
        """
        ...

    async def close(self) -> None:
        """Let go of connections and background work."""
        ...


def open_repositories(settings: Settings, cache: ScriptCache) -> list[Repository]:
    """Open every repository of the settings, in the order in which names are looked up.

    Raises:
        ConfigError: One of them cannot be opened.
    """
    return [
        open_repository(
            each,
            cache=cache,
            folder=settings.home / "repositories" / each.name,
            refresh_interval_s=settings.script_refresh_interval_s,
        )
        for each in settings.repositories
    ]


def open_repository(
    settings: RepositorySettings,
    *,
    cache: ScriptCache,
    folder: Path,
    refresh_interval_s: float = 60.0,
) -> Repository:
    """Open the repository that the settings describe.

    Args:
        settings: Its type and address.
        cache: Where the bytes of versions fetched before may still be.
        folder: Where a repository keeps what it knows between two lives.
        refresh_interval_s: How old its listing may be before it is renewed.

    Raises:
        ConfigError: Its type is not supported, or its address is not one of that type.
    """
    if settings.type == "dir":
        root = Path(settings.url)
        return KeptDirectory(root, settings.name, folder=folder, cache=cache)
    return remote.RemoteRepository(
        _open_source(settings, folder),
        name=settings.name,
        origin=_origin_of(settings),
        folder=folder,
        cache=cache,
        refresh_interval_s=refresh_interval_s,
        clock=time.monotonic,
    )


def _origin_of(settings: RepositorySettings) -> str:
    """Return what tells one place from another: what is kept of one says nothing of the next."""
    chosen = (settings.endpoint_url, settings.bucket, settings.prefix, settings.branch)
    return " ".join((settings.type, settings.url, *(each or "-" for each in chosen)))


def open_source(settings: RepositorySettings, folder: Path) -> Source:
    """Open what is below a repository behind a network, to publish to it.

    Raises:
        ConfigError: Its type is not supported.
    """
    return _open_source(settings, folder)


def _open_source(settings: RepositorySettings, folder: Path) -> Source:
    """Load what this type needs only now: boto3 is large."""
    if settings.type == "git":
        from zscrape.scripts.git import GitSource

        return GitSource(settings, folder)
    if settings.type == "http":
        from zscrape.scripts.web import WebSource

        return WebSource(settings)
    if settings.type == "s3":
        from zscrape.scripts.s3 import S3Source

        return S3Source(settings)
    raise ConfigError(
        source="repositories.type",
        reason=f"{settings.type!r} is not supported; supported: {', '.join(REPOSITORY_TYPES)}",
    )
