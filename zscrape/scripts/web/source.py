"""A web server as a source of scripts.

    {base}/api/scripts                       {"scripts": ["watch", ...]}
    {base}/api/scripts/{name}/versions       {"versions": ["1.0.0", ...]}
    {base}/{name}/{version}                  one Python file, a .tar.gz or a .zip
    {base}/{name}/{version}/metadata.json    optional

A single file becomes the entry point's file beside that `metadata.json`; without one the
manifest is `{"name":...,"version":...}`, compact and in this order. A `metadata.json` inside
an archive goes before the one beside it. A version's mark is its text; it gets another one
when bytes that were fetched are seen to have changed, by their ETag or Last-Modified.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from zscrape.config import RepositorySettings
from zscrape.errors.scripts import FilesInvalid
from zscrape.scripts.archive import ARCHIVE_SIZE_LIMIT_BYTES, is_archive, read_archive
from zscrape.scripts.digest import MANIFEST_FILE, ScriptFile, path_fault, require_usable
from zscrape.scripts.manifest import DEFAULT_ENTRY_POINT, MANIFEST_SIZE_LIMIT_BYTES
from zscrape.scripts.problems import pointer_to, problem
from zscrape.scripts.source import Listing
from zscrape.scripts.web.body import Seen, TooLarge
from zscrape.scripts.web.client import Answer, Pause, WebClient
from zscrape.scripts.web.documents import (
    INDEX_LIMIT_BYTES,
    VERSION_COUNT_LIMIT,
    VERSIONS_LIMIT_BYTES,
    Artifact,
    DocumentInvalid,
    Index,
    State,
    Versions,
    read_index,
    read_state,
    read_versions,
    write_state,
)

T = TypeVar("T")

_MARK_LENGTH: Final = 16
_MANIFEST_COUNT_LIMIT: Final = 256
_HTML: Final = (b"<!doctype html", b"<html")


class _Head(Struct):
    """What a manifest says of the file it is entered by."""

    entry_point: str = DEFAULT_ENTRY_POINT


class WebSource:
    """Scripts behind a web server. One event loop uses it.

    Args:
        settings: Address, credentials, time limit.
        pause: Waits between two tries.
    """

    def __init__(self, settings: RepositorySettings, pause: Pause = asyncio.sleep) -> None:
        self._client = WebClient(settings, pause)
        self._artifacts: dict[str, Artifact] = {}  # fetched in this life
        self._manifests: dict[str, bytes] = {}  # out of archives, whose whole had to be fetched
        self._unpacking = asyncio.Semaphore(2)  # each may take a hundred megabytes

    async def scan(self, known: Listing | None) -> Listing:
        """Return what the server holds; `known` itself when nothing has changed since."""
        try:
            async with asyncio.timeout(self._client.overall_s):
                listing = await self._scan(read_state(known))
        except TimeoutError as error:
            reason = f"not finished within {self._client.overall_s:g} s"
            raise self._client.unavailable(self._client.url("api", "scripts"), reason) from error
        return known if known is not None and known == listing else listing

    async def manifest(self, script_name: str, version: str, mark: str) -> bytes:
        """Return `metadata.json` of a version: the one beside it, else the one inside."""
        kept = self._manifests.get(_key(script_name, version, mark))
        if kept is not None:
            return kept
        answer = await self._document(script_name, version)
        if answer.status == 200:
            return answer.content
        files = await self.fetch(script_name, version, mark)
        content = next(each.content for each in files if each.path == MANIFEST_FILE)
        while len(self._manifests) >= _MANIFEST_COUNT_LIMIT:
            del self._manifests[next(iter(self._manifests))]
        self._manifests[_key(script_name, version, mark)] = content
        return content

    async def fetch(self, script_name: str, version: str, mark: str) -> tuple[ScriptFile, ...]:
        """Return all files of a version."""
        async with self._unpacking:
            answer = await self._artifact(script_name, version)
            files, document = await self._files(answer, script_name, version)
        require_usable(script_name, files)
        key = _key(script_name, version)
        held = self._artifacts.get(key)
        # Other bytes under the same mark stay unnoted: the next scan shall see the change.
        if held is None or held.mark != mark:
            self._artifacts[key] = Artifact(mark, answer.seen, document)
        return tuple(sorted(files, key=lambda each: each.path))

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    # ---- what there is ---------------------------------------------------------------

    async def _scan(self, before: State) -> Listing:
        index = await self._index(before.index)
        asked = [name for name, versions in index.scripts.items() if versions is None]
        found = await _all(self._versions(name, before.versions.get(name)) for name in asked)
        versions = dict(zip(asked, found, strict=True))
        held = {
            name: versions[name].versions if told is None else told
            for name, told in index.scripts.items()
        }
        if sum(map(len, held.values())) > VERSION_COUNT_LIMIT:
            reason = f"it lists more than {VERSION_COUNT_LIMIT} versions"
            raise self._client.unavailable(self._client.url("api", "scripts"), reason)
        artifacts = await self._revalidated(held, {**before.artifacts, **self._artifacts})
        self._artifacts.update(artifacts)
        return _listing(State(index, versions, artifacts), held)

    async def _index(self, before: Index | None) -> Index:
        seen = Seen() if before is None else before.seen
        answer = await self._get_document(
            "api", "scripts", limit_bytes=INDEX_LIMIT_BYTES, seen=seen
        )
        if answer.status == 304 and before is not None:
            return before
        if answer.status == 404:
            raise self._client.unavailable(answer.url, "not there (404): is `url` right?")
        return await self._decoded(answer, lambda: read_index(answer.content, answer.seen))

    async def _versions(self, name: str, before: Versions | None) -> Versions:
        seen = Seen() if before is None else before.seen
        answer = await self._get_document(
            "api", "scripts", name, "versions", limit_bytes=VERSIONS_LIMIT_BYTES, seen=seen
        )
        if answer.status == 304 and before is not None:
            return before
        if answer.status == 404:
            return Versions(ignored=(f"{name}: it has no list of versions (404)",))
        return await self._decoded(answer, lambda: read_versions(answer.content, answer.seen, name))

    async def _get_document(self, *parts: str, limit_bytes: int, seen: Seen) -> Answer:
        """Return a document, refused when it is a page for people.

        Raises:
            RepositoryUnavailable: It cannot be had, is too long, or a page.
        """
        try:
            answer = await self._client.get(*parts, limit_bytes=limit_bytes, seen=seen)
        except TooLarge as error:
            reason = f"longer than {limit_bytes} bytes"
            raise self._client.unavailable(self._client.url(*parts), reason) from error
        self._require_no_page(answer)
        return answer

    async def _decoded(self, answer: Answer, read: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(read)
        except DocumentInvalid as error:
            kind = answer.content_type or "no content type"
            raise self._client.unavailable(answer.url, f"{error}, {kind}") from error

    def _require_no_page(self, answer: Answer) -> None:
        begin = answer.content[:256].lstrip().lower()
        is_told = answer.content_type == "text/html" and begin.startswith(b"<")
        if is_told or begin.startswith(_HTML):
            reason = "the server answered with a page for people: is `url` right, and the login?"
            raise self._client.unavailable(answer.url, reason)

    async def _revalidated(
        self, held: Mapping[str, Iterable[str]], artifacts: Mapping[str, Artifact]
    ) -> dict[str, Artifact]:
        """Look at all that was fetched and is still listed; what has changed gets a new mark."""
        listed = [
            (name, version)
            for name, versions in held.items()
            for version in versions
            if _key(name, version) in artifacts
        ]
        found = await _all(
            self._looked_at(name, version, artifacts[_key(name, version)])
            for name, version in listed
        )
        return {_key(*each): artifact for each, artifact in zip(listed, found, strict=True)}

    async def _looked_at(self, name: str, version: str, artifact: Artifact) -> Artifact:
        file = await self._peek(artifact.file, name, version)
        document = artifact.document
        if document is not None:
            document = await self._peek(document, name, version, MANIFEST_FILE)
        if file.is_absent:  # listed, but gone: what was fetched is still good
            return artifact
        before = _identity(artifact.file, artifact.document)
        after = _identity(file, document)
        if after == before:
            return artifact
        mark = f"{version}~{hashlib.sha256(after.encode()).hexdigest()[:_MARK_LENGTH]}"
        return Artifact(mark, file, document)

    async def _peek(self, seen: Seen, *parts: str) -> Seen:
        answer = await self._client.peek(*parts, seen=seen)
        return seen if answer.status == 304 else answer.seen

    # ---- what is in it ---------------------------------------------------------------

    async def _artifact(self, name: str, version: str) -> Answer:
        try:
            answer = await self._client.get(name, version, limit_bytes=ARCHIVE_SIZE_LIMIT_BYTES)
        except TooLarge as error:
            fault = problem("/files", "files_size", limit=ARCHIVE_SIZE_LIMIT_BYTES)
            raise FilesInvalid(name=name, problems=[fault]) from error
        if answer.status == 404:
            raise self._client.unavailable(answer.url, "listed, but not there (404)")
        self._require_no_page(answer)
        return answer

    async def _document(self, name: str, version: str) -> Answer:
        """Return the answer for the `metadata.json` beside a version."""
        parts = (name, version, MANIFEST_FILE)
        try:
            answer = await self._client.get(*parts, limit_bytes=MANIFEST_SIZE_LIMIT_BYTES)
        except TooLarge as error:
            at = pointer_to("files", MANIFEST_FILE)
            fault = problem(at, "size", limit=MANIFEST_SIZE_LIMIT_BYTES)
            raise FilesInvalid(name=name, problems=[fault]) from error
        self._require_no_page(answer)
        return answer

    async def _files(
        self, answer: Answer, name: str, version: str
    ) -> tuple[Sequence[ScriptFile], Seen | None]:
        """Return the files, and what was seen of the manifest beside them if it was needed."""
        if is_archive(answer.content):
            files = await asyncio.to_thread(read_archive, answer.content, name)
            if any(each.path == MANIFEST_FILE for each in files):
                return files, None
            manifest, seen = await self._manifest_beside(name, version)
            return (*files, manifest), seen
        self._require_text(answer, name)
        manifest, seen = await self._manifest_beside(name, version)
        path = _entry_file(manifest.content, name)
        return (ScriptFile(path, False, answer.content), manifest), seen

    def _require_text(self, answer: Answer, name: str) -> None:
        if not answer.content or b"\0" in answer.content:
            code = "archive_format" if answer.content else "empty"
            raise FilesInvalid(name=name, problems=[problem("/files", code)])
        if not answer.is_delimited:
            reason = "the server does not say how long the file is: it may have been cut off"
            raise self._client.unavailable(answer.url, reason)

    async def _manifest_beside(self, name: str, version: str) -> tuple[ScriptFile, Seen]:
        answer = await self._document(name, version)
        content = answer.content
        if answer.status == 404:
            content = msgspec.json.encode({"name": name, "version": version})
        return ScriptFile(MANIFEST_FILE, False, content), answer.seen


def _entry_file(manifest: bytes, name: str) -> str:
    """Return the path of the only file; what else is wrong with the manifest is told later.

    Raises:
        FilesInvalid: It cannot be the path of a file beside the manifest.
    """
    try:
        told = msgspec.json.decode(manifest, type=_Head).entry_point
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return DEFAULT_ENTRY_POINT
    path = told.partition(":")[0]
    if path_fault(path) is not None or not path.endswith(".py"):
        at = pointer_to("files", MANIFEST_FILE, "entry_point")
        raise FilesInvalid(name=name, problems=[problem(at, "entry_point", actual=told)])
    return path


def _listing(state: State, held: Mapping[str, Iterable[str]]) -> Listing:
    """Return what people and `RemoteRepository` are told."""
    index = state.index or Index()
    scripts: dict[str, dict[str, str]] = {}
    for name, versions in held.items():
        for version in versions:
            artifact = state.artifacts.get(_key(name, version))
            mark = version if artifact is None else artifact.mark
            scripts.setdefault(name, {})[version] = mark
    ignored = [*index.ignored]
    for each in state.versions.values():
        ignored += each.ignored
    return Listing(scripts, index.channels, tuple(sorted(ignored)), write_state(state))


def _identity(file: Seen, document: Seen | None) -> str:
    return file.identity + ("" if document is None else f"\n{document.identity}")


def _key(*parts: str) -> str:
    return " ".join(parts)


async def _all(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Do all of it; the first fault ends the rest."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    return [each.result() for each in tasks]
