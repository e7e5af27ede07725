"""The gateway's database as one file, large files in a folder beside it: copied, put back."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from zscrape.config import SettingError
from zscrape.errors.storage import StorageCorrupt, StorageNewer
from zscrape.ops.blobcopies import Copied, copy_blobs, folder_of
from zscrape.store.audit import AuditLine, note_in_file
from zscrape.store.blobs import FOLDER_NAME, FileBlobs
from zscrape.store.database import (
    FILE_NAME,
    back_up,
    check,
    check_header,
    connect,
    home_lock,
    schema_version,
)
from zscrape.store.newest import HEAD


class Facts(Struct, frozen=True):
    """What is known of a database that is sound."""

    path: Path
    size_bytes: int
    schema: str
    task_count: int
    blobs: Copied = Copied()  # of a backup: large files that were copied with it
    secret_count: int = 0  # sealed: their key is in no backup


class Restored(Struct, frozen=True):
    """What was put in place, and where what stood there has gone."""

    facts: Facts
    replaced: Path | None


def inspect(path: Path) -> Facts:
    """Prove that a database is sound and of a known schema; it may be in use.

    Raises:
        OSError: It cannot be read.
        StorageCorrupt: It is damaged, or not a database of a gateway.
        StorageNewer: A newer zscrape has made it.
    """
    check_header(path)
    try:
        with closing(connect(path, is_reader=True)) as connection:
            check(connection, path)
            version = schema_version(connection)
            if not version:
                raise StorageCorrupt(source=str(path), reason="no tables of a gateway")
            if version > HEAD:
                raise StorageNewer(source=str(path), reason=f"schema {version}, known {HEAD}")
            count = connection.execute("SELECT count(*) FROM tasks").fetchone()[0]
            secret_count = _secret_count(connection)
    except sqlite3.Error as error:
        raise StorageCorrupt(source=str(path), reason=str(error)) from error
    return Facts(path, path.stat().st_size, version, count, secret_count=secret_count)


def _secret_count(connection: sqlite3.Connection) -> int:
    """Return how many secrets a database holds; those of older schemas have none."""
    known = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'secrets'"
    if not connection.execute(known).fetchone()[0]:
        return 0
    return int(connection.execute("SELECT count(*) FROM secrets").fetchone()[0])


def back_up_home(home: Path, target: Path) -> Facts:
    """Copy the database of a home folder into a new file; the gateway may be running.

    Raises:
        SettingError: There is no database, or the new file is there already.
        OSError: The copy cannot be written.
        StorageCorrupt, StorageError: The database cannot be read.
    """
    path = home / FILE_NAME
    if not path.exists():
        raise SettingError(source=str(path), reason="no such file", fault="no_database")
    if target.exists():
        raise SettingError(source=str(target), reason="exists", fault="backup_exists")
    folder = folder_of(target)
    if folder.exists():
        raise SettingError(source=str(folder), reason="exists", fault="backup_exists")
    back_up(path, target)
    # After the database: a file is there before the row that names it.
    blobs = copy_blobs(target, [FileBlobs(home / FOLDER_NAME)], FileBlobs(folder))
    return replace(inspect(target), blobs=blobs)


def restore_home(home: Path, source: Path, *, now: datetime | None = None) -> Restored:
    """Put a backup in the place of the database; what stood there is kept beside it.

    Raises:
        HomeInUse: A gateway is running.
        OSError: A file cannot be read or written.
        StorageCorrupt, StorageNewer: The backup cannot be used; nothing was changed.
        StorageError: The copy cannot be written; nothing was changed.
    """
    home.mkdir(parents=True, exist_ok=True)
    with home_lock(home):
        inspect(source)
        path = home / FILE_NAME
        fresh = home / f".{FILE_NAME}.new"
        fresh.unlink(missing_ok=True)
        os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        shutil.copyfile(source, fresh)
        moment = now or datetime.now(UTC)
        _note_restore(fresh, source, moment)
        with fresh.open("rb+") as file:
            os.fsync(file.fileno())
        fresh_blobs = home / f".{FOLDER_NAME}.new"
        shutil.rmtree(fresh_blobs, ignore_errors=True)
        # What the home folder has of it will do as well: a backup may have been moved alone.
        sources = [FileBlobs(folder_of(source)), FileBlobs(home / FOLDER_NAME)]
        blobs = copy_blobs(fresh, sources, FileBlobs(fresh_blobs))
        replaced = _set_aside(path, moment)
        if fresh_blobs.exists():
            fresh_blobs.rename(home / FOLDER_NAME)
        fresh.rename(path)
        folder = os.open(home, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return Restored(replace(inspect(path), blobs=blobs), replaced)


def _note_restore(fresh: Path, source: Path, moment: datetime) -> None:
    """Say in the audit that goes on from here whose hand has put it there."""
    actor = f"local:{os.getuid()}"
    with contextlib.suppress(KeyError):  # a container's user need not have a name
        actor = f"local:{pwd.getpwuid(os.getuid()).pw_name}"
    line = AuditLine(at=moment.timestamp(), actor=actor, action="restore", target=str(source))
    note_in_file(fresh, line)


def _set_aside(path: Path, now: datetime) -> Path | None:
    """Rename a database with its log and its large files, so that all still belong together."""
    blobs = path.with_name(FOLDER_NAME)
    if blobs.exists():
        blobs.rename(folder_of(path.with_name(f"zscrape-{now:%Y%m%dT%H%M%SZ}.db")))
    if not path.exists():
        return None
    aside = path.with_name(f"zscrape-{now:%Y%m%dT%H%M%SZ}.db")
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + suffix))
    return path.rename(aside)
