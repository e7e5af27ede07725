"""A database that ends with its process, for a gateway that keeps no files.

Its face is that of `zscrape.store.database.Database`, its tables are the same. What is done in
memory takes microseconds, so all of it is done in the loop's own thread.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.ddl import DDLElement

from zscrape.store.database import Result, Write
from zscrape.store.faults import storage_error
from zscrape.store.tasks import KeyTaken


class VolatileDatabase:
    """The given tables, empty at first."""

    def __init__(self, tables: Iterable[Table]) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        for table in tables:
            made: list[DDLElement] = [CreateTable(table), *map(CreateIndex, table.indexes)]
            for statement in made:
                self._connection.execute(str(statement.compile(dialect=sqlite.dialect())))

    def write(self, work: Write) -> asyncio.Future[None]:
        """Run `work` in a transaction of its own; see `Database.write`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        connection = self._connection
        connection.execute("BEGIN")
        try:
            work(connection)
        except sqlite3.IntegrityError:
            connection.execute("ROLLBACK")
            future.set_exception(KeyTaken())
        except sqlite3.Error as error:
            connection.execute("ROLLBACK")
            future.set_exception(storage_error(error))
        else:
            connection.execute("COMMIT")
            future.set_result(None)
        return future

    async def read(self, query: Callable[[sqlite3.Connection], Result]) -> Result:
        """Return what `query` finds."""
        return query(self._connection)

    async def close(self) -> None:
        """Let go of everything."""
        self._connection.close()
