"""A repository behind a network: answers from what was last seen, refreshed behind the scenes.

Stale-while-revalidate: a request is answered from the last listing at once, and one that is
older than the refresh interval is renewed beside it. Only the very first answer waits. The
listing, and which digest each version had, are kept on disk: a gateway starts, and runs what
its cache holds, with the repository down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from zscrape.errors.scripts import RepositoryUnavailable
from zscrape.log import get_logger
from zscrape.scripts.cache import ScriptCache
from zscrape.scripts.digest import MANIFEST_FILE, ScriptFile, tree_digest
from zscrape.scripts.flight import Flights
from zscrape.scripts.kept import Unreadable, read_document, write_document
from zscrape.scripts.manifest import is_script_name
from zscrape.scripts.source import Listing, Source
from zscrape.scripts.version import newest_first, parse_version

_IGNORED_TOLD_COUNT = 20


class _Kept(Struct):
    """What is on disk between two lives."""

    listing: Listing
    origin: str = ""  # where it was seen: a name of the settings may be given another address
    digests: dict[str, str] = {}  # `name version mark` -> digest of its files


class RemoteRepository:
    """What a source holds, known here. One event loop uses it.

    Args:
        source: Where the scripts are.
        name: What pins and people call this repository.
        origin: A text that differs for another source: what was kept of that one is not used.
        folder: Where the listing is kept between two lives.
        cache: Where the bytes of versions fetched before may still be.
        refresh_interval_s: How old a listing may be before it is renewed.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        source: Source,
        *,
        name: str,
        origin: str = "",
        folder: Path,
        cache: ScriptCache,
        refresh_interval_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._source = source
        self._name = name
        self._origin = origin
        self._path = folder / "listing.json"
        self._cache = cache
        self._refresh_interval_s = refresh_interval_s
        self._clock = clock
        self._listing: Listing | None = None
        self._stamps: dict[str, Hashable] = {}  # of each script's versions, marks and channels
        self._digests: dict[str, str] = {}
        self._is_read = False
        self._due_at = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None
        self._flights: Flights[str, bool] = Flights()
        self._log: Any = get_logger().bind(repository=name)
        self.fault = ""  # why the last refresh failed; empty: it did not

    @property
    def name(self) -> str:
        """What pins and people call this repository."""
        return self._name

    def revision(self, script_name: str, version: str | None) -> Hashable | None:
        """Return the mark of what was last seen; a listing that is too old is renewed beside."""
        listing = self._listing
        if listing is None:
            return None
        self._renew()
        versions = listing.scripts.get(script_name, {})
        if version is None:
            return None if versions else "absent"
        # Every version of the script counts: a new one may be the better answer to a range.
        return self._stamps[script_name] if version in versions else None

    async def names(self) -> tuple[str, ...]:
        """Return the names of all scripts, sorted."""
        return tuple(sorted((await self._known()).scripts))

    async def versions(self, script_name: str) -> tuple[str, ...]:
        """Return the versions of a script, newest first; empty when it has no such script."""
        return tuple(newest_first((await self._known()).scripts.get(script_name, {})))

    async def channels(self, script_name: str) -> Mapping[str, str]:
        """Return which version each channel of a script stands for."""
        return (await self._known()).channels.get(script_name, {})

    def digests(self, script_name: str) -> Mapping[str, str]:
        """Return the digests of the versions that were fetched as they are listed now."""
        scripts = {} if self._listing is None else self._listing.scripts
        marks = scripts.get(script_name, {})
        found = {each: self._digests.get(_key(script_name, each, marks[each])) for each in marks}
        return {each: digest for each, digest in found.items() if digest}

    async def manifest(self, script_name: str, version: str) -> bytes:
        """Return `metadata.json` of a version that `versions` listed."""
        mark = await self._mark(script_name, version)
        files = await self._cached(_key(script_name, version, mark))
        if files is not None:
            found = (each.content for each in files if each.path == MANIFEST_FILE)
            return next(found, b"")
        return await self._source.manifest(script_name, version, mark)

    async def fetch(self, script_name: str, version: str) -> tuple[ScriptFile, ...]:
        """Return all files of a version that `versions` listed, from the cache if it can."""
        mark = await self._mark(script_name, version)
        key = _key(script_name, version, mark)
        cached = await self._cached(key)
        if cached is not None:
            return cached
        files = await self._source.fetch(script_name, version, mark)
        digest = await asyncio.to_thread(tree_digest, files)
        await self._cache.store(files, script_name)
        if self._digests.get(key) != digest:
            self._digests[key] = digest
            await self._write()
        return files

    async def refresh(self) -> bool:
        """Look at the source now; True iff something has changed.

        Raises:
            RepositoryUnavailable: It cannot be reached or read; what was known stays known.
        """
        await self._read()
        return await self._flights.join("scan", self._scan)

    async def close(self) -> None:
        """End work under way and let go of connections."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)
        await self._flights.close()
        await self._source.close()

    # ---- inside ----------------------------------------------------------------------

    async def _known(self) -> Listing:
        """Return the listing; wait for the source only when there is none."""
        await self._read()
        if self._listing is None:
            await self.refresh()
        else:
            self._renew()
        if self._listing is None:
            raise RepositoryUnavailable(repository=self._name, reason=self.fault)
        return self._listing

    async def _mark(self, script_name: str, version: str) -> str:
        mark = (await self._known()).scripts.get(script_name, {}).get(version)
        if mark is None:
            reason = f"{script_name} {version} is no longer there; ask again"
            raise RepositoryUnavailable(repository=self._name, reason=reason)
        return mark

    async def _cached(self, key: str) -> tuple[ScriptFile, ...] | None:
        digest = self._digests.get(key)
        return None if digest is None else await self._cache.files(digest)

    def _renew(self) -> None:
        """Look again beside the request when it is time."""
        now = self._clock()
        if now < self._due_at or self._refreshing is not None:
            return
        self._due_at = now + self._refresh_interval_s
        self._refreshing = asyncio.get_running_loop().create_task(self._renew_now())

    async def _renew_now(self) -> None:
        try:
            await self._flights.join("scan", self._scan)
        except RepositoryUnavailable:
            return  # told by `_scan`; what was known is still answered
        finally:
            self._refreshing = None

    async def _scan(self) -> bool:
        self._due_at = self._clock() + self._refresh_interval_s
        try:
            known = self._listing
            found = await self._source.scan(known)
        except RepositoryUnavailable as error:
            if not self.fault:  # once, not at every interval
                self._log.warning("repository_stale", reason=error.reason)
            self.fault = error.reason
            raise
        if self.fault:
            self._log.info("repository_back")
        self.fault = ""
        if found is known:
            return False
        stamps = self._stamps
        self._tell_ignored(found)
        self._take(found, self._digests)
        await self._write()
        return self._stamps != stamps

    def _take(self, found: Listing, digests: Mapping[str, str]) -> None:
        """Answer from this listing; digests of what it no longer has are forgotten."""
        scripts = {
            name: usable
            for name, versions in found.scripts.items()
            if is_script_name(name)
            and (usable := {each: versions[each] for each in versions if parse_version(each)})
        }
        self._listing = found = msgspec.structs.replace(found, scripts=scripts)
        self._stamps = {
            name: (tuple(versions.items()), tuple(found.channels.get(name, {}).items()))
            for name, versions in scripts.items()
        }
        listed = {
            _key(name, version, mark)
            for name, versions in scripts.items()
            for version, mark in versions.items()
        }
        self._digests = {key: digests[key] for key in digests if key in listed}

    def _tell_ignored(self, found: Listing) -> None:
        before = () if self._listing is None else self._listing.ignored
        if found.ignored and found.ignored != before:
            told = ", ".join(found.ignored[:_IGNORED_TOLD_COUNT])
            self._log.warning("versions_ignored", count=len(found.ignored), names=told)

    async def _read(self) -> None:
        """Take up what was known in an earlier life."""
        if self._is_read:
            return
        kept = await asyncio.to_thread(self._read_file)
        is_first = not self._is_read  # another request may have been quicker
        self._is_read = True
        is_ours = kept is not None and kept.origin == self._origin
        if kept is not None and is_ours and is_first and self._listing is None:
            self._take(kept.listing, kept.digests)

    def _read_file(self) -> _Kept | None:
        try:
            return read_document(self._path, _Kept)
        except Unreadable as error:
            # It can be had again from the source: a damaged copy is no reason not to start.
            self._log.warning("listing_unreadable", path=str(self._path), reason=str(error))
            return None

    async def _write(self) -> None:
        if self._listing is None:
            return
        kept = _Kept(self._listing, self._origin, dict(self._digests))
        try:
            await asyncio.to_thread(write_document, self._path, kept)
        except OSError as error:  # a full disk must not stop a listing that is known
            self._log.warning("listing_unwritable", path=str(self._path), reason=str(error))


def _key(script_name: str, version: str, mark: str) -> str:
    return f"{script_name} {version} {mark}"
