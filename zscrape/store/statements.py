"""The SQL that is run often: drawn from the one schema, then plain text.

A statement of many rows is one step of the driver. Row by row each step would give the
interpreter's lock away and wait up to 5 ms to have it back from a busy loop.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite

from zscrape.store.records import COLUMNS, LOADED_COLUMNS, SOUGHT_BY, change_of, load
from zscrape.store.schema import BLOBS, CHUNKS, RESULTS, TASKS
from zscrape.store.tasks import TaskRow

SELECT_TASKS: Final = f"SELECT {', '.join(LOADED_COLUMNS)} FROM tasks"  # noqa: S608 - constants
CHUNK_COLUMNS: Final = tuple(column.name for column in CHUNKS.columns)
RESULT_COLUMNS: Final = tuple(column.name for column in RESULTS.columns)
# Rows of a statement: up to 32 any number, so that it is mostly one, and of more a few powers
# of two. They stay prepared; `database.connect` has room for them.
_SMALL_COUNT: Final = 32
_SIZES: Final = (256, 128, 64, _SMALL_COUNT)


def keep_tasks(writer: sqlite3.Connection, records: Sequence[Sequence[Any]]) -> None:
    """Write tasks, those that are there already over what is there."""
    _insert(writer, TASKS, records)


def change_tasks(writer: sqlite3.Connection, records: Sequence[Sequence[Any]]) -> None:
    """Write tasks of which nothing has changed that stands in an index: that is a third of it."""
    _insert(writer, TASKS, records, kept=SOUGHT_BY)


def keep_chunks(writer: sqlite3.Connection, records: Sequence[Sequence[Any]]) -> None:
    """Write chunks of logs."""
    _insert(writer, CHUNKS, records)


def keep_results(writer: sqlite3.Connection, records: Sequence[Sequence[Any]]) -> None:
    """Write large answers."""
    _insert(writer, RESULTS, records)


def keep_blobs(writer: sqlite3.Connection, records: Sequence[Sequence[Any]]) -> None:
    """Write what is kept outside."""
    _insert(writer, BLOBS, records)


def _insert(
    writer: sqlite3.Connection,
    table: Table,
    records: Sequence[Sequence[Any]],
    *,
    kept: Sequence[str] = (),
) -> None:
    place = 0
    while left_count := len(records) - place:
        size = left_count
        if left_count > _SMALL_COUNT:
            size = next(each for each in _SIZES if each <= left_count)
        values = chain.from_iterable(records[place : place + size])
        writer.execute(_text(table, size, kept), tuple(values))
        place += size


@cache
def _text(table: Table, size: int, kept: Sequence[str]) -> str:
    """Return the statement for so many rows; of those that are there, `kept` stay."""
    one, values = _text_of_one(table, kept)
    return one.replace(f"VALUES {values}", f"VALUES {', '.join([values] * size)}")


@cache
def _text_of_one(table: Table, kept: Sequence[str]) -> tuple[str, str]:
    """Return the statement for one row, and its group of values."""
    columns = COLUMNS if table is TASKS else tuple(column.name for column in table.columns)
    statement: Any = sqlite.insert(table)
    if table is TASKS:
        known = {
            "id",
            "client",
            "idempotency_key",
            "script_name",
            "origin",
            "created_at",
            "group_name",
        }
        keys = ["id"]
    else:
        keys = [column.name for column in table.primary_key]
        known = {*keys}
    changed = {name: statement.excluded[name] for name in columns if name not in {*known, *kept}}
    statement = statement.on_conflict_do_update(index_elements=keys, set_=changed)
    compiled = statement.compile(dialect=sqlite.dialect(), column_keys=list(columns))
    values = f"({', '.join('?' * len(columns))})"
    text = str(compiled)
    if f"VALUES {values}" not in text or list(compiled.positiontup or ()) != list(columns):
        raise AssertionError(f"not as expected: {text}")
    return text, values


def change_task(
    writer: sqlite3.Connection, task_id: str, change: Callable[[TaskRow], bool]
) -> bool:
    """Change the row of a task that has ended, if `change` says that it did change it."""
    alone = getattr(writer, "for_update", "")  # where transactions are not alone by themselves
    found = writer.execute(f"{SELECT_TASKS} WHERE id = ?{alone}", (task_id,)).fetchone()
    loaded = None if found is None else load(found)
    if loaded is None or loaded.is_damaged or not change(loaded.row):
        return False
    log = found[LOADED_COLUMNS.index("log")]
    writer.execute(
        "UPDATE tasks SET is_dead_letter = ?, dropped_reason = ?, is_unsent = ?, row = ?,"
        " checksum = ? WHERE id = ?",
        change_of(loaded.row, loaded.spec, log),
    )
    return True


def forget_key(writer: sqlite3.Connection, client: str, idempotency_key: str) -> None:
    """Free an idempotency key."""
    writer.execute(
        "UPDATE tasks SET idempotency_key = NULL WHERE client = ? AND idempotency_key = ?",
        (client, idempotency_key),
    )


def delete_tasks(writer: sqlite3.Connection, task_ids: Iterable[str]) -> None:
    """Delete tasks and all that belongs to them."""
    for task_id in task_ids:
        writer.execute("DELETE FROM chunks WHERE task_id = ?", (task_id,))
        writer.execute("DELETE FROM results WHERE task_id = ?", (task_id,))
        writer.execute("DELETE FROM blobs WHERE task_id = ?", (task_id,))
        writer.execute("DELETE FROM tasks WHERE id = ?", (task_id,))


def delete_output(writer: sqlite3.Connection, task_ids: Iterable[str]) -> None:
    """Delete the items and artifacts of tasks."""
    for task_id in task_ids:
        writer.execute("DELETE FROM chunks WHERE task_id = ? AND kind <> 'note'", (task_id,))
        writer.execute("DELETE FROM blobs WHERE task_id = ? AND kind <> 'result'", (task_id,))
        writer.execute("UPDATE tasks SET has_output = false WHERE id = ?", (task_id,))


def free_items(writer: sqlite3.Connection, task_id: str, attempt: int) -> None:
    """Delete the items of a task's attempts before `attempt`."""
    for table in ("chunks", "blobs"):
        writer.execute(
            f"DELETE FROM {table} WHERE task_id = ? AND kind = 'item' AND attempt < ?",  # noqa: S608
            (task_id, attempt),
        )


def probe(writer: sqlite3.Connection) -> None:
    """Write something that changes nothing: can the disk be written to again?"""
    writer.execute("UPDATE alembic_version SET version_num = version_num")
