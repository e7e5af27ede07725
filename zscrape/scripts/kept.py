"""One small document on disk: read whole, replaced whole."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")


class Unreadable(Exception):
    """Raised when there is a file but no such document in it; the text says why."""


def read_document(path: Path, kind: type[T]) -> T | None:
    """Return the document at `path`; None when there is no file.

    Raises:
        Unreadable: The file cannot be read, or holds something else.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Unreadable(str(error)) from error


def write_document(path: Path, document: object) -> None:
    """Write a document so that a reader sees the old one or the new one, whole.

    Raises:
        OSError: The disk will not take it; the old one stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(document))
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
