"""The tables of a gateway that keeps no files: the same schema, gone with the process."""

from __future__ import annotations

import asyncio
import sqlite3
import weakref
from collections.abc import Callable, Collection
from typing import Protocol, TypeVar

from zscrape.store.database import Write
from zscrape.store.faults import storage_error
from zscrape.store.newest import make
from zscrape.store.tasks import KeyTaken

Result = TypeVar("Result")


class Tables(Protocol):
    """What the stores of small domains need of a database."""

    def write(self, work: Write) -> asyncio.Future[None]:
        """Run `work` in a transaction; the future is done after its COMMIT, or has the error."""
        ...

    async def read(self, query: Callable[[sqlite3.Connection], Result]) -> Result:
        """Return what `query` finds."""
        ...


class VolatileDatabase:
    """A database in memory; there is no disk to wait for, so no thread either.

    `tables` names those that it has, empty at first; None: all of the schema.
    """

    def __init__(self, tables: Collection[str] | None = None) -> None:
        # The collector may close it in any thread; statements have the loop's alone.
        self._connection = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False
        )
        # Nobody closes what is gone with its owner: Python warns of that from 3.13 on.
        weakref.finalize(self, self._connection.close)
        make(self._connection, tables)

    def write(self, work: Write) -> asyncio.Future[None]:
        """Run `work` in a transaction of its own; the future is done when this returns."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            self._connection.execute("BEGIN")
            work(self._connection)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._connection.execute("ROLLBACK")
            is_twin = isinstance(error, sqlite3.IntegrityError)
            future.set_exception(KeyTaken() if is_twin else storage_error(error))
        else:
            future.set_result(None)
        return future

    async def read(self, query: Callable[[sqlite3.Connection], Result]) -> Result:
        """Return what `query` finds.

        Raises:
            StorageError: It cannot be read.
        """
        try:
            return query(self._connection)
        except sqlite3.Error as error:
            raise storage_error(error) from error

    async def close(self) -> None:
        """Forget everything."""
        self._connection.close()
