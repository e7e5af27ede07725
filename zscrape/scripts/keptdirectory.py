"""A folder of scripts that may go away: an unmounted disk, a share that is down.

While the folder is there it answers by itself, and which digest each version had is noted. With
the whole folder gone, the noted versions that the cache still has are answered, also by a
process that has never seen it. A script that was removed from a folder that is there is gone.
"""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from zscrape.errors.scripts import RepositoryUnavailable
from zscrape.log import get_logger
from zscrape.scripts.cache import ScriptCache
from zscrape.scripts.digest import MANIFEST_FILE, ScriptFile, tree_digest
from zscrape.scripts.directory import DirectoryRepository
from zscrape.scripts.kept import Unreadable, read_document, write_document
from zscrape.scripts.version import newest_first


class _Kept(Struct):
    """What is on disk between two lives."""

    root: str  # a name of the settings may be given another folder
    scripts: dict[str, dict[str, str]] = {}  # script name -> version -> digest


class KeptDirectory:
    """A folder, and what is known of it while it is away. One event loop uses it.

    Args:
        root: The folder.
        name: What pins and people call this repository.
        folder: Where the digests are kept between two lives; several processes may share it.
        cache: Where the bytes of what was read still may be.
    """

    def __init__(self, root: Path, name: str, *, folder: Path, cache: ScriptCache) -> None:
        self._inner = DirectoryRepository(root, name)
        self._root = str(root.absolute())
        self._path = folder / "folder.json"
        self._cache = cache
        self._scripts: dict[str, dict[str, str]] | None = None
        self._is_gone = False
        self._writing = asyncio.Lock()
        self._log: Any = get_logger().bind(repository=name)

    @property
    def name(self) -> str:
        """What pins and people call this repository."""
        return self._inner.name

    @property
    def fault(self) -> str:
        """Why the folder cannot be read; empty: it can."""
        return self._inner.fault

    def revision(self, script_name: str, version: str | None) -> Hashable | None:
        """Return the folder's mark; while it is gone, one that holds until it is back."""
        mark = self._inner.revision(script_name, version)
        if (version is not None and mark is not None) or not self._look_gone():
            return mark
        kept = self._usable(script_name)
        if version is None:
            return None if kept else mark
        return ("kept", kept[version]) if version in kept else None

    async def names(self) -> tuple[str, ...]:
        """Return the names of all scripts, sorted; of a folder that is gone, the usable ones."""
        scripts = await self._known()
        if self._look_gone():
            found = sorted(each for each in scripts if self._usable(each))
            if found:
                return tuple(found)
        return await self._inner.names()

    async def versions(self, script_name: str) -> tuple[str, ...]:
        """Return the versions of a script, newest first; empty when it has no such script."""
        await self._known()
        if self._look_gone():
            kept = self._usable(script_name)
            if kept:
                return tuple(newest_first(kept))
        found = await self._inner.versions(script_name)
        await self._forget(script_name, found)
        return found

    async def channels(self, script_name: str) -> Mapping[str, str]:
        """Return no channels: a folder has no place to keep them."""
        return await self._inner.channels(script_name)

    def digests(self, script_name: str) -> Mapping[str, str]:
        """Return the digests of versions that have not changed since they were read."""
        kept = self._usable(script_name)
        if self._look_gone():
            return kept
        inner = self._inner
        return {each: kept[each] for each in kept if inner.revision(script_name, each) is not None}

    async def manifest(self, script_name: str, version: str) -> bytes:
        """Return `metadata.json` of a version that `versions` listed."""
        files = await self._kept_files(script_name, version)
        if files is None:
            return await self._inner.manifest(script_name, version)
        return next((each.content for each in files if each.path == MANIFEST_FILE), b"")

    async def fetch(self, script_name: str, version: str) -> tuple[ScriptFile, ...]:
        """Return all files of a version that `versions` listed."""
        kept = await self._kept_files(script_name, version)
        if kept is not None:
            return kept
        files = await self._inner.fetch(script_name, version)
        digest = await asyncio.to_thread(tree_digest, files)
        known = (await self._known()).setdefault(script_name, {})
        if known.get(version) != digest:
            known[version] = digest
            await self._write(script_name)
        return files

    async def refresh(self) -> bool:
        """Look whether the folder is there: what is in it is looked at with every request.

        Raises:
            RepositoryUnavailable: It is not.
        """
        if self._look_gone():
            raise self._unavailable()
        return await self._inner.refresh()

    async def close(self) -> None:
        """Do nothing: a folder keeps nothing open."""
        await self._inner.close()

    # ---- inside ----------------------------------------------------------------------

    def _look_gone(self) -> bool:
        """Return whether the folder is away now; say so when that has changed."""
        fault = self._inner.fault
        if fault and not self._is_gone:
            self._log.warning("repository_stale", reason=f"{self._root}: {fault}")
        elif self._is_gone and not fault:
            self._log.info("repository_back")
        self._is_gone = bool(fault)
        return self._is_gone

    def _unavailable(self) -> RepositoryUnavailable:
        reason = f"{self._root}: {self._inner.fault}"
        return RepositoryUnavailable(repository=self.name, reason=reason)

    def _usable(self, script_name: str) -> dict[str, str]:
        known = (self._scripts or {}).get(script_name, {})
        return {each: digest for each, digest in known.items() if self._cache.has(digest)}

    async def _kept_files(self, script_name: str, version: str) -> tuple[ScriptFile, ...] | None:
        """Return the files of a version while the folder is gone; None while it is there.

        Raises:
            RepositoryUnavailable: It is gone, and the cache does not have them.
        """
        await self._known()
        if not self._look_gone():
            return None
        digest = self._usable(script_name).get(version)
        files = None if digest is None else await self._cache.files(digest)
        if files is None:
            raise self._unavailable()
        return files

    async def _forget(self, script_name: str, listed: tuple[str, ...]) -> None:
        """Forget versions that the folder no longer has."""
        scripts = await self._known()
        known = scripts.get(script_name, {})
        kept = {each: known[each] for each in known if each in listed}
        if kept != known:
            scripts[script_name] = kept
            await self._write(script_name)

    async def _known(self) -> dict[str, dict[str, str]]:
        if self._scripts is None:
            found = await asyncio.to_thread(self._read)
            if self._scripts is None:  # another request may have been quicker
                self._scripts = found
        return self._scripts

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            kept = read_document(self._path, _Kept)
        except Unreadable as error:
            # It is noted anew with the next reads: a damaged note is no reason not to start.
            self._log.warning("listing_unreadable", path=str(self._path), reason=str(error))
            return {}
        return {} if kept is None or kept.root != self._root else kept.scripts

    async def _write(self, script_name: str) -> None:
        """Note one script; what another process has noted of others stays."""
        async with self._writing:
            noted = dict((self._scripts or {}).get(script_name, {}))
            try:
                await asyncio.to_thread(self._write_one, script_name, noted)
            except OSError as error:  # a full disk must not stop a script that was read
                self._log.warning("listing_unwritable", path=str(self._path), reason=str(error))

    def _write_one(self, script_name: str, noted: dict[str, str]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            scripts = self._read()
            if noted:
                scripts[script_name] = noted
            else:
                scripts.pop(script_name, None)
            write_document(self._path, _Kept(self._root, scripts))
