"""Brings the tables of a database to a revision, by Alembic.

`python -m zscrape.store.upgrade` writes `newest.sql` anew: after each new migration.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from zscrape.store import migrations
from zscrape.store.newest import BETWEEN, FILE, HEAD


def upgrade(path: Path, revision: str) -> None:
    """Bring the SQLite file at `path` to `revision`, whole or not at all.

    Raises:
        sqlite3.Error: It cannot be written, or is damaged.
    """
    config = _config()
    url = make_url("sqlite://").set(database=str(path))
    engine = create_engine(url, poolclass=NullPool)
    # The driver would commit before each CREATE: a step that fails must leave nothing.
    # https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#pysqlite-serializable
    event.listen(engine, "connect", lambda raw, _: setattr(raw, "isolation_level", None))
    event.listen(engine, "begin", lambda bound: bound.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    except DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error):
            raise error.orig from error
        raise
    finally:
        engine.dispose()


def upgrade_postgres(url: str, revision: str, *, lock: int) -> None:
    """Bring the PostgreSQL database at `url` to `revision`, whole or not at all.

    Of several gateways that start at once one does it; the others wait for that.

    Raises:
        psycopg.Error: It cannot be reached or written.
    """
    import psycopg

    config = _config()
    # The driver reads the address by itself: it knows more forms than SQLAlchemy.
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(url, client_encoding="utf8"),
        poolclass=NullPool,
    )
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.Error):
            raise error.orig from error
        raise
    finally:
        engine.dispose()


def drawn() -> str:
    """Return what the migrations make of an empty file, as the text of `newest.sql`."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        upgrade(path, HEAD)
        with closing(sqlite3.connect(path)) as connection:
            # What has no text is made by SQLite itself: the indexes of primary keys.
            found = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
            statements = [each.replace(" \n", "\n").replace("\t", "    ") for (each,) in found]
    return BETWEEN.join(statements) + ";\n"


def _config() -> Config:
    # What it tells is for developers of migrations.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    return config


if __name__ == "__main__":
    FILE.write_text(drawn(), "utf-8")
