"""Sign a script's folder, and publish one: checked, summed, signed, and never over another."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from zscrape.config import RepositorySettings, Settings
from zscrape.errors import ConfigError
from zscrape.errors.scripts import ManifestInvalid
from zscrape.ops.checking import unpublishable
from zscrape.ops.local import locate
from zscrape.scripts.digest import MANIFEST_FILE, ScriptFile
from zscrape.scripts.manifest import parse_manifest
from zscrape.scripts.publish import (
    ARCHIVE_SUFFIXES,
    ArchivePublisher,
    Publisher,
    open_publisher,
)
from zscrape.scripts.script import Script, build_script
from zscrape.scripts.signing import SigningKey, add_checksums, sign
from zscrape.scripts.tree import read_tree
from zscrape.scripts.trust import Trust
from zscrape.scripts.writing import replace_file

# What has been done so far, and of what: for people who wait.
OnStep: TypeAlias = Callable[[str, Script], None]


class Signed(Struct, frozen=True):
    """A folder that has been signed."""

    path: str
    name: str
    version: str
    digest: str
    key_id: str
    file_count: int


class Published(Struct, frozen=True):
    """A version that has been published, or would be."""

    name: str
    version: str
    digest: str
    repository: str
    place: str  # empty: nothing was written
    key_id: str
    file_count: int
    size_bytes: int
    is_dry_run: bool


class _Folder(Struct, frozen=True):
    path: Path
    name: str
    files: tuple[ScriptFile, ...]


def sign_folder(path: Path, key: SigningKey) -> Signed:
    """Sign the script in a folder: its manifest gets `checksums` and `signature`.

    Raises:
        ScriptError: It cannot be used; nothing was written.
        ConfigError: The manifest cannot be written.
    """
    folder = _read(path)
    files = sign(folder.files, key)
    script = _build(folder.name, files, key)
    manifest = next(each for each in files if each.path == MANIFEST_FILE)
    place = folder.path / MANIFEST_FILE
    try:
        replace_file(place, manifest.content)
    except OSError as error:
        raise ConfigError(source=str(place), reason=error.strerror or str(error)) from error
    pin = script.pin
    return Signed(str(folder.path), pin.name, pin.version, pin.digest, key.id, len(files))


async def publish_script(
    path: Path,
    settings: Settings,
    *,
    to: str | None = None,
    key: SigningKey | None = None,
    is_dry_run: bool = False,
    on_step: OnStep = lambda step, script: None,
) -> Published:
    """Publish the script in a folder, which itself is not changed.

    Without a key a signature that is there stays as it is.

    Args:
        path: The folder, or a file in it.
        settings: Their repositories can be named.
        to: Name of a repository, a folder of scripts, or a `.tar.gz`; None: the first repository.
        key: Signs it.
        is_dry_run: Check everything, write nothing.
        on_step: Told `checked` when it is about to be written.

    Raises:
        ScriptError: It cannot be used, lacks what publishing needs, or is there already.
        ConfigError: There is no such repository.
    """
    folder = _read(path)
    files = _prepared(folder, key)
    script = _build(folder.name, files, key)
    problems = [*script.warnings, *unpublishable(script)]
    if problems:
        raise ManifestInvalid(name=folder.name, problems=problems)
    name, version = script.pin.name, script.pin.version
    with tempfile.TemporaryDirectory(prefix="zscrape-publish-") as scratch:
        publisher = _publisher(settings, to, folder.path, Path(scratch))
        try:
            await publisher.require_new(name, version)
            on_step("checked", script)
            place = "" if is_dry_run else await publisher.publish(files, name, version)
        finally:
            await publisher.close()
    return Published(
        name=name,
        version=version,
        digest=script.pin.digest,
        repository=publisher.name,
        place=place,
        key_id=script.verification.key_id,
        file_count=len(files),
        size_bytes=sum(len(each.content) for each in files),
        is_dry_run=is_dry_run,
    )


def _read(path: Path) -> _Folder:
    with tempfile.TemporaryDirectory(prefix="zscrape-publish-") as scratch:
        root, name, version = locate(path, Path(scratch))
        place = root / name if version is None else root / name / version
        files = read_tree(place, name).files
    return _Folder(place, name, files)


def _prepared(folder: _Folder, key: SigningKey | None) -> Sequence[ScriptFile]:
    raw = next(each.content for each in folder.files if each.path == MANIFEST_FILE)
    manifest = parse_manifest(raw, folder.name)
    if key is not None:
        return sign(folder.files, key)
    return folder.files if manifest.signature else add_checksums(folder.files)


def _build(name: str, files: Sequence[ScriptFile], key: SigningKey | None) -> Script:
    """Check the files as a gateway would that trusts the key, if there is one."""
    trust = Trust() if key is None else Trust({key.id: key.public}, is_required=True)
    return build_script("-", name, None, files, trust=trust)


def _publisher(settings: Settings, to: str | None, origin: Path, scratch: Path) -> Publisher:
    """Open what `--to` means.

    Raises:
        ConfigError: It is neither a repository of the settings, a folder, nor an archive.
    """
    if to is not None and to.endswith(ARCHIVE_SUFFIXES):
        return ArchivePublisher(Path(to).expanduser())
    return open_publisher(_repository(settings, to), origin=origin, scratch=scratch)


def _repository(settings: Settings, to: str | None) -> RepositorySettings:
    if to is None:
        return settings.repositories[0]
    for each in settings.repositories:
        if each.name == to:
            return each
    path = Path(to).expanduser()
    if path.is_dir():
        return RepositorySettings(type="dir", url=str(path.absolute()), name=str(path))
    names = ", ".join(each.name for each in settings.repositories)
    reason = f"{to} is no repository ({names}), no folder, and does not end in .tar.gz"
    raise ConfigError(source="--to", reason=reason)
