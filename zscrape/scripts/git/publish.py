"""Publishing a script to a Git repository: one commit, one tag, pushed together."""

from __future__ import annotations

import asyncio
import stat
import time
from collections.abc import Iterator, Sequence, Set as AbstractSet
from typing import Any, Final

from dulwich.object_store import BaseObjectStore
from dulwich.objects import Blob, Commit, ObjectID, Tag, Tree
from dulwich.pack import UnpackedObject, full_unpacked_object
from dulwich.refs import Ref
from dulwich.repo import Repo

from zscrape.errors.scripts import RepositoryUnavailable, VersionExists
from zscrape.scripts.digest import ScriptFile
from zscrape.scripts.git.mirror import commit_of, fetch_missing, missing_of
from zscrape.scripts.git.source import GitSource

_IDENTITY: Final = b"zscrape <zscrape@localhost>"
_PUSH_COUNT: Final = 3  # somebody else may push in between
_FOLDER: Final = stat.S_IFDIR
_FILE: Final = 0o100644
_EXECUTABLE: Final = 0o100755


async def publish(
    source: GitSource, files: Sequence[ScriptFile], name: str, version: str, *, author: str = ""
) -> str:
    """Put a script's folder on top of the branch and tag it `NAME/vVERSION`.

    All else in the repository stays as it is. Returns the tag and where it was pushed.

    Raises:
        VersionExists: There is such a version already; nothing was pushed.
        RepositoryUnavailable: The other side cannot be reached, or refuses.
    """
    return await asyncio.to_thread(_publish, source, files, name, version, author)


def _publish(
    source: GitSource, files: Sequence[ScriptFile], name: str, version: str, author: str
) -> str:
    told = ""
    for _ in range(_PUSH_COUNT):
        told = _try(source, files, name, version, author)
        if not told:
            return f"{source.url} {name}/v{version}"
    raise RepositoryUnavailable(repository=source.name, reason=f"{source.url}: {told}")


def _try(
    source: GitSource, files: Sequence[ScriptFile], name: str, version: str, author: str
) -> str:
    """Push once; return why the other side refused, or an empty text."""
    branch, tip, existing = source.tip(name, version)
    if existing:
        raise VersionExists(name=name, version=version, repository=source.name)
    with source.mirror.open() as repo, source.remote.open() as (client, path):
        if tip is not None:
            wanted = missing_of(repo, [tip])
            if wanted:
                fetch_missing(repo, client, path, wanted, wanted)
        new = _Objects(repo.object_store)
        commit = _commit(repo, new, files, name, version, tip, author)
        tag = _tag(new, commit, f"{name}/v{version}")
        updates = {
            Ref(branch): commit.id,
            Ref(f"refs/tags/{name}/v{version}".encode()): tag.id,
        }
        result = client.send_pack(
            path.encode(),
            lambda _refs: updates,
            new.pack,
            atomic=True,
        )
    status: dict[bytes, Any] = result.ref_status or {}
    return "; ".join(str(why) for why in status.values() if why)


class _Objects:
    """Objects made here, kept in the store and sent together."""

    def __init__(self, store: BaseObjectStore) -> None:
        self._store = store
        self.made: dict[ObjectID, Any] = {}

    def add(self, made: Any) -> Any:
        """Keep an object."""
        if made.id not in self.made:
            self._store.add_object(made)
            self.made[made.id] = made
        return made

    def pack(
        self, have: AbstractSet[ObjectID], want: AbstractSet[ObjectID], **_more: Any
    ) -> tuple[int, Iterator[UnpackedObject]]:
        """Return how many there are, and all of them as a pack takes them."""
        return len(self.made), (full_unpacked_object(each) for each in self.made.values())


def _commit(
    repo: Repo,
    new: _Objects,
    files: Sequence[ScriptFile],
    name: str,
    version: str,
    tip: ObjectID | None,
    author: str,
) -> Commit:
    root = Tree()
    if tip is not None:
        above = repo.object_store[commit_of(repo, tip).tree]
        for entry in above.iteritems() if isinstance(above, Tree) else ():
            root.add(entry.path, entry.mode, entry.sha)
    root.add(name.encode(), _FOLDER, _folder(new, files))
    new.add(root)
    commit = Commit()
    commit.tree = root.id
    commit.parents = [] if tip is None else [tip]
    commit.author = _identity(author)
    commit.committer = _IDENTITY
    commit.author_time = commit.commit_time = int(time.time())
    commit.author_timezone = commit.commit_timezone = 0
    commit.encoding = b"UTF-8"
    commit.message = f"Publish {name} {version}\n".encode()
    new.add(commit)
    return commit


def _folder(new: _Objects, files: Sequence[ScriptFile]) -> ObjectID:
    """Make the trees of a script from the leaves up; return its own."""
    trees: dict[str, Tree] = {"": Tree()}
    for file in files:
        parent, _, leaf = file.path.rpartition("/")
        blob = new.add(Blob.from_string(file.content))
        mode = _EXECUTABLE if file.is_executable else _FILE
        _tree_at(trees, parent).add(leaf.encode(), mode, blob.id)
    for path in sorted(trees, key=lambda each: each.count("/") + bool(each), reverse=True):
        new.add(trees[path])
        if path:
            parent, _, leaf = path.rpartition("/")
            trees[parent].add(leaf.encode(), _FOLDER, trees[path].id)
    return trees[""].id


def _tree_at(trees: dict[str, Tree], path: str) -> Tree:
    if path not in trees:
        trees[path] = Tree()
        parent, _, _ = path.rpartition("/")
        _tree_at(trees, parent)
    return trees[path]


def _tag(new: _Objects, commit: Commit, name: str) -> Tag:
    tag = Tag()
    tag.name = name.encode()
    tag.object = (Commit, commit.id)
    tag.tagger = _IDENTITY
    tag.tag_time = int(time.time())
    tag.tag_timezone = 0
    tag.message = f"{name}\n".encode()
    new.add(tag)
    return tag


def _identity(author: str) -> bytes:
    """Return an author as Git writes one; what it has no place for is left out."""
    name, _, rest = author.partition("<")
    address = rest.partition(">")[0].strip()
    clean = "".join(each for each in name if each.isprintable() and each not in "<>").strip()
    return f"{clean} <{address or 'zscrape@localhost'}>".encode() if clean else _IDENTITY
