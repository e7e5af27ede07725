"""The files of a script, the grammar of their paths, and the digest of the whole tree.

A digest is SHA-256 over the sorted list of (path, mode bit, file hash): the same on every
machine, whatever order, times, owners or umask the files came with.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence

from msgspec import Struct

from zscrape.errors.scripts import FilesInvalid
from zscrape.scripts.problems import Problem, pointer_to, problem

FILE_COUNT_LIMIT = 2000
TREE_SIZE_LIMIT_BYTES = 50_000_000
PATH_LENGTH_LIMIT_BYTES = 200
MANIFEST_FILE = "metadata.json"
# Found for every fault of a tree of 2,000 bad files, but told only so many times.
PROBLEM_COUNT_LIMIT = 50


class ScriptFile(Struct, frozen=True, array_like=True):
    """One file of a script. `path` is relative, POSIX, UTF-8 in NFC."""

    path: str
    is_executable: bool
    content: bytes


def file_digest(content: bytes) -> str:
    """Return the digest of one file, as `checksums` in a manifest has it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def tree_digest(files: Iterable[ScriptFile]) -> str:
    """Return the digest of a script's whole tree."""
    total = hashlib.sha256(b"zscrape tree 1\n")
    for file in sorted(files, key=lambda each: each.path):
        # A path has no line feed or NUL in it, so no two different lists give the same text.
        mode = "x" if file.is_executable else "-"
        total.update(f"{mode} {file_digest(file.content)} {file.path}\n".encode())
    return "sha256:" + total.hexdigest()


def path_fault(path: str) -> str | None:
    """Return what is wrong with a path inside a script, or None when it is usable.

    Such a path never leaves the script's folder, names no hidden file, and means the same on
    every system.
    """
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return "not UTF-8"
    if not path or len(encoded) > PATH_LENGTH_LIMIT_BYTES:
        return f"empty, or longer than {PATH_LENGTH_LIMIT_BYTES} bytes"
    if "\\" in path or not path.isprintable():
        return "a backslash or an unprintable character"
    if not unicodedata.is_normalized("NFC", path):
        return "not in Unicode form NFC"
    for part in path.split("/"):
        if not part or part.startswith(".") or part.endswith((".", " ")):
            return "a part that is empty, starts with a dot, or ends with a dot or a space"
    return None


def tree_problems(sizes: Sequence[tuple[str, int]]) -> list[Problem]:
    """Return every fault of a list of (path, size): grammar, collisions, count, size."""
    problems: list[Problem] = []
    if len(sizes) > FILE_COUNT_LIMIT:
        problems.append(problem("/files", "files_count", limit=FILE_COUNT_LIMIT))
    if sum(size for _, size in sizes) > TREE_SIZE_LIMIT_BYTES:
        problems.append(problem("/files", "files_size", limit=TREE_SIZE_LIMIT_BYTES))
    files: dict[str, str] = {}  # how a case-insensitive file system would know it -> path
    folders: dict[str, str] = {}
    for path, _ in sizes:
        if len(problems) >= PROBLEM_COUNT_LIMIT:
            break
        fault = path_fault(path)
        if fault is not None:
            problems.append(problem(pointer_to("files", path), "path", detail=fault))
            continue
        other = _collision(path, files, folders)
        if other is not None:
            problems.append(problem(pointer_to("files", path), "path_collision", other=other))
    return problems


def _collision(path: str, files: dict[str, str], folders: dict[str, str]) -> str | None:
    """Enter `path` among those seen; return the one that it cannot stand beside, if any."""
    folded = _folded(path)
    if folded in files or folded in folders:
        return files.get(folded) or folders[folded]
    files[folded] = path
    parent = folded
    while (cut := parent.rfind("/")) > 0:
        parent = parent[:cut]
        if parent in files:
            return files[parent]
        folders.setdefault(parent, path)
    return None


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path.casefold())


def require_usable(name: str, files: Sequence[ScriptFile]) -> None:
    """Check a tree that came from outside.

    Raises:
        FilesInvalid: A path, the count or the size is not usable; all faults at once.
    """
    problems = tree_problems([(file.path, len(file.content)) for file in files])
    if problems:
        raise FilesInvalid(name=name, problems=problems)
