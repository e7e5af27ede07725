"""Put a version of a script where gateways find it: a folder, Git, S3, or an archive.

A version that is there is never replaced, and one that is half written is never seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol

from zscrape.config import RepositorySettings
from zscrape.errors.scripts import PublishFailed, VersionExists
from zscrape.scripts.digest import MANIFEST_FILE, ScriptFile
from zscrape.scripts.reading import decode_json
from zscrape.scripts.repository import open_source
from zscrape.scripts.source import Source
from zscrape.scripts.writing import place_file, place_tree, replace_file

# Types whose module has `async def publish(source, files, name, version, **told) -> str`, and
# which of the manifest's fields it is told besides.
_SOURCE_MODULES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "git": ("zscrape.scripts.git", ("author",)),
    "s3": ("zscrape.scripts.s3", ()),
}
ARCHIVE_SUFFIXES: Final = (".tar.gz", ".tgz")


class Publisher(Protocol):
    """One place that versions are published to."""

    @property
    def name(self) -> str:
        """What people call the place."""
        ...

    async def require_new(self, script_name: str, version: str) -> None:
        """Refuse a version that this place cannot take; nothing is changed.

        Raises:
            VersionExists: It is there already.
            PublishFailed: The place has no room for it beside what it holds.
            RepositoryUnavailable: It cannot be reached or read.
        """
        ...

    async def publish(self, files: Sequence[ScriptFile], script_name: str, version: str) -> str:
        """Put the files there and return where, for people.

        Raises:
            VersionExists: It is there already.
            PublishFailed: It could not be written; nothing was left.
            RepositoryUnavailable: It cannot be reached, or does not take it.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


def open_publisher(settings: RepositorySettings, *, origin: Path, scratch: Path) -> Publisher:
    """Open the repository of the settings for publishing.

    Args:
        settings: Its type and address.
        origin: The folder that the script comes from.
        scratch: An empty folder, for what a repository behind a network must keep meanwhile.

    Raises:
        ConfigError: It cannot be opened.
    """
    if settings.type == "dir":
        return FolderPublisher(Path(settings.url), settings.name, origin=origin)
    if settings.type == "http":
        return _WebServer(settings)
    return _SourcePublisher(settings, open_source(settings, scratch))


class FolderPublisher:
    """Publishes to `<root>/<name>/<version>/`.

    Where `<root>/<name>/` has a manifest of its own it is the script's only version, and
    nothing can be put beside it. The one exception is that very folder: it is live already,
    and only its manifest gets the checksums and the signature.
    """

    def __init__(self, root: Path, name: str, *, origin: Path) -> None:
        self._root = root.absolute()
        self._name = name
        self._origin = origin.resolve()

    @property
    def name(self) -> str:
        """What people call the place."""
        return self._name

    async def require_new(self, script_name: str, version: str) -> None:
        """Refuse a version that is there, and a script that has a single folder."""
        folder = self._root / script_name
        if self._is_origin(folder):
            return
        if (folder / MANIFEST_FILE).exists() or folder.is_symlink():
            raise self._failed(script_name, version, "layout", str(folder))
        if (folder / version).exists():
            raise VersionExists(name=script_name, version=version, repository=self._name)

    async def publish(self, files: Sequence[ScriptFile], script_name: str, version: str) -> str:
        """Write the version's folder, or the manifest of the folder that it comes from."""
        await self.require_new(script_name, version)
        folder = self._root / script_name
        try:
            if self._is_origin(folder):
                await asyncio.to_thread(_write_manifest, folder, files)
                return str(folder)
            await asyncio.to_thread(place_tree, files, folder / version)
        except FileExistsError as error:  # another publisher was quicker
            raise VersionExists(name=script_name, version=version, repository=self._name) from error
        except OSError as error:
            reason = f"{folder}: {error.strerror or error}"
            raise self._failed(script_name, version, "", reason) from error
        return str(folder / version)

    async def close(self) -> None:
        """Do nothing: a folder keeps nothing open."""

    def _is_origin(self, folder: Path) -> bool:
        return (folder / MANIFEST_FILE).exists() and folder.resolve() == self._origin

    def _failed(self, script_name: str, version: str, fault: str, reason: str) -> PublishFailed:
        return PublishFailed(
            name=script_name, version=version, repository=self._name, fault=fault, reason=reason
        )


class ArchivePublisher:
    """Publishes to a `.tar.gz`, which a web server can serve as `{base}/{name}/{version}`."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()

    @property
    def name(self) -> str:
        """What people call the place."""
        return str(self._path)

    async def require_new(self, script_name: str, version: str) -> None:
        """Refuse to write over a file."""
        if self._path.exists():
            raise VersionExists(name=script_name, version=version, repository=self.name)

    async def publish(self, files: Sequence[ScriptFile], script_name: str, version: str) -> str:
        """Write the archive; its files are below one folder `<name>-<version>`."""
        from zscrape.scripts.archive import write_tar_gz

        try:
            packed = await asyncio.to_thread(write_tar_gz, files, f"{script_name}-{version}")
            await asyncio.to_thread(place_file, self._path, packed)
        except FileExistsError as error:
            raise VersionExists(name=script_name, version=version, repository=self.name) from error
        except OSError as error:
            raise PublishFailed(
                name=script_name,
                version=version,
                repository=self.name,
                reason=error.strerror or str(error),
            ) from error
        return str(self._path)

    async def close(self) -> None:
        """Do nothing: a file keeps nothing open."""


class _SourcePublisher:
    """Publishes to a repository behind a network, by the `publish` of its type's module."""

    def __init__(self, settings: RepositorySettings, source: Source) -> None:
        self._settings = settings
        self._source = source

    @property
    def name(self) -> str:
        return self._settings.name

    async def require_new(self, script_name: str, version: str) -> None:
        listing = await self._source.scan(None)
        if version in listing.scripts.get(script_name, {}):
            raise VersionExists(name=script_name, version=version, repository=self.name)

    async def publish(self, files: Sequence[ScriptFile], script_name: str, version: str) -> str:
        # Loaded only now: boto3 is large.
        name, fields = _SOURCE_MODULES[self._settings.type]
        manifest = decode_json(_manifest_of(files))
        told = {field: manifest[field] for field in fields if field in manifest}
        publish = import_module(name).publish
        return str(await publish(self._source, files, script_name, version, **told))

    async def close(self) -> None:
        await self._source.close()


class _WebServer:
    """An HTTP repository: it is only read, and says what to do instead."""

    def __init__(self, settings: RepositorySettings) -> None:
        self._settings = settings

    @property
    def name(self) -> str:
        return self._settings.name

    async def require_new(self, script_name: str, version: str) -> None:
        raise PublishFailed(
            name=script_name,
            version=version,
            repository=self.name,
            fault="http",
            reason=f"{self._settings.url.rstrip('/')}/{script_name}/{version}",
        )

    async def publish(self, files: Sequence[ScriptFile], script_name: str, version: str) -> str:
        await self.require_new(script_name, version)
        return ""

    async def close(self) -> None:
        """Do nothing: nothing was opened."""


def _write_manifest(folder: Path, files: Sequence[ScriptFile]) -> None:
    content = _manifest_of(files)
    place = folder / MANIFEST_FILE
    if place.read_bytes() != content:
        replace_file(place, content)


def _manifest_of(files: Sequence[ScriptFile]) -> bytes:
    return next(each.content for each in files if each.path == MANIFEST_FILE)
