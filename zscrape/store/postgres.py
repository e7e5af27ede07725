"""The same database on PostgreSQL, for several gateways: one connection writes, others read.

It speaks as much of `sqlite3.Connection` as the store uses, so that every query is written
once: standard SQL with `?` for values. A connection that breaks is made anew with the next
transaction or read; meanwhile the store refuses what is new, as it does for a full disk.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast

from zscrape.errors import StorageError
from zscrape.errors.storage import (
    LeaseLost,
    PostgresEncoding,
    PostgresMissing,
    StorageFailed,
    StorageFull,
    StorageLocked,
    StorageNewer,
    StorageReadOnly,
    StorageUnavailable,
)
from zscrape.store.database import Database, Write
from zscrape.store.newest import HEAD
from zscrape.store.tasks import KeyTaken

if TYPE_CHECKING:
    import psycopg

Result = TypeVar("Result")
Raw: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"

_CONNECT_TIMEOUT_S: Final = 5
# A peer that is gone without a word is noticed after this, not after the system's 15 minutes.
_UNACKNOWLEDGED_MS: Final = 10_000
_READER_COUNT: Final = 4
_TRY_COUNT: Final = 3
# Set with every connection. A gateway that was stopped in the middle of a transaction must not
# keep others from its tasks.
_SESSION: Final = (
    "SET lock_timeout = '2s'; SET statement_timeout = '60s';"
    " SET idle_in_transaction_session_timeout = '5s'"
)
# Any number that no other program on the database takes for its own locks.
UPGRADE_LOCK: Final = 0x7A736372_01
OWNERSHIP_LOCK: Final = 0x7A736372_02


class Connection:
    """A connection that takes `?` for values, and text that PostgreSQL would refuse."""

    for_update: Final = " FOR UPDATE"  # SQLite's transactions are alone by themselves

    def __init__(self, raw: Raw) -> None:
        self.raw = raw

    def execute(
        self, statement: str, values: Sequence[Any] = ()
    ) -> psycopg.Cursor[tuple[Any, ...]]:
        """Run one statement; its rows are read by the cursor that is returned."""
        cursor = self.raw.cursor(binary=True)
        return cursor.execute(_translated(statement), [_plain(value) for value in values])


@cache
def _translated(statement: str) -> bytes:
    return statement.replace("%", "%%").replace("?", "%s").encode()


def _plain(value: Any) -> Any:
    """Return a value that can be sent; what no text of PostgreSQL can hold is replaced."""
    if not isinstance(value, str):
        return value
    if "\0" in value:
        value = value.replace("\0", "\ufffd")
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def connect(url: str) -> Raw:
    """Return a connection that begins no transaction by itself.

    Raises:
        PostgresMissing: The driver is not installed.
        PostgresEncoding: The database cannot hold every text.
        StorageError: The database cannot be reached, or refuses.
    """
    try:
        import psycopg
    except ImportError as error:
        raise PostgresMissing(source="gateway.database_url", reason=str(error)) from error

    # It tells of every broken connection; the store does, once.
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)
    with translated_errors():
        raw = psycopg.connect(
            url,
            autocommit=True,
            connect_timeout=_CONNECT_TIMEOUT_S,
            tcp_user_timeout=_UNACKNOWLEDGED_MS,
            application_name="zscrape",
            client_encoding="utf8",  # the server's own by default, and from SQL_ASCII that is bytes
            prepare_threshold=None,  # statements of many sizes; poolers know none
        )
        try:
            _require_every_text(raw)
            raw.execute(_SESSION)
        except BaseException:
            raw.close()
            raise
    return raw


def _require_every_text(raw: Raw) -> None:
    # SQL_ASCII keeps what it is given. Of a pooler that does not tell it, nothing is known.
    encoding = raw.info.parameter_status("server_encoding") or "UTF8"
    if encoding not in ("UTF8", "SQL_ASCII"):
        raise PostgresEncoding(source="gateway.database_url", reason=encoding)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Tell what the driver raises inside in the words of the product.

    Raises:
        StorageError: Something is wrong with the database.
        KeyTaken: A value was there already that may be there only once.
    """
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise storage_error(error) from error


def storage_error(error: psycopg.Error) -> StorageError | KeyTaken:
    """Return what is told of a statement that failed."""
    from psycopg import errors

    reason = " ".join(str(error).split())
    if isinstance(error, errors.UniqueViolation):
        return KeyTaken(error.diag.message_detail or "")
    kinds: tuple[tuple[Any, type[StorageError]], ...] = (
        ((errors.DiskFull, errors.OutOfMemory), StorageFull),
        (errors.ReadOnlySqlTransaction, StorageReadOnly),
        (
            (errors.LockNotAvailable, errors.DeadlockDetected, errors.SerializationFailure),
            StorageLocked,
        ),
        ((errors.QueryCanceled, errors.InsufficientPrivilege), StorageFailed),
        # Lost, shutting down, starting up, too many clients, wrong password, no such host.
        ((errors.OperationalError, errors.InterfaceError), StorageUnavailable),
    )
    for kind, told in kinds:
        if isinstance(error, kind):
            return told(reason=reason)
    return StorageFailed(reason=reason)


def open_database(url: str) -> None:
    """Bring the tables to the newest schema; several gateways may do so at once.

    Raises:
        StorageNewer: A newer zscrape has made it.
        PostgresEncoding: It cannot hold every text.
        StorageError: It cannot be reached or written.
    """
    raw = connect(url)
    try:
        with translated_errors():
            version = _schema_version(raw)
    finally:
        raw.close()
    if version > HEAD:
        raise StorageNewer(source="gateway.database_url", reason=f"schema {version}, known {HEAD}")
    if version < HEAD:
        from zscrape.store.upgrade import upgrade_postgres

        with translated_errors():
            upgrade_postgres(url, HEAD, lock=UPGRADE_LOCK)


def look_at_server(url: str) -> tuple[str, int]:
    """Return the schema, an empty text before there is any, and how many gateways are there.

    Raises:
        PostgresMissing: The driver is not installed.
        PostgresEncoding: The database cannot hold every text.
        StorageError: The server cannot be reached or read.
    """
    raw = connect(url)
    try:
        with translated_errors():
            version = _schema_version(raw)
            found = None
            if _has(raw, "gateways"):
                found = raw.execute("SELECT count(*) FROM gateways WHERE boot <> ''").fetchone()
    finally:
        raw.close()
    return version, int(found[0]) if found else 0


def _schema_version(raw: Raw) -> str:
    if not _has(raw, "alembic_version"):
        return ""
    row = raw.execute("SELECT version_num FROM alembic_version").fetchone()
    return "" if row is None else str(row[0])


def _has(raw: Raw, table: str) -> bool:
    found = raw.execute("SELECT to_regclass(%s) IS NOT NULL", (table,)).fetchone()
    return found is not None and bool(found[0])


class PostgresDatabase(Database):
    """An open PostgreSQL database behind the seam of `Database`.

    With `fence`, the id and the boot of a gateway, nothing is written once that life of the
    gateway has lost its lease: its tasks are another's.
    """

    def __init__(self, url: str, *, fence: tuple[str, str] | None = None) -> None:
        open_database(url)
        self._url = url
        self.fence = fence
        self._raw: Raw | None = None
        self._readers_lock = threading.Lock()
        self._raw_readers: list[Raw] = []
        self._begin()

    def _new_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_READER_COUNT, thread_name_prefix="store-reader")

    def _close(self) -> None:
        self._stop()
        for raw in [*self._raw_readers, self._raw]:
            if raw is not None:
                raw.close()

    # ---- in the threads --------------------------------------------------------------

    def _read(self, query: Callable[[sqlite3.Connection], Result]) -> Result:
        raw: Raw | None = getattr(self._local, "raw", None)
        is_old = raw is not None and not raw.closed
        try:
            return self._look(query)
        except StorageUnavailable:
            # It may have broken long ago, while nobody used it: that is no answer yet.
            if not is_old:
                raise
            return self._look(query)

    def _look(self, query: Callable[[sqlite3.Connection], Result]) -> Result:
        raw: Raw | None = getattr(self._local, "raw", None)
        if raw is None or raw.closed:
            raw = self._local.raw = connect(self._url)
            with self._readers_lock:
                self._raw_readers = [each for each in self._raw_readers if not each.closed]
                self._raw_readers.append(raw)
        with translated_errors():
            return query(_as_sqlite(raw))

    def _transact(self, work: Write) -> Exception | None:
        for number in range(1, _TRY_COUNT + 1):
            is_old = self._raw is not None
            try:
                self._attempt(work)
            except (KeyTaken, LeaseLost) as error:
                return error
            except StorageLocked as error:
                # Another gateway's transaction stood across: the same again, in a moment.
                if number == _TRY_COUNT:
                    return error
            except StorageUnavailable as error:
                self._part()
                if number == _TRY_COUNT or not is_old:
                    return error
            except StorageError as error:
                return error
            except Exception as error:  # noqa: BLE001 - the thread's outermost place: it is told
                self._part()
                return StorageFailed(reason=repr(error))
            else:
                return None
        raise AssertionError("the last try returns")

    def _attempt(self, work: Write) -> None:
        if self._raw is None or self._raw.closed:
            self._raw = connect(self._url)
        raw = self._raw
        with translated_errors(), raw.transaction():
            if self.fence is not None:
                _check_fence(raw, self.fence)
            work(_as_sqlite(raw))

    def _part(self) -> None:
        raw, self._raw = self._raw, None
        if raw is not None:
            with suppress(Exception):  # it is broken already
                raw.close()


def _check_fence(raw: Raw, fence: tuple[str, str]) -> None:
    """Prove that this gateway still has its lease, and keep others from ending it meanwhile.

    Raises:
        LeaseLost: It has not.
    """
    found = raw.execute(
        "SELECT 1 FROM gateways WHERE id = %s AND boot = %s FOR SHARE", fence
    ).fetchone()
    if found is None:
        raise LeaseLost(reason="the lease of this gateway has ended")


def _as_sqlite(raw: Raw) -> sqlite3.Connection:
    # Of a connection the store uses `execute` alone, which means the same here.
    return cast("sqlite3.Connection", Connection(raw))
