"""The newest tables as SQLite's own text: what a new file starts with, without Alembic.

SQLAlchemy and Alembic take 25 MB and half a second to load, for a text that is known
beforehand. `newest.sql` is drawn from the migrations by `python -m zscrape.store.upgrade`; a
test holds it to them.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Final

HEAD: Final = "0012"  # the newest migration; a test holds it to the folder
FILE: Final = Path(__file__).with_name("newest.sql")
BETWEEN: Final = ";\n\n"  # statements
_TABLE: Final = re.compile(r"CREATE (?:TABLE (\w+)|(?:UNIQUE )?INDEX \w+ ON (\w+)) \(")


def make(connection: sqlite3.Connection, tables: Collection[str] | None = None) -> None:
    """Make these tables with their indexes, inside the transaction there is; None: all.

    Raises:
        sqlite3.Error: One of them cannot be made.
    """
    for table, statement in _statements():
        if tables is None or table in tables:
            connection.execute(statement)


def make_file(connection: sqlite3.Connection) -> None:
    """Make all tables of a new file, whole or not at all.

    Raises:
        sqlite3.Error: It cannot be written, or some of them are there.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        make(connection)
        connection.execute("INSERT INTO alembic_version VALUES (?)", (HEAD,))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some errors have rolled back already
            connection.execute("ROLLBACK")
        raise


@cache
def _statements() -> tuple[tuple[str, str], ...]:
    """Return each statement after the table that it is of."""
    statements = FILE.read_text("utf-8").strip().removesuffix(";").split(BETWEEN)
    found = ((_TABLE.match(each), each) for each in statements)
    return tuple((match[1] or match[2], each) for match, each in found if match is not None)
