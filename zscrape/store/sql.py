"""Tasks kept in a database. Live ones stay in memory; what changes is written behind.

What is written is never a list of operations but the state of the tasks that have changed,
as it is when the writer is free: one transaction for all of them, so that a short call costs
one row, and a disk that refuses for an hour costs no memory beyond the tasks themselves.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from itertools import islice
from typing import Final, TypeAlias, TypeVar

from msgspec import Struct

from zscrape.errors import BlobMissing, StorageError, TaskDamaged
from zscrape.model import MIB, TaskId, TaskSpec
from zscrape.store import queries, statements
from zscrape.store.blobs import Blob
from zscrape.store.database import Database
from zscrape.store.far import Far, FarPart
from zscrape.store.live import ChunkFacts, LiveTask, Written, begin, chunks_of, resume
from zscrape.store.records import Damaged, Loaded, plain, result_key
from zscrape.store.tasks import (
    Ended,
    EntryKind,
    KeptListener,
    KeyTaken,
    LogEntry,
    TaskPage,
    TaskQuery,
    TaskRow,
    WebhookDelivery,
)

Found = TypeVar("Found")

# How long a change that nobody waits for may wait for others: most calls are over by then, and
# of 80 rows in one transaction each costs half of what it does of 20 (measured). Where other
# gateways look at the same database, who follows a task there waits for it.
BEHIND_S: Final = 0.2
BEHIND_SHARED_S: Final = 0.05
RETRY_S: Final = 1.0
_BATCH_COUNT: Final = 256
_SWEEP_COUNT: Final = 500
_TAKE_COUNT: Final = 2_000
_KEY_COUNT: Final = 500  # of one query
_CLOSE_S: Final = 5.0  # for a disk that refuses at the end


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


class _Barrier(Struct, eq=False):
    """Somebody waits for what had been touched by then, and for that transaction to begin."""

    touched: int
    begun: int
    future: asyncio.Future[None]


Finder: TypeAlias = Callable[..., list[TaskId]]
Deleter: TypeAlias = Callable[..., None]
WrittenListener: TypeAlias = Callable[[Sequence[TaskId]], None]
FaultListener: TypeAlias = Callable[[StorageError | None], None]


class SqlTaskStore:
    """The store behind the seam of `zscrape.store.tasks`, on a database.

    `on_fault` hears when the database begins to refuse, and with None when it is well again.
    Where several gateways share the database, `owner` is the one whose tasks these are, and
    `on_written` hears which tasks the others would find changed.
    """

    def __init__(
        self,
        database: Database,
        policy: SqlPolicy | None = None,
        *,
        on_fault: FaultListener = lambda error: None,
        owner: str | None = None,
        on_written: WrittenListener = lambda task_ids: None,
        far: Far | None = None,
    ) -> None:
        self._database = database
        self._far = far
        self._moves: set[asyncio.Task[None]] = set()
        self._moved: list[Written] = []  # what is large of them is outside
        self._policy = policy or SqlPolicy()
        self._on_fault = on_fault
        self._owner = owner
        self._behind_s = BEHIND_S if owner is None else BEHIND_SHARED_S
        self._on_written = on_written
        self._on_kept: KeptListener = lambda task_ids: None
        self._loop = asyncio.get_running_loop()
        self._live: dict[TaskId, LiveTask] = {}
        self._keys: dict[tuple[str, str], LiveTask] = {}
        self._answers: dict[bytes, LiveTask] = {}  # completed, and not on the disk yet
        self._answered: list[LiveTask] = []  # the last of these: their keys are made together
        self._dirty: dict[TaskId, LiveTask] = {}  # the longest waiting first
        self._discarded: list[TaskId] = []
        self._writing: list[Written] | None = None
        self._barriers: list[_Barrier] = []
        self._touch_count = 0
        self._begun_count = 0  # transactions
        self._error: StorageError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_soon = False
        self._is_all_due = False

    @property
    def database(self) -> Database:
        """The database, for what else is kept in it."""
        return self._database

    def fault(self) -> str:
        """Return why nothing can be written: the code of the error, or an empty text."""
        return "" if self._error is None else self._error.code

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

    def _is_promised(self, task: LiveTask) -> bool:
        """True iff it is accepted only when it is on the disk.

        A key that another gateway may have as well has to be there before anything is run.
        """
        row = task.row
        return row.is_durable or (self._owner is not None and bool(row.idempotency_key))

    def _begin(self, row: TaskRow, spec: TaskSpec | None) -> LiveTask:
        task = self._live[row.id] = begin(row, spec)
        if row.idempotency_key:
            self._keys[row.client, row.idempotency_key] = task
        self._touch(task)
        return task

    async def discard(self, task_id: TaskId) -> None:
        """Forget a task that was never accepted."""
        if self._drop(task_id):
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

    def append(self, row: TaskRow, kind: EntryKind, attempt: int, at: float, body: bytes) -> int:
        """Add to the task's log; return the entry's number, or 0 when it is full."""
        task = self._live.get(row.id)
        if task is None or not task.append(kind, attempt, at, body, self._policy.task_bytes):
            return 0
        if kind == "state" and row.outcome is not None and row.outcome.is_ok:
            self._answered.append(task)
        is_touched = task.is_dirty and self._timer is not None
        if not is_touched and (self._owner is not None or not task.says_nothing_new):
            self._touch(task)
        return row.last_number

    def _note_answers(self) -> None:
        """Make the keys by which answers are found: nobody waits for that but a `max_age`."""
        answered, self._answered = self._answered, []
        for task in answered:
            row = task.row
            key = task.answer_key = result_key(row.digest, row.parameters)
            if self._live.get(row.id) is task:
                self._answers[key] = task

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

    def kept(self, task_id: TaskId, *, is_urgent: bool = False) -> asyncio.Future[None] | None:
        """Return what is done once the task's state of now is on the disk; None if it is.

        What is not urgent may take `BEHIND_S`.
        """
        task = self._live.get(task_id)
        if task is None:
            return None
        if task.is_dirty:
            if is_urgent:
                self._flush_soon()
                return self._wait_urgently(task)
            return self._wait(task.waiters)
        return None if task.writing is None else self._wait(task.writing.waiters)

    def hear_kept(self, listener: KeptListener) -> None:
        """Tell `listener` how far the logs of tasks are on the disk, once a transaction."""
        self._on_kept = listener

    def _wait_urgently(self, task: LiveTask) -> asyncio.Future[None]:
        task.is_urgent = True
        return self._wait(task.waiters)

    def _wait(self, waiters: list[asyncio.Future[None]]) -> asyncio.Future[None]:
        future: asyncio.Future[None] = self._loop.create_future()
        waiters.append(future)
        return future

    # ---- the writer ------------------------------------------------------------------

    def _touch(self, task: LiveTask) -> None:
        if not task.is_dirty:
            task.is_dirty = True
            self._touch_count += 1
            task.touched = self._touch_count
            self._dirty[task.row.id] = task
        if self._timer is None:
            self._timer = self._loop.call_later(self._behind_s, self._flush_all)

    def _flush_soon(self) -> None:
        """Write at the end of this turn of the loop: others may want it in the same turn."""
        if not self._is_soon and self._writing is None and self._error is None:
            self._is_soon = True
            self._loop.call_soon(self._flush)

    def _flush_all(self) -> None:
        """Write also what nobody waits for, or as soon as the writer is free."""
        self._timer = None
        self._is_all_due = True
        self._flush()

    def _flush(self) -> None:
        self._is_soon = False
        if self._writing is not None:
            return
        batch = self._take_batch()
        discarded, self._discarded = self._discarded, []
        if not (batch or discarded or self._barriers) and self._error is None:
            return
        self._writing = batch
        self._begun_count += 1
        future = self._database.write(lambda writer: _write(writer, batch, discarded))
        future.add_done_callback(lambda done: self._written(done, batch, discarded))

    def _take_batch(self) -> list[Written]:
        # While the database refuses, nothing is moved: it is tried anew every second.
        far = None if self._far is None or self._error is not None else self._far.policy
        is_all = self._is_all_due or self._error is not None or bool(self._barriers)
        self._is_all_due = False
        self._note_answers()
        ready = (
            task
            for task in self._dirty.values()
            if task.writing is None and (is_all or task.is_due)
        )
        taken = [task.take(self._owner, far) for task in islice(ready, _BATCH_COUNT)]
        for written in taken:
            del self._dirty[written.task.row.id]
            if written.part is not None:
                move = self._loop.create_task(self._move(written, written.part))
                self._moves.add(move)
                move.add_done_callback(self._moves.discard)
        moved, self._moved = self._moved, []
        return [*moved, *(written for written in taken if written.part is None)]

    async def _move(self, written: Written, part: FarPart) -> None:
        """Put outside what is large of a task, then have the rest of it written."""
        if self._far is None:
            return
        written.settle(await self._far.move(part, chunks_of))
        if self._live.get(part.task_id) is not written.task:  # forgotten meanwhile
            await self._far.remove([row.blob.key for row in written.blobs])
            return
        self._moved.append(written)
        self._flush_soon()

    def _written(
        self, done: asyncio.Future[None], batch: list[Written], discarded: list[TaskId]
    ) -> None:
        error = done.exception()
        self._writing = None
        if error is None:
            self._take_success(batch)
        else:
            self._take_back(batch, discarded)
            if isinstance(error, StorageError):
                self._take_fault(error)
            else:
                self._part_with_keys(batch, str(error))
        self._pass_barriers()
        if self._error is not None:
            # Also when nothing waits to be written: it is how the end of the fault is noticed.
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(RETRY_S, self._flush_all)
        elif self._is_awaited():
            self._flush()
        elif self._dirty and self._timer is None:
            self._timer = self._loop.call_later(self._behind_s, self._flush_all)

    def _is_awaited(self) -> bool:
        if self._is_all_due or self._barriers or self._discarded or self._moved:
            return True
        if len(self._dirty) >= _BATCH_COUNT:
            self._is_all_due = True
        return self._is_all_due or any(task.is_urgent for task in self._dirty.values())

    def _take_success(self, batch: list[Written]) -> None:
        if self._error is not None:
            self._error = None
            self._on_fault(None)
        for written in batch:
            task = written.task
            task.keep(written)
            for waiter in written.waiters:
                if not waiter.done():
                    waiter.set_result(None)
            if task.is_done:
                self._let_go(task)
        # Also of those that have gone on since: who waits for an earlier entry need not wait.
        self._on_kept([(written.task.row.id, written.last_number) for written in batch])
        self._on_written([written.record[0] for written in batch])

    def _take_back(self, batch: list[Written], discarded: list[TaskId]) -> None:
        """Nothing was written: all of it is to be written still, before what came later."""
        self._discarded = discarded + self._discarded
        given_back: dict[TaskId, LiveTask] = {}
        for written in batch:
            task = written.task
            task.give_back(written)
            if self._far is not None and written.blobs:  # it is moved anew, under other keys
                keys = [row.blob.key for row in written.blobs]
                removal = self._loop.create_task(self._far.remove(keys))
                self._moves.add(removal)
                removal.add_done_callback(self._moves.discard)
            if self._live.get(task.row.id) is task:
                given_back[task.row.id] = task
        self._dirty = {**given_back, **self._dirty}

    def _take_fault(self, error: StorageError) -> None:
        is_new = self._error is None or self._error.code != error.code
        self._error = error
        for task in [*self._dirty.values()]:
            if self._is_promised(task) and not task.is_known:
                self._refuse(task, error)
                # A connection that broke in the middle may have written it all the same.
                self._discarded.append(task.row.id)
        if is_new:
            self._on_fault(error)

    def _part_with_keys(self, batch: list[Written], told: str) -> None:
        """A key of a new task is that of an older one, which was looked for too early.

        What the database has `told` may say which; else it may be any of them.
        """
        new = [
            written.task
            for written in batch
            if written.task.row.idempotency_key and not written.task.is_known
        ]
        named = [
            task for task in new if f"=({task.row.client}, {task.row.idempotency_key})" in told
        ]
        for task in named or new:
            if self._is_promised(task):
                self._refuse(task, KeyTaken())
            else:
                self._keys.pop((task.row.client, task.row.idempotency_key), None)
                task.row.idempotency_key = ""

    def _refuse(self, task: LiveTask, error: Exception) -> None:
        """Tell who waits for a task's acceptance that it is not."""
        self._let_go(task)
        for waiter in task.waiters:
            if not waiter.done():
                waiter.set_exception(error)

    def _let_go(self, task: LiveTask) -> None:
        row = task.row
        if self._live.get(row.id) is task:
            del self._live[row.id]
            self._dirty.pop(row.id, None)
        if row.idempotency_key and self._keys.get((row.client, row.idempotency_key)) is task:
            del self._keys[row.client, row.idempotency_key]
        if task.answer_key is not None and self._answers.get(task.answer_key) is task:
            del self._answers[task.answer_key]

    def _pass_barriers(self) -> None:
        """Tell those whose changes are on the disk by now, or cannot get there."""
        # One whose files are being put outside is not waited for: that may take its time.
        waiting_now = (task.touched for task in self._dirty.values() if task.writing is None)
        oldest = next(waiting_now, self._touch_count + 1)
        waiting, self._barriers = self._barriers, []
        for barrier in waiting:
            is_there = barrier.begun <= self._begun_count and barrier.touched < oldest
            if self._error is None and not is_there:
                self._barriers.append(barrier)
            elif not barrier.future.done():
                barrier.future.set_result(None)

    def hasten(self) -> None:
        """Write at once what waits, and let nothing wait for long from now on."""
        self._behind_s = BEHIND_SHARED_S
        if self._timer is not None and self._error is None:
            self._timer.cancel()
            self._flush_all()

    async def settled(self) -> None:
        """Wait until what has changed by now is on the disk, or cannot get there."""
        is_asked = bool(self._dirty or self._discarded)
        if self._error is not None or not (is_asked or self._writing is not None):
            return
        future: asyncio.Future[None] = self._loop.create_future()
        self._barriers.append(_Barrier(self._touch_count, self._begun_count + is_asked, future))
        self._flush_soon()
        await future

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

    def try_again(self) -> None:
        """Try now whether what refused is well again, and not only with the next second."""
        if self._error is not None:
            self._flush()

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

    async def look_up(self, task_ids: Sequence[TaskId]) -> list[TaskRow]:
        """Return tasks as the database has them, with their answers; unknown ones are left out.

        Raises:
            StorageError: The database cannot be read.
        """
        return await self._database.read(partial(queries.by_id, task_ids=task_ids))

    async def _chunk_facts(self, loaded: Loaded) -> ChunkFacts:
        return await self._database.read(partial(queries.chunk_facts, task_id=loaded.row.id))

    def _adopt(self, loaded: Loaded, chunks: ChunkFacts | None) -> None:
        row = loaded.row
        task = self._live[row.id] = resume(loaded, chunks=chunks)
        if row.idempotency_key:
            self._keys[row.client, row.idempotency_key] = task

    async def ended_since(self, moment: float) -> list[TaskRow]:
        """Return tasks that have ended at `moment` or later, without large answers.

        Raises:
            StorageError: The database cannot be read.
        """
        return await self._database.read(
            partial(queries.ended_since, moment=moment, owner=self._owner)
        )

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

    async def close(self) -> None:
        """Write what is left, then close the database."""
        try:
            async with asyncio.timeout(_CLOSE_S):
                while self._dirty or self._writing or self._discarded or self._moves:
                    if self._moves:
                        await asyncio.wait(self._moves)
                    await self.settled()
                    if self._error is not None:
                        await asyncio.sleep(RETRY_S / 4)
        except TimeoutError:
            pass  # the disk refuses: told by `on_fault` long before
        if self._timer is not None:
            self._timer.cancel()
        for move in self._moves:
            move.cancel()
        await self._database.close()
        if self._far is not None:
            await asyncio.to_thread(self._far.close)

    # ---- reads -----------------------------------------------------------------------

    async def get(self, task_id: TaskId) -> TaskRow | None:
        """Return the task, or None when it is not known (any more)."""
        task = self._live.get(task_id)
        if task is not None:
            return task.row
        return await self._database.read(lambda reader: queries.task(reader, "id = ?", task_id))

    async def page(self, query: TaskQuery) -> TaskPage:
        """Return one page of the tasks asked for, newest first."""
        await self.settled()
        found = await self._database.read(lambda reader: queries.page(reader, query))
        shown = found[: query.limit]
        has_more = len(found) > query.limit
        return TaskPage(
            rows=[self._freshest(loaded) for loaded in shown],
            next_before=shown[-1].seq if has_more and shown else None,
        )

    async def ended(self, *, since: float, limit: int) -> list[Ended]:
        """Return the tasks that ended at or after a moment, the last to end first."""
        await self.settled()
        return await self._database.read(partial(queries.ended, since=since, limit=limit))

    def _freshest(self, loaded: Loaded) -> TaskRow:
        task = self._live.get(loaded.row.id)
        if task is None:
            return loaded.row
        # An end that is not on the disk yet may be taken back by a crash: it is told after that.
        is_early = task.row.is_durable and task.row.finished_at is not None and not task.is_done
        return loaded.row if is_early and self._error is None else task.row

    async def entries(
        self, task_id: TaskId, *, after: int = 0, kinds: frozenset[str] | None = None, limit: int
    ) -> list[LogEntry]:
        """Return up to `limit` log entries with a number above `after`."""
        task = self._live.get(task_id)
        if task is not None and after >= task.chunk_number:
            return list(islice(queries.fitting(task.tail, after, kinds), limit))
        # The tail of now, since what is read below may have been overtaken by then.
        tail = None if task is None else [*task.tail]
        load = self._load

        def look(reader: sqlite3.Connection) -> list[LogEntry]:
            last = queries.last_log(reader, task_id) if tail is None else tail
            border = last[0].number if last else None
            found = queries.entries(reader, task_id, after, kinds, limit, load)
            older = [each for each in found if border is None or each.number < border]
            return [*older, *queries.fitting(last, after, kinds)][:limit]

        return await self._read_log(task_id, look)

    async def items(
        self, task_id: TaskId, *, offset: int = 0, limit: int | None = None
    ) -> list[bytes]:
        """Return the items of the task's last attempt, as JSON documents."""
        row = await self.get(task_id)
        if row is None:
            return []
        attempt = row.attempts
        task = self._live.get(task_id)
        tail = () if task is None else tuple(task.tail)
        border = tail[0].number if tail else None
        load = self._load

        is_elsewhere = task is None and row.finished_at is None  # and its tail in its row

        def look(reader: sqlite3.Connection) -> list[bytes]:
            nonlocal tail, border
            if is_elsewhere:
                tail = tuple(queries.last_log(reader, task_id))
                border = tail[0].number if tail else None
            # Not those chunks into which the tail may have gone meanwhile.
            found, count = queries.items(
                reader, task_id, attempt, before=border, offset=offset, limit=limit, load=load
            )
            rest = [each.body for each in tail if each.kind == "item" and each.attempt == attempt]
            end = None if limit is None else limit - len(found)
            return found + rest[max(0, offset - count) :][:end]

        return await self._read_log(task_id, look)

    async def entry(self, task_id: TaskId, number: int) -> LogEntry | None:
        """Return one log entry."""
        task = self._live.get(task_id)
        if task is not None:
            for each in task.tail:
                if each.number == number:
                    return each

        load = self._load

        def look(reader: sqlite3.Connection) -> LogEntry | None:
            found = queries.entry(reader, task_id, number, load)
            if found is not None or task is not None:
                return found
            last = queries.last_log(reader, task_id)
            return next((each for each in last if each.number == number), None)

        return await self._read_log(task_id, look)

    @property
    def _load(self) -> Callable[[Blob], bytes] | None:
        return None if self._far is None else self._far.read

    async def _read_log(
        self, task_id: TaskId, look: Callable[[sqlite3.Connection], Found]
    ) -> Found:
        # The database's own threads must not wait for a place on another machine.
        pool = None if self._far is None or self._far.blobs.is_near else self._far.pool
        try:
            return await self._database.read(look, pool)
        except Damaged as error:
            raise TaskDamaged(task_id=task_id) from error

    async def blob(self, task_id: TaskId, kind: str, number: int) -> Blob | None:
        """Return what is kept outside of an entry; None when that is inside."""
        return await self._database.read(
            partial(queries.blob, task_id=task_id, kind=kind, number=number)
        )

    async def check_blob(self, blob: Blob) -> bool:
        """Look a blob over before it is given, where that is cheap; True iff a part is too.

        Raises:
            BlobMissing, BlobDamaged, BlobUnavailable: It cannot be given.
        """
        if self._far is None:  # the gateway before kept blobs, this one does not
            raise BlobMissing(key=blob.key)
        await self._far.check(blob)
        return self._far.blobs.is_near

    async def stream(
        self, blob: Blob, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield a blob, or a part of it, piece by piece; raises as `check_blob`."""
        if self._far is None:
            raise BlobMissing(key=blob.key)
        async for piece in self._far.stream(blob, start, stop):
            yield piece

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
        self._note_answers()
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


def _write(writer: sqlite3.Connection, batch: list[Written], discarded: list[TaskId]) -> None:
    """Write one transaction."""
    if not batch and not discarded:
        statements.probe(writer)
    statements.delete_tasks(writer, discarded)
    gone = frozenset(discarded)
    kept = [written for written in batch if written.record[0] not in gone]
    statements.keep_tasks(writer, [written.record for written in kept if not written.is_slim])
    statements.change_tasks(writer, [written.record for written in kept if written.is_slim])
    chunks = [chunk for written in kept for chunk in written.chunks]
    if chunks:
        statements.keep_chunks(writer, chunks)
    blobs = [row.record for written in kept for row in written.blobs]
    if blobs:
        statements.keep_blobs(writer, blobs)
    results = [result for written in kept if (result := written.result) is not None]
    if results:
        statements.keep_results(writer, results)
    for written in kept:
        if written.freed_attempt:
            statements.free_items(writer, written.record[0], written.freed_attempt)
