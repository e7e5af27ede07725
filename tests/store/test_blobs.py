"""Blobs as files: whole before anybody speaks of them, and known again when they are read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from zscrape.errors.storage import BlobDamaged, BlobMissing
from zscrape.store.blobs import PIECE_BYTES, FileBlobs, new_blob

CONTENT = os.urandom(3 * PIECE_BYTES + 17)


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    """Return an empty place for blobs."""
    return FileBlobs(tmp_path / "blobs")


@pytest.mark.parametrize("content", [b"", b"x", CONTENT])
def test_what_was_put_is_read(blobs: FileBlobs, content: bytes) -> None:
    """A blob comes back as it was put, and nobody but the owner may read it."""
    blob = new_blob(content)
    blobs.put(blob, content)

    found = b"".join(blobs.pieces(blob))

    assert found == content
    assert stat.S_IMODE(blobs.path(blob.key).stat().st_mode) == 0o600


def test_a_part(blobs: FileBlobs) -> None:
    """A part is read without the rest."""
    blob = new_blob(CONTENT)
    blobs.put(blob, CONTENT)

    assert b"".join(blobs.pieces(blob, 5, PIECE_BYTES + 9)) == CONTENT[5 : PIECE_BYTES + 9]


@pytest.mark.parametrize("damage", ["flipped", "short", "long"])
def test_a_damaged_blob(blobs: FileBlobs, damage: str) -> None:
    """What is not what was put is told, and never given in full length."""
    blob = new_blob(CONTENT)
    blobs.put(blob, CONTENT)
    path = blobs.path(blob.key)
    damaged = {
        "flipped": CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]),
        "short": CONTENT[:-1],
        "long": CONTENT + b"x" * PIECE_BYTES,
    }
    path.write_bytes(damaged[damage])
    given = 0

    with pytest.raises(BlobDamaged):  # noqa: PT012 - what came before counts
        for piece in blobs.pieces(blob):
            given += len(piece)

    assert given < len(CONTENT)


def test_a_missing_blob(blobs: FileBlobs) -> None:
    """One that somebody has removed is told; removing it again is no error."""
    blob = new_blob(b"x")

    blobs.remove([blob.key])

    with pytest.raises(BlobMissing):
        list(blobs.pieces(blob))


def test_a_full_disk_leaves_nothing(blobs: FileBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A blob that does not fit is not there at all."""
    blob = new_blob(CONTENT)

    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space"):
            blobs.put(blob, CONTENT)

    assert [path for path in blobs.folder.rglob("*") if path.is_file()] == []


def test_keys_by_age(blobs: FileBlobs) -> None:
    """Only what is old enough is listed; half a file is cleared away, a stranger's is left."""
    old, young = new_blob(b"old"), new_blob(b"young")
    blobs.put(old, b"old")
    blobs.put(young, b"young")
    half = blobs.path(old.key).with_name("0" * 30 + ".part")
    half.write_bytes(b"half")
    stranger = blobs.path(old.key).with_name("README")
    stranger.write_bytes(b"mine")
    for path in (blobs.path(old.key), half, stranger):
        os.utime(path, (1000.0, 1000.0))

    listed = list(blobs.keys(before=2000.0))

    assert listed == [old.key]
    assert not half.exists()
    assert stranger.exists()
