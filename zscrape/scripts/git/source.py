"""A Git repository as a source of scripts."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from dulwich.errors import ChecksumMismatch, ObjectFormatException
from dulwich.objects import ObjectID
from dulwich.pack import PackFileDisappeared
from dulwich.refs import Ref
from dulwich.repo import Repo
from msgspec import Struct

from zscrape.config import RepositorySettings
from zscrape.errors.scripts import FilesInvalid, RepositoryUnavailable
from zscrape.scripts.digest import ScriptFile
from zscrape.scripts.git.connect import Remote
from zscrape.scripts.git.export import export_tree, manifest_of, script_folders
from zscrape.scripts.git.mirror import Mirror, fetch_missing, missing_of, root_of
from zscrape.scripts.git.tags import VersionTag, is_tag, read_tag, tag_name
from zscrape.scripts.manifest import MANIFEST_SIZE_LIMIT_BYTES, is_script_name
from zscrape.scripts.source import Listing

T = TypeVar("T")

_HEAD: Final = b"HEAD"
_UNREADABLE: Final = "0.0.0"  # the version of a manifest that does not say its own
_DAMAGED: Final = (KeyError, ChecksumMismatch, ObjectFormatException, PackFileDisappeared)


class _Head(Struct):
    """What a manifest says of its own version."""

    version: str = ""


class _References(Struct, frozen=True):
    """The references that matter: tags that are versions, and the branch."""

    tags: dict[bytes, ObjectID]
    branch: ObjectID | None

    @property
    def mark(self) -> str:
        """A text that differs whenever one of them does."""
        told = hashlib.sha256(b"zscrape git 1\n")
        for name, object_id in sorted(self.tags.items()):
            told.update(object_id + b" " + name + b"\n")
        told.update(self.branch or b"-")
        return told.hexdigest()

    @property
    def ids(self) -> list[ObjectID]:
        """All objects that they stand for, the branch first."""
        return [*([] if self.branch is None else [self.branch]), *self.tags.values()]


class GitSource:
    """Reads references without cloning, fetches what is missing, exports single folders.

    Args:
        settings: Address, credentials, branch.
        folder: Where the objects are kept.
    """

    def __init__(self, settings: RepositorySettings, folder: Path) -> None:
        self._settings = settings
        self.remote = Remote(settings)
        self.mirror = Mirror(folder)
        self._folders: dict[ObjectID, dict[str, str]] = {}  # root tree -> script -> tree
        # One at a time: dulwich's clients and stores are not made for several threads.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"git {settings.name}")

    @property
    def name(self) -> str:
        """What people call this repository."""
        return self._settings.name

    @property
    def url(self) -> str:
        """Its address, without credentials."""
        return self._settings.url

    async def scan(self, known: Listing | None) -> Listing:
        """Return what the repository holds; `known` itself when no reference has changed."""
        return await self._apart(lambda: self._scan(known))

    async def manifest(self, script_name: str, version: str, mark: str) -> bytes:
        """Return `metadata.json` of a version."""
        tree_id = ObjectID(mark.encode())
        return await self._apart(
            lambda: self._read(lambda repo: manifest_of(repo.object_store, tree_id, script_name))
        )

    async def fetch(self, script_name: str, version: str, mark: str) -> tuple[ScriptFile, ...]:
        """Return all files of a version."""
        tree_id = ObjectID(mark.encode())
        return await self._apart(
            lambda: self._read(lambda repo: export_tree(repo.object_store, tree_id, script_name))
        )

    async def close(self) -> None:
        """Let go of connections; a call that hangs is left to its time limit."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self.remote.close()

    # ---- in the thread ---------------------------------------------------------------

    async def _apart(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def tip(self, script_name: str, version: str) -> tuple[bytes, ObjectID | None, bool]:
        """Return the branch to publish to, its newest commit, and whether a version is there.

        Blocks. Raises:
            RepositoryUnavailable: It cannot be reached.
        """
        with self.remote.open() as (client, path):
            found = client.get_refs(path.encode(), protocol_version=0)
        branch = f"refs/heads/{self._settings.branch or 'main'}".encode()
        if self._settings.branch is None:
            branch = bytes(found.symrefs.get(Ref(_HEAD), branch))
        wanted = VersionTag(script_name, version)
        is_there = any(is_tag(each) and read_tag(each) == wanted for each in found.refs)
        return branch, found.refs.get(Ref(branch)), is_there

    def references(self) -> tuple[_References, tuple[str, ...]]:
        """Ask the other side for its references; also the names of tags that are no versions.

        Raises:
            RepositoryUnavailable: It cannot be reached, or has no such branch.
        """
        with self.remote.open() as (client, path):
            # The first protocol answers in one round trip, the second needs two.
            found = client.get_refs(path.encode(), protocol_version=0).refs
        branch = self._settings.branch
        name = _HEAD if branch is None else f"refs/heads/{branch}".encode()
        tip = found.get(Ref(name))
        if branch is not None and tip is None:
            reason = f"{self._settings.url}: there is no branch {branch}"
            raise RepositoryUnavailable(repository=self._settings.name, reason=reason)
        names = [each for each in found if is_tag(each)]
        tags = {
            bytes(each): object_id
            for each in names
            if (object_id := found[each]) is not None and read_tag(each) is not None
        }
        ignored = sorted(f"tag {tag_name(each)}" for each in names if bytes(each) not in tags)
        return _References(tags, tip), tuple(ignored)

    def _scan(self, known: Listing | None) -> Listing:
        references, ignored = self.references()
        if known is not None and known.state == references.mark:
            return known
        try:
            return self._list(references, ignored)
        except _DAMAGED:
            # Objects that the store should have are not there or not whole: once more, afresh.
            self.mirror.drop()
            self._folders.clear()
        try:
            return self._list(references, ignored)
        except _DAMAGED as error:
            reason = f"{self._settings.url}: its objects cannot be read ({error!r})"
            raise RepositoryUnavailable(repository=self._settings.name, reason=reason) from error

    def _list(self, references: _References, ignored: tuple[str, ...]) -> Listing:
        with self.mirror.open() as repo:
            wanted = missing_of(repo, references.ids)
            if wanted:
                with self.remote.open() as (client, path):
                    fetch_missing(repo, client, path, wanted, references.ids)
            scripts, empty = self._by_tags(repo, references)
            self._by_branch(repo, references.branch, scripts)
        return Listing(scripts, ignored=(*ignored, *empty), state=references.mark)

    def _by_tags(
        self, repo: Repo, references: _References
    ) -> tuple[dict[str, dict[str, str]], list[str]]:
        """Return scripts by tags, and tags of scripts whose folder is not there.

        A tag of one script goes before a tag of all: it says more.
        """
        scripts: dict[str, dict[str, str]] = {}
        empty: list[str] = []
        told = [(name, read_tag(name), object_id) for name, object_id in references.tags.items()]
        for name, tag, object_id in sorted(told, key=_of_all_first):
            if tag is None:
                continue
            folders = self._folders_of(repo, object_id)
            names = [tag.name] if tag.name else list(folders)
            for script_name in names:
                if script_name in folders and is_script_name(script_name):
                    scripts.setdefault(script_name, {})[tag.version] = folders[script_name]
                elif tag.name:
                    empty.append(f"tag {tag_name(name)}: no folder {tag.name} in it")
        return scripts, empty

    def _by_branch(
        self, repo: Repo, branch: ObjectID | None, scripts: dict[str, dict[str, str]]
    ) -> None:
        """Add scripts that no tag has given a version: their manifest's, at the branch."""
        if branch is None:
            return
        for script_name, tree_id in self._folders_of(repo, branch).items():
            if script_name in scripts or not is_script_name(script_name):
                continue
            version = _version_in(self._manifest(repo, tree_id, script_name))
            scripts[script_name] = {version: tree_id}

    def _manifest(self, repo: Repo, tree_id: str, script_name: str) -> bytes:
        try:
            return manifest_of(repo.object_store, ObjectID(tree_id.encode()), script_name)
        except FilesInvalid:
            return b""

    def _folders_of(self, repo: Repo, object_id: ObjectID) -> dict[str, str]:
        root_id = root_of(repo, object_id)
        folders = self._folders.get(root_id)
        if folders is None:
            folders = self._folders[root_id] = script_folders(repo.object_store, root_id)
        return folders

    def _read(self, read: Callable[[Repo], T]) -> T:
        """Read out of the store; what is missing or damaged is fetched anew, once."""
        try:
            with self.mirror.open() as repo:
                return read(repo)
        except _DAMAGED:
            self.mirror.drop()
            self._folders.clear()
        self._scan(None)
        try:
            with self.mirror.open() as repo:
                return read(repo)
        except _DAMAGED as error:
            reason = f"{self._settings.url}: that version is no longer there"
            raise RepositoryUnavailable(repository=self._settings.name, reason=reason) from error


def _of_all_first(told: tuple[bytes, VersionTag | None, ObjectID]) -> tuple[bool, bytes]:
    name, tag, _ = told
    return bool(tag and tag.name), name


def _version_in(manifest: bytes) -> str:
    """Return the version that a manifest gives itself; what is wrong with it is told later.

    A manifest that cannot be read is listed as 0.0.0, so that it is shown with its problems.
    """
    try:
        version = msgspec.json.decode(manifest[: MANIFEST_SIZE_LIMIT_BYTES + 1], type=_Head).version
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _UNREADABLE
    return version or _UNREADABLE
