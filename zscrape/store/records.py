"""A task as the columns of its row, and back; a checksum notices what the disk has changed.

Source: neither `quick_check` nor SQLite's log notices a flipped byte in a value (measured).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import Any, Final, TypeAlias
from zlib import crc32

import msgspec
from msgspec import Struct

from zscrape.model import Outcome, TaskId, TaskSpec, TaskState
from zscrape.store.tasks import LogEntry, TaskRow, brief_log, group_of

# Columns of `tasks` in the order of a record; `seq` is the database's. Most tasks have nothing
# in the columns at the end: their records stop before them.
USUAL_COLUMNS: Final = (
    *("id", "client", "script_name", "origin", "status", "created_at"),
    *("parameters", "row", "log", "checksum", "finished_at", "result_key"),
)
# Of each, what stands for nothing.
RARE_COLUMNS: Final[Mapping[str, bool | None]] = {
    "has_output": False,
    "is_dead_letter": False,
    "dropped_reason": None,
    "is_unsent": False,
    "owner": None,
    "idempotency_key": None,
    "spec": None,
    "group_name": None,
}
COLUMNS: Final = (*USUAL_COLUMNS, *RARE_COLUMNS)
Record: TypeAlias = tuple[Any, ...]
# What tasks are looked for by, and may change.
_SOUGHT: Final = slice(COLUMNS.index("finished_at"), COLUMNS.index("owner") + 1)
SOUGHT_BY: Final = COLUMNS[_SOUGHT]
sought_by: Final[Callable[[Record], Record]] = itemgetter(_SOUGHT)

# A larger answer stands in a table of its own: it is not read with every look at its task.
RESULT_INLINE_BYTES: Final = 64 * 1024

# What fills a rare column.
_RARE: Final = attrgetter(
    *("is_dead_letter", "dropped_reason", "webhooks", "idempotency_key", "metadata")
)
_SHORT_BYTES: Final = 64
_SHORT_COUNT: Final = 256

_ENCODE: Final = msgspec.msgpack.Encoder().encode
_REPLACE: Final = msgspec.structs.replace
_SORTED: Final = msgspec.json.Encoder(order="sorted").encode
_JSON: Final = msgspec.json.Decoder().decode
_ROW: Final = msgspec.msgpack.Decoder(TaskRow)
_SPEC: Final = msgspec.msgpack.Decoder(TaskSpec)
_LOG: Final = msgspec.msgpack.Decoder(list[LogEntry])


class Damaged(Exception):
    """Raised when what was read is not what was written."""


class Loaded(Struct, frozen=True):
    """One task as it was read. `spec` is None iff it is not to be run again."""

    row: TaskRow
    spec: bytes | None
    log: list[LogEntry]
    seq: int
    is_damaged: bool = False

    @property
    def needs_data(self) -> bool:
        """True iff its answer stands in the other table."""
        outcome = self.row.outcome
        return outcome is not None and outcome.is_ok and outcome.data is None


def encode_spec(spec: TaskSpec) -> bytes:
    """Return a spec without what the task's row has as well."""
    return _ENCODE(msgspec.structs.replace(spec, params=b""))


def decode_spec(spec: bytes, row: TaskRow) -> TaskSpec:
    """Return the spec of a task."""
    return msgspec.structs.replace(_SPEC.decode(spec), params=row.parameters)


def encode_log(entries: Sequence[LogEntry]) -> bytes:
    """Return entries of a log as one document."""
    return _ENCODE(entries)


def decode_log(body: bytes, checksum: int) -> list[LogEntry]:
    """Return the entries of a document.

    Raises:
        Damaged: It is not what was written.
    """
    if crc32(body) != checksum:
        raise Damaged
    return _LOG.decode(body)


def result_key(digest: str, parameters: bytes) -> bytes:
    """Return what two calls share that may share their answer: the bytes, and what was asked."""
    if len(parameters) <= _SHORT_BYTES:
        return _short_key(digest, parameters)
    return _key(digest, parameters)


def _key(digest: str, parameters: bytes) -> bytes:
    return hashlib.blake2b(digest.encode() + plain(parameters), digest_size=16).digest()


# Scripts that are asked the same again and again are asked little.
_short_key: Final = lru_cache(_SHORT_COUNT)(_key)


def plain(parameters: bytes) -> bytes:
    """Return parameters in one form, whatever the order and spacing in which they came."""
    if parameters == b"{}":
        return parameters
    try:
        return _SORTED(_JSON(parameters))
    except (msgspec.MsgspecError, ValueError, RecursionError):  # no two of them are alike
        return parameters


def record_of(
    row: TaskRow,
    spec: bytes | None,
    log: bytes,
    answer_key: bytes | None,
    has_output: bool,
    owner: str | None,
    *,
    is_data_apart: bool,
) -> Record:
    """Return a task as a record; one with nothing in the rare columns stops before them."""
    parameters, body = row.parameters, _body(row, is_data_apart=is_data_apart)
    # SQLite's driver looks for an adapter of `bytes` and takes a `bytearray` as it is.
    usual = (
        row.id,
        row.client,
        row.script_name,
        row.origin,
        str(row.status),  # as quick as `.value` is slow: that is a call of Python
        row.created_at,
        bytearray(parameters),
        bytearray(body),
        bytearray(log),
        crc32(b"".join((parameters, spec or b"", body, log))),
        row.finished_at,
        None if answer_key is None else bytearray(answer_key),
    )
    if not (has_output or owner or spec or any(_RARE(row))):
        return usual
    return (
        *usual,
        *(has_output, row.is_dead_letter, row.dropped_reason or None, is_unsent(row)),
        *(owner, row.idempotency_key or None, spec, group_of(row.metadata) or None),
    )


def is_unsent(row: TaskRow) -> bool:
    """True iff somebody is still to be told of the task's end."""
    return any(each.status == "pending" for each in row.webhooks)


def change_of(row: TaskRow, spec: bytes | None, log: bytes) -> tuple[Any, ...]:
    """Return what changes in the record of an ended task, and its id: see `change_task`."""
    body = _body(row, is_data_apart=far_data(row.outcome) is not None)
    checksum = _checksum(row.parameters, spec, body, log)
    reason = row.dropped_reason or None
    return row.is_dead_letter, reason, is_unsent(row), body, checksum, row.id


def _body(row: TaskRow, *, is_data_apart: bool) -> bytes:
    """Return a row without its parameters, which have a column, and without a large answer."""
    parameters, outcome = row.parameters, row.outcome
    row.parameters = b""
    try:
        if outcome is not None and is_data_apart:
            row.outcome = _REPLACE(outcome, data=None)
        return _ENCODE(row)
    finally:
        row.parameters, row.outcome = parameters, outcome


def far_data(outcome: Outcome | None) -> bytes | None:
    """Return the answer of a task if it is too large for its row."""
    data = outcome.data if outcome is not None else None
    return data if data is not None and len(data) > RESULT_INLINE_BYTES else None


# What `load` takes, in order.
LOADED_COLUMNS: Final = (
    *("seq", "id", "script_name", "origin", "client", "created_at", "finished_at"),
    *("parameters", "spec", "row", "log", "checksum"),
)


def load(record: Sequence[Any]) -> Loaded:
    """Return the task of a record; one that is damaged says so and nothing else."""
    seq, task_id, name, origin, client, created_at, finished_at, *rest = record
    parameters, spec, body, log, checksum = rest
    try:
        if _checksum(parameters, spec, body, log) == checksum:
            row = _ROW.decode(body)
            row.parameters = parameters
            if row.id == task_id:
                return Loaded(row, spec, brief_log(row) if row.is_brief else _LOG.decode(log), seq)
    except (msgspec.MsgspecError, TypeError, ValueError):
        pass  # a value of another type than was written
    row = damaged_row(
        task_id, script_name=name, origin=origin, client=client, created_at=created_at
    )
    row.finished_at = created_at if finished_at is None else finished_at
    return Loaded(row, None, [], seq, is_damaged=True)


def _checksum(parameters: bytes, spec: bytes | None, body: bytes, log: bytes) -> int:
    return crc32(b"".join((parameters, spec or b"", body, log)))


def damaged_row(
    task_id: TaskId, *, script_name: str, origin: str, client: str, created_at: float
) -> TaskRow:
    """Return what stands for a task whose row cannot be trusted: it has failed."""
    return TaskRow(
        id=task_id,
        script_name=script_name,
        created_at=created_at,
        origin=origin,
        client=client,
        status=TaskState.FAILED,
        error_code="task_damaged",
        error_text_key="task_damaged",
        error_fields={"task_id": task_id},
    )


def with_data(loaded: Loaded, data: bytes) -> TaskRow:
    """Return a task's row with the answer from the other table."""
    row = loaded.row
    if row.outcome is not None:
        row.outcome = msgspec.structs.replace(row.outcome, data=data)
    return row
