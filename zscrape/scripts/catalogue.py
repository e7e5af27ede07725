"""Names and versions known, and the only place that turns a request into a pin.

A script that has not changed is answered from memory: one look at its repository's revision,
no reading, no hashing, no thread. A new one is read, checked, and its bytes put into the cache
by digest, so that its pin can be served afterwards whatever happens to the repository.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Hashable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from zscrape.errors.requests import NotFound
from zscrape.errors.scripts import (
    ManifestInvalid,
    RepositoryUnavailable,
    ScriptNotFound,
    VersionNotFound,
)
from zscrape.scripts.cache import ScriptCache
from zscrape.scripts.channels import Change, Channels
from zscrape.scripts.digest import ScriptFile, tree_digest
from zscrape.scripts.flight import Flights
from zscrape.scripts.manifest import STANDARD, ManifestDefaults, is_script_name, parse_manifest
from zscrape.scripts.problems import Problem, shortened
from zscrape.scripts.repository import Repository
from zscrape.scripts.script import Script, build_script
from zscrape.scripts.trust import NOBODY, Trust
from zscrape.scripts.version import VersionRequest, newest_first
from zscrape.spelling import nearest

__all__ = ["Catalogue", "Refreshed", "Script", "ScriptSummary"]

_WARM_COUNT = 4096  # requests remembered; version texts come from callers and have no end
_BUILT_COUNT = 1024  # scripts remembered by digest
_TOLD_VERSION_COUNT = 5
# A digest that nobody has costs a look at every version: not again for the next of its kind.
_ABSENT_S = 5.0
_ABSENT_COUNT = 1024
_CACHE_NAME: Final = "cache"  # the repository of a pin whose bytes only the cache still has


class ScriptSummary(Struct, frozen=True):
    """One script as a list shows it, by its newest version."""

    name: str
    version: str  # empty: none can be used, `problems` says why
    description: str = ""
    author: str = ""
    tags: tuple[str, ...] = ()
    repository: str = ""
    version_count: int = 0
    problems: tuple[Problem, ...] = ()


class Refreshed(Struct, frozen=True):
    """What a look at one repository has found."""

    name: str
    is_changed: bool = False
    fault: str = ""  # why it cannot be read; empty: it can


class _Warm(Struct, frozen=True):
    """An answer and what must still hold for it to be given again."""

    script: Script
    kept: str  # where its bytes are
    repository: Repository
    revision: Hashable
    before: tuple[tuple[Repository, Hashable], ...]  # asked earlier, and had no such script


class _Place(Struct, frozen=True):
    """Where a name was found."""

    name: str
    repository: Repository
    versions: tuple[str, ...]
    before: tuple[Repository, ...]


class Catalogue:
    """The scripts of several repositories; a name belongs to the first that has it."""

    def __init__(
        self,
        repositories: Sequence[Repository],
        cache: ScriptCache,
        defaults: ManifestDefaults = STANDARD,
        channels: Channels | None = None,
        trust: Trust = NOBODY,
    ) -> None:
        self._repositories = tuple(repositories)
        self._cache = cache
        self._defaults = defaults
        self._channels = channels
        self._trust = trust
        self._warm: dict[tuple[str, str | None], _Warm] = {}
        self._built: dict[tuple[str, str, str, str], Script] = {}
        self._absent: dict[tuple[str, str], float] = {}  # digests nobody has: until when
        self._flights: Flights[tuple[str, str | None], Script] = Flights()

    def at_hand(self, name: str, version: str | None = None) -> Script | None:
        """Return what `resolve` would, where one look says that it is what it was; else None."""
        warm = self._warm.get((name, version))
        if warm is None:
            return None
        pin = warm.script.pin
        for repository, mark in warm.before:
            if repository.revision(pin.name, None) != mark:
                return None
        is_same = warm.repository.revision(pin.name, pin.version) == warm.revision
        return warm.script if is_same and os.access(warm.kept, os.F_OK) else None

    async def resolve(self, name: str, version: str | None = None) -> Script:
        """Return the script that a request means; its bytes are in the cache when this returns.

        Args:
            name: The script's name.
            version: Absent or `latest`, an exact version, a range, a channel, or a digest.

        Raises:
            VersionInvalid: `version` is none of these.
            ScriptNotFound: No repository has the name.
            VersionNotFound: No version of it fits.
            ManifestInvalid: Its manifest (`FilesInvalid`: its files) cannot be used.
            EntryPointInvalid: Its entry point's file or function is missing.
            IntegrityFailure: Its files do not match its manifest's checksums.
            SignatureInvalid: Its signature is a lie, or lacks where one is required.
            RepositoryUnavailable: A repository cannot be read, and nothing usable is cached.
        """
        script = self.at_hand(name, version)
        if script is not None:
            return script
        warm = self._warm.get((name, version))
        try:
            return await self._flights.join((name, version), lambda: self._resolve(name, version))
        except RepositoryUnavailable:
            # With the repository down, what was answered before and is still here keeps running.
            if warm is not None and self._cache.has(warm.script.pin.digest):
                return warm.script
            raise

    async def files(self, digest: str) -> tuple[ScriptFile, ...] | None:
        """Return the files of an exact version; None when they are not here any more."""
        return await self._cache.files(digest)

    async def scripts(self) -> list[ScriptSummary]:
        """Return all scripts, by name; one that cannot be used is listed with its problems.

        A repository that cannot be read hides no other: `faults` tells of it.

        Raises:
            RepositoryUnavailable: None of them can be read.
        """
        found: dict[str, ScriptSummary] = {}
        unread: list[RepositoryUnavailable] = []
        for repository in self._repositories:
            try:
                names = await repository.names()
            except RepositoryUnavailable as error:
                unread.append(error)
                continue
            for name in names:
                if name not in found:
                    found[name] = await self._summary(repository, name)
        if unread and len(unread) == len(self._repositories):
            raise unread[0]
        return [found[name] for name in sorted(found)]

    async def versions(self, name: str) -> list[str]:
        """Return the versions of a script, newest first.

        Raises:
            ScriptNotFound: No repository has the name.
        """
        return list((await self._find(name)).versions)

    async def known_digests(self, name: str) -> dict[str, str | None]:
        """Return each version of a script, newest first, with its digest if that is known.

        Nothing is fetched for it: None until somebody has asked for that version.

        Raises:
            ScriptNotFound: No repository has the name.
        """
        place = await self._find(name)
        known = place.repository.digests(name)
        return {each: known.get(each) for each in place.versions}

    async def channels(self, name: str) -> Mapping[str, str]:
        """Return which version each channel of a script stands for; ours go before a repository's.

        Raises:
            ScriptNotFound: No repository has the name.
        """
        return await self._channels_of(await self._find(name))

    async def promote(self, name: str, channel: str, version: str | None) -> Change:
        """Let a channel stand for the version that a request means now.

        Raises:
            The errors of `resolve`.
            OSError: It cannot be kept; nothing has changed.
        """
        script = await self.resolve(name, version)
        return self._changed(await self._own_channels().promote(name, channel, script.pin.version))

    async def roll_back(self, name: str, channel: str) -> Change:
        """Let a channel stand for the version that it stood for before.

        Raises:
            NotFound: There is no such channel, or nothing before.
            OSError: It cannot be kept; nothing has changed.
        """
        return self._changed(await self._own_channels().roll_back(name, channel))

    async def remove_channel(self, name: str, channel: str) -> Change:
        """Forget a channel.

        Raises:
            NotFound: There is no such channel.
            OSError: It cannot be kept; nothing has changed.
        """
        return self._changed(await self._own_channels().remove(name, channel))

    async def refresh(self) -> list[Refreshed]:
        """Look at every repository now; one that cannot be read is told and stops no other."""
        self._absent.clear()
        return list(await asyncio.gather(*(_refreshed(each) for each in self._repositories)))

    def faults(self) -> dict[str, str]:
        """Return why each repository cannot be read; those that can are not listed."""
        return {each.name: each.fault for each in self._repositories if each.fault}

    @property
    def repository_names(self) -> tuple[str, ...]:
        """The names of all repositories, in the order in which they are asked."""
        return tuple(each.name for each in self._repositories)

    @property
    def repository_count(self) -> int:
        """How many repositories there are."""
        return len(self._repositories)

    async def close(self) -> None:
        """End work under way and let go of the repositories."""
        await self._flights.close()
        for repository in self._repositories:
            await repository.close()

    def digests(self) -> frozenset[str]:
        """Return the digests that requests were answered with: `ScriptCache.evict` keeps them."""
        return frozenset(each.script.pin.digest for each in self._warm.values())

    # ---- inside ----------------------------------------------------------------------

    def _own_channels(self) -> Channels:
        if self._channels is None:
            raise NotFound(kind="channel", name="-")
        return self._channels

    def _changed(self, change: Change) -> Change:
        """Forget what was answered for the script: a channel may have been asked for."""
        self._warm = {key: self._warm[key] for key in self._warm if key[0] != change.script_name}
        return change

    async def _channels_of(self, place: _Place) -> Mapping[str, str]:
        own = {} if self._channels is None else self._channels.of(place.name)
        return {**await place.repository.channels(place.name), **own}

    async def _resolve(self, name: str, version: str | None) -> Script:
        request = VersionRequest.parse(version)
        if request.kind == "digest":
            return await self._by_digest(name, request.text)
        place = await self._find(name)
        channels = await self._channels_of(place) if request.kind == "channel" else None
        chosen = request.choose(place.versions, channels)
        if chosen is None:
            raise _no_version(name, request.text, place.versions)
        script = await self._load(place.repository, name, chosen)
        self._remember((name, version), place, script)
        return script

    async def _find(self, name: str) -> _Place:
        before: list[Repository] = []
        for repository in self._repositories:
            versions = await repository.versions(name) if is_script_name(name) else ()
            if versions:
                return _Place(name, repository, versions, tuple(before))
            before.append(repository)
        names = [known for each in self._repositories for known in await each.names()]
        raise ScriptNotFound(name=shortened(name), nearest=nearest(name, names))

    async def _load(self, repository: Repository, name: str, version: str) -> Script:
        """Read a version; its bytes go into the cache before anybody is given its pin."""
        files = await repository.fetch(name, version)
        digest = await asyncio.to_thread(tree_digest, files)
        key = (repository.name, name, version, digest)
        script = self._built.get(key)
        if script is None:
            script = await asyncio.to_thread(
                build_script, repository.name, name, version, files, self._defaults, self._trust
            )
            if len(self._built) >= _BUILT_COUNT:
                del self._built[next(iter(self._built))]
            self._built[key] = script
        await self._cache.store(files, name)
        return script

    def _remember(self, key: tuple[str, str | None], place: _Place, script: Script) -> None:
        name, version = script.pin.name, script.pin.version
        revision = place.repository.revision(name, version)
        before = tuple((each, each.revision(name, None)) for each in place.before)
        if revision is None or any(mark is None for _, mark in before):
            return  # changed a moment ago, or meanwhile: the next request looks again
        if len(self._warm) >= _WARM_COUNT:
            self._warm.clear()
        kept = str(self._cache.path(script.pin.digest))
        self._warm[key] = _Warm(script, kept, place.repository, revision, before)

    async def _by_digest(self, name: str, digest: str) -> Script:
        """Find bytes by digest: among what was built, in the cache, then in the repositories."""
        for (_, known, _, built), script in self._built.items():
            if (known, built) == (name, digest) and self._cache.has(digest):
                return script
        files = await self._cache.files(digest)
        if files is not None:
            cached = await asyncio.to_thread(self._from_cache, name, files)
            if cached is not None:
                return cached
        place = await self._find(name)
        now = time.monotonic()
        if now < self._absent.get((name, digest), 0.0):
            raise _no_version(name, digest, place.versions)
        for version in place.versions:
            if await _digest_of(place.repository, name, version) == digest:
                return await self._load(place.repository, name, version)
        if len(self._absent) >= _ABSENT_COUNT:
            self._absent.clear()
        self._absent[name, digest] = now + _ABSENT_S
        raise _no_version(name, digest, place.versions)

    def _from_cache(self, name: str, files: tuple[ScriptFile, ...]) -> Script | None:
        """Build what the cache still has; None when it is another script's."""
        try:
            return build_script(_CACHE_NAME, name, None, files, self._defaults, self._trust)
        except ManifestInvalid:
            return None

    async def _summary(self, repository: Repository, name: str) -> ScriptSummary:
        try:
            versions = await repository.versions(name)
            shown = VersionRequest.parse(None).choose(versions) or next(iter(versions), "")
            raw = await repository.manifest(name, shown)
            manifest = parse_manifest(raw, name, self._defaults)
        except ManifestInvalid as error:
            return ScriptSummary(
                name, "", repository=repository.name, problems=tuple(error.problems)
            )
        except RepositoryUnavailable as error:  # one script must not hide the others
            unreadable: Problem = {"pointer": "", "reason": error.reason}
            return ScriptSummary(name, "", repository=repository.name, problems=(unreadable,))
        return ScriptSummary(
            name=name,
            version=shown,
            description=manifest.description,
            author=manifest.author,
            tags=manifest.tags,
            repository=repository.name,
            version_count=len(versions),
            problems=manifest.warnings,
        )


async def _digest_of(repository: Repository, name: str, version: str) -> str:
    """Return the digest of a version; empty when its files cannot be used."""
    try:
        files = await repository.fetch(name, version)
    except ManifestInvalid:
        return ""
    return await asyncio.to_thread(tree_digest, files)


async def _refreshed(repository: Repository) -> Refreshed:
    try:
        return Refreshed(repository.name, await repository.refresh())
    except RepositoryUnavailable as error:
        return Refreshed(repository.name, fault=error.reason)


def _no_version(name: str, requested: str, versions: Sequence[str]) -> VersionNotFound:
    ordered = newest_first(versions)
    told = ", ".join(ordered[:_TOLD_VERSION_COUNT])
    more = ", …" if len(ordered) > _TOLD_VERSION_COUNT else ""
    return VersionNotFound(name=name, requested=requested, available=told + more)
