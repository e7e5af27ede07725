"""Scripts in a folder: `<root>/<name>/metadata.json`, or `<root>/<name>/<version>/metadata.json`.

An edit is live at the next request: what was read is compared with the files' times, and read
again only when something has changed. With a `metadata.json` of its own, a script's folder is
one version and everything in it is its files.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from zscrape.errors.scripts import FilesInvalid, ManifestInvalid, RepositoryUnavailable
from zscrape.scripts.digest import MANIFEST_FILE, ScriptFile
from zscrape.scripts.fingerprint import Fingerprint
from zscrape.scripts.manifest import MANIFEST_SIZE_LIMIT_BYTES, is_script_name, parse_manifest
from zscrape.scripts.problems import pointer_to, problem
from zscrape.scripts.tree import read_tree
from zscrape.scripts.version import newest_first, parse_version

T = TypeVar("T")


class _Listing(Struct, frozen=True):
    """Which versions a script has and in which folder each is."""

    serial: int
    fingerprint: Fingerprint
    folders: dict[str, Path]


class _Version(Struct, frozen=True):
    serial: int
    fingerprint: Fingerprint
    listing: int = 0  # the serial of one that needs no look of its own: the files' says it all


class DirectoryRepository:
    """Scripts below one folder of this machine."""

    def __init__(self, root: Path, name: str = "dir") -> None:
        self._root = root.absolute()
        self._name = name
        self._serials = itertools.count(1)
        self._listings: dict[str, _Listing] = {}
        self._versions: dict[tuple[str, str], _Version] = {}

    @property
    def name(self) -> str:
        """What pins and people call this repository."""
        return self._name

    @property
    def fault(self) -> str:
        """Why the folder cannot be read; empty: it can."""
        return "" if os.access(self._root, os.R_OK | os.X_OK) else "the folder cannot be read"

    def revision(self, script_name: str, version: str | None) -> Hashable | None:
        """Return a mark of what was last read, None when it may have changed."""
        if version is None:
            is_there = os.path.lexists(self._folder(script_name))
            return None if is_there else "absent"
        listing = self._listings.get(script_name)
        known = self._versions.get((script_name, version))
        if listing is None or known is None:
            return None
        is_listed = known.listing == listing.serial or listing.fingerprint.holds()
        return (listing.serial, known.serial) if is_listed and known.fingerprint.holds() else None

    async def names(self) -> tuple[str, ...]:
        """Return the names of all scripts, sorted."""
        return await self._apart(self._read_names)

    async def versions(self, script_name: str) -> tuple[str, ...]:
        """Return the versions of a script, newest first; empty when it has no such script."""
        if not is_script_name(script_name):
            return ()
        listing = await self._apart(lambda: self._list(script_name))
        if listing is None:
            self._listings.pop(script_name, None)
            return ()
        self._listings[script_name] = listing
        return tuple(newest_first(listing.folders))

    async def channels(self, script_name: str) -> Mapping[str, str]:
        """Return no channels: a folder has no place to keep them."""
        return {}

    def digests(self, script_name: str) -> Mapping[str, str]:
        """Return none: whoever may edit a folder has edited it when it is read."""
        return {}

    async def manifest(self, script_name: str, version: str) -> bytes:
        """Return `metadata.json` of a version that `versions` listed."""
        folder = self._version_folder(script_name, version)
        return await self._apart(lambda: _read_manifest(folder, script_name))

    async def fetch(self, script_name: str, version: str) -> tuple[ScriptFile, ...]:
        """Return all files of a version that `versions` listed."""
        folder = self._version_folder(script_name, version)
        tree = await self._apart(lambda: read_tree(folder, script_name))
        self._require_same(script_name, version, folder, tree.files)
        listing = self._listings.get(script_name)
        is_covered = listing is not None and tree.fingerprint.covers(listing.fingerprint)
        self._versions[script_name, version] = _Version(
            next(self._serials),
            tree.fingerprint,
            listing.serial if listing is not None and is_covered else 0,
        )
        return tree.files

    async def refresh(self) -> bool:
        """Do nothing: a folder is looked at with every request."""
        return False

    async def close(self) -> None:
        """Do nothing: a folder keeps nothing open."""

    async def _apart(self, work: Callable[[], T]) -> T:
        """Do `work` in a thread: a disk may be slow."""
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            raise RepositoryUnavailable(
                repository=self._name, reason=f"{self._root}: {error.strerror or error}"
            ) from error

    def _folder(self, script_name: str) -> str:
        return f"{self._root}/{script_name}"

    def _version_folder(self, script_name: str, version: str) -> Path:
        listing = self._listings.get(script_name)
        folder = None if listing is None else listing.folders.get(version)
        if folder is None:  # somebody removed it since the versions were listed
            reason = f"{script_name} {version} changed while it was read; ask again"
            raise RepositoryUnavailable(repository=self._name, reason=reason)
        return folder

    def _require_same(
        self, script_name: str, version: str, folder: Path, files: tuple[ScriptFile, ...]
    ) -> None:
        """Hold the manifest to the version that it was listed under."""
        raw = next((each.content for each in files if each.path == MANIFEST_FILE), b"")
        told = parse_manifest(raw, script_name).version
        if told == version:
            return
        if folder.name != script_name:
            fault = problem("/version", "version_differs", actual=told, expected=folder.name)
            raise ManifestInvalid(name=script_name, problems=[fault])
        raise RepositoryUnavailable(
            repository=self._name, reason=f"{folder} was changed while it was read"
        )

    def _read_names(self) -> tuple[str, ...]:
        with os.scandir(self._root) as entries:
            names = [each.name for each in entries if each.is_dir(follow_symlinks=False)]
        return tuple(
            sorted(each for each in names if is_script_name(each) and self._is_script(each))
        )

    def _is_script(self, script_name: str) -> bool:
        folder = self._root / script_name
        return (folder / MANIFEST_FILE).exists() or any(_version_folders(folder))

    def _list(self, script_name: str) -> _Listing | None:
        folder = self._root / script_name
        if folder.is_symlink():
            raise FilesInvalid(name=script_name, problems=[problem("/files", "link")])
        if not folder.is_dir():
            self._root.stat()  # an unmounted disk is not a script that was removed
            return None
        manifest_path = folder / MANIFEST_FILE
        if os.path.lexists(manifest_path):
            fingerprint = Fingerprint.take([str(folder), str(manifest_path)])
            manifest = parse_manifest(_read_manifest(folder, script_name), script_name)
            return _Listing(next(self._serials), fingerprint, {manifest.version: folder})
        return self._list_versions(script_name, folder)

    def _list_versions(self, script_name: str, folder: Path) -> _Listing | None:
        found = _version_folders(folder)
        fingerprint = Fingerprint.take([str(folder), *(str(each) for each in found)])
        usable = {each.name: each for each in found if parse_version(each.name) is not None}
        if usable:
            return _Listing(next(self._serials), fingerprint, usable)
        if not found:
            return None
        problems = [problem(pointer_to("files", each.name), "version_folder") for each in found]
        raise FilesInvalid(name=script_name, problems=problems)


def _version_folders(folder: Path) -> list[Path]:
    """Return the sub-folders that have a `metadata.json`."""
    with os.scandir(folder) as entries:
        inner = [
            Path(each.path)
            for each in entries
            if each.is_dir(follow_symlinks=False) and not each.name.startswith(".")
        ]
    return sorted(each for each in inner if os.path.lexists(each / MANIFEST_FILE))


def _read_manifest(folder: Path, script_name: str) -> bytes:
    path = folder / MANIFEST_FILE
    if path.is_symlink() or not path.is_file():
        code = "link" if path.is_symlink() else "special"
        fault = problem(pointer_to("files", MANIFEST_FILE), code)
        raise FilesInvalid(name=script_name, problems=[fault])
    with path.open("rb") as file:
        return file.read(MANIFEST_SIZE_LIMIT_BYTES + 1)
