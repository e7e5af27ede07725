"""The database as one file: copied while in use, put back when no gateway runs, proved first."""

from __future__ import annotations

import base64
import shutil
import stat
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from zscrape.config import SettingError
from zscrape.errors.storage import HomeInUse, StorageCorrupt, StorageNewer
from zscrape.ops.backup import back_up_home, inspect, restore_home
from zscrape.ops.blobcopies import Copied
from zscrape.store.blobs import FileBlobs
from zscrape.store.database import Database, connect, home_lock, open_file
from zscrape.store.far import Far
from zscrape.store.newest import HEAD
from zscrape.store.sql import SqlTaskStore
from zscrape.store.tasks import TaskQuery, TaskRow

NOW = datetime(2026, 2, 10, 14, 30, 1, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home folder with an empty database."""
    home = tmp_path / "home"
    home.mkdir()
    open_file(home / "zscrape.db").close()
    return home


def task(number: int) -> TaskRow:
    """Return a row."""
    return TaskRow(id=f"t{number}", script_name="page", created_at=float(number))


async def known(path: Path) -> list[str]:
    """Return the ids of the tasks in a database."""
    store = SqlTaskStore(Database(path))
    page = await store.page(TaskQuery())
    await store.close()
    return [row.id for row in page.rows]


async def test_a_backup_is_what_was_committed_by_then(home: Path, tmp_path: Path) -> None:
    """A backup of a running gateway has what was accepted, and brings it back."""
    target = tmp_path / "backup.db"
    store = SqlTaskStore(Database(home / "zscrape.db"))
    await store.add(task(1))
    facts = back_up_home(home, target)
    await store.add(task(2))
    await store.close()

    restored = restore_home(home, target, now=NOW)

    aside = home / "zscrape-20260210T143001Z.db"
    assert (facts.task_count, facts.path) == (1, target)
    assert restored.replaced == aside
    assert await known(home / "zscrape.db") == ["t1"]
    assert await known(aside) == ["t2", "t1"]
    assert stat.S_IMODE((home / "zscrape.db").lstat().st_mode) == 0o600


def test_nothing_to_back_up(tmp_path: Path) -> None:
    """Without a database, and over a file that is there, nothing is written."""
    with pytest.raises(SettingError) as none:
        back_up_home(tmp_path, tmp_path / "backup.db")
    (tmp_path / "zscrape.db").touch()
    (tmp_path / "backup.db").write_text("mine")
    with pytest.raises(SettingError) as there:
        back_up_home(tmp_path, tmp_path / "backup.db")

    assert (none.value.fault, there.value.fault) == ("no_database", "backup_exists")
    assert (tmp_path / "backup.db").read_text() == "mine"


def test_no_restore_under_a_running_gateway(home: Path, tmp_path: Path) -> None:
    """What a gateway has open is not replaced."""
    target = tmp_path / "backup.db"
    back_up_home(home, target)

    with home_lock(home), pytest.raises(HomeInUse):
        restore_home(home, target)

    assert restore_home(home, target, now=NOW).facts.task_count == 0


def test_restore_on_an_empty_machine(home: Path, tmp_path: Path) -> None:
    """A backup brings a home folder that does not exist yet to life."""
    target, fresh = tmp_path / "backup.db", tmp_path / "elsewhere" / "home"
    back_up_home(home, target)

    restored = restore_home(fresh, target)

    assert restored.replaced is None
    assert inspect(fresh / "zscrape.db").schema == HEAD
    with closing(connect(fresh / "zscrape.db", is_reader=True)) as connection:
        (line,) = connection.execute("SELECT actor, action, target, result FROM audit").fetchall()
    assert line[0].startswith("local:")
    assert line[1:] == ("restore", str(target), "ok")


def test_a_backup_that_cannot_be_used(home: Path, tmp_path: Path) -> None:
    """A damaged file, a foreign database and a newer one are refused; nothing was changed."""
    before = (home / "zscrape.db").read_bytes()
    no_database, foreign, newer = (tmp_path / name for name in ("a", "b", "c"))
    no_database.write_text("no database at all")
    with closing(connect(foreign)) as connection:
        connection.execute("CREATE TABLE other (a)")
    back_up_home(home, newer)
    with closing(connect(newer)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StorageCorrupt):
        restore_home(home, no_database)
    with pytest.raises(StorageCorrupt):
        restore_home(home, foreign)
    with pytest.raises(StorageNewer):
        restore_home(home, newer)

    assert (home / "zscrape.db").read_bytes() == before
    assert not list(home.glob("zscrape-*"))


async def _with_artifacts(home: Path) -> list[Path]:
    """Keep a task with two large files in a home; returns them."""
    folder = FileBlobs(home / "blobs")
    store = SqlTaskStore(Database(home / "zscrape.db"), far=Far(folder))
    row = task(1)
    await store.add(row)
    for name in ("a", "b"):
        data = base64.b64encode(name.encode() * 90_000).decode()
        saved = {"name": name, "size": 90_000, "data": data}
        store.append(row, "artifact", 1, 1.0, msgspec.json.encode(saved))
    await store.close()
    return sorted(path for path in folder.folder.rglob("*") if path.is_file())


async def test_large_files_come_with_a_backup(home: Path, tmp_path: Path) -> None:
    """They are copied beside it and put back, what stood there is kept; a lost one is counted."""
    target, fresh = tmp_path / "backup.db", tmp_path / "fresh"
    first, second = await _with_artifacts(home)

    made = back_up_home(home, target)
    second.write_bytes(b"damaged")
    again = restore_home(home, target, now=NOW)
    (tmp_path / "backup.db.blobs" / first.relative_to(home / "blobs")).unlink()
    elsewhere = restore_home(fresh, target)

    aside = home / "zscrape-20260210T143001Z.db.blobs"
    assert made.blobs == Copied(2, 180_000, 0)
    assert again.facts.blobs == Copied(2, 180_000, 0)
    assert second.stat().st_size == 90_000
    assert (aside / second.relative_to(home / "blobs")).read_bytes() == b"damaged"
    assert elsewhere.facts.blobs == Copied(1, 90_000, 1)
    assert stat.S_IMODE((fresh / "blobs").stat().st_mode) == 0o700


async def test_a_backup_that_was_moved_alone(home: Path, tmp_path: Path) -> None:
    """Large files that the home folder still has serve a backup without its folder."""
    target = tmp_path / "backup.db"
    await _with_artifacts(home)
    back_up_home(home, target)
    shutil.rmtree(tmp_path / "backup.db.blobs")

    restored = restore_home(home, target, now=NOW)

    assert restored.facts.blobs.count == 2
    assert len([path for path in (home / "blobs").rglob("*") if path.is_file()]) == 2


def test_no_backup_into_the_folder_of_another(home: Path, tmp_path: Path) -> None:
    """A folder that is there already is left as it is."""
    (tmp_path / "backup.db.blobs").mkdir()

    with pytest.raises(SettingError) as there:
        back_up_home(home, tmp_path / "backup.db")

    assert there.value.fault == "backup_exists"
    assert not (tmp_path / "backup.db").exists()
