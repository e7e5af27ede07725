"""Tasks kept in a database: how they come into it, change, are taken up again, and go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeAlias

from msgspec import Struct

from zscrape.errors import StorageError
from zscrape.model import MIB, TaskId, TaskSpec
from zscrape.store import queries, statements
from zscrape.store.behind import TURN_COUNT, FaultListener, WrittenListener
from zscrape.store.database import Database
from zscrape.store.far import Far
from zscrape.store.live import ChunkFacts, LiveTask, resume
from zscrape.store.reads import SqlTaskReads
from zscrape.store.records import Loaded, encode_spec, plain, result_key
from zscrape.store.tasks import (
    BRIEF_COUNT,
    PLACED_COUNT,
    KeyTaken,
    SaidKind,
    StateChange,
    TaskRow,
    WebhookDelivery,
    over_changes,
)

_SWEEP_COUNT: Final = 500
_TAKE_COUNT: Final = 2_000
_KEY_COUNT: Final = 500  # of one query


class SqlPolicy(Struct, frozen=True):
    """How much is kept of one task, and for how long of all."""

    # Items and data up to 64 MiB each, logs up to 10 MiB, and room for artifacts.
    task_bytes: int = 192 * MIB
    task_age_s: float = 30 * 86_400.0
    output_age_s: float = 7 * 86_400.0  # items and artifacts


class Taken(Struct, frozen=True):
    """A task from before a restart. `spec` is None iff no further attempt is wanted."""

    row: TaskRow
    spec: bytes | None


Finder: TypeAlias = Callable[..., list[TaskId]]
Deleter: TypeAlias = Callable[..., None]


class SqlTaskStore(SqlTaskReads):
    """The store behind the seam of `zscrape.store.tasks`, on a database; see `WriteBehind`."""

    def __init__(
        self,
        database: Database,
        policy: SqlPolicy | None = None,
        *,
        on_fault: FaultListener = lambda error: None,
        owner: str | None = None,
        on_written: WrittenListener | None = None,
        far: Far | None = None,
    ) -> None:
        super().__init__(database, on_fault=on_fault, owner=owner, on_written=on_written, far=far)
        self._policy = policy or SqlPolicy()

    # ---- writes ----------------------------------------------------------------------

    async def add(self, row: TaskRow, spec: TaskSpec | None = None) -> None:
        """Keep a new task; a durable one is on the disk when this returns.

        Raises:
            StorageError: Nothing can be written now.
            KeyTaken: Another task of its client has its idempotency key.
        """
        if self._error is not None:
            raise self._error
        if row.idempotency_key and (row.client, row.idempotency_key) in self._keys:
            raise KeyTaken
        task = self._begin(row, spec)
        if self._is_promised(task):
            await self._keep_promises([task])

    def take_in(self, row: TaskRow, spec: TaskSpec) -> None:
        """Keep a new task of which nothing is promised: not durable, without an idempotency key.

        Raises:
            StorageError: Nothing can be written now.
        """
        if self._error is not None:
            raise self._error
        self._begin(row, spec)

    async def add_many(self, tasks: Sequence[tuple[TaskRow, TaskSpec | None]]) -> None:
        """Keep new tasks, all or none.

        Raises:
            StorageError: Nothing can be written now.
            KeyTaken: Another task of the client has the idempotency key of one.
        """
        if self._error is not None:
            raise self._error
        if any((row.client, row.idempotency_key) in self._keys for row, _ in tasks):
            raise KeyTaken
        begun = [self._begin(row, spec) for row, spec in tasks]
        if any(self._is_promised(task) for task in begun):
            await self._keep_promises(begun)

    async def _keep_promises(self, tasks: Sequence[LiveTask]) -> None:
        """Wait until those of new tasks are on the disk that are accepted only then."""
        waited = [self._wait_urgently(task) for task in tasks if self._is_promised(task)]
        self._flush_soon()
        try:
            await asyncio.gather(*waited)
        except BaseException:  # refused, or whoever asked has gone: it was never accepted
            for future in waited:
                future.cancel()
            for task in tasks:
                self._drop(task.row.id)
            raise

    def _begin(self, row: TaskRow, spec: TaskSpec | None) -> LiveTask:
        told = encode_spec(spec) if spec is not None and row.is_durable else None
        self._touch_count = count = self._touch_count + 1
        task = LiveTask(row, told, is_dirty=True, touched=count)
        self._live[row.id] = self._dirty[row.id] = task
        if row.idempotency_key:
            self._keys[row.client, row.idempotency_key] = task
        if self._timer is None:
            self._flush_later()
        return task

    def take_back(self, task_id: TaskId) -> None:
        """Forget a task that was taken in a moment ago, before anything else could happen."""
        self._drop(task_id)

    async def discard(self, task_id: TaskId) -> None:
        """Forget a task that was never accepted."""
        # What is still to be deleted would take a task of the same id along that is added now.
        if self._drop(task_id) or task_id in self._discarded:
            await self.settled()

    def _drop(self, task_id: TaskId) -> bool:
        """Forget a task; True iff it has to be deleted from the disk."""
        task = self._live.get(task_id)
        if task is None:
            return False
        self._let_go(task)
        if not task.is_known and task.writing is None:
            return False
        self._discarded.append(task_id)
        self._flush_soon()
        return True

    def append(self, row: TaskRow, kind: SaidKind, attempt: int, at: float, body: bytes) -> int:
        """Add to the task's log; return the entry's number, or 0 when it is full."""
        task = self._live.get(row.id)
        if task is None or not task.append(kind, attempt, at, body, self._policy.task_bytes):
            return 0
        self._touch(task)
        return row.last_number

    def note(self, row: TaskRow, at: float, *changes: StateChange) -> None:
        """Keep `row` as it is now, with what has changed of its state in the task's log."""
        task = self._live.get(row.id)
        if task is None:
            return
        task.record = None
        number = row.last_number
        row.last_number = number + len(changes)
        task.noted += ((number + 1, at, changes),)
        if self._is_asked_again and task.is_answer:
            self._answered[row.id] = task
        if task.is_dirty and self._timer is not None:  # nearly always
            return
        if self._owner is not None or not task.says_nothing_new:
            self._touch(task)

    def note_placed(self, row: TaskRow) -> None:
        """Keep `row` as it is now: accepted and, in the same moment, given to a worker."""
        task = self._live.get(row.id)
        if task is None:
            return
        task.placed = row.assigned_at or 0.0, row.attempts, row.worker_id
        row.last_number += PLACED_COUNT
        if not task.is_dirty:
            self._touch(task)

    def note_over(self, row: TaskRow) -> None:
        """Keep `row` as it is now: its script has begun to run, and ended.

        If nothing else was noted but that it was placed, all of its log stands in the row.
        """
        task = self._live.get(row.id)
        if task is None:
            return
        if task.placed is None or row.last_number != PLACED_COUNT:
            self.note(row, row.finished_at or 0.0, *over_changes(row))
            return
        row.last_number, row.is_brief = BRIEF_COUNT, True
        self._over.append(task)
        if len(self._over) == TURN_COUNT:
            self._loop.call_soon(self._make_ahead)
        if self._is_asked_again and task.is_answer:
            self._answered[row.id] = task
        if not task.is_dirty:
            self._touch(task)

    # ---- tasks that have ended -------------------------------------------------------

    async def take_dead_letter(self, task_id: TaskId, *, retried_as: TaskId = "") -> bool:
        """Take an ended task from the dead letters; False when it is none (any more).

        Raises:
            StorageError: Nothing can be written now.
        """

        def take(row: TaskRow) -> bool:
            was_dead = row.is_dead_letter
            if was_dead:
                row.is_dead_letter, row.retried_as = False, retried_as
            return was_dead

        return await self._change(task_id, take)

    async def return_dead_letter(self, task_id: TaskId) -> None:
        """Put back a task that was taken from the dead letters.

        Raises:
            StorageError: Nothing can be written now.
        """

        def put_back(row: TaskRow) -> bool:
            row.is_dead_letter, row.retried_as = True, ""
            return True

        await self._change(task_id, put_back)

    async def note_webhooks(self, task_id: TaskId, webhooks: tuple[WebhookDelivery, ...]) -> None:
        """Keep what became of telling others of a task's end.

        Raises:
            StorageError: Nothing can be written now.
        """

        def note(row: TaskRow) -> bool:
            row.webhooks = webhooks
            return True

        await self._change(task_id, note)

    async def unsent_webhooks(self) -> list[TaskRow]:
        """Return the ended tasks of which somebody is still to be told, oldest first."""
        await self.settled()
        return await self._database.read(partial(queries.unsent, owner=self._owner))

    async def forget_key(self, client: str, idempotency_key: str) -> None:
        """Let a client use a key again.

        Raises:
            StorageError: Nothing can be written now.
        """
        self._keys.pop((client, idempotency_key), None)
        await self.settled()
        forget = partial(statements.forget_key, client=client, idempotency_key=idempotency_key)
        await self._database.write(forget)

    async def _change(self, task_id: TaskId, change: Callable[[TaskRow], bool]) -> bool:
        """Change a task's row where it is now: in memory, or on the disk alone."""
        task = self._live.get(task_id)
        if task is None:
            found: list[bool] = []
            await self._database.write(
                lambda writer: found.append(statements.change_task(writer, task_id, change))
            )
            return found[-1]
        if not change(task.row):
            return False
        self._touch(task)
        waiting = self.kept(task_id, is_urgent=True)
        if waiting is not None:
            await waiting
        return True

    # ---- after a restart -------------------------------------------------------------

    async def take_up(
        self, now: float, seqs: Sequence[int] | None = None
    ) -> tuple[list[Taken], int]:
        """Return the tasks that have not ended, in order of acceptance, and how many are damaged.

        From now on they are in memory as if they had been added. Damaged ones have failed.
        With `seqs` only the tasks at these places are taken: those of a gateway that is gone.

        Raises:
            StorageError: The database cannot be read.
        """
        taken: list[Taken] = []
        damaged_count = 0
        if seqs is not None:
            found = await self._database.read(partial(queries.chosen, seqs=seqs))
            return taken, await self._take(found, taken, now)
        after = 0
        while True:
            found = await self._database.read(
                partial(queries.live, after=after, limit=_TAKE_COUNT, owner=self._owner)
            )
            if not found:
                return taken, damaged_count
            after = found[-1].seq
            damaged_count += await self._take(found, taken, now)

    async def _take(self, found: list[Loaded], taken: list[Taken], now: float) -> int:
        """Add to `taken` what was found sound; return how many were damaged."""
        damaged_count = 0
        for loaded in found:
            if not loaded.is_damaged:
                has_chunks = loaded.row.last_number > len(loaded.log)
                self._adopt(loaded, await self._chunk_facts(loaded) if has_chunks else None)
                taken.append(Taken(loaded.row, loaded.spec))
                continue
            damaged_count += 1
            loaded.row.finished_at = now
            task = self._live[loaded.row.id] = resume(loaded, chunks=None)
            self._touch(task)
        return damaged_count

    def forget_all(self, error: StorageError) -> None:
        """Forget every task, written or not: they are another gateway's by now.

        Whoever waits for something to be written is told by `error` that it is not.
        """
        for task in [*self._live.values()]:
            waiting = [*task.waiters, *(task.writing.waiters if task.writing else ())]
            self._let_go(task)
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_exception(error)
                    waiter.exception()  # not everybody who waits asks for it
        self._discarded.clear()
        self._gathered.clear()
        self._moved.clear()

    async def _chunk_facts(self, loaded: Loaded) -> ChunkFacts:
        return await self._database.read(partial(queries.chunk_facts, task_id=loaded.row.id))

    def _adopt(self, loaded: Loaded, chunks: ChunkFacts | None) -> None:
        row = loaded.row
        task = self._live[row.id] = resume(loaded, chunks=chunks)
        if row.idempotency_key:
            self._keys[row.client, row.idempotency_key] = task

    # ---- the end of things -----------------------------------------------------------

    async def sweep(self, now: float) -> None:
        """Delete what is older than it is kept: whole tasks, and items and artifacts earlier.

        Raises:
            StorageError: The rest stays for the next time.
        """
        policy = self._policy
        await self._sweep(now - policy.task_age_s, queries.old_tasks, statements.delete_tasks)
        await self._sweep(now - policy.output_age_s, queries.old_output, statements.delete_output)

    async def sweep_orphans(self, before: float) -> int:
        """Remove blobs put before a moment that no row names; returns how many.

        A crash between a blob and its row leaves one, and so does a place that was away when
        its task was deleted.

        Raises:
            StorageError: The rest stays for the next time.
        """
        if self._far is None:
            return 0
        count = 0
        listed = await self._far.listed(before)
        for place in range(0, len(listed), _SWEEP_COUNT):
            keys = listed[place : place + _SWEEP_COUNT]
            orphans = await self._database.read(partial(queries.unnamed, keys=keys))
            await self._far.remove(orphans)
            count += len(orphans)
        return count

    async def _sweep(self, before: float, find: Finder, delete: Deleter) -> None:
        is_all = delete is statements.delete_tasks
        # In small transactions: calls that are to be kept wait for the one that is under way.
        while True:
            found = await self._database.read(partial(find, before=before, limit=_SWEEP_COUNT))
            if not found:
                return
            keys: list[str] = []
            if self._far is not None:
                of_tasks = partial(queries.blob_keys, task_ids=found, is_all=is_all)
                keys = await self._database.read(of_tasks)
            await self._database.write(partial(delete, task_ids=found))
            if self._far is not None:
                await self._far.remove(keys)

    async def find_by_key(self, client: str, idempotency_key: str) -> TaskRow | None:
        """Return the task that this client made with this key, once it is safe."""
        task = self._keys.get((client, idempotency_key))
        while task is not None:
            if task.is_known or not self._is_promised(task):
                return task.row
            # Accepted when it is on the disk; if it never gets there it was none.
            waiting = self.kept(task.row.id)
            if waiting is not None:
                await asyncio.wait((waiting,))
                waiting.exception()
            task = self._keys.get((client, idempotency_key))
        return await self._database.read(
            lambda reader: queries.task(
                reader, "client = ? AND idempotency_key = ?", client, idempotency_key
            )
        )

    async def known_keys(self, client: str, idempotency_keys: Sequence[str]) -> set[str]:
        """Return those of many keys that a task of this client has, or may have in a moment."""
        found = {each for each in idempotency_keys if (client, each) in self._keys}
        rest = [each for each in idempotency_keys if each not in found]
        for place in range(0, len(rest), _KEY_COUNT):
            asked = partial(
                queries.known_keys, client=client, keys=rest[place : place + _KEY_COUNT]
            )
            found.update(await self._database.read(asked))
        return found

    async def find_result(
        self, digest: str, parameters: bytes, *, since: float, client: str = ""
    ) -> TaskRow | None:
        """Return a completed task of the same bytes and parameters, ended at or after `since`."""
        key = result_key(digest, parameters)
        if not self._is_asked_again:
            self._is_asked_again = True
            self._answered = {row_id: task for row_id, task in self._live.items() if task.is_answer}
        for answered in self._answered.values():
            self._answers[answered.note_answer()] = answered
        self._answered.clear()
        task = self._answers.get(key)
        row = task.row if task is not None else None
        if row is None or (client and row.client != client):
            whose, of_client = (" AND client = ?", (client,)) if client else ("", ())
            row = await self._database.read(
                lambda reader: queries.task(
                    reader,
                    f"result_key = ? AND finished_at >= ?{whose} ORDER BY finished_at DESC LIMIT 1",
                    key,
                    since,
                    *of_client,
                )
            )
        if row is None or row.finished_at is None or row.finished_at < since:
            return None
        is_same = row.digest == digest and plain(row.parameters) == plain(parameters)
        return row if is_same else None
