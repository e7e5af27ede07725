"""The objects of a remote repository that we have, in one bare store on disk.

Shallow: of each tag and branch only the newest commit. Several processes may share a store;
one lock keeps them apart, since two that write one shallow store collide.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dulwich.client import GitClient
from dulwich.errors import NotGitRepository
from dulwich.objects import Commit, ObjectID, Tag
from dulwich.refs import Ref
from dulwich.repo import Repo

_HAVE_COUNT: Final = 32  # commits named to the server as ours: it leaves out what they hold
_TAG_CHAIN_LIMIT: Final = 8  # a tag may point to a tag


class Mirror:
    """A store of objects. Its methods block: they belong into a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place = folder / "objects.git"

    @contextmanager
    def open(self) -> Iterator[Repo]:
        """Give the store to one user at a time, made if it is not there.

        Raises:
            OSError: The disk will not take it.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            repo = self._open()
            try:
                yield repo
            finally:
                repo.close()

    def drop(self) -> None:
        """Remove the store: it is damaged, and can be fetched anew."""
        shutil.rmtree(self._place, ignore_errors=True)

    def _open(self) -> Repo:
        self._clear()
        try:
            return Repo(str(self._place))
        except NotGitRepository:
            self.drop()
        beginning = self._folder / "objects.new"
        shutil.rmtree(beginning, ignore_errors=True)
        beginning.mkdir()
        Repo.init_bare(str(beginning), default_branch=b"have-0").close()
        beginning.rename(self._place)
        return Repo(str(self._place))

    def _clear(self) -> None:
        """Remove what a process that was killed has left: dulwich would wait for its locks.

        Whoever is here holds the one lock that counts, so that nobody else is at work.
        """
        packs = self._place / "objects" / "pack"
        for left in (*self._place.glob("*.lock"), *packs.glob("tmp*"), *packs.glob("*.lock")):
            left.unlink(missing_ok=True)


def missing_of(repo: Repo, ids: Collection[ObjectID]) -> list[ObjectID]:
    """Return which of these objects the store does not have."""
    store = repo.object_store
    return [each for each in dict.fromkeys(ids) if each not in store]


def fetch_missing(
    repo: Repo, client: GitClient, path: str, wanted: list[ObjectID], have: Collection[ObjectID]
) -> None:
    """Fetch what is not there: one commit deep, without what our newest commits hold already."""
    heads = [each for each in have if each in repo.object_store][:_HAVE_COUNT]
    # What stands in refs/heads is what dulwich names to the server; written in one go, since one
    # file per reference takes a second for a thousand.
    named = {Ref(b"refs/heads/have-%d" % number): each for number, each in enumerate(heads)}
    before = {name: None for name in repo.refs.allkeys() if name.startswith(b"refs/heads/")}
    repo.refs.add_packed_refs({**before, **named})
    client.fetch(path.encode(), repo, determine_wants=lambda _refs, depth=None: wanted, depth=1)


def root_of(repo: Repo, object_id: ObjectID) -> ObjectID:
    """Return the root tree of a commit, or of what a tag points to.

    Raises:
        KeyError: An object is missing, or is no commit.
    """
    return ObjectID(commit_of(repo, object_id).tree)


def commit_of(repo: Repo, object_id: ObjectID) -> Commit:
    """Return a commit, or the one that a tag points to.

    Raises:
        KeyError: An object is missing, or is no commit.
    """
    found = repo.object_store[object_id]
    for _ in range(_TAG_CHAIN_LIMIT):
        if not isinstance(found, Tag):
            break
        found = repo.object_store[found.object[1]]
    if not isinstance(found, Commit):
        raise KeyError(object_id)
    return found
