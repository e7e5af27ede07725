"""A store on a database: what it writes when, and what it does while the disk refuses."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from zscrape.errors import StorageError
from zscrape.errors.storage import StorageFailed, StorageReadOnly, TaskDamaged
from zscrape.model import Outcome, OutcomeCode, Pin, RunSpec, TaskSpec, TaskState
from zscrape.store import behind, live
from zscrape.store.database import Database, connect
from zscrape.store.records import USUAL_COLUMNS, Loaded, encode_log
from zscrape.store.sql import SqlPolicy, SqlTaskStore
from zscrape.store.tasks import KeyTaken, StateChange, TaskQuery, TaskRow, brief_log


class Open:
    """A store, and what it told of its disk."""

    def __init__(self, path: Path, policy: SqlPolicy | None = None) -> None:
        self.told: list[str] = []
        self.database = Database(path)
        self.store = SqlTaskStore(self.database, policy, on_fault=self._hear)

    def _hear(self, error: StorageError | None) -> None:
        self.told.append("" if error is None else error.code)

    def refuse(self, is_refusing: bool) -> None:
        """Let the disk refuse, or take again."""
        self.database._writer.execute(f"PRAGMA query_only={'ON' if is_refusing else 'OFF'}")


@pytest.fixture
async def opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    """Return a store that tries again soon."""
    monkeypatch.setattr(behind, "RETRY_S", 0.01)
    made = Open(path)
    yield made
    made.refuse(False)
    await made.store.close()


def on_disk(path: Path, query: str, *values: Any) -> list[Any]:
    """Return what another program finds in the file."""
    with closing(connect(path, is_reader=True)) as connection:
        return connection.execute(query, values).fetchall()


def task(number: int, **fields: Any) -> TaskRow:
    """Return a row."""
    return TaskRow(id=f"t{number}", script_name="page", created_at=float(number), **fields)


def end(store: SqlTaskStore, row: TaskRow) -> None:
    """Let a task end well."""
    row.status = TaskState.COMPLETED
    row.finished_at = row.created_at + 1
    row.outcome = Outcome(code=OutcomeCode.OK, data=b"1")
    store.note(row, 1.0, StateChange(row.id, row.status, 1))


async def _placed(store: SqlTaskStore, number: int) -> TaskRow:
    """Return a call that a worker was free for."""
    row = task(number, origin="scrape", attempts=1, worker_id="w1", assigned_at=1.0)
    await store.add(row)
    store.note_placed(row)
    return row


def _over(store: SqlTaskStore, row: TaskRow) -> None:
    """Let a call end well that was placed."""
    row.status, row.finished_at = TaskState.COMPLETED, row.created_at + 1
    row.outcome = Outcome(code=OutcomeCode.OK, data=b"1")
    store.note_over(row)


async def _short_call(store: SqlTaskStore, number: int) -> TaskRow:
    row = await _placed(store, number)
    _over(store, row)
    return row


async def test_a_durable_task_is_on_the_disk_when_it_is_added(opened: Open, path: Path) -> None:
    """What a 202 promises has been committed before; a synchronous call does not wait."""
    await opened.store.add(task(1, origin="task"))
    await opened.store.add(task(2, origin="scrape"))

    found = on_disk(path, "SELECT id FROM tasks")

    assert found == [("t1",)]
    waiting = opened.store.kept("t2")
    assert waiting is not None
    await waiting
    assert on_disk(path, "SELECT count(*) FROM tasks") == [(2,)]


async def test_a_short_call_costs_one_row(opened: Open, path: Path) -> None:
    """A call that is over before it was written is written once, its log beside it."""
    row = task(1, origin="scrape")
    await opened.store.add(row)
    for _ in range(3):
        opened.store.note(row, 1.0, StateChange(row.id, TaskState.RUNNING, 1))
    end(opened.store, row)

    waiting = opened.store.kept("t1")
    assert waiting is not None
    await waiting

    assert on_disk(path, "SELECT id, status FROM tasks") == [("t1", "completed")]
    assert on_disk(path, "SELECT count(*) FROM chunks") == [(0,)]
    assert len(await opened.store.entries("t1", limit=9)) == 4
    assert not opened.store._live


async def test_the_log_of_a_short_call_stands_in_its_row(opened: Open, path: Path) -> None:
    """What can be told from the row is not written beside it, and survives a change of the row."""
    row = task(1, origin="scrape", attempts=1, worker_id="w1", assigned_at=1.5)
    await opened.store.add(row)
    opened.store.note_placed(row)
    row.status, row.finished_at = TaskState.FAILED, 2.0
    row.is_dead_letter, row.dropped_reason = True, "retry_exhausted"
    row.outcome = Outcome(code=OutcomeCode.TIMEOUT)
    opened.store.note_over(row)
    await opened.store.settled()

    assert on_disk(path, "SELECT log FROM tasks") == [(encode_log(()),)]
    assert await opened.store.take_dead_letter("t1")
    assert [each.number for each in await opened.store.entries("t1", limit=9)] == [1, 2, 3, 4]
    assert (await opened.store.page(TaskQuery())).rows[0].last_number == 4


def test_the_log_of_a_short_call_goes_on_once_it_was_read() -> None:
    """What was made of the row and what came behind it are written together."""
    row = task(1, attempts=1, worker_id="w1", assigned_at=1.5, is_brief=True, last_number=4)
    row.finished_at, row.outcome = 2.0, Outcome(code=OutcomeCode.OK)
    going_on = live.resume(Loaded(row, None, brief_log(row), 1), chunks=None)

    assert going_on.append("progress", 1, 3.0, b"{}", 1_000_000)

    log = going_on.take().record[USUAL_COLUMNS.index("log")]
    assert bytes(log) == encode_log(going_on.tail)
    assert [each.number for each in going_on.tail] == [1, 2, 3, 4, 5]


async def test_rows_are_made_ahead_as_they_will_be(
    opened: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happens to a task after its row was made is written; one that cannot be stops none."""
    monkeypatch.setattr(opened.store, "_behind_s", 60.0)
    rows = [await _short_call(opened.store, number) for number in range(behind.TURN_COUNT)]
    rows[1].progress_text = "\ud800"
    await asyncio.sleep(0)
    ahead = [task.row.id for task in opened.store._live.values() if task.record is not None]
    rows[1].progress_text = ""
    await asyncio.sleep(0)

    assert ahead == ["t0"]  # the others are left to be made when they are written
    rows += [await _short_call(opened.store, 100 + number) for number in range(behind.TURN_COUNT)]
    rows[-1].is_dead_letter = True
    await asyncio.sleep(0)
    assert opened.store._live["t100"].record is not None
    assert await opened.store.take_dead_letter(rows[-1].id, retried_as="t7")
    await opened.store.settled()

    assert on_disk(path, "SELECT count(*), sum(is_dead_letter) FROM tasks") == [(len(rows), 0)]
    found = await opened.store.get(rows[-1].id)
    assert found is not None
    assert found.retried_as == "t7"
    assert not opened.store._live
    assert not opened.store._over


async def test_no_rows_are_made_ahead_for_a_disk_that_refuses(opened: Open, path: Path) -> None:
    """An hour of them would have to stay in memory beside the tasks."""
    rows = [await _placed(opened.store, number) for number in range(behind.TURN_COUNT)]
    opened.refuse(True)
    async with asyncio.timeout(40):
        while not opened.store.fault():  # noqa: ASYNC110 - it is told by no future
            await asyncio.sleep(0.001)
    for row in rows:
        _over(opened.store, row)
    await asyncio.sleep(0)

    ahead = [task for task in opened.store._live.values() if task.record is not None]
    opened.refuse(False)
    async with asyncio.timeout(40):
        while opened.store._live:  # noqa: ASYNC110 - it ends by a timer of its own
            await asyncio.sleep(0.001)

    assert not ahead
    assert on_disk(path, "SELECT count(*) FROM tasks") == [(len(rows),)]


async def test_many_callers_share_a_commit(opened: Open) -> None:
    """Tasks that are added in the same moment cost one transaction, or a few."""
    await asyncio.gather(*(opened.store.add(task(number)) for number in range(200)))

    assert opened.store._begun_count <= 3


async def test_a_task_that_goes_on_is_not_written_with_every_other(
    opened: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody's wait for one task costs no row of another that is going to change again."""
    monkeypatch.setattr(opened.store, "_behind_s", 60.0)
    going_on, waited_for, over = task(1), task(2), task(3)
    await opened.store.add_many([(row, None) for row in (going_on, waited_for, over)])
    for row in (going_on, waited_for):
        row.status = TaskState.RUNNING
        opened.store.note(row, 1.0, StateChange(row.id, row.status, 1))
    end(opened.store, over)

    waiting = opened.store.kept("t2", is_urgent=True)
    assert waiting is not None
    await waiting

    found = on_disk(path, "SELECT id, status, finished_at FROM tasks ORDER BY seq")
    assert found == [("t1", "queued", None), ("t2", "running", None), ("t3", "completed", 4.0)]
    await opened.store.page(TaskQuery())  # who looks at the disk finds all
    assert on_disk(path, "SELECT status FROM tasks WHERE id = 't1'") == [("running",)]


async def _with_many(store: SqlTaskStore, count: int) -> list[TaskRow]:
    """Return calls that have ended, in a store that writes them when it is told to."""
    store._behind_s = 3_600.0
    rows = [task(number, origin="scrape") for number in range(count)]
    await store.add_many([(row, None) for row in rows])
    for row in rows:
        end(store, row)
    return rows


async def test_what_is_written_needs_no_collector(opened: Open) -> None:
    """A task goes with its last row: under load a look for garbage holds up every call."""
    await _with_many(opened.store, 100)
    gc.collect()
    gc.disable()
    try:
        await opened.store.settled()
        await opened.database.write(lambda writer: None)  # the thread is done with the others
        left = [each for each in gc.get_objects() if type(each) is live.LiveTask]
    finally:
        gc.enable()

    assert not opened.store._live
    assert not left


async def test_what_nobody_waits_for_is_made_in_turns(opened: Open, path: Path) -> None:
    """Many rows do not hold up the loop at once; they are one transaction all the same."""
    await _with_many(opened.store, 100)

    opened.store._flush_all()
    left_counts = [len(opened.store._dirty)]
    while opened.store._dirty:
        await asyncio.sleep(0)
        left_counts.append(len(opened.store._dirty))
    waiting = opened.store.kept("t99")
    assert waiting is not None
    await waiting

    assert left_counts == [68, 36, 4, 0]
    assert opened.store._begun_count == 1
    assert on_disk(path, "SELECT count(*) FROM tasks WHERE status = 'completed'") == [(100,)]
    assert not opened.store._live


async def test_a_whole_batch_is_made_at_once(opened: Open) -> None:
    """Under load more rows would come in a turn than are made in it: nothing is put off."""
    await _with_many(opened.store, 300)

    opened.store._flush_all()

    assert len(opened.store._dirty) == 300 - 256


async def test_who_waits_ends_the_turns(opened: Open, path: Path) -> None:
    """Once somebody waits for the transaction that is being made, the rest is made at once."""
    await _with_many(opened.store, 100)
    opened.store._flush_all()

    waiting = opened.store.kept("t99", is_urgent=True)
    await asyncio.sleep(0)
    left_count = len(opened.store._dirty)
    assert waiting is not None
    await waiting

    assert left_count == 0
    assert on_disk(path, "SELECT count(*) FROM tasks") == [(100,)]


async def test_what_goes_between_two_turns_is_not_written(opened: Open, path: Path) -> None:
    """A task that is forgotten while its row is being made, or before, leaves none."""
    await _with_many(opened.store, 100)
    opened.store._flush_all()

    await asyncio.gather(opened.store.discard("t0"), opened.store.discard("t99"))

    assert on_disk(path, "SELECT count(*), min(seq) > 0 FROM tasks") == [(98, 1)]
    assert on_disk(path, "SELECT id FROM tasks WHERE id IN ('t0', 't99')") == []


async def test_what_another_gateway_has_is_not_written_any_more(opened: Open, path: Path) -> None:
    """All tasks are forgotten between two turns: neither made nor waiting rows are written."""
    await _with_many(opened.store, 100)
    opened.store._flush_all()

    opened.store.forget_all(StorageReadOnly(reason="lost"))
    await opened.store.settled()

    assert on_disk(path, "SELECT count(*) FROM tasks") == [(0,)]


async def test_what_cannot_be_written_stops_no_other(opened: Open, path: Path) -> None:
    """A row with a number that no document of the store holds is refused; all others are kept."""
    await opened.store.add(task(1, origin="scrape", metadata={"x": 2**64}))
    await opened.store.add(task(2, origin="scrape"))
    with pytest.raises(StorageFailed):
        await opened.store.add(task(3, metadata={"x": 2**64}))
    await opened.store.add(task(4))
    await opened.store.settled()

    assert on_disk(path, "SELECT id FROM tasks ORDER BY id") == [("t2",), ("t4",)]
    assert not opened.store.fault()


async def test_what_could_not_be_written_in_time_is_written_later(
    opened: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory that was short for a moment costs a moment: the task's end is told as kept."""
    kept: list[tuple[str, int]] = []
    opened.store.hear_kept(lambda tasks: kept.extend((row.id, number) for row, number in tasks))
    row = task(1)
    await opened.store.add(row)
    take, lacking = live.LiveTask.take, [MemoryError()]

    def take_or_lack(self: live.LiveTask, *given: Any) -> live.Written:
        if lacking:
            raise lacking.pop()
        return take(self, *given)

    monkeypatch.setattr(live.LiveTask, "take", take_or_lack)
    end(opened.store, row)
    await opened.store.settled()

    assert not lacking
    assert kept[-1] == ("t1", 1)
    assert on_disk(path, "SELECT status FROM tasks") == [("completed",)]


async def test_an_end_that_cannot_be_written_is_owed_by_nobody(opened: Open) -> None:
    """What can never be kept no worker need keep: it would tell it for ever."""
    kept: list[tuple[str, int]] = []
    opened.store.hear_kept(lambda tasks: kept.extend((row.id, number) for row, number in tasks))
    row = task(1)
    await opened.store.add(row)
    row.metadata = {"x": 2**64}
    end(opened.store, row)
    await opened.store.settled()

    assert kept[-1] == ("t1", 1)


async def test_an_id_is_added_again_once_it_is_gone(opened: Open, path: Path) -> None:
    """Of a batch that was refused each may be added anew: what is left of it takes none along."""
    old = task(0, client="c", idempotency_key="k")
    await opened.store.add(old)
    opened.store._keys.clear()  # as if another gateway had it
    many = [task(number) for number in range(1, 301)]
    many[-1].client, many[-1].idempotency_key = "c", "k"
    with pytest.raises(KeyTaken):
        await opened.store.add_many([(row, None) for row in many])
    for row in many:
        await opened.store.discard(row.id)

    await opened.store.add(many[0])
    await opened.store.settled()

    assert on_disk(path, "SELECT id FROM tasks ORDER BY id") == [("t0",), ("t1",)]


async def test_changes_that_came_together_are_entries_of_their_own(opened: Open) -> None:
    """Each has its number and its document, between what the script has said."""
    row = task(1, origin="scrape")
    await opened.store.add(row)
    queued = StateChange("t1", TaskState.QUEUED, 0)
    assigned = StateChange("t1", TaskState.ASSIGNED, 1, "w")
    opened.store.note(row, 1.0, queued, assigned)
    opened.store.append(row, "log", 1, 2.0, b'"said"')
    opened.store.note(row, 3.0, StateChange("t1", TaskState.RUNNING, 1, "w"))

    entries = await opened.store.entries("t1", limit=9)

    assert [(each.number, each.kind, each.attempt, each.at) for each in entries] == [
        (1, "state", 0, 1.0),
        (2, "state", 1, 1.0),
        (3, "log", 1, 2.0),
        (4, "state", 1, 3.0),
    ]
    assert entries[1].body == (
        b'{"request_id":"t1","status":"assigned","attempt":1,"worker_id":"w"}'
    )
    assert row.last_number == 4


async def test_rare_columns(opened: Open, path: Path) -> None:
    """Tasks stay in order whether they have what few have, and what they have no more goes."""
    spec = TaskSpec(id="t2", run=RunSpec(Pin("r", "page", "1.0.0", "sha256:0")))
    rows = [
        task(1, origin="scrape"),
        task(2, metadata={"group": "g"}, is_dead_letter=True, dropped_reason="poison"),
        task(3, origin="scrape"),
    ]
    for row in rows:
        await opened.store.add(row, spec if row is rows[1] else None)
    await opened.store.settled()
    query = "SELECT id, is_dead_letter, dropped_reason, spec IS NULL, group_name FROM tasks"
    before = on_disk(path, f"{query} ORDER BY seq")

    rows[1].is_dead_letter, rows[1].dropped_reason, rows[1].metadata = False, "", {}
    end(opened.store, rows[1])
    await opened.store.settled()

    assert before == [
        ("t1", 0, None, 1, None),
        ("t2", 1, "poison", 0, "g"),
        ("t3", 0, None, 1, None),
    ]
    assert on_disk(path, f"{query} WHERE id = 't2'") == [("t2", 0, None, 1, "g")]


async def test_that_a_kept_task_is_queued_costs_no_row_of_its_own(opened: Open, path: Path) -> None:
    """It is on the disk as queued: its log's first line goes there with what happens next."""
    row = task(1)
    await opened.store.add(row)
    row.status = TaskState.QUEUED
    opened.store.note(row, 1.0, StateChange(row.id, TaskState.QUEUED, 0))

    waiting = opened.store.kept("t1")

    assert waiting is None
    row.status = TaskState.ASSIGNED
    opened.store.note(row, 2.0, StateChange(row.id, TaskState.ASSIGNED, 1))
    waiting = opened.store.kept("t1", is_urgent=True)
    assert waiting is not None
    await waiting
    assert [each.number for each in await opened.store.entries("t1", limit=9)] == [1, 2]
    assert on_disk(path, "SELECT status FROM tasks") == [("assigned",)]


async def test_a_refused_task_leaves_nothing(opened: Open, path: Path) -> None:
    """While the disk refuses nothing new is taken; it goes on by itself afterwards."""
    opened.refuse(True)
    with pytest.raises(StorageReadOnly):
        await opened.store.add(task(1, client="c", idempotency_key="k"))
    with pytest.raises(StorageReadOnly):
        await opened.store.add(task(2, origin="scrape"))
    fault = opened.store.fault()
    opened.refuse(False)
    async with asyncio.timeout(40):
        while opened.store.fault():  # noqa: ASYNC110 - it ends by a timer of its own
            await asyncio.sleep(0.001)

    await opened.store.add(task(3))

    assert fault == "storage_read_only"
    assert opened.told == ["storage_read_only", ""]
    assert on_disk(path, "SELECT id FROM tasks") == [("t3",)]
    assert await opened.store.get("t1") is None
    assert await opened.store.find_by_key("c", "k") is None


async def test_an_outcome_waits_for_the_disk(opened: Open, path: Path) -> None:
    """What accepted tasks come to while the disk refuses is kept and written later, once."""
    row = task(1)
    await opened.store.add(row)
    opened.refuse(True)
    opened.store.append(row, "log", 1, 1.0, b"1")
    end(opened.store, row)
    waiting = opened.store.kept("t1")
    assert waiting is not None
    page = await opened.store.page(TaskQuery())  # is not held up
    async with asyncio.timeout(40):
        while not opened.store.fault():  # noqa: ASYNC110 - it is told by no future
            await asyncio.sleep(0.001)
    was_done = waiting.done()
    opened.refuse(False)

    async with asyncio.timeout(40):
        await waiting

    assert not was_done
    assert page.rows == [row]
    assert on_disk(path, "SELECT status FROM tasks") == [("completed",)]
    entries = await opened.store.entries("t1", limit=9)
    assert [(each.kind, each.number) for each in entries] == [("log", 1), ("state", 2)]


async def test_who_asks_with_the_same_key_waits_for_the_commit(opened: Open) -> None:
    """A key works between acceptance and commit, and promises no more than its task does."""
    row = task(1, client="c", idempotency_key="k")
    adding = asyncio.ensure_future(opened.store.add(row))
    await asyncio.sleep(0)
    opened.refuse(True)

    found = await opened.store.find_by_key("c", "k")

    with pytest.raises(StorageReadOnly):
        await adding
    assert found is None


async def test_a_key_that_was_looked_for_too_early(opened: Open) -> None:
    """The database itself refuses a second task with a key; nothing else suffers."""
    first = task(1, client="c", idempotency_key="k")
    await opened.store.add(first)
    end(opened.store, first)
    await opened.store.settled()
    late = task(2, client="c", idempotency_key="k", origin="scrape")

    with pytest.raises(KeyTaken):
        await opened.store.add(task(3, client="c", idempotency_key="k"))
    await opened.store.add(late)
    await opened.store.add(task(4))

    assert opened.store.fault() == ""
    assert late.idempotency_key == ""
    found = await opened.store.find_by_key("c", "k")
    assert found is not None
    assert found.id == "t1"


async def test_a_caller_who_goes_before_the_commit(opened: Open, path: Path) -> None:
    """A task whose acceptance nobody hears of is not run after a restart either."""
    adding = asyncio.ensure_future(opened.store.add(task(1)))
    await asyncio.sleep(0)

    adding.cancel()

    with pytest.raises(asyncio.CancelledError):
        await adding
    await opened.store.settled()
    assert await opened.store.get("t1") is None
    assert on_disk(path, "SELECT id FROM tasks") == []


@pytest.mark.parametrize("column", ["parameters", "row", "log"])
async def test_a_flipped_bit(opened: Open, path: Path, column: str) -> None:
    """A row that is not what was written is told as a failed task, and by nothing of its own."""
    row = task(1, parameters=b'{"a":1}')
    await opened.store.add(row)
    end(opened.store, row)
    await opened.store.settled()
    with closing(connect(path)) as connection:
        connection.execute(f"UPDATE tasks SET {column} = x'00' || substr({column}, 2)")

    found = await opened.store.get("t1")
    page = await opened.store.page(TaskQuery())

    assert found is not None
    assert (found.status, found.error_code) == (TaskState.FAILED, "task_damaged")
    assert found.error_fields == {"task_id": "t1"}
    assert [each.error_code for each in page.rows] == ["task_damaged"]


async def test_flipped_bits_elsewhere(
    opened: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged answer makes its task a failed one, a damaged log is an error that names it."""
    monkeypatch.setattr(live, "_TAIL_BYTES", 0)
    row = task(1, attempts=1)
    await opened.store.add(row)
    opened.store.append(row, "item", 1, 1.0, b"1")
    end(opened.store, row)
    row.outcome = Outcome(code=OutcomeCode.OK, data=b"x" * 100_000)
    await opened.store.settled()
    with closing(connect(path)) as connection:
        connection.execute("UPDATE results SET data = x'00'")
        connection.execute("UPDATE chunks SET body = x'00'")

    found = await opened.store.get("t1")

    assert found is not None
    assert found.error_code == "task_damaged"
    for look in (
        opened.store.entries("t1", limit=9),
        opened.store.entry("t1", 1),
    ):
        with pytest.raises(TaskDamaged):
            await look


async def test_sweep(path: Path) -> None:
    """Old tasks go with all that is theirs; items and artifacts go before their task."""
    policy = SqlPolicy(task_age_s=1_000.0, output_age_s=100.0)
    opened = Open(path, policy)
    store = opened.store
    for number, created_at in enumerate((0.0, 950.0, 1_990.0)):
        row = TaskRow(id=f"t{number}", script_name="page", created_at=created_at, attempts=1)
        await store.add(row)
        store.append(row, "item", 1, 1.0, b"1")
        store.append(row, "log", 1, 1.0, b"2")
        end(store, row)
    await store.add(task(9))
    await store.settled()

    await store.sweep(1_950.0)

    assert await store.get("t0") is None
    assert await store.entries("t0", limit=9) == []
    assert [each.kind for each in await store.entries("t1", limit=9)] == ["log", "state"]
    assert await store.items("t2") == [b"1"]
    assert await store.get("t9") is not None
    await store.close()
    assert on_disk(path, "SELECT count(*) FROM chunks WHERE task_id = 't0'") == [(0,)]


async def test_store_of_a_gateway_that_stops_writes_soon(
    opened: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for others is written at once, and what comes later waits only a moment."""
    monkeypatch.setattr(opened.store, "_behind_s", 3_600.0)
    first, second = task(1, origin="scrape"), task(2, origin="scrape")
    await opened.store.add(first)
    end(opened.store, first)
    kept = opened.store.kept("t1")

    opened.store.hasten()
    async with asyncio.timeout(40):
        assert kept is not None
        await kept
        await opened.store.add(second)
        later = opened.store.kept("t2")
        assert later is not None
        await later

    assert on_disk(path, "SELECT count(*) FROM tasks") == [(2,)]


async def test_what_was_written_is_read_by_the_next(path: Path) -> None:
    """A store that is closed has written everything; the next one on its file finds it."""
    first = Open(path)
    row = task(1, attempts=1, origin="scrape")
    await first.store.add(row)
    for number in range(600):
        first.store.append(row, "item", 1, 1.0, b"%d" % number)
    end(first.store, row)
    await first.store.close()

    second = Open(path)
    found = await second.store.get("t1")
    items = await second.store.items("t1", offset=598)
    await second.store.close()

    assert repr(found) == repr(row)
    assert items == [b"598", b"599"]


async def test_who_hears_of_kept_tasks_hears_how_far(opened: Open, path: Path) -> None:
    """A task is told as kept as far as its log is on the disk, also while it goes on."""
    heard: list[list[tuple[str, int]]] = []
    opened.store.hear_kept(lambda kept: heard.append([(row.id, last) for row, last in kept]))
    over, going_on = task(1, origin="scrape"), task(2, origin="scrape")
    await opened.store.add_many([(over, None), (going_on, None)])
    end(opened.store, over)
    waiting = opened.store.kept("t1", is_urgent=True)
    opened.store._flush()
    going_on.status = TaskState.RUNNING
    opened.store.note(going_on, 1.0, StateChange(going_on.id, going_on.status, 1))
    assert waiting is not None
    await waiting
    first = [*heard]
    await opened.store.page(TaskQuery())

    assert first == [[("t1", 1), ("t2", 0)]]
    assert heard == [*first, [("t2", 1)]]
    assert on_disk(path, "SELECT status FROM tasks ORDER BY seq") == [("completed",), ("running",)]
