"""Errors of what is kept: it cannot be written, is not what was written, or cannot be used."""

from __future__ import annotations

from typing import ClassVar

from zscrape.errors import ConfigError, RefusedError, StorageError, ZscrapeError

# ---- it cannot be written now --------------------------------------------------------


class StorageFull(StorageError):
    """Raised when the disk of the home folder is full."""

    code: ClassVar[str] = "storage_full"


class StorageReadOnly(StorageError):
    """Raised when the home folder can no longer be written to."""

    code: ClassVar[str] = "storage_read_only"


class StorageLocked(StorageError):
    """Raised when another program keeps the database locked."""

    code: ClassVar[str] = "storage_locked"


class StorageUnavailable(StorageError):
    """Raised when the database server cannot be reached, or takes no connection."""

    code: ClassVar[str] = "storage_unavailable"


class LeaseLost(StorageError):
    """Raised when this gateway's tasks are another's by now: nothing was written."""

    code: ClassVar[str] = "lease_lost"


class StorageFailed(StorageError):
    """Raised when the database cannot be written for another reason."""

    code: ClassVar[str] = "storage_failed"


# ---- it is not what was written ------------------------------------------------------


class TaskDamaged(ZscrapeError):
    """Raised when what was kept of a task is not what was written."""

    code: ClassVar[str] = "task_damaged"
    task_id: str


class ScheduleDamaged(ZscrapeError):
    """Raised when what was kept of a schedule is not what was written."""

    code: ClassVar[str] = "schedule_damaged"
    name: str


class BlobMissing(ZscrapeError):
    """Raised when a file of a task is not where it was put: somebody else has removed it."""

    code: ClassVar[str] = "blob_missing"
    http_status: ClassVar[int] = 410
    key: str


class BlobDamaged(ZscrapeError):
    """Raised when a file of a task is not what was put there."""

    code: ClassVar[str] = "blob_damaged"
    http_status: ClassVar[int] = 410
    key: str


class BlobUnavailable(RefusedError):
    """Raised when the place of large files cannot be reached, or refuses."""

    code: ClassVar[str] = "blob_unavailable"
    place: str
    reason: str


class SecretsSealed(ZscrapeError):
    """Raised when secrets cannot be opened: their key is not the one they were sealed with."""

    code: ClassVar[str] = "secrets_sealed"
    http_status: ClassVar[int] = 503
    path: str
    reason: str


# ---- it cannot be used as it is ------------------------------------------------------


class HomeInUse(ConfigError):
    """Raised when another gateway uses the home folder."""

    code: ClassVar[str] = "home_in_use"


class StorageCorrupt(ConfigError):
    """Raised when the database is damaged or is none; it was left as it is."""

    code: ClassVar[str] = "storage_corrupt"


class StorageNewer(ConfigError):
    """Raised when a newer zscrape has made the database; it was left as it is."""

    code: ClassVar[str] = "storage_newer"


class PostgresMissing(ConfigError):
    """Raised when a PostgreSQL database is to be used and its driver is not installed."""

    code: ClassVar[str] = "postgres_missing"


class PostgresEncoding(ConfigError):
    """Raised when a PostgreSQL database has an encoding that cannot hold every text."""

    code: ClassVar[str] = "postgres_encoding"
