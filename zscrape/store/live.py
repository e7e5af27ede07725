"""One task in memory: its row, the end of its log, and what of both is not written yet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias
from zlib import crc32

from msgspec import Struct, field

from zscrape.model import OutcomeCode, TaskState, WorkerId
from zscrape.store.far import BlobRow, FarPart, FarPolicy, Moved
from zscrape.store.records import (
    RESULT_INLINE_BYTES,
    Loaded,
    Record,
    encode_log,
    far_data,
    record_of,
    result_key,
    sought_by,
)
from zscrape.store.tasks import (
    LogEntry,
    SaidKind,
    StateChange,
    TaskRow,
    brief_log,
    placed_changes,
    state_entries,
)

# What an entry weighs beyond its body.
_ENTRY_OVERHEAD_BYTES: Final = 200
_ROW_OVERHEAD_BYTES: Final = 2_000
_STATE_BYTES: Final = 350  # what a change of state weighs: its document has few lengths
# The end of a log stands in the task's row until it is longer than this: it is written anew
# with every change.
_TAIL_BYTES: Final = 4_096
_CHUNK_BYTES: Final = 256 * 1024
_OUTPUT: Final = frozenset({"item", "artifact"})
_NOTHING: Final = encode_log(())
_NO_ENTRIES: Final[Sequence[LogEntry]] = ()
_NO_ITEMS: Final[Mapping[int, int]] = MappingProxyType({})


Waiters: TypeAlias = tuple[asyncio.Future[None], ...]


class Written(Struct, eq=False):
    """What one transaction takes of a task, and who waits for it."""

    task: LiveTask
    record: Record
    waiters: Waiters
    last_number: int  # of the log
    freed_attempt: int
    is_slim: bool = False  # nothing has changed that tasks are looked for by
    is_plain: bool = True  # its row is all that is to be written
    # What does not go into the row: of most there is nothing.
    chunks: Sequence[tuple[Any, ...]] = ()
    data: bytes | None = None  # its answer, if that is large and to be written now
    tail_count: int = 0  # entries of the tail that go into chunks
    has_result: bool = False
    part: FarPart | None = None  # what of it is to go outside first
    blobs: Sequence[BlobRow] = ()  # what of it has gone outside

    def settle(self, moved: Moved) -> None:
        """Take what is left to be written once the rest is outside."""
        self.chunks, self.blobs, self.data = moved.chunks, moved.blobs, moved.data

    @property
    def result(self) -> tuple[Any, ...] | None:
        """The record of its answer, made where that is written: the checksum takes its time."""
        return None if self.data is None else (self.task.row.id, self.data, crc32(self.data))


class LiveTask(Struct, eq=False):
    """A task that has not ended, or whose end is not written yet."""

    row: TaskRow
    spec: bytes | None = None
    tail: list[LogEntry] = field(default_factory=list)  # see `log`
    # Changes of its state that the tail has not yet, with the number of the first and when they
    # came. Documents are made of them when somebody reads the log or writes it.
    noted: tuple[tuple[int, float, Sequence[StateChange]], ...] = ()
    # When and to whom it was given as soon as it came, if the tail has not that yet.
    placed: tuple[float, int, WorkerId | None] | None = None
    tail_bytes: int = 0
    chunk_number: int = 0  # the last entry that stands in a chunk, on disk
    size_bytes: int = 0  # of its log
    item_bytes: Mapping[int, int] = _NO_ITEMS  # by attempt
    freed_attempt: int = 0  # items of attempts before it are gone
    to_free: int = 0  # and are to be deleted from the disk
    has_output: bool = False
    has_output_in_tail: bool = False
    answer_key: bytes | None = None  # iff it is completed: what it was asked
    is_known: bool = False  # it is on the disk
    is_result_kept: bool = False  # its answer too, and that never changes
    sought_by: Record | None = None  # what of it stands in indexes on the disk
    record: Record | None = None  # what is to be written, if that was made ahead
    is_dirty: bool = False
    is_urgent: bool = False  # iff dirty: somebody waits for it
    touched: int = 0  # iff dirty: the place in the order of changes
    waiters: Waiters = ()
    writing: Written | None = None

    @property
    def is_answer(self) -> bool:
        """True iff it has ended well: who asks the same may have its answer."""
        outcome = self.row.outcome
        return outcome is not None and outcome.code is OutcomeCode.OK

    @property
    def is_done(self) -> bool:
        """True iff it has ended and all of it is on the disk."""
        return not self.is_dirty and self.writing is None and self.row.finished_at is not None

    @property
    def says_nothing_new(self) -> bool:
        """True iff its log has only that it is queued, and it is on the disk, where it is that.

        A restart would tell it anew: not worth a row before something has happened to it.
        """
        if not self.is_known or self.row.last_number != 1:
            return False
        return self.row.status is TaskState.QUEUED and self.log[-1].kind == "state"

    @property
    def is_due(self) -> bool:
        """True iff it is worth a row now: if it goes on, it is going to change again.

        A new one always is, since tasks stand in the database in the order in which they came.
        """
        return self.is_urgent or not self.is_known or self.row.finished_at is not None

    def append(
        self, kind: SaidKind, attempt: int, at: float, body: bytes, limit_bytes: int
    ) -> bool:
        """Add to its log; False when there is no room left."""
        row, tail = self.row, self.log
        weight = len(body) + _ENTRY_OVERHEAD_BYTES
        limit_bytes -= _ROW_OVERHEAD_BYTES + len(row.parameters)
        if self.size_bytes + weight > limit_bytes:
            tail = self._make_room(attempt)
            if self.size_bytes + weight > limit_bytes:
                row.dropped_count += 1
                return False
        number = row.last_number = row.last_number + 1
        tail.append(LogEntry(number, kind, attempt, at, body))
        self.tail_bytes += weight
        self.size_bytes += weight
        if kind in _OUTPUT:
            self.has_output_in_tail = True
            if kind == "item":
                known = self.item_bytes
                self.item_bytes = {**known, attempt: known.get(attempt, 0) + weight}
        return True

    @property
    def log(self) -> list[LogEntry]:
        """The end of its log, with all that was noted."""
        if self.noted or self.placed is not None:
            self._tell()
        return self.tail

    def _tell(self) -> None:
        """Add to the tail what was noted."""
        row, tail, noted = self.row, self.tail, self.noted
        known_count = len(tail)
        if row.is_brief:
            tail += brief_log(row)
        elif self.placed is not None:
            at, attempt, worker_id = self.placed
            tail += state_entries(1, at, placed_changes(row.id, attempt, worker_id))
        self.placed, row.is_brief = None, False
        for number, at, changes in noted:
            tail += state_entries(number, at, changes)
        self.noted = ()
        weight = (len(tail) - known_count) * _STATE_BYTES
        self.tail_bytes += weight
        self.size_bytes += weight

    def _make_room(self, attempt: int) -> list[LogEntry]:
        """Let go of the items of attempts before `attempt`: they are superseded.

        Returns the end of its log.
        """
        if self.freed_attempt >= attempt:
            return self.tail
        self.freed_attempt = self.to_free = attempt
        known = self.item_bytes
        self.item_bytes = {number: known[number] for number in known if number >= attempt}
        self.size_bytes -= sum(known.values()) - sum(self.item_bytes.values())
        if self.writing is None:
            self.tail = [
                entry for entry in self.tail if entry.kind != "item" or entry.attempt >= attempt
            ]
            self.tail_bytes = _weight(self.tail)
            self.has_output_in_tail = _has_output(self.tail)
        return self.tail

    def make_ahead(self, owner: str | None) -> None:
        """Make the record of a task that is over, and of which its row is all that is written.

        A few at a time, while all of them is still in the processor's caches: of many at once,
        long after their ends, each would take longer, and calls would wait for that.
        """
        row = self.row
        outcome = row.outcome
        if outcome is None or not row.is_brief or len(outcome.data or b"") > RESULT_INLINE_BYTES:
            return
        if outcome.code is OutcomeCode.OK:
            self.answer_key = result_key(row.digest, row.parameters)
        key = self.answer_key
        self.record = record_of(row, None, _NOTHING, key, False, owner, is_data_apart=False)

    def take(self, owner: str | None = None, far: FarPolicy | None = None) -> Written:
        """Return what is to be written now.

        Args:
            owner: The gateway that looks after the task.
            far: With it, what is large is left to be moved.
        """
        if self.record is None:
            written = self._taken(owner, far)
        else:
            written = Written(self, self.record, self.waiters, self.row.last_number, self.to_free)
            self.record = None
        self.waiters = ()
        self.is_dirty = self.is_urgent = False
        self.writing = written
        return written

    def _taken(self, owner: str | None, far: FarPolicy | None) -> Written:
        row = self.row
        outcome, is_over = row.outcome, row.finished_at is not None
        log, spilled = _NOTHING, _NO_ENTRIES
        if not row.is_brief:
            tail = self.log
            # Items and artifacts are kept for a shorter time than their task.
            if self.tail_bytes > _TAIL_BYTES or (is_over and self.has_output_in_tail):
                spilled = tail
                self.has_output = self.has_output or _has_output(tail)
            else:
                log = encode_log(tail)
        data = None
        if outcome is not None:
            data = far_data(outcome)
            if outcome.code is OutcomeCode.OK:
                self.note_answer()
        record = record_of(
            row,
            None if is_over else self.spec,
            log,
            self.answer_key,
            self.has_output,
            owner,
            is_data_apart=data is not None,
        )
        written = Written(self, record, self.waiters, row.last_number, self.to_free)
        if self.sought_by is not None:
            written.is_slim = sought_by(record) == self.sought_by
        if spilled or data is not None or self.to_free:
            self._add_large(written, spilled, data, far)
        return written

    def _add_large(
        self,
        written: Written,
        spilled: Sequence[LogEntry],
        data: bytes | None,
        far: FarPolicy | None,
    ) -> None:
        """Add what does not go into the task's row, or leave it to be moved."""
        written.is_plain = False
        data = None if self.is_result_kept else data
        written.tail_count, written.has_result = len(spilled), data is not None
        if far is not None and (spilled or data is not None):
            written.part = self._part(spilled, data, far)
        if written.part is None:
            written.chunks, written.data = chunks_of(self.row.id, spilled), data

    def note_answer(self) -> bytes:
        """Return the key by which its answer is found, now that it has one."""
        if self.answer_key is None:
            self.answer_key = result_key(self.row.digest, self.row.parameters)
        return self.answer_key

    def _part(
        self, spilled: Sequence[LogEntry], data: bytes | None, far: FarPolicy
    ) -> FarPart | None:
        """Return what may have to go outside; None when nothing is large."""
        beyond = frozenset(
            attempt for attempt, size in self.item_bytes.items() if size > far.items_bytes
        )
        is_large = data is not None and len(data) > far.data_bytes
        if not is_large and not any(_is_large(entry, beyond, far) for entry in spilled):
            return None
        return FarPart(self.row.id, self.row.attempts, tuple(spilled), data, beyond)

    def keep(self, written: Written) -> None:
        """Note that what was taken is on the disk."""
        self.writing = None
        self.is_known = True
        # One that has ended is hardly ever written again.
        self.sought_by = None if self.row.finished_at is not None else sought_by(written.record)
        self.is_result_kept = self.is_result_kept or written.has_result
        if self.to_free and written.freed_attempt == self.to_free:
            self.to_free = 0
        if written.tail_count:
            gone = self.tail[: written.tail_count]
            del self.tail[: written.tail_count]
            self.chunk_number = gone[-1].number
            self.has_output_in_tail = _has_output(self.tail)
            self.tail_bytes = _weight(self.tail)

    def give_back(self, written: Written) -> None:
        """Note that nothing of what was taken is on the disk."""
        self.writing = None
        self.is_dirty = True
        self.is_urgent = self.is_urgent or bool(written.waiters)
        self.waiters = written.waiters + self.waiters


class ChunkFacts(Struct, frozen=True):
    """What of a task's log stands in chunks."""

    last_number: int
    size_bytes: int
    item_bytes: dict[int, int]  # by attempt
    has_output: bool


def resume(loaded: Loaded, *, chunks: ChunkFacts | None) -> LiveTask:
    """Return a task as it was read."""
    row = loaded.row
    row.is_brief = False  # its log was made of it just now, and may go on
    tail_bytes = _weight(loaded.log)
    return LiveTask(
        row,
        loaded.spec,
        tail=loaded.log,
        tail_bytes=tail_bytes,
        chunk_number=chunks.last_number if chunks else 0,
        size_bytes=tail_bytes + (chunks.size_bytes if chunks else 0),
        item_bytes=chunks.item_bytes if chunks else _NO_ITEMS,
        has_output=chunks.has_output if chunks else False,
        has_output_in_tail=_has_output(loaded.log),
        is_known=True,
    )


def _has_output(entries: Sequence[LogEntry]) -> bool:
    return any(entry.kind in _OUTPUT for entry in entries)


def _is_large(entry: LogEntry, beyond: frozenset[int], far: FarPolicy) -> bool:
    if entry.kind == "artifact":
        return len(entry.body) > far.artifact_bytes
    return entry.kind == "item" and entry.attempt in beyond


def chunks_of(task_id: str, spilled: Sequence[LogEntry]) -> list[tuple[Any, ...]]:
    """Return entries as the records of chunks."""
    return [_chunk(task_id, run) for run in _runs(spilled)]


def _weight(entries: list[LogEntry]) -> int:
    return sum(len(entry.body) + _ENTRY_OVERHEAD_BYTES for entry in entries)


def _runs(entries: Sequence[LogEntry]) -> Iterator[list[LogEntry]]:
    """Yield what may share a chunk: neighbours of one attempt and one kind, not too many."""
    run: list[LogEntry] = []
    size_bytes = 0
    for entry in entries:
        is_fit = not run or (
            _kind(run[0]) == _kind(entry)
            and run[0].attempt == entry.attempt
            and size_bytes < _CHUNK_BYTES
        )
        if not is_fit:
            yield run
            run, size_bytes = [], 0
        run.append(entry)
        size_bytes += len(entry.body)
    if run:
        yield run


def _kind(entry: LogEntry) -> str:
    return entry.kind if entry.kind in _OUTPUT else "note"


def _chunk(task_id: str, run: list[LogEntry]) -> tuple[Any, ...]:
    body = encode_log(run)
    first = run[0]
    return (
        *(task_id, first.number, run[-1].number, _kind(first)),
        *(first.attempt, len(run), body, crc32(body)),
    )
