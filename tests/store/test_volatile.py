"""The tables of a gateway that keeps no files."""

from __future__ import annotations

import sqlite3

import pytest

from zscrape.errors import StorageError
from zscrape.store.schema import METADATA
from zscrape.store.tasks import KeyTaken
from zscrape.store.volatile import VolatileDatabase


def _names(reader: sqlite3.Connection) -> set[str]:
    found = reader.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {name for (name,) in found}


async def test_it_has_the_tables_of_the_schema() -> None:
    """All of them, or those that are asked for."""
    whole, part = VolatileDatabase(), VolatileDatabase(["api_keys"])

    assert set(METADATA.tables) <= await whole.read(_names)
    assert await part.read(_names) == {"api_keys"}
    await whole.close()
    await part.close()


async def test_a_transaction_is_whole_or_nothing() -> None:
    """What fails half way leaves nothing, and is told as a database on a disk tells it."""
    database = VolatileDatabase()

    def twice(writer: sqlite3.Connection) -> None:
        for _ in range(2):
            writer.execute("INSERT INTO results VALUES ('t1', x'00', 0)")

    def wrong(writer: sqlite3.Connection) -> None:
        writer.execute("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(KeyTaken):
        await database.write(twice)
    with pytest.raises(StorageError):
        await database.write(wrong)
    with pytest.raises(StorageError):
        await database.read(lambda reader: reader.execute("SELECT * FROM nowhere").fetchall())

    left = await database.read(lambda reader: reader.execute("SELECT * FROM results").fetchall())
    assert left == []
    await database.close()
