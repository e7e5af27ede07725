"""What the members of an archive become: paths checked, left out or kept, faults together."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from zscrape.errors.scripts import FilesInvalid
from zscrape.scripts.digest import (
    PROBLEM_COUNT_LIMIT,
    TREE_SIZE_LIMIT_BYTES,
    ScriptFile,
    tree_problems,
)
from zscrape.scripts.problems import Problem, pointer_to, problem
from zscrape.scripts.tree import is_left_out

# Folders and hidden files count too: they cost time, though they are no part of a script.
ENTRY_COUNT_LIMIT: Final = 10_000
NAME_LENGTH_LIMIT_BYTES: Final = 4096
RATIO_LIMIT: Final = 100
# Below this much an archive may be as dense as it likes: a table of zeros is no attack.
RATIO_FLOOR_BYTES: Final = 10_000_000

_DRIVE: Final = re.compile(r"[A-Za-z]:")


class ArchiveFault(Exception):
    """Raised when an archive cannot be read any further; carries the problem to tell."""

    def __init__(self, fault: Problem) -> None:
        super().__init__(fault["reason"])
        self.fault = fault


def damaged(detail: object) -> ArchiveFault:
    """Return the fault of an archive that does not hold together."""
    return ArchiveFault(problem("/files", "unreadable", detail=detail))


def require_ratio(packed_bytes: int, size_bytes: int) -> None:
    """Refuse an archive that says much more than it is long.

    Raises:
        ArchiveFault: It is a bomb.
    """
    if size_bytes > RATIO_FLOOR_BYTES and size_bytes > RATIO_LIMIT * packed_bytes:
        raise ArchiveFault(problem("/files", "archive_ratio", limit=RATIO_LIMIT))


class Entries:
    """The members of one archive, in the order in which they come."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []
        self._files: dict[str, tuple[bool, bytes]] = {}
        self._entry_count = 0
        self._size_bytes = 0

    def admit(self, raw: bytes, *, is_folder: bool) -> str | None:
        """Return the path of the next member, None when it is no part of the script.

        Raises:
            ArchiveFault: There are too many members.
        """
        self._entry_count += 1
        if self._entry_count > ENTRY_COUNT_LIMIT:
            raise ArchiveFault(problem("/files", "files_count", limit=ENTRY_COUNT_LIMIT))
        try:
            name = raw.decode()
        except UnicodeDecodeError:
            self.refuse(raw.decode("utf-8", "backslashreplace"), "path", detail="not UTF-8")
            return None
        fault = _way_out(name)
        if fault:
            self.refuse(name, "path", detail=fault)
            return None
        # `tar -C folder .` writes `./main.py`: the same path as `main.py`.
        parts = name.removeprefix("./").rstrip("/" if is_folder else "").split("/")
        inner, last = parts[:-1], parts[-1]
        if any(is_left_out(each, is_folder=True) for each in inner):
            return None
        if is_left_out(last, is_folder=is_folder):
            return None
        return unicodedata.normalize("NFC", "/".join(parts))

    def refuse(self, path: str, code: str, **fields: object) -> None:
        """Note what is wrong with a member."""
        if len(self._problems) < PROBLEM_COUNT_LIMIT:
            self._problems.append(problem(pointer_to("files", path), code, **fields))

    def expect(self, size_bytes: int) -> None:
        """Make room for a file before it is read.

        Raises:
            ArchiveFault: All files together would be too big.
        """
        self._size_bytes += size_bytes
        if self._size_bytes > TREE_SIZE_LIMIT_BYTES:
            raise ArchiveFault(problem("/files", "files_size", limit=TREE_SIZE_LIMIT_BYTES))

    def add(self, path: str, content: bytes, *, is_executable: bool) -> None:
        """Keep a file."""
        if path in self._files:
            self.refuse(path, "duplicate", actual=path)
        self._files[path] = (is_executable, content)

    def end(self, fault: ArchiveFault) -> None:
        """Note why nothing more could be read."""
        self._problems.append(fault.fault)

    def finish(self, name: str) -> tuple[ScriptFile, ...]:
        """Return the files of the script `name`, sorted by path.

        One folder that holds everything is taken away, as `name-1.2.0/` usually is.

        Raises:
            FilesInvalid: Anything was not usable; all faults at once.
        """
        cut = _top_length(list(self._files))
        files = [
            ScriptFile(path[cut:], is_executable, content)
            for path, (is_executable, content) in sorted(self._files.items())
        ]
        problems = [
            *self._problems,
            *tree_problems([(each.path, len(each.content)) for each in files]),
        ]
        if not files and not problems:
            problems.append(problem("/files", "empty"))
        if problems:
            raise FilesInvalid(name=name, problems=problems[:PROBLEM_COUNT_LIMIT])
        return tuple(files)


def _way_out(name: str) -> str | None:
    """Return why a name would leave the folder it is unpacked into; None: it would not.

    Only what must be known before hidden names are left out: `digest.path_fault` does the rest.
    """
    if not name or len(name) > NAME_LENGTH_LIMIT_BYTES:
        return f"empty, or longer than {NAME_LENGTH_LIMIT_BYTES} bytes"
    if name.startswith("/") or _DRIVE.match(name):
        return "absolute"
    if "\\" in name:
        return "a backslash or an unprintable character"
    if ".." in name.split("/"):
        return "it leads out of the folder"
    return None


def _top_length(paths: list[str]) -> int:
    """Return how much of each path the one folder above all files is; 0: there is none."""
    tops = {path.partition("/")[:2] for path in paths}
    top, separator = tops.pop() if len(tops) == 1 else ("", "")
    return len(top) + 1 if separator else 0
