"""Tasks in memory: kept within bounds, read by page, number and kind."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from zscrape.model import Outcome, OutcomeCode, TaskState
from zscrape.store.memory import MemoryPolicy, MemoryTaskStore
from zscrape.store.tasks import TaskQuery, TaskRow, WebhookDelivery


def _row(number: int, **fields: Any) -> TaskRow:
    return TaskRow(id=f"t{number}", script_name="page", created_at=float(number), **fields)


def _end(store: MemoryTaskStore, row: TaskRow, data: bytes = b"1") -> None:
    row.status = TaskState.COMPLETED
    row.finished_at = row.created_at + 1
    row.outcome = Outcome(code=OutcomeCode.OK, data=data)
    store.append(row, "state", 1, 1.0, b"{}")


async def test_only_ended_tasks_are_dropped():
    """Beyond the bound the oldest ended tasks go; one that has not ended stays."""
    store = MemoryTaskStore(MemoryPolicy(final_count=2))
    rows = [_row(number) for number in range(6)]
    for row in rows:
        await store.add(row)
    for row in rows[1:]:
        _end(store, row)

    kept = [await store.get(row.id) is not None for row in rows]

    assert kept == [True, False, False, False, True, True]


async def test_bytes_are_bounded():
    """When all tasks together weigh too much the oldest ended ones go."""
    store = MemoryTaskStore(MemoryPolicy(total_bytes=50_000))
    for number in range(20):
        row = _row(number)
        await store.add(row)
        store.append(row, "item", 1, 1.0, b"x" * 5_000)
        _end(store, row)

    assert store.size_bytes <= 50_000
    assert await store.get("t0") is None
    assert await store.get("t19") is not None


async def test_a_live_task_makes_room_for_itself():
    """Records of a running task push ended ones out."""
    store = MemoryTaskStore(MemoryPolicy(total_bytes=50_000))
    for number in range(4):
        row = _row(number)
        await store.add(row)
        _end(store, row)
    live = _row(9)
    await store.add(live)

    for _ in range(9):
        store.append(live, "item", 1, 1.0, b"x" * 5_000)

    assert len(await store.items("t9")) == 0  # attempt 1 of a row that has not been told of it
    assert await store.get("t0") is None


async def test_the_only_answer_is_never_dropped():
    """A task that weighs more than all may stays while it is the newest answer."""
    store = MemoryTaskStore(MemoryPolicy(total_bytes=1_000))
    row = _row(1)
    await store.add(row)
    _end(store, row, b"x" * 5_000)

    assert await store.get("t1") is row


async def test_log_of_one_task_is_bounded():
    """What does not fit any more is counted; a change of state always fits."""
    store = MemoryTaskStore(MemoryPolicy(task_bytes=10_000))
    row = _row(1)
    await store.add(row)
    numbers = [store.append(row, "log", 1, 1.0, b"x" * 1_000) for _ in range(20)]

    number = store.append(row, "state", 1, 1.0, b"{}")

    told = [number for number in numbers if number]
    assert told == list(range(1, len(told) + 1))
    assert row.dropped_count == 20 - len(told) > 0
    assert number == row.last_number == len(told) + 1


async def test_entries_by_number_and_kind():
    """The log is read onwards from a number, a kind at a time where asked."""
    store = MemoryTaskStore()
    row = _row(1, attempts=1)
    await store.add(row)
    for number in range(10):
        store.append(row, "log" if number % 2 else "item", 1, 1.0, b"%d" % number)

    everything = await store.entries("t1", after=3, limit=3)
    logs = await store.entries("t1", after=3, kinds=frozenset({"log"}), limit=2)
    entry = await store.entry("t1", 5)

    assert [each.number for each in everything] == [4, 5, 6]
    assert [each.number for each in logs] == [4, 6]
    assert entry is not None
    assert entry.body == b"4"
    assert await store.items("t1", offset=1, limit=2) == [b"2", b"4"]


async def test_items_of_the_last_attempt():
    """Items of an earlier attempt are in the log, and no longer among the items."""
    store = MemoryTaskStore()
    row = _row(1, attempts=1)
    await store.add(row)
    store.append(row, "item", 1, 1.0, b"1")
    row.attempts = 2
    none_yet = await store.items("t1")
    store.append(row, "item", 2, 1.0, b"2")

    assert none_yet == []
    assert await store.items("t1") == [b"2"]
    assert len(await store.entries("t1", limit=10)) == 2


async def test_items_of_earlier_attempts_make_room():
    """What is dropped when a task is full are superseded items, not those of the last attempt."""
    store = MemoryTaskStore(MemoryPolicy(task_bytes=10_000))
    row = _row(1)
    await store.add(row)
    first = [store.append(row, "item", 1, 1.0, b"x" * 2_000) for _ in range(3)]
    row.attempts = 2

    store.append(row, "state", 2, 2.0, b"{}")
    last = [store.append(row, "item", 2, 2.0, b"%d" % n + b"y" * 2_000) for n in range(3)]

    assert first == [1, 2, 3]
    assert last == [5, 6, 7]
    assert row.dropped_count == 0
    assert len(await store.items("t1")) == 3
    assert store.size_bytes <= 10_000
    found = await store.entries("t1", limit=3)
    assert [entry.number for entry in found] == [4, 5, 6]
    found = await store.entries("t1", kinds=frozenset({"item"}), limit=9)
    assert [entry.number for entry in found] == last
    entry = await store.entry("t1", 6)
    assert entry is not None
    assert entry.body[:1] == b"1"
    store.append(row, "state", 2, 3.0, b"{}")
    await store.discard("t1")
    assert store.size_bytes == 0


async def test_what_is_not_there():
    """Asking for what is not known is answered by nothing, and appending to it too."""
    store = MemoryTaskStore()

    assert await store.get("t1") is None
    assert await store.entries("t1", limit=1) == []
    assert await store.items("t1") == []
    assert await store.entry("t1", 1) is None
    assert await store.find_by_key("a", "b") is None
    assert await store.find_result("d", b"{}", since=0) is None
    assert store.append(_row(1), "log", 1, 1.0, b"") == 0
    await store.discard("t1")


async def test_discard():
    """A task that was never accepted leaves nothing: no row, no key, no weight."""
    store = MemoryTaskStore()
    await store.add(_row(1, client="c", idempotency_key="k"))

    await store.discard("t1")

    assert await store.get("t1") is None
    assert await store.find_by_key("c", "k") is None
    assert store.size_bytes == 0


async def test_idempotency_keys_belong_to_clients():
    """The same key of two clients is two keys."""
    store = MemoryTaskStore()
    row = _row(1, client="c", idempotency_key="k")
    await store.add(row)

    assert await store.find_by_key("c", "k") is row
    assert await store.find_by_key("d", "k") is None


@pytest.mark.parametrize(("since", "is_found"), [(0.0, True), (2.0, True), (2.5, False)])
async def test_find_result(since, is_found):
    """A completed task answers for the same bytes and parameters while it is young enough."""
    store = MemoryTaskStore()
    row = _row(1, digest="d", parameters=b'{"a":1}')
    await store.add(row)
    _end(store, row)

    found = await store.find_result("d", b'{"a":1}', since=since)

    assert (found is row) == is_found
    assert await store.find_result("d", b'{"a":2}', since=0) is None


@given(
    count=st.integers(0, 30),
    limit=st.integers(1, 7),
    wanted=st.sets(st.sampled_from([TaskState.QUEUED, TaskState.COMPLETED])),
)
async def test_pages_hold_each_task_once(count, limit, wanted):
    """Pages one after the other hold every matching task once, newest first."""
    store = MemoryTaskStore()
    for number in range(count):
        row = _row(number)
        await store.add(row)
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
        if not wanted or (TaskState.COMPLETED if number % 3 == 0 else TaskState.QUEUED) in wanted
    ]
    assert seen == expected


async def test_dead_letters_are_taken_once():
    """Of callers at once one takes a dead letter; what was given back may be taken again."""
    store = MemoryTaskStore()
    row = _row(1, is_dead_letter=True, dropped_reason="poison")
    await store.add(row)
    await store.add(_row(2))

    listed = await store.page(TaskQuery(is_dead_letter=True))
    other = await store.page(TaskQuery(is_dead_letter=True, dropped_reason="retry_exhausted"))
    taken = [await store.take_dead_letter("t1", retried_as="t9") for _ in range(2)]
    retried_as = row.retried_as
    await store.return_dead_letter("t1")

    assert ([each.id for each in listed.rows], other.rows) == (["t1"], [])
    assert (taken, retried_as) == ([True, False], "t9")
    assert (row.is_dead_letter, row.retried_as) == (True, "")
    assert not await store.take_dead_letter("t2")
    assert not await store.take_dead_letter("nope")


async def test_webhooks_are_kept_with_their_task():
    """Tasks of which somebody is still to be told are found, oldest first."""
    store = MemoryTaskStore()
    owed = WebhookDelivery(url="http://a/", event="failed")
    for number in range(3):
        await store.add(_row(number, webhooks=(owed,)))

    await store.note_webhooks("t1", (msgspec.structs.replace(owed, status="delivered"),))
    await store.note_webhooks("nope", ())

    assert [row.id for row in await store.unsent_webhooks()] == ["t0", "t2"]
