"""The file: opened with care, refused when it is not sound, one gateway to a home."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from zscrape.errors import StorageError
from zscrape.errors.storage import (
    HomeInUse,
    StorageCorrupt,
    StorageFull,
    StorageLocked,
    StorageNewer,
    StorageReadOnly,
)
from zscrape.store import migrations
from zscrape.store.database import (
    Database,
    back_up,
    connect,
    home_lock,
    open_file,
    schema_version,
)
from zscrape.store.newest import FILE, HEAD
from zscrape.store.schema import METADATA
from zscrape.store.statements import KEYS, RECORD_COLUMNS
from zscrape.store.upgrade import drawn, upgrade


def test_a_new_file_is_private_and_safe(tmp_path: Path) -> None:
    """What holds parameters and results is readable by its owner alone, and synced in full."""
    path = tmp_path / "zscrape.db"

    with closing(open_file(path)) as connection:
        journal = connection.execute("PRAGMA journal_mode").fetchone()[0]
        sync = connection.execute("PRAGMA synchronous").fetchone()[0]

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (journal, sync) == ("wal", 2)


def test_migrations_make_the_schema(tmp_path: Path) -> None:
    """Step by step from nothing, the migrations end in exactly the tables of the schema."""
    path = tmp_path / "zscrape.db"
    folder = ScriptDirectory(str(Path(migrations.__file__).parent))
    steps = [step.revision for step in folder.walk_revisions()][::-1]
    for step in steps:
        upgrade(path, step)

    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), METADATA)
    engine.dispose()

    assert folder.get_heads() == [HEAD]
    assert steps[-1] == HEAD
    assert differences == []


def test_a_new_file_is_as_migrations_make_it() -> None:
    """The text that new files are made by is what `python -m zscrape.store.upgrade` writes."""
    text = FILE.read_text("utf-8")

    assert text == drawn()


def test_a_new_file_is_whole_or_nothing(tmp_path: Path) -> None:
    """Where one table is in the way, no other is made."""
    path = tmp_path / "zscrape.db"
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE results (a)")

    with pytest.raises(StorageError):
        open_file(path)

    with closing(connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert names == [("results",)]


def test_a_file_of_an_older_version_is_migrated(tmp_path: Path) -> None:
    """It ends with the tables of a new one."""
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    upgrade(old, "0001")

    with closing(open_file(old)) as migrated, closing(open_file(new)) as made:
        versions = [schema_version(each) for each in (migrated, made)]
        tables = [
            {table: _columns(each, table) for table in METADATA.tables} for each in (migrated, made)
        ]

    assert versions == [HEAD, HEAD]
    assert tables[0] == tables[1]


def _columns(connection: sqlite3.Connection, table: str) -> list[tuple[object, ...]]:
    return connection.execute(f"PRAGMA table_info({table})").fetchall()


@pytest.mark.parametrize("name", RECORD_COLUMNS)
def test_records_have_the_columns_of_their_table(name: str) -> None:
    """What is written often names every column but those that the database fills."""
    table = METADATA.tables[name]
    unique = [{*index.columns.keys()} for index in table.indexes if index.unique]

    assert {*RECORD_COLUMNS[name]} == {*table.columns.keys()} - {"seq"}
    assert {*KEYS[name]} in [{*table.primary_key.columns.keys()}, *unique]


def test_a_failed_migration_leaves_nothing(tmp_path: Path) -> None:
    """A step that fails in its middle is undone as a whole."""
    path = tmp_path / "zscrape.db"
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE results (a)")  # in the way of the step's last table

    with pytest.raises(sqlite3.OperationalError):
        upgrade(path, HEAD)

    with closing(connect(path)) as connection:
        assert schema_version(connection) == ""
        names = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert names == [("results",)]


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\x00" + b"\x10\x00" * 300])
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    """It is told with the way to mend it, and left as it is."""
    path = tmp_path / "zscrape.db"
    path.write_bytes(content)

    with pytest.raises(StorageCorrupt) as caught:
        open_file(path)

    assert caught.value.source == str(path)
    assert path.read_bytes() == content


def test_a_damaged_page(blank: Path, tmp_path: Path) -> None:
    """A page that makes no sense is found at the start."""
    path = tmp_path / "zscrape.db"
    content = bytearray(blank.read_bytes())
    content[4096 : 4096 * 3] = b"\xff" * 8192
    path.write_bytes(content)

    with pytest.raises(StorageCorrupt):
        open_file(path)


def test_a_newer_schema(blank: Path, tmp_path: Path) -> None:
    """A file of a newer version is not touched."""
    path = tmp_path / "zscrape.db"
    path.write_bytes(blank.read_bytes())
    with closing(connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StorageNewer) as caught:
        open_file(path)

    assert "9999" in caught.value.reason


def test_one_gateway_to_a_home(tmp_path: Path) -> None:
    """A second one is refused and told who is in there; after the first any may come."""
    with home_lock(tmp_path):
        with pytest.raises(HomeInUse) as caught, home_lock(tmp_path):
            pass

        assert caught.value.source == str(tmp_path)

    with home_lock(tmp_path):
        pass


def full(writer: sqlite3.Connection) -> None:
    """Let the file grow no more."""
    count = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count={count}")


def read_only(writer: sqlite3.Connection) -> None:
    """Let nothing be written."""
    writer.execute("PRAGMA query_only=ON")


@pytest.mark.parametrize(
    ("harm", "kind"),
    [(full, StorageFull), (read_only, StorageReadOnly)],
    ids=lambda it: it.__name__,
)
async def test_a_write_that_is_refused(
    path: Path, harm: Callable[[sqlite3.Connection], None], kind: type[StorageError]
) -> None:
    """It is told by its reason, and nothing of its transaction is there."""
    database = Database(path)
    harm(database._writer)

    def work(writer: sqlite3.Connection) -> None:
        writer.execute("INSERT INTO results VALUES ('a', x'00', 1)")
        writer.execute("INSERT INTO results VALUES ('b', zeroblob(1000000), 1)")

    with pytest.raises(kind):
        await database.write(work)

    found = await database.read(lambda reader: reader.execute("SELECT * FROM results").fetchall())
    await database.close()
    assert found == []


async def test_a_locked_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program's lock is waited for, then told; reading goes on."""
    monkeypatch.setattr("zscrape.store.database._BUSY_TIMEOUT_S", 0.05)
    database = Database(path)
    with closing(connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StorageLocked):
            await database.write(lambda writer: None)

        found = await database.read(lambda reader: reader.execute("SELECT 1").fetchone())
        other.execute("ROLLBACK")
    await database.write(lambda writer: None)
    await database.close()
    assert found == (1,)


def test_a_copy_of_a_database_in_use(path: Path, tmp_path: Path) -> None:
    """A copy is one private file with all that was committed, made while the file is in use."""
    copy = tmp_path / "copy.db"
    with closing(open_file(path)) as writer:
        writer.execute("INSERT INTO results VALUES ('a', x'00', 1)")

        back_up(path, copy)

    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert sorted(found.name for found in tmp_path.glob("copy*")) == ["copy.db"]
    with closing(connect(copy)) as connection:
        assert connection.execute("SELECT task_id FROM results").fetchall() == [("a",)]
