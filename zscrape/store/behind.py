"""Tasks that have not ended stay in memory; what changes of them is written behind.

What is written is never a list of operations but the state of the tasks that have changed,
as it is when the writer is free: one transaction for all of them, so that a short call costs
one row, and a disk that refuses for an hour costs no memory beyond the tasks themselves.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import filterfalse, islice
from operator import attrgetter
from typing import Final, TypeAlias

from msgspec import Struct

from zscrape.errors import StorageError
from zscrape.errors.storage import StorageFailed
from zscrape.log import get_logger
from zscrape.model import TaskId
from zscrape.store import statements
from zscrape.store.database import Database
from zscrape.store.far import Far, FarPart
from zscrape.store.live import LiveTask, Waiters, Written, chunks_of
from zscrape.store.tasks import KeptListener, KeyTaken

# How long a change that nobody waits for may wait for others: most calls are over by then, and
# of 80 rows in one transaction each costs half of what it does of 20 (measured). Where other
# gateways look at the same database, who follows a task there waits for it.
BEHIND_S: Final = 0.2
BEHIND_SHARED_S: Final = 0.05
RETRY_S: Final = 1.0
_CLOSE_S: Final = 5.0  # for a disk that refuses at the end
_BATCH_COUNT: Final = 256
# What encoding a row raises when it has something that no document can hold.
_UNWRITABLE: Final = (ValueError, OverflowError, TypeError, RecursionError)
# Rows that are made before others get a turn of the loop, unless a whole batch waits: a turn of
# 200 holds up calls for 2 ms (measured).
TURN_COUNT: Final = 32

# Of many rows at once these take no step of the interpreter's for each.
_WRITING: Final = attrgetter("writing")
_IS_DUE: Final = attrgetter("is_due")
_KEPT: Final = attrgetter("task.row", "last_number")
_RECORD: Final = attrgetter("record")
_IS_SLIM: Final = attrgetter("is_slim")
_IS_PLAIN: Final = attrgetter("is_plain")


class _Barrier(Struct, eq=False):
    """Somebody waits for what had been touched by then, and for that transaction to begin."""

    touched: int
    begun: int
    future: asyncio.Future[None]


WrittenListener: TypeAlias = Callable[[Sequence[TaskId]], None]
FaultListener: TypeAlias = Callable[[StorageError | None], None]


class WriteBehind:
    """The tasks in memory, and the one who writes them.

    `on_fault` hears when the database begins to refuse, and with None when it is well again.
    Where several gateways share the database, `owner` is the one whose tasks these are, and
    `on_written`, if there is one, hears which tasks the others would find changed.
    """

    def __init__(
        self,
        database: Database,
        *,
        on_fault: FaultListener,
        owner: str | None,
        on_written: WrittenListener | None,
        far: Far | None,
    ) -> None:
        self._database = database
        self._far = far
        self._moves: set[asyncio.Task[None]] = set()
        self._moved: list[Written] = []  # what is large of them is outside
        self._on_fault = on_fault
        self._owner = owner
        self._behind_s = BEHIND_S if owner is None else BEHIND_SHARED_S
        self._on_written = on_written
        self._on_kept: KeptListener = lambda task_ids: None
        self._loop = asyncio.get_running_loop()
        self._live: dict[TaskId, LiveTask] = {}
        self._keys: dict[tuple[str, str], LiveTask] = {}
        self._answers: dict[bytes, LiveTask] = {}  # completed, and not on the disk yet
        self._answered: dict[TaskId, LiveTask] = {}  # those that nobody has looked through so far
        self._is_asked_again = False  # somebody has looked for an answer: both are of use
        self._dirty: dict[TaskId, LiveTask] = {}  # the longest waiting first
        self._discarded: list[TaskId] = []
        self._over: list[LiveTask] = []  # those of which nothing was made ahead yet
        self._gathered: list[Written] = []  # for the transaction that is being made
        self._writing: list[Written] | None = None
        self._barriers: list[_Barrier] = []
        self._touch_count = 0
        self._begun_count = 0  # transactions
        self._error: StorageError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_soon = False
        self._is_pressed = False  # somebody waits for the transaction that is being made
        self._is_all_due = False

    @property
    def database(self) -> Database:
        """The database, for what else is kept in it."""
        return self._database

    def fault(self) -> str:
        """Return why nothing can be written: the code of the error, or an empty text."""
        return "" if self._error is None else self._error.code

    # ---- who waits -------------------------------------------------------------------

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
            return self._wait(task)
        if task.writing is None:
            return None
        self._is_pressed = self._is_pressed or is_urgent
        return self._wait(task.writing)

    def hear_kept(self, listener: KeptListener) -> None:
        """Tell `listener` how far the logs of tasks are on the disk, of many at once."""
        self._on_kept = listener

    def _wait_urgently(self, task: LiveTask) -> asyncio.Future[None]:
        task.is_urgent = True
        return self._wait(task)

    def _wait(self, waited_for: LiveTask | Written) -> asyncio.Future[None]:
        future: asyncio.Future[None] = self._loop.create_future()
        waited_for.waiters += (future,)
        return future

    async def settled(self) -> None:
        """Wait until what has changed by now is on the disk, or cannot get there."""
        is_asked = bool(self._dirty or self._discarded)
        if self._error is not None or not (is_asked or self._writing is not None):
            return
        future: asyncio.Future[None] = self._loop.create_future()
        self._barriers.append(_Barrier(self._touch_count, self._begun_count + is_asked, future))
        self._flush_soon()
        await future

    def hasten(self) -> None:
        """Write at once what waits, and let nothing wait for long from now on."""
        self._behind_s = BEHIND_SHARED_S
        if self._timer is not None and self._error is None:
            self._timer.cancel()
            self._flush_all()

    def try_again(self) -> None:
        """Try now whether what refused is well again, and not only with the next second."""
        if self._error is not None:
            self._flush()

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

    # ---- the writer ------------------------------------------------------------------

    def _make_ahead(self) -> None:
        """Make what is to be written of tasks that have just ended: the rest is quick."""
        over, self._over = self._over, []
        if self._error is not None:  # both may have to stay in memory for long
            return
        with suppress(*_UNWRITABLE, MemoryError):  # it is told when the task is taken
            for task in over:
                if task.is_dirty:
                    task.make_ahead(self._owner)

    def _touch(self, task: LiveTask) -> None:
        task.record = None
        if not task.is_dirty:
            task.is_dirty = True
            self._touch_count += 1
            task.touched = self._touch_count
            self._dirty[task.row.id] = task
        if self._timer is None:
            self._timer = self._loop.call_later(self._behind_s, self._flush_all)

    def _flush_soon(self) -> None:
        """Write at the end of this turn of the loop: others may want it in the same turn."""
        self._is_pressed = True
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
        is_awaited = bool(self._barriers or self._discarded or self._moved)
        is_all = self._is_all_due or self._error is not None or bool(self._barriers)
        self._is_all_due = False
        ready = self._ready(is_all=is_all)
        self._over.clear()  # taken now, as they are
        if not (ready or is_awaited) and self._error is None:
            return
        self._writing = self._gathered
        # Of many that wait all are taken at once, or ever more would come meanwhile.
        if is_awaited or not is_all or len(ready) == _BATCH_COUNT:
            self._is_pressed = True
        self._gather(ready)

    def _ready(self, *, is_all: bool) -> list[LiveTask]:
        """Return the tasks that the next transaction takes, the longest waiting first."""
        ready: Iterator[LiveTask] = filterfalse(_WRITING, self._dirty.values())
        if not is_all:
            ready = filter(_IS_DUE, ready)
        return [*islice(ready, _BATCH_COUNT)]

    def _gather(self, ready: list[LiveTask]) -> None:
        """Take of tasks what is to be written: of some in each turn if nobody waits for it."""
        count = len(ready) if self._is_pressed else TURN_COUNT
        # While the database refuses, nothing is moved: it is tried anew every second.
        far = None if self._far is None or self._error is not None else self._far.policy
        dirty, owner, gathered = self._dirty, self._owner, self._gathered
        for task in ready[:count]:
            task_id = task.row.id
            if dirty.get(task_id) is not task:  # let go since then
                continue
            del dirty[task_id]
            try:
                written = task.take(owner, far)
            except _UNWRITABLE as error:
                self._set_aside(task, error)
                continue
            except MemoryError:  # which may pass
                dirty[task_id] = task
                continue
            if written.part is None:
                gathered.append(written)
                continue
            move = self._loop.create_task(self._move(written, written.part))
            self._moves.add(move)
            move.add_done_callback(self._moves.discard)
        if len(ready) > count:
            self._loop.call_soon(self._gather, ready[count:])
        else:
            self._begin_write()

    def _set_aside(self, task: LiveTask, error: Exception) -> None:
        """Let go of a task that has something which no document can hold: checks should refuse it.

        What is on the disk of it stays as it was.
        """
        row = task.row
        get_logger().error("task_unwritable", task=row.id, reason=repr(error))
        self._refuse(task, StorageFailed(reason=repr(error)))
        if row.finished_at is not None:  # nobody need keep for us what never can be kept
            self._on_kept([(row, row.last_number)])

    def _begin_write(self) -> None:
        """Write what was taken, in one transaction."""
        if not self._has_work():  # all of it is being moved, or was let go
            self._writing, self._is_pressed = None, False
            self._flush_later()
            return
        discarded, self._discarded = self._discarded, []
        batch = self._writing = [*self._moved, *self._gathered]
        self._moved, self._gathered = [], []
        self._is_pressed = False
        self._begun_count += 1
        future = self._database.write(lambda writer: _write(writer, batch, discarded))
        future.add_done_callback(lambda done: self._written(done, batch, discarded))

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
        else:
            self._flush_later()

    def _flush_later(self) -> None:
        if self._dirty and self._timer is None:
            self._timer = self._loop.call_later(self._behind_s, self._flush_all)

    def _has_work(self) -> bool:
        """True iff a transaction has something to write, somebody to tell, or a fault to end."""
        is_awaited = self._moved or self._discarded or self._barriers
        return bool(self._gathered or is_awaited) or self._error is not None

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
            if written.waiters:
                _tell_kept(written.waiters)
            if task.is_dirty or task.row.finished_at is None:
                task.keep(written)
            else:
                task.writing = None  # or the two would hold each other until the collector comes
                self._let_go(task)
        # Also of those that have gone on since: who waits for an earlier entry need not wait.
        kept = [*map(_KEPT, batch)]
        self._on_kept(kept)
        if self._on_written is not None:
            self._on_written([row.id for row, _ in kept])

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
            if task.is_dirty:
                self._dirty.pop(row.id, None)
        key = row.idempotency_key
        if key and self._keys.get((row.client, key)) is task:
            del self._keys[row.client, key]
        if self._is_asked_again:
            self._answered.pop(row.id, None)
            if self._answers.get(task.answer_key or b"") is task:
                del self._answers[task.note_answer()]

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

    def _is_promised(self, task: LiveTask) -> bool:
        """True iff it is accepted only when it is on the disk.

        A key that another gateway may have as well has to be there before anything is run.
        """
        row = task.row
        return row.is_durable or (self._owner is not None and bool(row.idempotency_key))


def _tell_kept(waiters: Waiters) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)


def _write(writer: sqlite3.Connection, batch: list[Written], discarded: list[TaskId]) -> None:
    """Write one transaction."""
    if not batch and not discarded:
        statements.probe(writer)
    statements.delete_tasks(writer, discarded)
    gone = frozenset(discarded)
    if gone:
        batch = [written for written in batch if written.record[0] not in gone]
    statements.keep_tasks(writer, [*map(_RECORD, filterfalse(_IS_SLIM, batch))])
    statements.change_tasks(writer, [*map(_RECORD, filter(_IS_SLIM, batch))])
    larger = [*filterfalse(_IS_PLAIN, batch)]
    chunks = [chunk for written in larger for chunk in written.chunks]
    if chunks:
        statements.keep_chunks(writer, chunks)
    blobs = [row.record for written in larger for row in written.blobs]
    if blobs:
        statements.keep_blobs(writer, blobs)
    results = [result for written in larger if (result := written.result) is not None]
    if results:
        statements.keep_results(writer, results)
    for written in larger:
        if written.freed_attempt:
            statements.free_items(writer, written.record[0], written.freed_attempt)
