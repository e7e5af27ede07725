"""Write a script's files to disk so that nobody sees half of them."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path

from zscrape.scripts.digest import ScriptFile


def place_tree(files: Iterable[ScriptFile], place: Path) -> None:
    """Write a new folder of files: all of it is there at once, or nothing.

    Raises:
        FileExistsError: There is something at `place` already.
        OSError: The disk will not take it; nothing was left.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    # Hidden, and so no part of any script or version while it is written.
    staged = place.parent / f".{place.name}.{secrets.token_hex(4)}"
    try:
        staged.mkdir()
        for file in files:
            _write(staged / file.path, file)
        _put(staged, place)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        with contextlib.suppress(OSError):
            place.parent.rmdir()  # which does nothing unless it is empty
        raise


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new one, whole.

    Raises:
        OSError: The disk will not take it; the old one stays.
    """
    staged = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        staged.write_bytes(content)
        if path.exists():
            shutil.copymode(path, staged)
        staged.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            staged.unlink()
        raise


def place_file(path: Path, content: bytes) -> None:
    """Write a new file: all of it is there at once, or nothing.

    Raises:
        FileExistsError: There is something at `path` already.
        OSError: The disk will not take it; nothing was left.
    """
    staged = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        staged.write_bytes(content)
        os.link(staged, path)  # unlike a rename it never replaces
    finally:
        with contextlib.suppress(OSError):
            staged.unlink()


def _put(staged: Path, place: Path) -> None:
    if os.path.lexists(place):  # an empty folder would give way to a rename
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(place))
    try:
        staged.rename(place)
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.ENOTDIR}:  # somebody was quicker
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(place)) from error
        raise


def _write(place: Path, file: ScriptFile) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    mode = 0o777 if file.is_executable else 0o666
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(file.content)
        opened.flush()
        os.fsync(opened.fileno())
