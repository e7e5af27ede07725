"""Scripts on a web server: an index, versions, and one file or archive for each version.

    {base}/api/scripts                     {"scripts": ["watch", {"name": ..., "versions": [...]}]}
    {base}/api/scripts/{name}/versions     {"versions": ["1.0.0", ...]}
    {base}/{name}/{version}                a .py file, a .tar.gz, .tar or .zip
    {base}/{name}/{version}/metadata.json  optional

A single file becomes `main.py`, or the entry point's file of the metadata document. Where
neither an archive nor the server has a `metadata.json`, the script gets the shortest one:
its name and version, as `{"name":"watch","version":"1.0.0"}`.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Struct, field

from zscrape.config import RepositorySettings
from zscrape.errors import FilesInvalid, RepositoryUnavailable
from zscrape.scripts.archive import is_archive, read_archive
from zscrape.scripts.digest import (
    MANIFEST_FILE,
    TREE_SIZE_LIMIT_BYTES,
    ScriptFile,
    path_fault,
    require_usable,
)
from zscrape.scripts.download import Document, Downloads, Validator
from zscrape.scripts.manifest import MANIFEST_SIZE_LIMIT_BYTES, is_script_name
from zscrape.scripts.problems import pointer_to, problem
from zscrape.scripts.source import Listing
from zscrape.scripts.version import parse_version

_LIST_LIMIT_BYTES: Final = 16_000_000
_ARCHIVE_LIMIT_BYTES: Final = TREE_SIZE_LIMIT_BYTES + 10_000_000
_NAME_LIMIT_COUNT: Final = 20_000
_VERSION_LIMIT_COUNT: Final = 20_000
_PARALLEL_COUNT: Final = 8
_SHOWN_LENGTH: Final = 80
_DEFAULT_FILE: Final = "main.py"


class _Names(Struct, omit_defaults=True):
    """A list from the server, and what it said of it. `own`: versions given in the index."""

    validator: Validator = Validator()
    names: list[str] = []
    own: dict[str, list[str]] = {}
    channels: dict[str, dict[str, str]] = {}
    ignored: list[str] = []


class _Fetched(Struct, omit_defaults=True):
    """A version that was fetched, and what the server said of it then."""

    mark: str
    validator: Validator


class _State(Struct, omit_defaults=True):
    """What is kept between two looks."""

    index: _Names = field(default_factory=_Names)
    versions: dict[str, _Names] = {}
    fetched: dict[str, _Fetched] = {}


class _Entry(Struct):
    """A script in the index, where it is more than a name."""

    name: str
    versions: list[Any] | None = None
    channels: dict[str, str] = {}


class WebSource:
    """Scripts below one base address."""

    def __init__(self, settings: RepositorySettings) -> None:
        self._settings = settings
        self._downloads = Downloads(settings)
        self._fetched: dict[str, _Fetched] = {}
        self._turns = asyncio.Semaphore(_PARALLEL_COUNT)

    async def scan(self, known: Listing | None) -> Listing:
        """Return what the server holds; `known` itself when it says that nothing has changed.

        Versions that were fetched are asked after again: one whose bytes have changed gets
        another mark.
        """
        before = _state_of(known)
        fetched = {**before.fetched, **self._fetched}
        index = await self._index(before.index)
        found = await asyncio.gather(
            *(self._versions(name, before.versions.get(name)) for name in index.names)
        )
        versions = {
            name: each for name, each in zip(index.names, found, strict=True) if each is not None
        }
        listed = {name: _versions_in(each.names) for name, each in versions.items()} | {
            name: _versions_in(own) for name, own in index.own.items()
        }
        marks = await self._marks(listed, fetched)
        scripts = {
            name: {each: marks.get(f"{name}/{each}", each) for each in given}
            for name, given in listed.items()
            if given
        }
        ignored = [*index.ignored, *(name for each in versions.values() for name in each.ignored)]
        kept = {key: each for key, each in self._fetched.items() if key in marks}
        state = msgspec.json.encode(_State(index, versions, kept)).decode()
        if known is not None and known.state == state:
            return known
        return Listing(scripts, index.channels, tuple(ignored), state)

    async def manifest(self, script_name: str, version: str, mark: str) -> bytes:
        """Return `metadata.json` of a version: the server's document, else that of its archive."""
        document = await self._document(script_name, version)
        if document is not None:
            return document
        files = await self.fetch(script_name, version, mark)
        return next(each.content for each in files if each.path == MANIFEST_FILE)

    async def fetch(self, script_name: str, version: str, mark: str) -> tuple[ScriptFile, ...]:
        """Return all files of a version."""
        path = _path(script_name, version)
        found = await self._downloads.get(path, limit_bytes=_ARCHIVE_LIMIT_BYTES)
        if found is None or found.body is None:
            raise self._unavailable(path, "the version is listed, but not there (404)")
        if is_archive(found.body):
            files = await asyncio.to_thread(read_archive, found.body, script_name)
            if all(each.path != MANIFEST_FILE for each in files):
                document = await self._document(script_name, version)
                files = (*files, _manifest(script_name, version, document))
        else:
            self._require_source(path, found)
            document = await self._document(script_name, version)
            manifest = _manifest(script_name, version, document)
            files = (
                manifest,
                ScriptFile(_file_in(script_name, manifest.content), False, found.body),
            )
        require_usable(script_name, files)
        self._fetched[f"{script_name}/{version}"] = _Fetched(mark, found.validator)
        return tuple(sorted(files, key=lambda each: each.path))

    async def close(self) -> None:
        """Let go of connections."""
        await self._downloads.close()

    # ---- lists -----------------------------------------------------------------------

    async def _index(self, before: _Names) -> _Names:
        path = "api/scripts"
        found = await self._list(path, before.validator)
        if found is None:
            raise self._unavailable(path, "there is no index (404): check `url`")
        if found.body is None:
            return before
        entries = self._array(path, found.body, "scripts")
        if len(entries) > _NAME_LIMIT_COUNT:
            raise self._unavailable(path, f"more than {_NAME_LIMIT_COUNT} scripts")
        names = _Names(found.validator)
        for entry in entries:
            self._enter(entry, names)
        return names

    def _enter(self, entry: object, names: _Names) -> None:
        try:
            told = msgspec.convert({"name": entry} if isinstance(entry, str) else entry, _Entry)
        except msgspec.ValidationError:
            names.ignored.append(f"script {_shown(entry)}")
            return
        if not is_script_name(told.name) or told.name in names.own or told.name in names.names:
            names.ignored.append(f"script {_shown(told.name)}")
            return
        if told.versions is None:
            names.names.append(told.name)
        else:
            given, ignored = _sorted_out(told.name, told.versions)
            names.own[told.name] = given
            names.ignored.extend(ignored)
        if told.channels:
            names.channels[told.name] = told.channels

    async def _versions(self, name: str, before: _Names | None) -> _Names | None:
        path = f"api/scripts/{quote(name, safe='')}/versions"
        found = await self._list(path, before.validator if before else Validator())
        if found is None:  # removed since the index was made
            return None
        if found.body is None and before is not None:
            return before
        entries = self._array(path, found.body or b"", "versions")
        given, ignored = _sorted_out(name, entries)
        return _Names(found.validator, given, ignored=ignored)

    async def _list(self, path: str, known: Validator) -> Document | None:
        async with self._turns:
            return await self._downloads.get(path, limit_bytes=_LIST_LIMIT_BYTES, known=known)

    def _array(self, path: str, body: bytes, name: str) -> list[Any]:
        """Return the array that a document is, or has under `name`."""
        try:
            found = msgspec.json.decode(body)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            shown = _shown(body[:_SHOWN_LENGTH].decode("utf-8", "replace"))
            raise self._unavailable(path, f"not JSON: {shown}") from error
        if isinstance(found, dict):
            found = found.get(name)
        if not isinstance(found, list):
            raise self._unavailable(path, f'not {{"{name}": [...]}}')
        return found

    async def _marks(
        self, listed: dict[str, dict[str, None]], fetched: dict[str, _Fetched]
    ) -> dict[str, str]:
        """Ask after what was fetched; return the mark of each."""

        async def mark(key: str, known: _Fetched) -> None:
            name, _, version = key.partition("/")
            changed = None
            if known.validator.headers:
                async with self._turns:
                    changed = await self._downloads.changed(_path(name, version), known.validator)
            if changed is not None:
                told = f"{changed.etag} {changed.modified}".encode()
                known = _Fetched(hashlib.sha256(told).hexdigest()[:16], changed)
            self._fetched[key] = known

        wanted = {
            key: each
            for key, each in fetched.items()
            if key.partition("/")[2] in listed.get(key.partition("/")[0], {})
        }
        await asyncio.gather(*(mark(key, each) for key, each in wanted.items()))
        return {key: self._fetched[key].mark for key in wanted}

    # ---- one version -----------------------------------------------------------------

    async def _document(self, script_name: str, version: str) -> bytes | None:
        path = f"{_path(script_name, version)}/{MANIFEST_FILE}"
        limit_bytes = MANIFEST_SIZE_LIMIT_BYTES
        found = await self._downloads.get(path, limit_bytes=limit_bytes)
        return None if found is None else found.body

    def _require_source(self, path: str, found: Document) -> None:
        """Refuse what is neither an archive nor Python's source: error pages come with 200."""
        body = found.body or b""
        is_page = body[:200].lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml"))
        if is_page or found.content_type.lower().startswith("text/html"):
            raise self._unavailable(path, "a web page, and neither an archive nor a .py file")
        try:
            body.decode()
        except UnicodeDecodeError as error:
            reason = "neither an archive (.tar.gz, .tar, .zip) nor a .py file in UTF-8"
            raise self._unavailable(path, reason) from error

    def _unavailable(self, path: str, reason: str) -> RepositoryUnavailable:
        base = self._settings.url.rstrip("/")
        return RepositoryUnavailable(
            repository=self._settings.name, reason=f"{base}/{path}: {reason}"
        )


def _state_of(known: Listing | None) -> _State:
    if known is None:
        return _State()
    try:
        return msgspec.json.decode(known.state, type=_State)
    except msgspec.MsgspecError:  # kept by another version of this program
        return _State()


def _path(script_name: str, version: str) -> str:
    return f"{quote(script_name, safe='')}/{quote(version, safe='')}"


def _versions_in(given: list[str]) -> dict[str, None]:
    return dict.fromkeys(given)


def _sorted_out(name: str, entries: list[Any]) -> tuple[list[str], list[str]]:
    """Return what is a version, and what is told to be none."""
    given: list[str] = []
    ignored: list[str] = []
    for entry in entries[:_VERSION_LIMIT_COUNT]:
        version = entry.get("version") if isinstance(entry, dict) else entry
        if isinstance(version, str) and parse_version(version) is not None:
            given.append(version)
        else:
            ignored.append(f"{name}/{_shown(version)}")
    return given, ignored


def _shown(value: object) -> str:
    told = value if isinstance(value, str) else repr(value)
    clean = "".join(each if each.isprintable() else "?" for each in told[: _SHOWN_LENGTH + 1])
    return clean if len(told) <= _SHOWN_LENGTH else clean[:_SHOWN_LENGTH] + "…"


def _manifest(script_name: str, version: str, document: bytes | None) -> ScriptFile:
    shortest = msgspec.json.encode({"name": script_name, "version": version})
    return ScriptFile(MANIFEST_FILE, False, shortest if document is None else document)


def _file_in(script_name: str, manifest: bytes) -> str:
    """Return under which name a single file is entered; a bad manifest is told later."""
    try:
        told = msgspec.json.decode(manifest)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _DEFAULT_FILE
    entry_point = told.get("entry_point") if isinstance(told, dict) else None
    file = entry_point.partition(":")[0] if isinstance(entry_point, str) else _DEFAULT_FILE
    if path_fault(file) is not None or file == MANIFEST_FILE:
        raise FilesInvalid(
            name="script",
            problems=[problem(pointer_to("entry_point"), "path", detail=_shown(file))],
        )
    return file
