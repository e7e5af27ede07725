"""What lasts: the promise `STORE`.

A change is told behind the task's back. One thread writes all that has changed since it wrote
last, by one transaction; what changes twice meanwhile is one row. As ours, a call that is waited
for is written within 0.2 s.
"""

from __future__ import annotations

import sqlite3
import threading
import zlib
from asyncio import AbstractEventLoop
from collections.abc import Callable, Sequence
from contextlib import closing
from operator import attrgetter
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import msgspec

from bench.floors.ladder.lives import COMPLETED, Task
from zscrape.store.records import result_key

BEHIND_S = 0.2
_TABLE = """
CREATE TABLE IF NOT EXISTS tasks (id TEXT PRIMARY KEY, client TEXT NOT NULL,
    script_name TEXT NOT NULL, status TEXT NOT NULL, created_at REAL NOT NULL, finished_at REAL,
    row BLOB NOT NULL, checksum INTEGER NOT NULL, answer_key BLOB) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tasks_finished ON tasks (finished_at);
CREATE INDEX IF NOT EXISTS tasks_created ON tasks (created_at);
CREATE INDEX IF NOT EXISTS tasks_answers ON tasks (answer_key) WHERE answer_key IS NOT NULL;
"""
_INSERT = "INSERT OR REPLACE INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_DAMAGED = "a row is not what was written"
_ENCODE = msgspec.msgpack.Encoder().encode
_ROW_FIELDS = (
    *("id", "trace_id", "status", "attempts", "worker_id", "created_at", "assigned_at"),
    *("finished_at", "code", "error", "run_s", "cpu_s", "memory_bytes", "records", "states"),
    *("next_retry_at", "dropped_reason"),
)
_FIELDS_OF = attrgetter(*_ROW_FIELDS)


class Journal:
    """The database of a gateway. `kept` hears of tasks whose ends are safe, of many at once."""

    def __init__(
        self, path: Path, loop: AbstractEventLoop, kept: Callable[[Sequence[Task]], None]
    ) -> None:
        self._path, self._loop, self._kept = path, loop, kept
        self._changed: dict[str, Task] = {}
        self._batches: SimpleQueue[tuple[list[Any], list[Task]]] = SimpleQueue()
        with closing(self._connected()) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(_TABLE)
        threading.Thread(target=self._write, daemon=True).start()

    def note(self, task: Task) -> None:
        """Keep a task as it is now, in a moment."""
        if not self._changed:
            self._loop.call_later(BEHIND_S, self._flush)
        self._changed[task.id] = task

    def _flush(self) -> None:
        # Rows are made here: the writer would wait for its turn with Python for each of them.
        tasks = [*self._changed.values()]
        ended = [task for task in tasks if task.finished_at is not None]
        self._batches.put(([*map(_row, tasks)], ended))
        self._changed.clear()

    def _write(self) -> None:
        with closing(self._connected()) as connection:
            while True:
                rows, ended = self._batches.get()
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(_INSERT, rows)
                connection.execute("COMMIT")
                self._loop.call_soon_threadsafe(self._kept, ended)

    def find(self, task_id: str) -> dict[str, Any] | None:
        """Return what is kept of a task. Blocking."""
        with closing(self._connected()) as connection:
            query = "SELECT row, checksum FROM tasks WHERE id = ?"
            found = connection.execute(query, (task_id,)).fetchone()
        return None if found is None else _checked(*found)

    def answer(self, digest: str, parameters: bytes, since: float) -> bytes | None:
        """Return the data of the latest task that was asked the same since then. Blocking."""
        query = (
            "SELECT row FROM tasks WHERE answer_key = ? AND finished_at >= ?"
            " ORDER BY finished_at DESC LIMIT 1"
        )
        with closing(self._connected()) as connection:
            asked = (result_key(digest, parameters), since)
            found = connection.execute(query, asked).fetchone()
        return None if found is None else msgspec.msgpack.decode(found[0])[1] or b"null"

    def latest(self, limit: int) -> list[dict[str, Any]]:
        """Return the tasks that came last. Blocking."""
        with closing(self._connected()) as connection:
            query = "SELECT row, checksum FROM tasks ORDER BY created_at DESC LIMIT ?"
            return [_checked(*each) for each in connection.execute(query, (limit,))]

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=5.0)
        connection.execute("PRAGMA synchronous=FULL")
        return connection


def _row(task: Task) -> tuple[object, ...]:
    pin = task.script.pin
    told = _ENCODE((task.parameters, task.data, pin, *_FIELDS_OF(task)))
    answer_key = result_key(pin.digest, task.parameters) if task.status == COMPLETED else None
    return (
        *(task.id, task.key.client, pin.name, task.status, task.created_at, task.finished_at),
        *(told, zlib.crc32(told), answer_key),
    )


def _checked(row: bytes, checksum: int) -> dict[str, Any]:
    if zlib.crc32(row) != checksum:
        raise ValueError(_DAMAGED)
    return dict(zip(_ROW_FIELDS, msgspec.msgpack.decode(row)[3:], strict=True))
