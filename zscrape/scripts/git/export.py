"""One sub-folder out of an object store, as a script's files; no work tree is ever made."""

from __future__ import annotations

import unicodedata
from typing import Final

from dulwich.object_store import BaseObjectStore
from dulwich.objects import ObjectID, Tree

from zscrape.errors.scripts import FilesInvalid
from zscrape.scripts.digest import (
    FILE_COUNT_LIMIT,
    MANIFEST_FILE,
    PROBLEM_COUNT_LIMIT,
    TREE_SIZE_LIMIT_BYTES,
    ScriptFile,
    require_usable,
)
from zscrape.scripts.problems import Problem, pointer_to, problem
from zscrape.scripts.tree import is_left_out

_FILE: Final = 0o100644
_LOOSE_FILE: Final = 0o100664  # of old repositories
_EXECUTABLE: Final = 0o100755
_FOLDER: Final = 0o040000
_LINK: Final = 0o120000
_SUBMODULE: Final = 0o160000
_DEPTH_LIMIT: Final = 32
_LFS: Final = b"version https://git-lfs.github.com/spec/"


def export_tree(store: BaseObjectStore, tree_id: ObjectID, name: str) -> tuple[ScriptFile, ...]:
    """Return the files below a tree of the script `name`.

    Raises:
        FilesInvalid: A link, a submodule, a path, a size or a count; all faults at once.
        KeyError: An object is missing.
    """
    problems: list[Problem] = []
    files: list[ScriptFile] = []
    size_bytes = 0
    for path, mode, object_id in _walk(store, tree_id, problems):
        content = _blob(store, object_id)
        size_bytes += len(content)
        if size_bytes > TREE_SIZE_LIMIT_BYTES or len(files) >= FILE_COUNT_LIMIT:
            code = "files_size" if size_bytes > TREE_SIZE_LIMIT_BYTES else "files_count"
            limit = TREE_SIZE_LIMIT_BYTES if code == "files_size" else FILE_COUNT_LIMIT
            problems.append(problem("/files", code, limit=limit))
            break
        if content.startswith(_LFS):
            problems.append(problem(pointer_to("files", path), "lfs"))
        files.append(ScriptFile(path, mode == _EXECUTABLE, content))
    if problems:
        raise FilesInvalid(name=name, problems=problems[:PROBLEM_COUNT_LIMIT])
    require_usable(name, files)
    return tuple(sorted(files, key=lambda each: each.path))


def manifest_of(store: BaseObjectStore, tree_id: ObjectID, name: str) -> bytes:
    """Return `metadata.json` of a tree.

    Raises:
        FilesInvalid: There is none, or it is not a file.
        KeyError: An object is missing.
    """
    for entry in _tree(store, tree_id).iteritems():
        if entry.path == MANIFEST_FILE.encode():
            if entry.mode in (_FILE, _LOOSE_FILE, _EXECUTABLE):
                return _blob(store, entry.sha)
            fault = problem(pointer_to("files", MANIFEST_FILE), _code_of(entry.mode))
            raise FilesInvalid(name=name, problems=[fault])
    fault = problem(pointer_to("files", MANIFEST_FILE), "missing_file")
    raise FilesInvalid(name=name, problems=[fault])


def script_folders(store: BaseObjectStore, root_id: ObjectID) -> dict[str, str]:
    """Return the folders of a root tree that hold a manifest: name -> id of its tree.

    Raises:
        KeyError: An object is missing.
    """
    found = {}
    for entry in _tree(store, root_id).iteritems():
        if entry.mode != _FOLDER or entry.path.startswith(b"."):
            continue
        if MANIFEST_FILE.encode() in _tree(store, entry.sha):
            found[entry.path.decode("utf-8", "replace")] = entry.sha.decode()
    return found


def _walk(
    store: BaseObjectStore, tree_id: ObjectID, problems: list[Problem]
) -> list[tuple[str, int, ObjectID]]:
    """List the files below a tree; what is neither file nor folder is noted as a problem."""
    found: list[tuple[str, int, ObjectID]] = []
    waiting: list[tuple[ObjectID, str, int]] = [(tree_id, "", 0)]
    # One file beyond the limit is enough to say so.
    while waiting and len(found) <= FILE_COUNT_LIMIT:
        current, parent, depth = waiting.pop()
        for entry in _tree(store, current).iteritems():
            try:
                name = entry.path.decode()
            except UnicodeDecodeError:
                shown = parent + entry.path.decode("utf-8", "backslashreplace")
                problems.append(problem(pointer_to("files", shown), "path", detail="not UTF-8"))
                continue
            is_folder = entry.mode == _FOLDER
            if is_left_out(name, is_folder=is_folder):
                continue
            path = unicodedata.normalize("NFC", parent + name)
            if is_folder and depth < _DEPTH_LIMIT:
                waiting.append((entry.sha, path + "/", depth + 1))
            elif entry.mode in (_FILE, _LOOSE_FILE, _EXECUTABLE):
                found.append((path, entry.mode, entry.sha))
            else:
                problems.append(problem(pointer_to("files", path), _code_of(entry.mode)))
    return found


def _code_of(mode: int) -> str:
    return {_LINK: "link", _SUBMODULE: "submodule"}.get(mode, "special")


def _tree(store: BaseObjectStore, tree_id: ObjectID) -> Tree:
    found = store[tree_id]
    if not isinstance(found, Tree):
        raise KeyError(tree_id)
    return found


def _blob(store: BaseObjectStore, object_id: ObjectID) -> bytes:
    _, content = store.get_raw(object_id)
    return content
