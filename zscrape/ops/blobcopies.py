"""Copies of the large files that stand beside the database, each proved as it is copied."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from msgspec import Struct

from zscrape.errors.storage import BlobDamaged, BlobMissing
from zscrape.store.blobs import Blob, FileBlobs
from zscrape.store.database import connect

FOLDER_SUFFIX: Final = ".blobs"
_ROW_COUNT: Final = 1_000


class Copied(Struct, frozen=True):
    """What became of the large files that a database names."""

    count: int = 0
    size_bytes: int = 0
    # In a bucket, or gone, or not what was put: their rows are there and nothing else.
    absent_count: int = 0


def folder_of(database: Path) -> Path:
    """Return the folder that belongs to a backup."""
    return database.with_name(database.name + FOLDER_SUFFIX)


def copy_blobs(database: Path, sources: Sequence[FileBlobs], target: FileBlobs) -> Copied:
    """Copy all that a database names from the first place that has it sound.

    Raises:
        OSError: A copy cannot be written.
    """
    target.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    count = size_bytes = absent_count = 0
    for blob in _named(database):
        if any(_is_copied(blob, source, target) for source in sources):
            count += 1
            size_bytes += blob.size_bytes
        else:
            absent_count += 1
    return Copied(count, size_bytes, absent_count)


def _named(database: Path) -> Iterator[Blob]:
    with closing(connect(database, is_reader=True)) as connection:
        if not _has_blobs(connection):
            return
        found = connection.execute("SELECT key, size_bytes, sha256 FROM blobs ORDER BY key")
        while rows := found.fetchmany(_ROW_COUNT):
            yield from (Blob(*row) for row in rows)


def _has_blobs(connection: sqlite3.Connection) -> bool:
    """True iff the schema is one that knows of them."""
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'blobs'"
    return connection.execute(query).fetchone() is not None


def _is_copied(blob: Blob, source: FileBlobs, target: FileBlobs) -> bool:
    """Copy one; False when it is not there, or not what was put."""
    path = target.path(blob.key)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            for piece in source.pieces(blob):
                os.write(descriptor, piece)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except (BlobMissing, BlobDamaged):
        path.unlink()
        return False
    return True
