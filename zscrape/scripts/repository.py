"""The seam behind which scripts come from a folder, Git, a web server or S3.

A repository answers from what it knows. `revision` is asked on the way of every request, so
it never waits: a folder looks at its files' times, and a repository behind a network says
which state of it was last fetched while it refreshes behind the scenes.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

from zscrape.config import RepositorySettings
from zscrape.errors import ConfigError
from zscrape.scripts.digest import ScriptFile
from zscrape.scripts.directory import DirectoryRepository

REPOSITORY_TYPES: Final = ("dir",)


class Repository(Protocol):
    """Where scripts come from. Several are asked in order; the first that has a name wins."""

    @property
    def name(self) -> str:
        """What pins and people call this repository."""
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

    async def close(self) -> None:
        """Let go of connections and background work."""
        ...


def open_repository(settings: RepositorySettings) -> Repository:
    """Open the repository that the settings describe.

    Raises:
        ConfigError: Its type is not supported, or its address is not one of that type.
    """
    if settings.type not in REPOSITORY_TYPES:
        raise ConfigError(
            source="repositories.type",
            reason=f"{settings.type!r} is not supported; supported: {', '.join(REPOSITORY_TYPES)}",
        )
    url = settings.url
    parts = urlsplit(url)
    if not url or parts.scheme not in {"", "file"} or parts.netloc not in {"", "localhost"}:
        raise ConfigError(
            source="repositories.url", reason=f"{url!r} is neither a path nor a file: address"
        )
    path = unquote(parts.path) if parts.scheme else url
    return DirectoryRepository(Path(path).expanduser(), settings.name or settings.type)
