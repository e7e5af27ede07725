"""What is read from the database; every function runs in a thread, on a reader's connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias
from zlib import crc32

from zscrape.errors.storage import BlobMissing
from zscrape.model import TaskId
from zscrape.store.blobs import Blob
from zscrape.store.live import ChunkFacts
from zscrape.store.records import Damaged, Loaded, damaged_row, decode_log, load, with_data
from zscrape.store.statements import SELECT_TASKS
from zscrape.store.tasks import Ended, LogEntry, TaskQuery, TaskRow

_OUTPUT_KINDS: Final = ("item", "artifact")
_LIKE: Final = "lower(script_name) LIKE ? ESCAPE '!'"
# Reads what is kept outside; takes its time where that is far away.
Loader: TypeAlias = Callable[[Blob], bytes]

_NO_NUMBER: Final = 2**62  # above any entry's


def task(reader: sqlite3.Connection, where: str, *values: Any) -> TaskRow | None:
    """Return the first task that fits a condition, with its answer."""
    record = reader.execute(f"{SELECT_TASKS} WHERE {where}", values).fetchone()
    return None if record is None else whole(reader, load(record))


def known_keys(reader: sqlite3.Connection, *, client: str, keys: Sequence[str]) -> set[str]:
    """Return those of many keys that a task of this client has."""
    marks = ", ".join("?" * len(keys))
    found = reader.execute(
        f"SELECT idempotency_key FROM tasks WHERE client = ? AND idempotency_key IN ({marks})",  # noqa: S608 - marks
        (client, *keys),
    )
    return {str(key) for (key,) in found}


def whole(reader: sqlite3.Connection, loaded: Loaded) -> TaskRow:
    """Return a task with its answer."""
    if not loaded.needs_data:
        return loaded.row
    found = reader.execute(
        "SELECT data, checksum FROM results WHERE task_id = ?", (loaded.row.id,)
    ).fetchone()
    if found is None:
        loaded.row.far_data = blob(reader, loaded.row.id, "result", 0)
        if loaded.row.far_data is not None:
            return loaded.row
    if found is not None and crc32(found[0]) == found[1]:
        return with_data(loaded, found[0])
    row = loaded.row
    damaged = damaged_row(
        row.id,
        script_name=row.script_name,
        origin=row.origin,
        client=row.client,
        created_at=row.created_at,
    )
    damaged.finished_at = row.finished_at
    return damaged


def blob(reader: sqlite3.Connection, task_id: TaskId, kind: str, number: int) -> Blob | None:
    """Return what is kept outside of an entry."""
    found = reader.execute(
        "SELECT key, size_bytes, sha256 FROM blobs WHERE task_id = ? AND kind = ? AND number = ?",
        (task_id, kind, number),
    ).fetchone()
    return None if found is None else Blob(*found)


def blob_keys(reader: sqlite3.Connection, task_ids: Sequence[TaskId], *, is_all: bool) -> list[str]:
    """Return the keys of what is kept outside of tasks, their answers only when `is_all`."""
    only = "" if is_all else " AND kind <> 'result'"
    keys: list[str] = []
    for task_id in task_ids:
        found = reader.execute(f"SELECT key FROM blobs WHERE task_id = ?{only}", (task_id,))  # noqa: S608
        keys += [key for (key,) in found]
    return keys


def unnamed(reader: sqlite3.Connection, keys: Sequence[str]) -> list[str]:
    """Return the keys that no row names."""
    marks = ", ".join("?" * len(keys))
    found = reader.execute(f"SELECT key FROM blobs WHERE key IN ({marks})", tuple(keys))  # noqa: S608
    named = {key for (key,) in found}
    return [key for key in keys if key not in named]


def page(reader: sqlite3.Connection, query: TaskQuery) -> list[Loaded]:
    """Return the tasks of one page and one more, newest first; large answers are left out."""
    conditions: list[str] = []
    values: list[Any] = []
    for condition, value in (
        ("seq < ?", query.before),
        ("created_at >= ?", query.since),
        ("script_name = ?", query.script_name or None),
        ("origin = ?", query.origin or None),
        ("client = ?", query.client or None),
        ("dropped_reason = ?", query.dropped_reason or None),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    if query.scripts:
        # Not GLOB: that is SQLite's alone. Names of scripts are in lower case.
        conditions.append(f"({' OR '.join([_LIKE] * len(query.scripts))})")
        values += [_like(glob) for glob in query.scripts]
    if query.groups:
        conditions.append(f"group_name IN ({', '.join('?' * len(query.groups))})")
        values += query.groups
    if query.is_dead_letter:
        conditions.append("is_dead_letter")
    if query.ids:
        conditions.append(f"id IN ({', '.join('?' * len(query.ids))})")
        values += sorted(query.ids)
    if query.statuses:
        conditions.append(f"status IN ({', '.join('?' * len(query.statuses))})")
        values += sorted(query.statuses)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    found = reader.execute(
        f"{SELECT_TASKS}{where} ORDER BY seq DESC LIMIT ?", (*values, query.limit + 1)
    )
    return [load(record) for record in found]


def _like(glob: str) -> str:
    for mark in "!%_":
        glob = glob.replace(mark, f"!{mark}")
    return glob.replace("*", "%").lower()


def unsent(reader: sqlite3.Connection, owner: str | None) -> list[TaskRow]:
    """Return ended tasks of which somebody is still to be told, with their answers."""
    own, values = _own(owner)
    found = reader.execute(f"{SELECT_TASKS} WHERE is_unsent{own} ORDER BY seq", values)
    return [whole(reader, load(record)) for record in found.fetchall()]


def live(
    reader: sqlite3.Connection, after: int, limit: int, owner: str | None = None
) -> list[Loaded]:
    """Return tasks that have not ended, in order of acceptance; of one owner, if given."""
    own, values = _own(owner)
    found = reader.execute(
        f"{SELECT_TASKS} WHERE finished_at IS NULL{own} AND seq > ? ORDER BY seq LIMIT ?",
        (*values, after, limit),
    )
    return [load(record) for record in found]


def _own(owner: str | None) -> tuple[str, tuple[str, ...]]:
    return ("", ()) if owner is None else (" AND owner = ?", (owner,))


def by_id(reader: sqlite3.Connection, task_ids: Sequence[TaskId]) -> list[TaskRow]:
    """Return tasks with their answers."""
    marks = ", ".join("?" * len(task_ids))
    found = reader.execute(f"{SELECT_TASKS} WHERE id IN ({marks})", tuple(task_ids))
    return [whole(reader, load(record)) for record in found.fetchall()]


def chosen(reader: sqlite3.Connection, seqs: Sequence[int]) -> list[Loaded]:
    """Return tasks by their places, in order of acceptance."""
    marks = ", ".join("?" * len(seqs))
    found = reader.execute(f"{SELECT_TASKS} WHERE seq IN ({marks}) ORDER BY seq", tuple(seqs))
    return [load(record) for record in found]


def ended_since(
    reader: sqlite3.Connection, moment: float, owner: str | None = None
) -> list[TaskRow]:
    """Return tasks that have ended at `moment` or later; of one owner, if given."""
    own, values = _own(owner)
    found = reader.execute(f"{SELECT_TASKS} WHERE finished_at >= ?{own}", (moment, *values))
    return [load(record).row for record in found]


def ended(reader: sqlite3.Connection, since: float, limit: int) -> list[Ended]:
    """Return when tasks came and ended that ended at `since` or later, the last to end first."""
    found = reader.execute(
        "SELECT id, status, created_at, finished_at FROM tasks WHERE finished_at >= ?"
        " ORDER BY finished_at DESC LIMIT ?",
        (since, limit),
    )
    return [Ended(*record) for record in found.fetchall()]


def chunk_facts(reader: sqlite3.Connection, task_id: TaskId) -> ChunkFacts:
    """Return what of a task's log stands in chunks."""
    found = reader.execute(
        "SELECT kind, attempt, max(last_number), sum(length(body)) FROM chunks"
        " WHERE task_id = ? GROUP BY kind, attempt",
        (task_id,),
    ).fetchall()
    outside = reader.execute(
        "SELECT kind, attempt, sum(size_bytes) FROM blobs WHERE task_id = ? GROUP BY kind, attempt",
        (task_id,),
    ).fetchall()
    sizes: list[int] = []  # PostgreSQL sums to a Decimal
    item_bytes: dict[int, int] = {}
    for kind, attempt, *_, size in (*found, *outside):
        sizes.append(int(size))
        if kind == "item":
            item_bytes[attempt] = item_bytes.get(attempt, 0) + int(size)
    return ChunkFacts(
        last_number=max((number for _, _, number, _ in found), default=0),
        size_bytes=sum(sizes),
        item_bytes=item_bytes,
        has_output=any(kind in _OUTPUT_KINDS for kind, _, _, _ in found),
    )


def last_log(reader: sqlite3.Connection, task_id: TaskId) -> list[LogEntry]:
    """Return the end of a task's log: what stands in no chunk."""
    record = reader.execute(f"{SELECT_TASKS} WHERE id = ?", (task_id,)).fetchone()
    return [] if record is None else load(record).log


def entries(
    reader: sqlite3.Connection,
    task_id: TaskId,
    after: int,
    kinds: frozenset[str] | None,
    limit: int,
    load: Loader | None = None,
) -> list[LogEntry]:
    """Return log entries in chunks with a number above `after`."""
    only = _chunk_kinds(kinds)
    where = f" AND kind IN ({', '.join('?' * len(only))})" if only else ""
    found = reader.execute(
        "SELECT first_number, body, checksum FROM chunks"  # noqa: S608
        f" WHERE task_id = ? AND last_number > ?{where} ORDER BY first_number",
        (task_id, after, *only),
    ).fetchall()
    unpacked = _unpacked(reader, task_id, found, load)
    return _first(fitting(unpacked, after, kinds), limit)


def _chunk_kinds(kinds: frozenset[str] | None) -> tuple[str, ...]:
    if kinds is None:
        return ()
    wanted = {kind if kind in _OUTPUT_KINDS else "note" for kind in kinds}
    return tuple(sorted(wanted))


def _unpacked(
    reader: sqlite3.Connection,
    task_id: TaskId,
    found: Iterable[tuple[int, bytes, int]],
    load: Loader | None,
) -> Iterator[LogEntry]:
    for number, body, checksum in found:
        whole_body = body or _outside(reader, task_id, number, load)
        yield from decode_log(whole_body, checksum)


def _outside(
    reader: sqlite3.Connection, task_id: TaskId, number: int, load: Loader | None
) -> bytes:
    """Return the body of a chunk that is kept outside."""
    found = blob(reader, task_id, "item", number)
    if found is None:
        raise Damaged
    if load is None:  # the gateway before kept blobs, this one does not
        raise BlobMissing(key=found.key)
    return load(found)


def fitting(
    entries: Iterable[LogEntry], after: int, kinds: frozenset[str] | None
) -> Iterator[LogEntry]:
    """Yield the entries with a number above `after` and of these kinds."""
    for entry in entries:
        if entry.number > after and (kinds is None or entry.kind in kinds):
            yield entry


def _first(found: Iterator[LogEntry], limit: int) -> list[LogEntry]:
    taken: list[LogEntry] = []
    for entry in found:
        taken.append(entry)
        if len(taken) >= limit:
            break
    return taken


def items(
    reader: sqlite3.Connection,
    task_id: TaskId,
    attempt: int,
    *,
    before: int | None,
    offset: int,
    limit: int | None,
    load: Loader | None = None,
) -> tuple[list[bytes], int]:
    """Return items of an attempt in chunks, and how many items of it those chunks have.

    Only chunks below the entry `before` are looked at.
    """
    found = reader.execute(
        "SELECT first_number, entry_count FROM chunks"
        " WHERE task_id = ? AND kind = 'item' AND attempt = ? AND first_number < ?"
        " ORDER BY first_number",
        (task_id, attempt, _NO_NUMBER if before is None else before),
    ).fetchall()
    taken: list[bytes] = []
    passed_count = 0
    for number, count in found:
        if limit is not None and len(taken) >= limit:
            break
        if passed_count + count > offset:
            skipped_count = max(0, offset - passed_count)
            chunk = _chunk(reader, task_id, number, load)
            taken += [entry.body for entry in chunk[skipped_count:]]
        passed_count += count
    return taken[:limit], passed_count


def _chunk(
    reader: sqlite3.Connection, task_id: TaskId, first_number: int, load: Loader | None
) -> list[LogEntry]:
    body, checksum = reader.execute(
        "SELECT body, checksum FROM chunks WHERE task_id = ? AND first_number = ?",
        (task_id, first_number),
    ).fetchone()
    return decode_log(body or _outside(reader, task_id, first_number, load), checksum)


def entry(
    reader: sqlite3.Connection, task_id: TaskId, number: int, load: Loader | None = None
) -> LogEntry | None:
    """Return one log entry that stands in a chunk."""
    found = reader.execute(
        "SELECT first_number, body, checksum FROM chunks"
        " WHERE task_id = ? AND first_number <= ? AND last_number >= ?",
        (task_id, number, number),
    ).fetchall()
    unpacked = _unpacked(reader, task_id, found, load)
    return next((each for each in unpacked if each.number == number), None)


def old_tasks(reader: sqlite3.Connection, before: float, limit: int) -> list[TaskId]:
    """Return tasks that ended before a moment, the oldest first."""
    found = reader.execute(
        "SELECT id FROM tasks WHERE finished_at < ? ORDER BY finished_at LIMIT ?", (before, limit)
    )
    return [task_id for (task_id,) in found]


def old_output(reader: sqlite3.Connection, before: float, limit: int) -> list[TaskId]:
    """Return tasks that ended before a moment and have items or artifacts, the oldest first."""
    found = reader.execute(
        "SELECT id FROM tasks WHERE has_output AND finished_at < ? ORDER BY finished_at LIMIT ?",
        (before, limit),
    )
    return [task_id for (task_id,) in found]
