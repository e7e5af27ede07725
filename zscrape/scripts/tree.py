"""Read a script's folder from disk: regular files only, bounded, every fault at once."""

from __future__ import annotations

import os
import stat
import unicodedata
from pathlib import Path

from msgspec import Struct

from zscrape.errors.scripts import FilesInvalid
from zscrape.scripts.digest import (
    FILE_COUNT_LIMIT,
    PATH_LENGTH_LIMIT_BYTES,
    PROBLEM_COUNT_LIMIT,
    TREE_SIZE_LIMIT_BYTES,
    ScriptFile,
    tree_problems,
)
from zscrape.scripts.fingerprint import Fingerprint
from zscrape.scripts.problems import Problem, pointer_to, problem

_SKIPPED_FOLDERS = frozenset({"__pycache__"})
_SKIPPED_SUFFIX = ".pyc"


class Tree(Struct, frozen=True):
    """The files of a folder and what `stat` said before they were read."""

    files: tuple[ScriptFile, ...]
    fingerprint: Fingerprint


class _Found(Struct, frozen=True):
    path: str  # inside the script, NFC
    place: str  # on disk
    size_bytes: int


def is_left_out(name: str, *, is_folder: bool) -> bool:
    """True iff a file or folder of this name is no part of a script: hidden, or byte code."""
    if name.startswith(".") or name.endswith(_SKIPPED_SUFFIX):
        return True
    return is_folder and name in _SKIPPED_FOLDERS


def read_tree(folder: Path, name: str) -> Tree:
    """Read the files of the script `name`; byte code and hidden files are no part of it.

    Raises:
        FilesInvalid: A path, a link, a size or a count is not usable; all faults at once.
        OSError: The folder itself cannot be read.
    """
    walk = _Walk(folder)
    problems = walk.problems + tree_problems([(each.path, each.size_bytes) for each in walk.files])
    if problems:
        raise FilesInvalid(name=name, problems=problems[:PROBLEM_COUNT_LIMIT])
    fingerprint = Fingerprint.take([*walk.folders, *(each.place for each in walk.files)])
    files = [_read(each, problems) for each in walk.files]
    if problems:
        raise FilesInvalid(name=name, problems=problems[:PROBLEM_COUNT_LIMIT])
    usable = (each for each in files if each is not None)
    return Tree(tuple(sorted(usable, key=lambda each: each.path)), fingerprint)


class _Walk:
    """Every folder and file below a folder, links and oddities noted as problems."""

    def __init__(self, root: Path) -> None:
        self.folders: list[str] = []
        self.files: list[_Found] = []
        self.problems: list[Problem] = []
        waiting = [(str(root), "")]
        # One file beyond the limit is enough to say so; a forgotten `node_modules` is not walked.
        while waiting and len(self.files) <= FILE_COUNT_LIMIT:
            place, path = waiting.pop()
            self.folders.append(place)
            with os.scandir(place) as entries:
                for entry in entries:
                    self._enter(entry, path, waiting)

    def _enter(self, entry: os.DirEntry[str], parent: str, waiting: list[tuple[str, str]]) -> None:
        if is_left_out(entry.name, is_folder=entry.is_dir(follow_symlinks=False)):
            return
        path = unicodedata.normalize("NFC", parent + entry.name)
        if entry.is_symlink():
            self._fault(path, "link")
        elif entry.is_dir(follow_symlinks=False):
            if len(os.fsencode(path)) > PATH_LENGTH_LIMIT_BYTES:
                self._fault(path, "path", detail=f"longer than {PATH_LENGTH_LIMIT_BYTES} bytes")
            else:
                waiting.append((entry.path, path + "/"))
        elif entry.is_file(follow_symlinks=False):
            size_bytes = entry.stat(follow_symlinks=False).st_size
            self.files.append(_Found(path, entry.path, size_bytes))
        else:
            self._fault(path, "special")

    def _fault(self, path: str, code: str, **fields: object) -> None:
        self.problems.append(problem(pointer_to("files", path), code, **fields))


def _read(found: _Found, problems: list[Problem]) -> ScriptFile | None:
    """Read one file without following a link that has taken its place meanwhile."""
    try:
        descriptor = os.open(found.place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(TREE_SIZE_LIMIT_BYTES + 1) if stat.S_ISREG(mode) else b""
    except OSError as error:
        at = pointer_to("files", found.path)
        problems.append(problem(at, "unreadable", detail=error.strerror or error))
        return None
    if len(content) > TREE_SIZE_LIMIT_BYTES:
        at = pointer_to("files", found.path)
        problems.append(problem(at, "size", limit=TREE_SIZE_LIMIT_BYTES))
        return None
    return ScriptFile(found.path, bool(mode & stat.S_IXUSR), content)
