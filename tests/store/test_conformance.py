"""What every store promises: in memory, on a database, and on one that has written it all."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from zscrape.model import Outcome, OutcomeCode, Pin, RunSpec, TaskSpec, TaskState
from zscrape.store import live
from zscrape.store.database import Database
from zscrape.store.memory import MemoryPolicy, MemoryTaskStore
from zscrape.store.postgres import PostgresDatabase
from zscrape.store.sql import SqlPolicy, SqlTaskStore
from zscrape.store.tasks import (
    KeyTaken,
    LogEntry,
    StateChange,
    TaskQuery,
    TaskRow,
    WebhookDelivery,
)

Store: TypeAlias = MemoryTaskStore | SqlTaskStore
Opener: TypeAlias = Callable[..., AbstractAsyncContextManager[Store]]
MIB = 1024 * 1024


SYSTEM = pytest.mark.system
KINDS = [
    "memory",
    "sql",
    "sql, every entry in a chunk",
    pytest.param("postgres", marks=SYSTEM),
    pytest.param("postgres, every entry in a chunk", marks=SYSTEM),
]
WIPE = "TRUNCATE tasks, chunks, results RESTART IDENTITY"


@pytest.fixture(params=KINDS)
def open_store(
    request: pytest.FixtureRequest,
    new_file: Callable[[], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Opener:
    """Return what opens a store of one kind, anew each time."""
    if "chunk" in request.param:
        monkeypatch.setattr(live, "_TAIL_BYTES", 0)

    url = request.getfixturevalue("postgres").url() if "postgres" in request.param else None

    @contextlib.asynccontextmanager
    async def opened(task_bytes: int = 192 * MIB) -> AsyncIterator[Store]:
        if request.param == "memory":
            yield MemoryTaskStore(MemoryPolicy(task_bytes=task_bytes))
            return
        database = Database(new_file()) if url is None else PostgresDatabase(url)
        if url is not None:
            await database.write(_wipe)
        store = SqlTaskStore(database, SqlPolicy(task_bytes=task_bytes))
        try:
            yield store
        finally:
            await store.close()

    return opened


def _wipe(writer: sqlite3.Connection) -> None:
    writer.execute(WIPE)


async def written(store: Store) -> None:
    """Have everything on the disk, where there is one."""
    if isinstance(store, SqlTaskStore):
        await store.settled()


def _row(number: int, **fields: Any) -> TaskRow:
    return TaskRow(id=f"t{number}", script_name="page", created_at=float(number), **fields)


def _end(store: Store, row: TaskRow, data: bytes = b"1") -> None:
    row.status = TaskState.COMPLETED
    row.finished_at = row.created_at + 1
    row.outcome = Outcome(code=OutcomeCode.OK, data=data)
    store.note(row, 1.0, StateChange(row.id, row.status, 1))


async def test_log_of_one_task_is_bounded(open_store: Opener) -> None:
    """What does not fit any more is counted; a change of state always fits."""
    async with open_store(task_bytes=10_000) as store:
        row = _row(1)
        await store.add(row)
        numbers = [store.append(row, "log", 1, 1.0, b"x" * 1_000) for _ in range(20)]

        store.note(row, 1.0, StateChange(row.id, row.status, 1))

        told = [number for number in numbers if number]
        assert told == list(range(1, len(told) + 1))
        assert row.dropped_count == 20 - len(told) > 0
        assert row.last_number == len(told) + 1
        (last,) = await store.entries("t1", after=len(told), limit=9)
        assert last.kind == "state"


async def test_entries_by_number_and_kind(open_store: Opener) -> None:
    """The log is read onwards from a number, a kind at a time where asked; so are items."""
    async with open_store() as store:
        row = _row(1, attempts=1)
        await store.add(row)
        for number in range(10):
            store.append(row, "log" if number % 2 else "item", 1, 1.0, b"%d" % number)
            if number in (2, 6):
                await written(store)

        everything = await store.entries("t1", after=3, limit=3)
        logs = await store.entries("t1", after=3, kinds=frozenset({"log"}), limit=2)
        entry = await store.entry("t1", 5)

        assert [each.number for each in everything] == [4, 5, 6]
        assert [each.number for each in logs] == [4, 6]
        assert entry is not None
        assert entry.body == b"4"
        assert await store.items("t1", offset=1, limit=2) == [b"2", b"4"]
        assert await store.items("t1", offset=3) == [b"6", b"8"]
        assert await store.items("t1") == [b"0", b"2", b"4", b"6", b"8"]


async def test_a_call_that_is_taken_back_was_never_there(open_store: Opener) -> None:
    """Nor does one that comes with the same id afterwards go with it."""
    async with open_store() as store:
        row, spec = (
            _row(1, origin="scrape"),
            TaskSpec(id="t1", run=RunSpec(Pin("r", "page", "1.0.0", "sha256:0"))),
        )
        store.take_in(row, spec)
        store.take_back("t1")
        assert await store.get("t1") is None
        store.take_in(row, spec)
        await written(store)

        assert [each.id for each in (await store.page(TaskQuery())).rows] == ["t1"]


def _place(store: Store, row: TaskRow) -> None:
    row.status, row.attempts, row.worker_id = TaskState.ASSIGNED, 1, "w1"
    row.assigned_at = row.created_at + 0.25
    store.note_placed(row)


def _over(store: Store, row: TaskRow, code: OutcomeCode) -> None:
    row.status, row.outcome = code.final_state, Outcome(code=code, data=b"1")
    row.started_at = row.finished_at = row.created_at + 0.75
    store.note_over(row)


def _told(entries: list[LogEntry]) -> list[tuple[int, float, StateChange]]:
    return [
        (each.number, each.at, msgspec.json.decode(each.body, type=StateChange)) for each in entries
    ]


@pytest.mark.parametrize("code", [OutcomeCode.OK, OutcomeCode.SCRIPT_ERROR])
@pytest.mark.parametrize("seen", ["", "placed", "over", "both"])
@pytest.mark.parametrize("stored", ["", "placed", "over", "both"])
async def test_a_short_call_has_its_whole_log(
    open_store: Opener, code: OutcomeCode, seen: str, stored: str
) -> None:
    """Each state has its entry, whoever has looked at the task or written it meanwhile."""
    async with open_store() as store:
        row = _row(1, origin="scrape")
        await store.add(row)
        for step in ("placed", "over"):
            if step == "placed":
                _place(store, row)
            else:
                _over(store, row, code)
            if seen in (step, "both"):
                assert len(await store.entries("t1", limit=9)) == row.last_number
            if stored in (step, "both"):
                await written(store)

        before = await store.entries("t1", limit=9)
        await written(store)

        found = await store.entries("t1", limit=9)
        assert found == before
        assert _told(found) == [
            (1, 1.25, StateChange("t1", TaskState.QUEUED, 0)),
            (2, 1.25, StateChange("t1", TaskState.ASSIGNED, 1, "w1")),
            (3, 1.75, StateChange("t1", TaskState.RUNNING, 1, "w1")),
            (4, 1.75, StateChange("t1", code.final_state, 1, "w1", code)),
        ]
        assert await store.entry("t1", 3) == found[2]
        kept = await store.get("t1")
        assert kept is not None
        assert kept.last_number == 4


async def test_a_call_that_was_placed_goes_on_otherwise(open_store: Opener) -> None:
    """What comes between being placed and the end is in the log, and nothing is told twice."""
    async with open_store() as store:
        said, retried = _row(1, origin="scrape"), _row(2, origin="scrape")
        for row in (said, retried):
            await store.add(row)
            _place(store, row)
        store.append(said, "log", 1, 1.5, b'"here"')
        retried.status, retried.worker_id = TaskState.QUEUED, None
        store.note(retried, 2.5, StateChange("t2", TaskState.QUEUED, 1, None, "worker_lost"))
        retried.status, retried.attempts, retried.worker_id = TaskState.ASSIGNED, 2, "w2"
        retried.assigned_at = 2.6
        store.note(retried, 2.6, StateChange("t2", TaskState.ASSIGNED, 2, "w2"))
        for row in (said, retried):
            _over(store, row, OutcomeCode.OK)
        await written(store)

        one, two = await store.entries("t1", limit=9), await store.entries("t2", limit=9)

        assert [each.kind for each in one] == ["state", "state", "log", "state", "state"]
        assert [(each.attempt, each.at) for each in two] == [
            *((0, 2.25), (1, 2.25), (1, 2.5), (2, 2.6), (2, 2.75), (2, 2.75)),
        ]
        assert _told(two)[1][2].worker_id == "w1"
        assert [each.number for each in (*one, *two)] == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 6]


async def test_nothing_is_noted_of_a_task_that_is_not_kept(open_store: Opener) -> None:
    """A task that was discarded meanwhile may still be told of."""
    async with open_store() as store:
        row = _row(1)
        _place(store, row)
        _over(store, row, OutcomeCode.OK)

        assert await store.get("t1") is None
        assert row.last_number == 0


async def test_a_task_that_has_ended_reads_the_same(open_store: Opener) -> None:
    """Row, log, items and single entries are the same once nothing of the task is in memory."""
    async with open_store() as store:
        row = _row(1, attempts=1, metadata={"a": [1]}, tags=("kr",), parameters=b'{"u":1}')
        await store.add(row)
        for number in range(6):
            store.append(row, "log" if number % 2 else "item", 1, 1.0, b"%d" % number)
        _end(store, row, b"[1,2]")
        before = await store.entries("t1", limit=99)

        await written(store)

        assert repr(await store.get("t1")) == repr(row)
        assert await store.entries("t1", limit=99) == before
        assert [each.number for each in before] == [1, 2, 3, 4, 5, 6, 7]
        assert await store.entries("t1", after=2, limit=2) == before[2:4]
        assert await store.items("t1", offset=1) == [b"2", b"4"]
        for entry in before:
            assert await store.entry("t1", entry.number) == entry
        assert await store.entry("t1", 8) is None


async def test_a_large_answer(open_store: Opener) -> None:
    """An answer too large to be read with every look at its task is there when asked for."""
    async with open_store() as store:
        row = _row(1)
        await store.add(row)
        _end(store, row, b"x" * 200_000)
        await written(store)

        page = await store.page(TaskQuery())
        found = await store.get("t1")

        assert [each.id for each in page.rows] == ["t1"]
        assert found is not None
        assert found.outcome is not None
        assert found.outcome.data == b"x" * 200_000


async def test_items_of_the_last_attempt(open_store: Opener) -> None:
    """Items of an earlier attempt are in the log, and no longer among the items."""
    async with open_store() as store:
        row = _row(1, attempts=1)
        await store.add(row)
        store.append(row, "item", 1, 1.0, b"1")
        await written(store)
        row.attempts = 2
        none_yet = await store.items("t1")
        store.append(row, "item", 2, 1.0, b"2")

        assert none_yet == []
        assert await store.items("t1") == [b"2"]
        assert len(await store.entries("t1", limit=10)) == 2


async def test_items_of_earlier_attempts_make_room(open_store: Opener) -> None:
    """What is dropped when a task is full are superseded items, not those of the last attempt."""
    async with open_store(task_bytes=10_000) as store:
        row = _row(1)
        await store.add(row)
        first = [store.append(row, "item", 1, 1.0, b"x" * 2_000) for _ in range(3)]
        await written(store)
        row.attempts = 2

        store.note(row, 2.0, StateChange(row.id, row.status, 2))
        last = [store.append(row, "item", 2, 2.0, b"%d" % n + b"y" * 2_000) for n in range(3)]
        await written(store)

        assert first == [1, 2, 3]
        assert last == [5, 6, 7]
        assert row.dropped_count == 0
        assert len(await store.items("t1")) == 3
        found = await store.entries("t1", limit=3)
        assert [entry.number for entry in found] == [4, 5, 6]
        found = await store.entries("t1", kinds=frozenset({"item"}), limit=9)
        assert [entry.number for entry in found] == last
        entry = await store.entry("t1", 6)
        assert entry is not None
        assert entry.body[:1] == b"1"
        store.note(row, 3.0, StateChange(row.id, row.status, 2))
        await store.discard("t1")
        assert await store.get("t1") is None
        assert await store.entries("t1", limit=9) == []


async def test_what_is_not_there(open_store: Opener) -> None:
    """Asking for what is not known is answered by nothing, and appending to it too."""
    async with open_store() as store:
        assert await store.get("t1") is None
        assert await store.entries("t1", limit=1) == []
        assert await store.items("t1") == []
        assert await store.entry("t1", 1) is None
        assert await store.find_by_key("a", "b") is None
        assert await store.find_result("d", b"{}", since=0) is None
        assert store.append(_row(1), "log", 1, 1.0, b"") == 0
        store.note(_row(1), 1.0, StateChange(_row(1).id, _row(1).status, 1))
        assert store.kept("t1") is None
        await store.discard("t1")


async def test_discard(open_store: Opener) -> None:
    """A task that was never accepted leaves nothing: no row, no key."""
    async with open_store() as store:
        await store.add(_row(1, client="c", idempotency_key="k"))

        await store.discard("t1")

        assert await store.get("t1") is None
        assert await store.find_by_key("c", "k") is None
        assert (await store.page(TaskQuery())).rows == []


async def test_idempotency_keys_belong_to_clients(open_store: Opener) -> None:
    """The same key of two clients is two keys; a second task with one is refused."""
    async with open_store() as store:
        row = _row(1, client="c", idempotency_key="k")
        await store.add(row)

        with pytest.raises(KeyTaken):
            await store.add(_row(2, client="c", idempotency_key="k"))

        assert await store.find_by_key("c", "k") is row
        assert await store.find_by_key("d", "k") is None
        await store.add(_row(3, client="d", idempotency_key="k"))
        assert await store.get("t2") is None
        _end(store, row)
        await written(store)
        found = await store.find_by_key("c", "k")
        assert found is not None
        assert found.id == "t1"


@pytest.mark.parametrize("is_written", [False, True])
@pytest.mark.parametrize(("since", "is_found"), [(0.0, True), (2.0, True), (2.5, False)])
async def test_find_result(
    open_store: Opener, since: float, is_found: bool, is_written: bool
) -> None:
    """A completed task answers for the same bytes and parameters while it is young enough."""
    async with open_store() as store:
        row = _row(1, digest="d", parameters=b'{"a":1}')
        await store.add(row)
        _end(store, row)
        if is_written:
            await written(store)

        found = await store.find_result("d", b'{"a":1}', since=since)

        assert (found is not None and found.id == "t1") == is_found
        assert await store.find_result("d", b'{"a":2}', since=0) is None


@pytest.mark.parametrize("is_written", [False, True])
async def test_find_result_of_a_client(open_store: Opener, is_written: bool) -> None:
    """A client that sees its own tasks alone is given its own answer, however old others are."""
    async with open_store() as store:
        for place, client in enumerate(("me", "you"), 1):
            row = _row(place, digest="d", parameters=b'{"a":1,"b":2}', client=client)
            await store.add(row)
            _end(store, row)
        if is_written:
            await written(store)

        turned = b'{"b": 2, "a": 1}'
        mine = await store.find_result("d", turned, since=0, client="me")
        latest = await store.find_result("d", turned, since=0)

        assert mine is not None
        assert mine.id == "t1"
        assert latest is not None
        assert latest.id == "t2"
        assert await store.find_result("d", turned, since=0, client="nobody") is None


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    count=st.integers(0, 30),
    limit=st.integers(1, 7),
    wanted=st.sets(st.sampled_from([TaskState.QUEUED, TaskState.COMPLETED])),
)
async def test_pages_hold_each_task_once(
    open_store: Opener, count: int, limit: int, wanted: set[TaskState]
) -> None:
    """Pages one after the other hold every matching task once, newest first."""
    async with open_store() as store:
        rows = [_row(number) for number in range(count)]
        await store.add_many([(row, None) for row in rows])
        for number, row in enumerate(rows):
            if number % 3 == 0:
                _end(store, row)

        seen: list[str] = []
        before = None
        while True:
            query = TaskQuery(statuses=frozenset(wanted), limit=limit, before=before)
            page = await store.page(query)
            seen += [row.id for row in page.rows]
            assert len(page.rows) <= limit
            before = page.next_before
            if before is None:
                break

        expected = [
            f"t{number}"
            for number in reversed(range(count))
            if not wanted
            or (TaskState.COMPLETED if number % 3 == 0 else TaskState.QUEUED) in wanted
        ]
        assert seen == expected


async def test_pages_by_script_origin_and_moment(open_store: Opener) -> None:
    """A page holds what was asked for and nothing else."""
    async with open_store() as store:
        await store.add(_row(1, origin="batch"))
        await store.add(_row(2, origin="scrape"))
        await store.add(TaskRow(id="t3", script_name="other", created_at=3.0))

        by_origin = await store.page(TaskQuery(origin="scrape"))
        by_script = await store.page(TaskQuery(script_name="other"))
        by_moment = await store.page(TaskQuery(since=2.0))
        by_id = await store.page(TaskQuery(ids=frozenset({"t1", "t3", "t9"})))

        assert [row.id for row in by_id.rows] == ["t3", "t1"]
        assert [row.id for row in by_origin.rows] == ["t2"]
        assert [row.id for row in by_script.rows] == ["t3"]
        assert [row.id for row in by_moment.rows] == ["t3", "t2"]


async def test_pages_within_what_a_client_may_see(open_store: Opener) -> None:
    """A page may be of one client's tasks, and of some scripts alone; only `*` is a pattern."""
    async with open_store() as store:
        for number, (script, client) in enumerate(
            [("price_a", "one"), ("price_b", "two"), ("pricexa", "one"), ("news", "one")], 1
        ):
            row = TaskRow(id=f"t{number}", script_name=script, created_at=number, client=client)
            await store.add(row)

        own = await store.page(TaskQuery(client="one"))
        priced = await store.page(TaskQuery(scripts=("price_*", "nothing")))
        both = await store.page(TaskQuery(client="one", scripts=("*w*", "price_a")))

        assert [row.id for row in own.rows] == ["t4", "t3", "t1"]
        assert [row.id for row in priced.rows] == ["t2", "t1"]
        assert [row.id for row in both.rows] == ["t4", "t1"]


# ---- tasks that have ended -----------------------------------------------------------


@pytest.mark.parametrize("is_written", [False, True])
async def test_dead_letters_are_taken_once(open_store: Opener, *, is_written: bool) -> None:
    """Of callers at once one takes a dead letter; what was given back may be taken again."""
    async with open_store() as store:
        dead = _row(1, is_dead_letter=True, dropped_reason="poison", parameters=b'{"a":1}')
        for row in (dead, _row(2)):
            await store.add(row)
            _end(store, row, data=b"x" * 100_000)
        if is_written:
            await written(store)
        listed = await store.page(TaskQuery(is_dead_letter=True))
        other = await store.page(TaskQuery(is_dead_letter=True, dropped_reason="retry_exhausted"))
        taken = [await store.take_dead_letter("t1", retried_as="t9") for _ in range(2)]
        after = await store.get("t1")
        retried_as = None if after is None else after.retried_as
        emptied = await store.page(TaskQuery(is_dead_letter=True))
        await store.return_dead_letter("t1")
        again = await store.get("t1")

        assert ([each.id for each in listed.rows], other.rows) == (["t1"], [])
        assert taken == [True, False]
        assert retried_as == "t9"
        assert emptied.rows == []
        assert again is not None
        assert (again.is_dead_letter, again.retried_as) == (True, "")
        assert again.parameters == b'{"a":1}'
        assert again.outcome is not None
        assert again.outcome.data == b"x" * 100_000
        assert not await store.take_dead_letter("t2")
        assert not await store.take_dead_letter("nope")


@pytest.mark.parametrize("is_written", [False, True])
async def test_webhooks_are_kept_with_their_task(open_store: Opener, *, is_written: bool) -> None:
    """Tasks of which somebody is still to be told are found, oldest first."""
    owed = WebhookDelivery(url="http://a/", event="failed")
    async with open_store() as store:
        for number in range(3):
            row = _row(number, webhooks=(owed,))
            await store.add(row)
            _end(store, row)
        if is_written:
            await written(store)
        await store.note_webhooks("t1", (msgspec.structs.replace(owed, status="delivered"),))
        await store.note_webhooks("nope", ())
        unsent = await store.unsent_webhooks()

        assert [row.id for row in unsent] == ["t0", "t2"]
        assert unsent[0].outcome is not None


async def test_known_keys_of_many(open_store: Opener) -> None:
    """Of many keys those that tasks of this client have are told, written or on their way."""
    async with open_store() as store:
        await store.add(_row(1, client="c", idempotency_key="k1"))
        await written(store)
        await store.add(_row(2, client="c", idempotency_key="k2"))
        await store.add(_row(3, client="d", idempotency_key="k3"))
        many = [f"k{number}" for number in range(1_200)]

        assert await store.known_keys("c", many) == {"k1", "k2"}
        assert await store.known_keys("d", many) == {"k3"}
        assert await store.known_keys("c", []) == set()


async def test_forgotten_key_may_be_used_again(open_store: Opener) -> None:
    """A key that has been forgotten stands for the next task that comes with it."""
    async with open_store() as store:
        first = _row(1, client="c", idempotency_key="k")
        await store.add(first)
        _end(store, first)
        await written(store)
        await store.forget_key("c", "k")
        none = await store.find_by_key("c", "k")
        await store.add(_row(2, client="c", idempotency_key="k"))
        found = await store.find_by_key("c", "k")
        old = await store.get("t1")

        assert none is None
        assert found is not None
        assert found.id == "t2"
        assert old is not None


async def test_ends_are_told_the_last_first(open_store: Opener) -> None:
    """When tasks came and ended and how, from a moment on, no more than asked for."""
    async with open_store() as store:
        for number in (1, 2, 3, 4):
            row = _row(number, attempts=1)
            await store.add(row)
            if number != 2:
                _end(store, row)
        await written(store)

        told = await store.ended(since=2.5, limit=10)
        cut = await store.ended(since=0.0, limit=1)

        assert [(end.id, end.status, end.created_at, end.finished_at) for end in told] == [
            ("t4", "completed", 4.0, 5.0),
            ("t3", "completed", 3.0, 4.0),
        ]
        assert [end.id for end in cut] == ["t4"]
