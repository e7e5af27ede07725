"""Scripts on this machine by digest: written once, read-only, verified before every run.

    <root>/sha256/<hex>/...   the files of one script, as they run
    <root>/used/<hex>         empty; its time says when the script was last asked for or run
    <root>/quarantine/...     what did not match its digest, kept for a look
    <root>/staging/...        half-written; cleared at start

An entry is verified by its digest when it enters and by (inode, size, mtime, ctime) of every
file and folder before each run; when any of these differs it is hashed again. An entry that
does not match is moved away, fetched once more and, if it still differs, never run.

Several processes may share one folder. Each marks what it uses at least once an hour (`store`,
`ensure`, and `evict` for what it is told to keep), and nobody removes what was marked in the
last two: no process needs to ask another what it still holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import os
import stat
import tempfile
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from zscrape.config import Settings, usable
from zscrape.errors.scripts import FilesInvalid, IntegrityFailure, VersionNotFound
from zscrape.model import Pin
from zscrape.scripts.bundle import pack, unpack
from zscrape.scripts.digest import ScriptFile, require_usable, tree_digest
from zscrape.scripts.fetchturns import FetchTurns
from zscrape.scripts.fingerprint import Fingerprint
from zscrape.scripts.flight import Flights
from zscrape.scripts.readonly import (
    make_writable,
    remove_tree,
    size_bytes,
    sync_folder,
    write_tree,
)
from zscrape.scripts.tree import Tree, read_tree
from zscrape.scripts.version import is_digest

Fetch: TypeAlias = Callable[[Pin], Awaitable[bytes | None]]

_TREES_MODE = 0o755  # the children that read them are other users
_FETCH_COUNT = 2  # a mismatch may be a damaged transfer: ask once more, then believe it
_QUARANTINE_COUNT = 8
_USED_EVERY_S = 3600.0
_HOUR_S = 3600.0
# What was used this lately, by whatever process, may run or be about to.
_RECENT_S = 2 * _USED_EVERY_S
_STAGING_AGE_S = 3600.0  # younger ones may be another process's work
# Up to this many `stat` calls are made in the caller's thread: about 1 microsecond each.
_INLINE_STAT_COUNT = 300


class Evicted(Struct, frozen=True):
    """One entry that was removed, or would be."""

    digest: str
    size_bytes: int


class ScriptCache:
    """The scripts kept under one folder. One thread uses it; several processes may share it."""

    def __init__(
        self, root: Path, max_age_h: float = 168, max_size_bytes: int = 2_000_000_000
    ) -> None:
        self._root = root.absolute()
        self._trees = str(self.trees)  # looked into with every request: making it costs more
        self._max_age_s = max_age_h * _HOUR_S
        self._max_size_bytes = max_size_bytes
        self._known: dict[str, Fingerprint] = {}
        self._folders: dict[str, Path] = {}  # of those known: making a path costs as much as a look
        self._used_at: dict[str, float] = {}
        self._flights: Flights[str, Path] = Flights()
        self._serials = itertools.count(1)
        self._turns = FetchTurns(self._root / "locks")
        for folder in (self.trees, self._marks, self._quarantine, self._staging):
            folder.mkdir(parents=True, exist_ok=True)
        if stat.S_IMODE(self.trees.stat().st_mode) != _TREES_MODE:  # whatever the umask
            self.trees.chmod(_TREES_MODE)
        self._clear_staging(time.time())

    @property
    def trees(self) -> Path:
        """The folder that has every entry's own folder in it."""
        return self._root / "sha256"

    # ---- what is here ----------------------------------------------------------------

    def has(self, digest: str) -> bool:
        """True iff an entry is there (it is verified when it is used, not now)."""
        return is_digest(digest) and os.path.lexists(f"{self._trees}/{digest[7:]}")

    def path(self, digest: str) -> Path:
        """Return the folder of a digest, whether it is there or not.

        Raises:
            ValueError: It is not a digest: nothing else may become a path.
        """
        if not is_digest(digest):
            raise ValueError(f"not a digest: {digest!r}")
        return self.trees / digest[7:]

    def digests(self) -> tuple[str, ...]:
        """Return the digests of all entries, verified or not."""
        found = (f"sha256:{each.name}" for each in self.trees.iterdir())
        return tuple(sorted(each for each in found if is_digest(each)))

    def warm(self) -> tuple[str, ...]:
        """Return the digests verified since this process started: they can start at once."""
        return tuple(self._known)

    # ---- in --------------------------------------------------------------------------

    async def store(self, files: Iterable[ScriptFile], name: str = "") -> str:
        """Keep the files of a script and return their digest (`name` is for errors).

        Raises:
            FilesInvalid: They are not a usable tree; nothing was kept.
            OSError: The disk will not take them; nothing was kept.
        """
        listed = tuple(files)
        digest = await asyncio.to_thread(self._store, listed, name)
        self._mark_used(digest)
        return digest

    def held(self, pin: Pin) -> Path | None:
        """Return the verified folder of an entry that has not changed; None: see `ensure`.

        It is the same object until the entry is verified anew.
        """
        digest = pin.digest
        fingerprint = self._known.get(digest)
        if (
            fingerprint is None
            or len(fingerprint.paths) > _INLINE_STAT_COUNT
            or not fingerprint.holds()
        ):
            return None
        self._mark_used(digest)
        return self._folders[digest]

    async def ensure(self, pin: Pin, fetch: Fetch) -> Path:
        """Return the verified folder of a pin, fetching it if it is not here.

        Callers of the same digest share one fetch; one that is cancelled does not cancel it
        for the others. `fetch` gives what `pack` made, or None when it does not have it.

        Raises:
            IntegrityFailure: What `fetch` gave, twice, is not what the pin says.
            VersionNotFound: `fetch` does not have it.
        """
        folder = self.held(pin)
        if folder is not None:
            return folder
        return await self._flights.join(pin.digest, lambda: self._ensure(pin, fetch))

    # ---- out -------------------------------------------------------------------------

    async def files(self, digest: str) -> tuple[ScriptFile, ...] | None:
        """Return the verified files of an entry; None when it is not here or is damaged."""
        if not self.has(digest):
            return None
        tree = await asyncio.to_thread(self._verified, digest)
        return None if tree is None else tree.files

    async def pack(self, digest: str) -> bytes | None:
        """Return an entry as one run of bytes for a worker; None when it is not here."""
        files = await self.files(digest)
        return None if files is None else await asyncio.to_thread(pack, files)

    # ---- cleaning --------------------------------------------------------------------

    async def evict(
        self,
        keep: Collection[str] = (),
        *,
        max_age_h: float | None = None,
        limit_count: int | None = None,
        is_dry_run: bool = False,
    ) -> tuple[Evicted, ...]:
        """Remove what was not used for too long, then the least used beyond the size limit.

        Args:
            keep: Digests that stay whatever their age, those that run or wait to run; they
                are marked as used, so that no other process removes them either.
            max_age_h: An age other than the cache's own.
            limit_count: No more than so many.
            is_dry_run: Only tell what would be removed.

        Returns:
            What was removed, the one used longest ago first.
        """
        max_age_s = self._max_age_s if max_age_h is None else max_age_h * _HOUR_S
        removed = await asyncio.to_thread(
            self._evict, frozenset(keep), time.time(), max_age_s, limit_count, is_dry_run
        )
        if not is_dry_run:
            for each in removed:
                self._known.pop(each.digest, None)
        return removed

    async def close(self) -> None:
        """End fetches under way."""
        await self._flights.close()

    # ---- inside ----------------------------------------------------------------------

    @property
    def _marks(self) -> Path:
        return self._root / "used"

    @property
    def _quarantine(self) -> Path:
        return self._root / "quarantine"

    @property
    def _staging(self) -> Path:
        return self._root / "staging"

    async def _ensure(self, pin: Pin, fetch: Fetch) -> Path:
        place = self.path(pin.digest)
        if await asyncio.to_thread(self._is_sound, pin.digest):
            self._mark_used(pin.digest)
            return place
        async with self._turns.of(pin.digest):
            return await self._fetch(pin, fetch)

    async def _fetch(self, pin: Pin, fetch: Fetch) -> Path:
        place = self.path(pin.digest)
        if await asyncio.to_thread(self._is_sound, pin.digest):  # another process was quicker
            self._mark_used(pin.digest)
            return place
        actual = ""
        for _ in range(_FETCH_COUNT):
            body = await fetch(pin)
            if body is None:
                raise VersionNotFound(
                    name=pin.name, requested=f"{pin.version} ({pin.digest})", available="-"
                )
            actual = await asyncio.to_thread(self._enter, pin, body)
            if actual == pin.digest:
                self._mark_used(pin.digest)
                return place
        raise IntegrityFailure(name=pin.name, expected=pin.digest, actual=actual)

    def _enter(self, pin: Pin, body: bytes) -> str:
        """Store what was fetched if it is what the pin says; return what it is."""
        try:
            files = unpack(body, pin.name)
        except FilesInvalid as error:
            return f"unusable files ({error.problems[0]['reason']})"
        actual = tree_digest(files)
        return self._store(files, pin.name) if actual == pin.digest else actual

    def _is_sound(self, digest: str) -> bool:
        """True iff the entry is here and is what it should be; damaged: moved away."""
        fingerprint = self._known.get(digest)
        if fingerprint is not None and fingerprint.holds():
            return True
        return self.has(digest) and self._verified(digest) is not None

    def _verified(self, digest: str) -> Tree | None:
        """Hash an entry again; one that does not match is moved to quarantine."""
        try:
            tree = read_tree(self.path(digest), digest)
        except FileNotFoundError:
            return None
        except (FilesInvalid, OSError):
            self._to_quarantine(digest)
            return None
        if tree_digest(tree.files) != digest:
            self._to_quarantine(digest)
            return None
        self._folders[digest] = self.trees / digest[7:]
        self._known[digest] = tree.fingerprint  # last: from now on `held` finds it
        return tree

    def _to_quarantine(self, digest: str) -> None:
        self._known.pop(digest, None)
        place = self._quarantine / f"{digest[7:]}-{time.time_ns():x}-{next(self._serials)}"
        with contextlib.suppress(FileNotFoundError):  # another process was quicker
            make_writable(self.path(digest))
            self.path(digest).rename(place)
        kept = sorted(self._quarantine.iterdir(), key=lambda each: each.name.partition("-")[2])
        for each in kept[:-_QUARANTINE_COUNT]:
            remove_tree(each)

    def _store(self, files: tuple[ScriptFile, ...], name: str) -> str:
        require_usable(name, files)
        digest = tree_digest(files)
        if self.has(digest) and self._is_sound(digest):
            return digest
        staged = Path(tempfile.mkdtemp(dir=self._staging))
        try:
            write_tree(staged, files)
            place = self.path(digest)
            _put(staged, place)
            sync_folder(self.trees)
        finally:
            remove_tree(staged)
        if not self._is_sound(digest):
            raise IntegrityFailure(name=name, expected=digest, actual="a damaged copy on disk")
        return digest

    def _mark_used(self, digest: str) -> None:
        """Note the use at most once an hour: eviction counts in days."""
        now = time.time()
        if now - self._used_at.get(digest, 0.0) >= _USED_EVERY_S:
            self._mark(digest, now)

    def _mark(self, digest: str, now: float) -> None:
        self._used_at[digest] = now
        with contextlib.suppress(OSError):  # a full disk must not stop a script that is here
            (self._marks / digest[7:]).touch()

    def _evict(
        self,
        keep: frozenset[str],
        now: float,
        max_age_s: float,
        limit_count: int | None,
        is_dry_run: bool,
    ) -> tuple[Evicted, ...]:
        for digest in filter(self.has, keep):
            self._mark(digest, now)
        entries = sorted((self._last_used_at(each), each) for each in self.digests())
        sizes = {digest: size_bytes(self.path(digest)) for _, digest in entries}
        total_bytes = sum(sizes.values())
        removed: list[Evicted] = []
        for used_at, digest in entries:
            if len(removed) == limit_count:
                break
            age_s = now - max(used_at, self._used_at.get(digest, 0.0))
            is_unwanted = age_s > max_age_s or total_bytes > self._max_size_bytes
            if digest in keep or age_s < _RECENT_S or not is_unwanted:
                continue
            if not is_dry_run:
                remove_tree(self.path(digest))
                (self._marks / digest[7:]).unlink(missing_ok=True)
            total_bytes -= sizes[digest]
            removed.append(Evicted(digest, sizes[digest]))
        return tuple(removed)

    def _clear_staging(self, now: float) -> None:
        for each in self._staging.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if now - each.stat().st_mtime > _STAGING_AGE_S:
                    remove_tree(each)

    def _last_used_at(self, digest: str) -> float:
        for place in (self._marks / digest[7:], self.path(digest)):
            with contextlib.suppress(OSError):
                return place.stat().st_mtime
        return 0.0


def open_cache(settings: Settings) -> ScriptCache:
    """Return the cache that the settings name.

    Raises:
        SettingError: Its folder cannot be used.
    """
    with usable(settings.cache_dir, "SCRIPT_CACHE_DIR"):
        return ScriptCache(
            settings.cache_dir,
            max_age_h=settings.cache_max_age_h,
            max_size_bytes=settings.cache_max_size_bytes,
        )


def _put(staged: Path, place: Path) -> None:
    """Make a written tree the entry, unless another process has been quicker."""
    try:
        staged.rename(place)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
    # Only now: a folder without the right to write cannot be moved.
    place.chmod(0o555)
