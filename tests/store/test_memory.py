"""Tasks in memory: kept within bounds."""

from __future__ import annotations

from typing import Any

from zscrape.model import Outcome, OutcomeCode, TaskState
from zscrape.store.memory import MemoryPolicy, MemoryTaskStore
from zscrape.store.tasks import StateChange, TaskRow


def _row(number: int, **fields: Any) -> TaskRow:
    return TaskRow(id=f"t{number}", script_name="page", created_at=float(number), **fields)


def _end(store: MemoryTaskStore, row: TaskRow, data: bytes = b"1") -> None:
    row.status = TaskState.COMPLETED
    row.finished_at = row.created_at + 1
    row.outcome = Outcome(code=OutcomeCode.OK, data=data)
    store.note(row, 1.0, StateChange(row.id, row.status, 1))


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
