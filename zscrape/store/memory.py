"""Tasks kept in memory, bounded in number and in bytes. Nothing survives the process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import islice

from msgspec import Struct

from zscrape.errors.storage import BlobMissing
from zscrape.model import MIB, TaskId, TaskSpec, TaskState
from zscrape.store.blobs import Blob
from zscrape.store.records import result_key
from zscrape.store.tasks import (
    Ended,
    KeptListener,
    KeyTaken,
    LogEntry,
    SaidKind,
    StateChange,
    TaskPage,
    TaskQuery,
    TaskRow,
    WebhookDelivery,
    group_of,
    over_changes,
    placed_changes,
    state_entries,
)

# What an entry weighs beyond its body: the struct, its number, its places in the lists.
_ENTRY_OVERHEAD_BYTES = 200
_ROW_OVERHEAD_BYTES = 2_000
_FREED = "freed"  # the kind of an entry whose body made room for a later attempt's


class MemoryPolicy(Struct, frozen=True):
    """How much is kept. Tasks that have not ended are always kept."""

    final_count: int = 10_000  # ended tasks; the oldest go first
    total_bytes: int = 512 * MIB  # of all tasks; ended ones go first, the oldest of them
    # One task: items and data up to 64 MiB each, logs up to 10 MiB, and room for artifacts.
    task_bytes: int = 192 * MIB


class _Kept(Struct, gc=False):
    """One task with its log."""

    row: TaskRow
    sequence: int
    size_bytes: int
    entries: list[LogEntry]
    items: list[bytes] | None = None  # of the attempt `item_attempt`, the last that had any
    item_attempt: int = 0
    freed_attempt: int = 0  # items of attempts before it are gone


class MemoryTaskStore:
    """The store behind the seam of `zscrape.store.tasks` for a gateway that keeps no files."""

    def __init__(self, policy: MemoryPolicy | None = None) -> None:
        self._policy = policy or MemoryPolicy()
        self._kept: dict[TaskId, _Kept] = {}  # in order of creation
        self._final: OrderedDict[TaskId, None] = OrderedDict()  # in order of ending
        self._by_key: dict[tuple[str, str], TaskId] = {}
        # The latest completed of its kind, of each client and (under an empty text) of all.
        self._results: dict[tuple[bytes, str], TaskId] = {}
        self._sequence = 0
        self.size_bytes = 0

    def fault(self) -> str:
        """Return `full` when live tasks alone take more than there is room for."""
        return "full" if self.size_bytes > self._policy.total_bytes else ""

    # ---- writes ----------------------------------------------------------------------

    async def add(self, row: TaskRow, spec: TaskSpec | None = None) -> None:
        """Keep a new task; nobody will take it up after a restart, so `spec` is not needed.

        Raises:
            KeyTaken: Another task of its client has its idempotency key.
        """
        if row.idempotency_key and (row.client, row.idempotency_key) in self._by_key:
            raise KeyTaken
        self.take_in(row, spec)
        if row.idempotency_key:
            self._by_key[row.client, row.idempotency_key] = row.id
        if row.status.is_final:
            self._settle(row)

    def take_in(self, row: TaskRow, spec: TaskSpec | None = None) -> None:
        """Keep a new task of which nothing is promised: not durable, without an idempotency key."""
        self._sequence += 1
        kept = _Kept(row, self._sequence, _ROW_OVERHEAD_BYTES + len(row.parameters), [])
        self._kept[row.id] = kept
        self.size_bytes += kept.size_bytes

    async def add_many(self, tasks: Sequence[tuple[TaskRow, TaskSpec | None]]) -> None:
        """Keep new tasks."""
        for row, _ in tasks:
            await self.add(row)

    def kept(self, task_id: TaskId, *, is_urgent: bool = False) -> None:
        """Return None: there is nothing to wait for."""

    def hear_kept(self, listener: KeptListener) -> None:
        """Tell nobody: what is here is as safe as it will ever be."""

    def take_back(self, task_id: TaskId) -> None:
        """Forget a task that was taken in a moment ago, before anything else could happen."""
        self._drop(task_id)

    async def discard(self, task_id: TaskId) -> None:
        """Forget a task that was never accepted."""
        self._drop(task_id)

    def append(self, row: TaskRow, kind: SaidKind, attempt: int, at: float, body: bytes) -> int:
        """Add to the task's log; return the entry's number, or 0 when it is full."""
        kept = self._kept.get(row.id)
        if kept is None:
            return 0
        weight = len(body) + _ENTRY_OVERHEAD_BYTES
        limit_bytes = self._policy.task_bytes
        if kept.size_bytes + weight > limit_bytes:
            self._free_items(kept, attempt)
            if kept.size_bytes + weight > limit_bytes:
                row.dropped_count += 1
                return 0
        self._add(kept, LogEntry(row.last_number + 1, kind, attempt, at, body))
        if kind == "item":
            if kept.items is None or attempt != kept.item_attempt:
                kept.items, kept.item_attempt = [], attempt
            kept.items.append(body)
        if self.size_bytes > self._policy.total_bytes:
            self._make_room()
        return row.last_number

    def note(self, row: TaskRow, at: float, *changes: StateChange) -> None:
        """Keep `row` as it is now, with what has changed of its state in the task's log."""
        kept = self._kept.get(row.id)
        if kept is None:
            return
        for entry in state_entries(row.last_number + 1, at, changes):
            self._add(kept, entry)
        if kept.size_bytes > self._policy.task_bytes:
            self._free_items(kept, row.attempts)
        if row.finished_at is not None and row.id not in self._final:
            self._settle(row)
        elif self.size_bytes > self._policy.total_bytes:
            self._make_room()

    def note_placed(self, row: TaskRow) -> None:
        """Keep `row` as it is now: accepted and, in the same moment, given to a worker."""
        changes = placed_changes(row.id, row.attempts, row.worker_id)
        self.note(row, row.assigned_at or 0.0, *changes)

    def note_over(self, row: TaskRow) -> None:
        """Keep `row` as it is now: its script has begun to run, and ended."""
        self.note(row, row.finished_at or 0.0, *over_changes(row))

    def _add(self, kept: _Kept, entry: LogEntry) -> None:
        kept.row.last_number = entry.number
        kept.entries.append(entry)
        weight = len(entry.body) + _ENTRY_OVERHEAD_BYTES
        kept.size_bytes += weight
        self.size_bytes += weight

    def _free_items(self, kept: _Kept, attempt: int) -> None:
        """Let go of the items of attempts before `attempt`: they are superseded."""
        if kept.freed_attempt >= attempt:
            return
        kept.freed_attempt = attempt
        for place, entry in enumerate(kept.entries):
            if entry.kind == "item" and entry.attempt < attempt:
                kept.size_bytes -= len(entry.body)
                self.size_bytes -= len(entry.body)
                # Its place stays taken, so that numbers and places go on together.
                kept.entries[place] = LogEntry(entry.number, _FREED, entry.attempt, entry.at, b"")
        if kept.item_attempt < attempt:
            kept.items = None

    def _settle(self, row: TaskRow) -> None:
        """A task has ended: it counts among those that may be dropped."""
        kept = self._kept[row.id]
        data = row.outcome.data if row.outcome is not None else None
        if data is not None:
            kept.size_bytes += len(data)
            self.size_bytes += len(data)
        self._final[row.id] = None
        if row.status is TaskState.COMPLETED:
            self._results.update(dict.fromkeys(_kinds(row), row.id))
        self._make_room()

    def _make_room(self) -> None:
        policy = self._policy
        while self._final and (
            len(self._final) > policy.final_count or self.size_bytes > policy.total_bytes
        ):
            # The newest is somebody's answer that may not have left yet.
            if len(self._final) == 1 and policy.final_count > 0:
                return
            self._drop(next(iter(self._final)))

    def _drop(self, task_id: TaskId) -> None:
        kept = self._kept.pop(task_id, None)
        if kept is None:
            return
        row = kept.row
        self._final.pop(task_id, None)
        self.size_bytes -= kept.size_bytes
        if row.idempotency_key and self._by_key.get((row.client, row.idempotency_key)) == task_id:
            del self._by_key[row.client, row.idempotency_key]
        for kind in _kinds(row):
            if self._results.get(kind) == task_id:
                del self._results[kind]

    async def forget_key(self, client: str, idempotency_key: str) -> None:
        """Let a client use a key again."""
        self._by_key.pop((client, idempotency_key), None)

    async def take_dead_letter(self, task_id: TaskId, *, retried_as: TaskId = "") -> bool:
        """Take an ended task from the dead letters; False when it is none (any more)."""
        kept = self._kept.get(task_id)
        if kept is None or not kept.row.is_dead_letter:
            return False
        kept.row.is_dead_letter, kept.row.retried_as = False, retried_as
        return True

    async def return_dead_letter(self, task_id: TaskId) -> None:
        """Put back a task that was taken from the dead letters."""
        kept = self._kept.get(task_id)
        if kept is not None:
            kept.row.is_dead_letter, kept.row.retried_as = True, ""

    async def note_webhooks(self, task_id: TaskId, webhooks: tuple[WebhookDelivery, ...]) -> None:
        """Keep what became of telling others of a task's end."""
        kept = self._kept.get(task_id)
        if kept is not None:
            kept.row.webhooks = webhooks

    async def unsent_webhooks(self) -> list[TaskRow]:
        """Return the ended tasks of which somebody is still to be told, oldest first."""
        return [
            kept.row
            for kept in self._kept.values()
            if any(each.status == "pending" for each in kept.row.webhooks)
        ]

    # ---- reads -----------------------------------------------------------------------

    async def get(self, task_id: TaskId) -> TaskRow | None:
        """Return the task, or None when it is not known (any more)."""
        kept = self._kept.get(task_id)
        return kept.row if kept is not None else None

    async def page(self, query: TaskQuery) -> TaskPage:
        """Return one page of the tasks asked for, newest first."""
        found = list(islice(self._matching(query), query.limit + 1))
        has_more = len(found) > query.limit
        shown = found[: query.limit]
        return TaskPage(
            rows=[kept.row for kept in shown],
            next_before=shown[-1].sequence if has_more and shown else None,
        )

    async def ended(self, *, since: float, limit: int) -> list[Ended]:
        """Return the tasks that ended at or after a moment, the last to end first."""
        found: list[Ended] = []
        for task_id in reversed(self._final):
            row = self._kept[task_id].row
            if row.finished_at is None or row.finished_at < since or len(found) >= limit:
                break
            found.append(Ended(row.id, row.status.value, row.created_at, row.finished_at))
        return found

    def _matching(self, query: TaskQuery) -> Iterator[_Kept]:
        for kept in reversed(self._kept.values()):
            if query.before is not None and kept.sequence >= query.before:
                continue
            if query.since is not None and kept.row.created_at < query.since:
                return  # older than all that follow
            if _fits(kept.row, query):
                yield kept

    async def entries(
        self, task_id: TaskId, *, after: int = 0, kinds: frozenset[str] | None = None, limit: int
    ) -> list[LogEntry]:
        """Return up to `limit` log entries with a number above `after`."""
        kept = self._kept.get(task_id)
        if kept is None:
            return []
        # Entry `n` stands at place `n - 1`: an entry that did not fit took no number.
        if kinds is None and not kept.freed_attempt:
            return kept.entries[after : after + limit]
        later = (kept.entries[place] for place in range(after, len(kept.entries)))
        found = (
            entry
            for entry in later
            if (entry.kind != _FREED if kinds is None else entry.kind in kinds)
        )
        return list(islice(found, limit))

    async def items(
        self, task_id: TaskId, *, offset: int = 0, limit: int | None = None
    ) -> list[bytes]:
        """Return the items of the task's last attempt, as JSON documents."""
        kept = self._kept.get(task_id)
        if kept is None or kept.items is None or kept.item_attempt != kept.row.attempts:
            return []
        end = None if limit is None else offset + limit
        return kept.items[offset:end]

    async def entry(self, task_id: TaskId, number: int) -> LogEntry | None:
        """Return one log entry."""
        kept = self._kept.get(task_id)
        if kept is None or not 1 <= number <= len(kept.entries):
            return None
        return kept.entries[number - 1]

    async def blob(self, task_id: TaskId, kind: str, number: int) -> None:
        """Return None: all is kept inside."""

    async def check_blob(self, blob: Blob) -> bool:
        """Raise: there is none.

        Raises:
            BlobMissing: Always.
        """
        raise BlobMissing(key=blob.key)

    async def stream(
        self, blob: Blob, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        """Raise as `check_blob`."""
        await self.check_blob(blob)
        yield b""

    async def find_by_key(self, client: str, idempotency_key: str) -> TaskRow | None:
        """Return the task that this client made with this key."""
        task_id = self._by_key.get((client, idempotency_key))
        return None if task_id is None else await self.get(task_id)

    async def known_keys(self, client: str, idempotency_keys: Sequence[str]) -> set[str]:
        """Return those of many keys that a task of this client has."""
        return {each for each in idempotency_keys if (client, each) in self._by_key}

    async def find_result(
        self, digest: str, parameters: bytes, *, since: float, client: str = ""
    ) -> TaskRow | None:
        """Return a completed task of the same bytes and parameters, ended at or after `since`."""
        task_id = self._results.get((result_key(digest, parameters), client))
        row = None if task_id is None else await self.get(task_id)
        if row is None or row.finished_at is None or row.finished_at < since:
            return None
        return row


def _kinds(row: TaskRow) -> tuple[tuple[bytes, str], ...]:
    key = result_key(row.digest, row.parameters)
    return (key, ""), (key, row.client)


def _fits(row: TaskRow, query: TaskQuery) -> bool:
    return (
        (not query.ids or row.id in query.ids)
        and (not query.statuses or row.status in query.statuses)
        and (not query.script_name or row.script_name == query.script_name)
        and (not query.origin or row.origin == query.origin)
        and (not query.client or row.client == query.client)
        and (not query.scripts or _is_one_of(row.script_name.lower(), query.scripts))
        and (not query.groups or group_of(row.metadata) in query.groups)
        and (not query.is_dead_letter or row.is_dead_letter)
        and (not query.dropped_reason or row.dropped_reason == query.dropped_reason)
    )


def _is_one_of(name: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, glob.lower()) for glob in globs)
