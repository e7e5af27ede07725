"""What SQLite says when it cannot, in the words of the product."""

from __future__ import annotations

import sqlite3
from typing import Final

from zscrape.errors import StorageError
from zscrape.errors.storage import StorageFailed, StorageFull, StorageLocked, StorageReadOnly

# Primary result codes: the low byte of `sqlite_errorcode`. https://sqlite.org/rescode.html
_ERRORS: Final[dict[int, type[StorageError]]] = {
    sqlite3.SQLITE_FULL: StorageFull,
    sqlite3.SQLITE_READONLY: StorageReadOnly,
    sqlite3.SQLITE_CANTOPEN: StorageReadOnly,
    sqlite3.SQLITE_BUSY: StorageLocked,
    sqlite3.SQLITE_LOCKED: StorageLocked,
}
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def storage_error(error: sqlite3.Error) -> StorageError:
    """Return what is told of a write that failed."""
    return _ERRORS.get(_primary(error), StorageFailed)(reason=str(error))


def is_damage(error: sqlite3.Error) -> bool:
    """True iff the file itself is at fault, so that trying again cannot help."""
    return _primary(error) in _DAMAGED


def _primary(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", 0) or 0
    return code & 0xFF
