"""The SQL that is run often, as plain text; a test holds its columns to the schema.

A statement of many rows is one step of the driver. Row by row each step would give the
interpreter's lock away and wait up to 5 ms to have it back from a busy loop.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence, Sized
from functools import cache
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, Final

from zscrape.store.records import (
    COLUMNS,
    LOADED_COLUMNS,
    RARE_COLUMNS,
    SOUGHT_BY,
    USUAL_COLUMNS,
    change_of,
    load,
)
from zscrape.store.tasks import TaskRow

SELECT_TASKS: Final = f"SELECT {', '.join(LOADED_COLUMNS)} FROM tasks"  # noqa: S608 - constants
# Columns of each table in the order of a record.
RECORD_COLUMNS: Final = {
    "tasks": COLUMNS,
    "chunks": (
        *("task_id", "first_number", "last_number", "kind"),
        *("attempt", "entry_count", "body", "checksum"),
    ),
    "results": ("task_id", "data", "checksum"),
    "blobs": ("task_id", "kind", "number", "attempt", "key", "size_bytes", "sha256"),
}
# By what a record is found that is there already.
KEYS: Final = {
    "tasks": ("id",),
    "chunks": ("task_id", "first_number"),
    "results": ("task_id",),
    "blobs": ("task_id", "kind", "number"),
}
_NOTHING_RARE: Final = tuple(RARE_COLUMNS.values())
# In place of a rare column that may not be NULL and for which no record has a value.
_LITERALS: Final = {name: "false" for name, nothing in RARE_COLUMNS.items() if nothing is False}
# What of a task is as it was accepted, for good.
_LASTING: Final = (
    *("client", "idempotency_key", "script_name"),
    *("origin", "created_at", "group_name"),
)
# Rows of a statement: up to 32 any number, so that it is mostly one, and of more 64. They stay
# prepared; `database.connect` has room for them. The values of more would hold the
# interpreter's lock for as long as a call takes.
_SMALL_COUNT: Final = 32
_SIZES: Final = (64, _SMALL_COUNT)
# A prepared statement holds the values that it was given last, until it is given others. What is
# large is written row by row: by statements of up to so many rows it would stay hundreds of times.
_LARGE_BYTES: Final = 16 * 1024
_WEIGHTY: Final = {"tasks": ("parameters", "row"), "chunks": ("body",), "results": ("data",)}


def keep_tasks(writer: sqlite3.Connection, records: Sequence[Sequence[Any]]) -> None:
    """Write tasks, those that are there already over what is there."""
    _insert(writer, "tasks", _even(records))


def change_tasks(writer: sqlite3.Connection, records: Sequence[Sequence[Any]]) -> None:
    """Write tasks of which nothing has changed that stands in an index: that is a third of it."""
    _insert(writer, "tasks", _even(records), kept=SOUGHT_BY)


def _even(records: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
    """Return records of one length, in their order: mostly none has anything rare."""
    if {*map(len, records)} <= {len(USUAL_COLUMNS)}:
        return records
    return [(*record, *_NOTHING_RARE)[: len(COLUMNS)] for record in records]


def keep_chunks(writer: sqlite3.Connection, records: Sequence[Sequence[Any]]) -> None:
    """Write chunks of logs."""
    _insert(writer, "chunks", records)


def keep_results(writer: sqlite3.Connection, records: Sequence[Sequence[Any]]) -> None:
    """Write large answers."""
    _insert(writer, "results", records)


def keep_blobs(writer: sqlite3.Connection, records: Sequence[Sequence[Any]]) -> None:
    """Write what is kept outside."""
    _insert(writer, "blobs", records)


def _insert(
    writer: sqlite3.Connection,
    table: str,
    records: Sequence[Sequence[Any]],
    *,
    kept: Sequence[str] = (),
) -> None:
    """Write rows in their order."""
    weighty = _weighty(table)
    heaviest = max((max(map(len, map(each, records)), default=0) for each in weighty), default=0)
    if heaviest <= _LARGE_BYTES:
        _insert_together(writer, table, records, kept)
        return

    def is_large(record: Sequence[Any]) -> bool:
        return any(len(each(record)) > _LARGE_BYTES for each in weighty)

    for is_each_large, rows in groupby(records, is_large):
        for part in ([row] for row in rows) if is_each_large else (list(rows),):
            _insert_together(writer, table, part, kept)


@cache
def _weighty(table: str) -> tuple[Callable[[Sequence[Any]], Sized], ...]:
    """Return what gives of a table's record each value that may be large."""
    return tuple(itemgetter(RECORD_COLUMNS[table].index(name)) for name in _WEIGHTY.get(table, ()))


def _insert_together(
    writer: sqlite3.Connection, table: str, records: Sequence[Sequence[Any]], kept: Sequence[str]
) -> None:
    place = 0
    while left_count := len(records) - place:
        size = left_count
        if left_count > _SMALL_COUNT:
            size = next(each for each in _SIZES if each <= left_count)
        values = chain.from_iterable(records[place : place + size])
        writer.execute(_text(table, len(records[place]), size, kept), tuple(values))
        place += size


@cache
def _text(table: str, width: int, size: int, kept: Sequence[str]) -> str:
    """Return the statement for so many rows; of those that are there, `kept` stay.

    Of a row only the first `width` columns have values; the others are empty.
    """
    all_columns, keys = RECORD_COLUMNS[table], KEYS[table]
    lasting = {*keys, *kept, *(_LASTING if table == "tasks" else ())}
    changes = ", ".join(f"{name} = excluded.{name}" for name in all_columns if name not in lasting)
    columns = [*all_columns[:width], *(name for name in all_columns[width:] if name in _LITERALS)]
    values = f"({', '.join(['?'] * width + [_LITERALS[name] for name in columns[width:]])})"
    return (
        f"INSERT INTO {table} ({', '.join(columns)})"  # noqa: S608 - constants
        f" VALUES {', '.join([values] * size)}"
        f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes}"
    )


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
