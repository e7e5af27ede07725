"""What is too large for the database: one file each, named by a row that is committed after it.

A file is whole before a row speaks of it: written under another name, synced, renamed, and
the folder synced as well. A crash in between leaves a file that no row names; it is swept.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from zscrape.errors.storage import BlobDamaged, BlobMissing

PIECE_BYTES: Final = 256 * 1024
FOLDER_NAME: Final = "blobs"
_KEY: Final = re.compile(r"[0-9a-f]{32}")
_HALF: Final = ".part"


class Blob(Struct, frozen=True, gc=False):
    """What the database says of one blob: with `sha256` it is known again."""

    key: str
    size_bytes: int
    sha256: str


def new_blob(content: bytes) -> Blob:
    """Return what is to be said of new content; its key is never used twice."""
    return Blob(secrets.token_hex(16), len(content), hashlib.sha256(content).hexdigest())


def is_key(name: str) -> bool:
    """True iff a name is one that `new_blob` gives."""
    return _KEY.fullmatch(name) is not None


class BlobStore(Protocol):
    """A place for blobs. Every call may take its time: none is made on the event loop."""

    place: str  # for people
    # A look at the content before the first byte of it is given is cheap, and so is a part.
    is_near: bool

    def put(self, blob: Blob, content: bytes) -> None:
        """Keep a blob; it is safe when this returns.

        Raises:
            BlobUnavailable, OSError: It cannot be kept now.
        """
        ...

    def pieces(self, blob: Blob, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the content; a whole one is checked, and its last piece held back until then.

        Raises:
            BlobMissing: It is not there.
            BlobDamaged: It is not what was put.
            BlobUnavailable, OSError: It cannot be read now.
        """
        ...

    def remove(self, keys: Iterable[str]) -> None:
        """Remove blobs; one that is not there is no error.

        Raises:
            BlobUnavailable, OSError: Some cannot be removed now.
        """
        ...

    def keys(self, *, before: float) -> Iterator[str]:
        """Yield the keys of all blobs that were put before a moment (Unix time).

        Raises:
            BlobUnavailable, OSError: They cannot be listed now.
        """
        ...


def checked(pieces: Iterable[bytes], blob: Blob) -> Iterator[bytes]:
    """Yield pieces, the last one only when all of them are what was put.

    Who gets a part of a damaged blob therefore never gets as many bytes as were promised.

    Raises:
        BlobDamaged: They are something else.
    """
    told = hashlib.sha256()
    size_bytes = 0
    held = b""
    for piece in pieces:
        if held:
            yield held
        told.update(piece)
        size_bytes += len(piece)
        held = piece
        if size_bytes > blob.size_bytes:
            break
    if size_bytes != blob.size_bytes or told.hexdigest() != blob.sha256:
        raise BlobDamaged(key=blob.key)
    if held:
        yield held


class FileBlobs:
    """Blobs as files of a folder, spread over 256 folders in it."""

    is_near = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = str(folder)

    def path(self, key: str) -> Path:
        """Return where a blob is."""
        return self.folder / key[:2] / key[2:]

    def put(self, blob: Blob, content: bytes) -> None:
        """Keep a blob; see `BlobStore`."""
        path = self.path(blob.key)
        is_first = not path.parent.exists()
        # Two steps: `parents` would make the outer one readable by others.
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        half = path.with_name(path.name + _HALF)
        try:
            descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                _write_all(descriptor, content)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            half.rename(path)
        except BaseException:
            half.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
        if is_first:
            _sync_folder(self.folder)

    def pieces(self, blob: Blob, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the content; see `BlobStore`."""
        end = blob.size_bytes if stop is None else stop
        if (start, end) == (0, blob.size_bytes):
            yield from checked(self._pieces(blob, 0, blob.size_bytes + 1), blob)
        else:
            yield from self._pieces(blob, start, end)

    def _pieces(self, blob: Blob, start: int, stop: int) -> Iterator[bytes]:
        try:
            file = self.path(blob.key).open("rb", buffering=0)
        except FileNotFoundError:
            raise BlobMissing(key=blob.key) from None
        with file:
            file.seek(start)
            left_bytes = stop - start
            while left_bytes > 0 and (piece := file.read(min(PIECE_BYTES, left_bytes))):
                left_bytes -= len(piece)
                yield piece

    def remove(self, keys: Iterable[str]) -> None:
        """Remove blobs; see `BlobStore`."""
        for key in keys:
            self.path(key).unlink(missing_ok=True)

    def keys(self, *, before: float) -> Iterator[str]:
        """Yield keys, and clear away what a crash has left half written; see `BlobStore`."""
        if not self.folder.is_dir():
            return
        for folder in self.folder.iterdir():
            if len(folder.name) != 2 or not folder.is_dir():
                continue  # not ours
            for path in folder.iterdir():
                key = folder.name + path.name.removesuffix(_HALF)
                if not is_key(key) or not _is_older(path, before):
                    continue
                if path.name.endswith(_HALF):
                    path.unlink(missing_ok=True)
                else:
                    yield key


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _is_older(path: Path, moment: float) -> bool:
    try:
        return path.stat().st_mtime < moment
    except FileNotFoundError:  # removed meanwhile
        return False


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
