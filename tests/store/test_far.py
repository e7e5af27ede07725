"""What is large of a task goes outside of the database, comes back, and goes with its task."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from zscrape.errors import ZscrapeError
from zscrape.errors.storage import BlobDamaged, BlobMissing
from zscrape.model import Outcome, OutcomeCode, TaskState
from zscrape.store import behind, statements
from zscrape.store.blobs import Blob, FileBlobs
from zscrape.store.database import Database, connect
from zscrape.store.far import Far, FarPolicy
from zscrape.store.sql import SqlPolicy, SqlTaskStore
from zscrape.store.tasks import StateChange, TaskRow

SMALL = FarPolicy(data_bytes=100_000, artifact_bytes=1_000, items_bytes=2_000, chunk_bytes=500)


class Folder(FileBlobs):
    """A folder that refuses when a test says so."""

    is_refusing = False

    def put(self, blob: Blob, content: bytes) -> None:
        """Keep a blob, or not."""
        if self.is_refusing:
            raise OSError(28, "No space left on device")
        super().put(blob, content)

    @property
    def files(self) -> list[Path]:
        """All files."""
        return [path for path in self.folder.rglob("*") if path.is_file()]


class Open:
    """A store with a folder beside it."""

    def __init__(self, path: Path, policy: SqlPolicy | None = None) -> None:
        self.path = path
        self.told: list[str] = []
        self.folder = Folder(path.with_suffix(".blobs"))
        self.database = Database(path)
        far = Far(self.folder, SMALL, on_fault=self._hear)
        self.store = SqlTaskStore(self.database, policy, far=far)

    def _hear(self, error: ZscrapeError | None) -> None:
        self.told.append("" if error is None else error.code)

    def rows(self, query: str) -> list[Any]:
        """Return what another program finds in the file."""
        with closing(connect(self.path, is_reader=True)) as connection:
            return connection.execute(query).fetchall()

    async def written(self) -> None:
        """Have everything on the disk."""
        while self.store._dirty or self.store._moves or self.store._writing:
            waiting = [self.store.kept(task_id) for task_id in [*self.store._live]]
            for future in waiting:
                if future is not None:
                    await future


@pytest.fixture
def opening(path: Path) -> Callable[..., Open]:
    """Return what opens the store again."""
    return lambda **options: Open(path, **options)


@pytest.fixture
async def opened(
    opening: Callable[..., Open], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Open]:
    """Return a store."""
    monkeypatch.setattr(behind, "RETRY_S", 0.01)
    made = opening()
    yield made
    await made.store.close()


def row_of(number: int, **fields: Any) -> TaskRow:
    """Return a row."""
    return TaskRow(
        id=f"t{number}", script_name="page", created_at=float(number), attempts=1, **fields
    )


def artifact(content: bytes) -> bytes:
    """Return the record of a saved file."""
    return json.dumps(
        {
            "name": "page.html",
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "data": base64.b64encode(content).decode(),
        }
    ).encode()


def end(store: SqlTaskStore, row: TaskRow, data: bytes = b"1") -> None:
    """Let a task end well."""
    row.status = TaskState.COMPLETED
    row.finished_at = row.created_at + 1
    row.outcome = Outcome(code=OutcomeCode.OK, data=data)
    store.note(row, 1.0, StateChange(row.id, row.status, 1))


async def whole(store: SqlTaskStore, blob: Blob | None) -> bytes:
    """Return all of a blob."""
    assert blob is not None
    return b"".join([piece async for piece in store.stream(blob)])


async def test_a_large_artifact(opened: Open) -> None:
    """A file that a script saved stands in a file, not in the database; a small one does not."""
    row = row_of(1)
    await opened.store.add(row)
    content = bytes(range(256)) * 4_000
    large = opened.store.append(row, "artifact", 1, 1.0, artifact(content))
    small = opened.store.append(row, "artifact", 1, 1.0, artifact(b"small"))
    end(opened.store, row)
    await opened.written()

    entry = await opened.store.entry("t1", large)
    blob = await opened.store.blob("t1", "artifact", large)

    assert entry is not None
    assert "data" not in json.loads(entry.body)
    assert json.loads(entry.body)["name"] == "page.html"
    assert await whole(opened.store, blob) == content
    assert await opened.store.blob("t1", "artifact", small) is None
    assert max(size for (size,) in opened.rows("SELECT length(body) FROM chunks")) < 1_000


async def test_a_large_answer(opened: Open) -> None:
    """An answer beyond what is inlined is named by its task and read from outside."""
    row = row_of(1)
    await opened.store.add(row)
    data = b'"%s"' % (b"x" * 150_000)
    end(opened.store, row, data)
    await opened.written()

    found = await opened.store.get("t1")

    assert found is not None
    assert found.outcome is not None
    assert found.outcome.data is None
    assert await whole(opened.store, found.far_data) == data
    assert opened.rows("SELECT count(*) FROM results") == [(0,)]


async def test_what_goes_outside_costs_no_empty_transaction(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While all that changed is being put outside there is nothing to write."""
    row = row_of(1)
    await opened.store.add(row)
    counts: list[int] = []
    monkeypatch.setattr(statements, "probe", lambda _writer: counts.append(1))
    end(opened.store, row, b'"%s"' % (b"x" * 150_000))
    await opened.written()

    assert counts == []
    assert opened.rows("SELECT count(*) FROM blobs") == [(1,)]


async def test_many_items(opened: Open) -> None:
    """Items beyond the bound go outside and are read together with those inside, in order."""
    row = row_of(1)
    await opened.store.add(row)
    items = [b'{"n":%d,"x":"%s"}' % (number, b"x" * 300) for number in range(60)]
    for place in range(0, 60, 10):
        for item in items[place : place + 10]:
            opened.store.append(row, "item", 1, 1.0, item)
        await opened.written()
    end(opened.store, row)
    await opened.written()

    entries = await opened.store.entries("t1", kinds=frozenset({"item"}), limit=100)

    assert len(opened.folder.files) > 2
    assert await opened.store.items("t1") == items
    assert await opened.store.items("t1", offset=25, limit=20) == items[25:45]
    assert [entry.body for entry in entries] == items
    assert (await opened.store.entry("t1", 45)) == entries[44]


async def test_what_cannot_go_outside_stays_inside(opened: Open) -> None:
    """While no file can be written the database keeps all, and that is told once."""
    opened.folder.is_refusing = True
    row = row_of(1)
    await opened.store.add(row)
    number = opened.store.append(row, "artifact", 1, 1.0, artifact(b"y" * 5_000))
    end(opened.store, row, b'"%s"' % (b"x" * 150_000))
    await opened.written()

    found = await opened.store.get("t1")
    entry = await opened.store.entry("t1", number)

    assert opened.folder.files == []
    assert opened.told == ["storage_failed"]
    assert found is not None
    assert found.outcome is not None
    assert len(found.outcome.data or b"") == 150_002
    assert entry is not None
    assert "data" in json.loads(entry.body)


async def test_a_database_that_refuses_keeps_no_blobs(opened: Open) -> None:
    """What was put for rows that were not written is removed; in the end there is one of each."""
    row = row_of(1)
    await opened.store.add(row)
    await opened.written()
    opened.database._writer.execute("PRAGMA query_only=ON")
    opened.store.append(row, "artifact", 1, 1.0, artifact(b"y" * 5_000))
    end(opened.store, row)
    waiting = opened.store.kept("t1", is_urgent=True)
    while not opened.store.fault():
        await opened.store.settled()
    opened.database._writer.execute("PRAGMA query_only=OFF")
    assert waiting is not None
    await waiting

    await opened.written()
    named = [key for (key,) in opened.rows("SELECT key FROM blobs")]

    assert [path.parent.name + path.name for path in opened.folder.files] == named


async def test_blobs_go_with_their_task(opening: Callable[..., Open]) -> None:
    """Files of items and artifacts go before the answer, and that goes with its task."""
    opened = opening(policy=SqlPolicy(task_age_s=100.0, output_age_s=10.0))
    row = row_of(1)
    await opened.store.add(row)
    opened.store.append(row, "artifact", 1, 1.0, artifact(b"y" * 5_000))
    end(opened.store, row, b'"%s"' % (b"x" * 150_000))
    await opened.written()
    counts = [len(opened.folder.files)]
    for now in (50.0, 150.0):
        await opened.store.sweep(now)
        counts.append(len(opened.folder.files))

    assert counts == [2, 1, 0]
    assert opened.rows("SELECT count(*) FROM blobs") == [(0,)]
    await opened.store.close()


async def test_orphans(opened: Open) -> None:
    """A file that no row names is swept once it is old enough; named ones stay."""
    row = row_of(1)
    await opened.store.add(row)
    opened.store.append(row, "artifact", 1, 1.0, artifact(b"y" * 5_000))
    end(opened.store, row)
    await opened.written()
    orphan = Blob("0" * 32, 1, "")
    opened.folder.put(orphan, b"x")

    young_count = await opened.store.sweep_orphans(before=1.0)
    old_count = await opened.store.sweep_orphans(before=4e9)

    assert (young_count, old_count) == (0, 1)
    assert len(opened.folder.files) == 1
    assert not opened.folder.path(orphan.key).exists()


@pytest.mark.parametrize(
    ("damage", "error"),
    [(lambda path: path.unlink(), BlobMissing), (lambda path: path.write_bytes(b"?"), BlobDamaged)],
)
async def test_a_blob_that_is_not_what_was_put(
    opened: Open, damage: Callable[[Path], Any], error: type[ZscrapeError]
) -> None:
    """A look before it is given says so."""
    row = row_of(1)
    await opened.store.add(row)
    number = opened.store.append(row, "artifact", 1, 1.0, artifact(b"y" * 5_000))
    end(opened.store, row)
    await opened.written()
    damage(opened.folder.files[0])
    blob = await opened.store.blob("t1", "artifact", number)
    assert blob is not None

    with pytest.raises(error):
        await opened.store.check_blob(blob)


async def test_a_restart_knows_what_is_outside(opening: Callable[..., Open]) -> None:
    """A task that is taken up has its items of before, whose weight still counts."""
    first = opening()
    row = row_of(1, origin="task", status=TaskState.RUNNING)
    await first.store.add(row)
    items = [b'{"n":%d,"x":"%s"}' % (number, b"x" * 300) for number in range(40)]
    for item in items:
        first.store.append(row, "item", 1, 1.0, item)
    await first.store.close()
    second = opening()
    await second.store.take_up(10.0)

    found = await second.store.items("t1")
    size_bytes = second.store._live["t1"].item_bytes[1]

    assert found == items
    assert size_bytes > 40 * 300
    await second.store.close()
