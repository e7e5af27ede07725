"""The seam below `RemoteRepository`: what Git, a web server and S3 each must be able to do.

A source does the work and remembers nothing but connections and its own files on disk;
`RemoteRepository` keeps what it found, decides when to look again, and answers from memory.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from zscrape.scripts.digest import ScriptFile


class Listing(Struct, frozen=True):
    """What a source holds: names, versions, and a mark for the bytes of each."""

    # script name -> version (SemVer) -> mark. A mark is any text that differs whenever the
    # bytes of that version do: a Git tree id, a hash of ETags.
    scripts: dict[str, dict[str, str]]
    channels: dict[str, dict[str, str]] = {}  # script name -> channel -> version
    ignored: tuple[str, ...] = ()  # what looked like a version and is none, for people
    state: str = ""  # the source's own note to its next scan: a hash of references, ETags


class Source(Protocol):
    """One place far away that holds scripts."""

    async def scan(self, known: Listing | None) -> Listing:
        """Return what the source holds; `known` itself when nothing has changed since.

        Raises:
            RepositoryUnavailable: It cannot be reached or read.
        """
        ...

    async def manifest(self, script_name: str, version: str, mark: str) -> bytes:
        """Return `metadata.json` of a version that the last scan listed with this mark.

        Raises:
            FilesInvalid: It has none, or it is not a regular file.
            RepositoryUnavailable: It cannot be reached or read, or the version is gone.
        """
        ...

    async def fetch(self, script_name: str, version: str, mark: str) -> tuple[ScriptFile, ...]:
        """Return all files of a version that the last scan listed with this mark.

        Raises:
            FilesInvalid: A path, a link, a size or a count is not usable; all faults at once.
            RepositoryUnavailable: It cannot be reached or read, or the version is gone.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
