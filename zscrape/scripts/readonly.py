"""Trees of files that nobody may change: written durably, and removed all the same."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from zscrape.scripts.digest import ScriptFile


def write_tree(folder: Path, files: Iterable[ScriptFile]) -> None:
    """Write the files durably, then take every right to write away.

    The folder itself can still be moved to its place.

    Raises:
        OSError: The disk will not take them.
    """
    folders = {folder}
    for file in files:
        place = folder / file.path
        place.parent.mkdir(parents=True, exist_ok=True)
        folders.update(each for each in place.parents if each.is_relative_to(folder))
        mode = 0o555 if file.is_executable else 0o444
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(file.content)
            opened.flush()
            os.fsync(opened.fileno())
            os.fchmod(opened.fileno(), mode)  # whatever the umask is
    for each in sorted(folders, reverse=True):
        sync_folder(each)
        each.chmod(0o755 if each == folder else 0o555)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder outlive a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_writable(folder: Path) -> None:
    """Give the owner the right to rename or remove what is in a read-only tree."""
    folder.chmod(0o755)
    for inner, _, _ in os.walk(folder):
        Path(inner).chmod(0o755)


def remove_tree(folder: Path) -> None:
    """Remove a read-only tree, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        make_writable(folder)
        shutil.rmtree(folder)


def size_bytes(folder: Path) -> int:
    """Return what the files of a tree hold."""
    return sum(
        (Path(inner) / name).lstat().st_size
        for inner, _, names in os.walk(folder)
        for name in names
    )
