"""Tasks of this gateway from acceptance to their answer.

Requests come in by `prepare` and `accept`; what the dispatcher decides comes back by `apply`,
in the loop's thread and sometimes before `accept` has returned. Nothing here waits for a
database on the way of an answer, and nothing polls.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeAlias

from msgspec import Struct

from zscrape.config.settings import ScriptDefaults
from zscrape.core.bucket import Buckets
from zscrape.core.effects import DispatcherEffect
from zscrape.core.snapshots import Explanation
from zscrape.errors import ScriptError, ZscrapeError
from zscrape.errors.refusals import Draining
from zscrape.errors.requests import IdempotencyConflict, LockHeld, NotFound
from zscrape.errors.scripts import VersionInvalid
from zscrape.errors.storage import StorageLocked
from zscrape.gateway.elsewhere import Elsewhere, Nowhere
from zscrape.gateway.envelope import ReusedView
from zscrape.gateway.events import EventHub
from zscrape.gateway.intake import (
    ClientLimit,
    Intake,
    Origin,
    Prepared,
    TaskPolicy,
    no_limit,
    refuse_secrets,
    webhook_of,
)
from zscrape.gateway.keylocks import KeyLocks
from zscrape.gateway.ledger import (
    EndListener,
    InvalidListener,
    Ledger,
    ParkedListener,
    StoredListener,
    let_pass,
    tell_nobody,
)
from zscrape.gateway.recovery import Recovered, Restorer, recover
from zscrape.gateway.requests import TaskRequest
from zscrape.gateway.reuse import Reuse, reused_view
from zscrape.gateway.taskrouter import TaskRouter
from zscrape.model import HeartbeatPolicy, RunSpec, TaskId, TaskSpec, TaskState
from zscrape.scripts.catalogue import Catalogue
from zscrape.store.sql import SqlTaskStore
from zscrape.store.tasks import KeyTaken, TaskRow, TaskStore

__all__ = ["Idempotency", "Origin", "Prepared", "TaskPolicy", "TaskRouter", "TaskService"]


_TURN_COUNT: Final = 50  # tasks of a batch queued before others get a turn
_TAKEN_COUNT: Final = 5  # tries with a key that is taken, and free again when looked at
_FAULT_LOOK_S: Final = 0.5  # between looks at a disk that takes its time
_CANCEL_KEPT_S: Final = 2.0  # a disk that refuses is no reason to let a person wait
KEY_KEPT_S: Final = 86_400.0  # how long an `Idempotency-Key` stands for its task


Admission: TypeAlias = Callable[[TaskSpec], Awaitable[None]]


async def admit_all(_spec: TaskSpec) -> None:
    """Refuse nothing: the gate where no other gateway has locks."""


def note_nothing(_task_id: TaskId) -> None:
    """Do nothing: behind that gate there is nothing to close."""


class Idempotency(Struct, frozen=True):
    """A client's promise that calls with this key are one call. `mark` stands for the body."""

    key: str
    mark: str


class TaskService:
    """Accepts tasks, follows them, and answers those who wait for them."""

    def __init__(
        self,
        *,
        router: TaskRouter,
        catalogue: Catalogue,
        store: TaskStore,
        hub: EventHub,
        policy: TaskPolicy | None = None,
        defaults: Mapping[str, ScriptDefaults] | None = None,
        clock: Callable[[], float] = time.time,
        on_invalid: InvalidListener = tell_nobody,
        on_end: EndListener = let_pass,
        on_stored: StoredListener | None = None,
        check_secrets: Callable[[RunSpec], None] = refuse_secrets,
        script_buckets: Buckets | None = None,
        limit_of: ClientLimit = no_limit,
    ) -> None:
        self.elsewhere: Elsewhere = Nowhere()
        self.is_alone = True  # no other gateway may come to have tasks of this one
        self.admit: Admission = admit_all
        self.entered: Callable[[TaskId], None] = note_nothing  # after `admit`, queued or not
        self._router = router
        self._store = store
        self._hub = hub
        self._clock = clock
        self._keys: KeyLocks[tuple[str, str]] = KeyLocks()
        self._intake = Intake(
            catalogue=catalogue,
            policy=policy or TaskPolicy(),
            defaults=defaults or {},
            clock=clock,
            check_secrets=check_secrets,
            buckets=script_buckets,
            limit_of=limit_of,
        )
        self._ledger = Ledger(
            store=store,
            hub=hub,
            clock=clock,
            on_invalid=on_invalid,
            on_end=on_end,
            on_stored=on_stored,
        )
        self._on_end = on_end
        self._reuse = Reuse(store, self._ledger.get, clock)
        self._asked: KeyLocks[tuple[str, str]] = KeyLocks()  # with a `max_age`, by their script
        # Under the names by which callers know them: a call less on the way of every task.
        self.prepare = self._intake.prepare
        self.apply: Callable[[DispatcherEffect], None] = self._ledger.apply
        self.appliers = self._ledger.appliers  # the same, by the kind of a fact

    async def recover(
        self,
        store: SqlTaskStore,
        router: Restorer,
        heartbeat: HeartbeatPolicy,
        *,
        seqs: Sequence[int] | None = None,
        is_shared: bool = False,
    ) -> Recovered:
        """Take up the tasks of the process before; to be called before the router listens.

        With `seqs` those at these places, which were a dead gateway's; at any time.

        Raises:
            StorageError: The database cannot be read.
        """
        return await recover(
            store,
            router,
            self._ledger,
            heartbeat,
            clock=self._clock,
            seqs=seqs,
            is_shared=is_shared,
        )

    def drop_all(self) -> None:
        """Let go of every task: another gateway has them. Who waits for one looks there."""
        self._ledger.close_all()

    def live(self, task_id: TaskId) -> TaskRow | None:
        """Return a task that this gateway looks after and that has not ended."""
        return self._ledger.get(task_id)

    @property
    def live_count(self) -> int:
        """How many tasks have not ended."""
        return self._ledger.live_count

    # ---- coming in -------------------------------------------------------------------

    async def accept(self, prepared: Prepared, idempotency: Idempotency | None = None) -> TaskRow:
        """Accept a task: kept first, then queued. Returns an earlier one that will do.

        Raises:
            RefusedError, LockHeld: It was not accepted; nothing of it is kept.
            IdempotencyConflict: The key came with another body.
        """
        row = prepared.row
        if self._hub.is_closed:
            raise Draining
        if idempotency is None:
            if prepared.max_age_s is None:
                return await self._accept_new(prepared)
            return await self._accept(prepared)
        async with self._keys.hold((row.client, idempotency.key)):
            # Asked again: its twin may have been accepted while this one was being prepared.
            twin = await self.reattach(row.client, idempotency)
            if twin is not None:
                return twin
            row.idempotency_key, row.idempotency_mark = idempotency.key, idempotency.mark
            for _ in range(_TAKEN_COUNT):
                with contextlib.suppress(KeyTaken):  # by another gateway
                    return await self._accept(prepared)
                twin = await self.reattach(row.client, idempotency)
                if twin is not None:
                    return twin
            raise StorageLocked(reason=f"Idempotency-Key {idempotency.key}")

    async def _accept(self, prepared: Prepared) -> TaskRow:
        if prepared.max_age_s is None:
            return await self._accept_new(prepared)
        # Of equal questions at once one is asked: the others find it on its way.
        async with self._asked.hold((prepared.row.digest, prepared.row.script_name)):
            earlier = await self._reuse.earlier(prepared)
            if earlier is not prepared.row:
                return earlier
            return await self._accept_new(prepared)

    async def _accept_new(self, prepared: Prepared) -> TaskRow:
        row = prepared.row
        try:
            if self.admit is not admit_all:
                await self.admit(prepared.spec)
            await self._store.add(row, prepared.spec)
            refusal = self._submit(prepared)
        finally:
            self.entered(row.id)
        if refusal is not None:
            await self._store.discard(row.id)
            raise refusal
        return row

    def reused(self, prepared: Prepared, row: TaskRow) -> ReusedView | None:
        """Return what is told when an accepted request was served by an earlier task."""
        return reused_view(prepared, row, self._clock())

    async def accept_many(
        self, prepared: Sequence[Prepared], promises: Sequence[Idempotency | None] = ()
    ) -> list[TaskRow | ZscrapeError]:
        """Accept tasks together, and say of each its row or why it was refused.

        Args:
            prepared: The tasks.
            promises: The idempotency of each, in the same order; empty: none has any.

        Raises:
            RefusedError: None was accepted.
        """
        if self._hub.is_closed:
            raise Draining
        promises = promises or [None] * len(prepared)
        try:
            return await self._accept_many(prepared, promises)
        finally:
            for each in prepared:
                self.entered(each.row.id)

    async def _accept_many(
        self, prepared: Sequence[Prepared], promises: Sequence[Idempotency | None]
    ) -> list[TaskRow | ZscrapeError]:
        answers = await self._earlier_many(prepared, promises)
        for place, each in enumerate(prepared):
            if answers[place] is not each.row:
                continue
            try:
                await self.admit(each.spec)
            except LockHeld as error:
                answers[place] = error
        fresh = [each for each, row in zip(prepared, answers, strict=True) if row is each.row]
        try:
            await self._store.add_many([(each.row, each.spec) for each in fresh])
        except KeyTaken:  # their twins came in the meantime
            for each in fresh:
                await self._store.discard(each.row.id)
            return [
                await self._accept_or_refuse(*pair) for pair in zip(prepared, promises, strict=True)
            ]
        for place, each in enumerate(prepared):
            refusal = self._submit(each) if answers[place] is each.row else None
            if refusal is not None:
                answers[place] = refusal
                await self._store.discard(each.row.id)
            if place % _TURN_COUNT == _TURN_COUNT - 1:
                await asyncio.sleep(0)
        return answers

    async def _earlier_many(
        self, prepared: Sequence[Prepared], promises: Sequence[Idempotency | None]
    ) -> list[TaskRow | ZscrapeError]:
        """Return for each task an earlier one that will do, else the new one."""
        answers: list[TaskRow | ZscrapeError] = []
        firsts: dict[str, tuple[TaskRow | ZscrapeError, str]] = {}  # by key, in this batch
        known = await self._known_keys(prepared, promises)
        for each, promise in zip(prepared, promises, strict=True):
            if promise is None:
                answers.append(await self._reuse.earlier(each))
                continue
            first, mark = firsts.get(promise.key, (None, ""))
            if first is None:
                is_known = (each.row.client, promise.key) in known
                first = await self._promised(each, promise, is_known=is_known)
                firsts[promise.key] = first, promise.mark
            elif mark != promise.mark:
                first = IdempotencyConflict(key=promise.key, holder=getattr(first, "id", ""))
            answers.append(first)
        return answers

    async def _known_keys(
        self, prepared: Sequence[Prepared], promises: Sequence[Idempotency | None]
    ) -> set[tuple[str, str]]:
        """Return clients and keys that may have a task already.

        One look for all: most are new, and a look for each costs more than all the rest.
        """
        asked: dict[str, list[str]] = {}
        for each, promise in zip(prepared, promises, strict=True):
            if promise is not None:
                asked.setdefault(each.row.client, []).append(promise.key)
        return {
            (client, key)
            for client, keys in asked.items()
            for key in await self._store.known_keys(client, keys)
        }

    async def _promised(
        self, prepared: Prepared, promise: Idempotency, *, is_known: bool
    ) -> TaskRow | ZscrapeError:
        row = prepared.row
        try:
            twin = await self.reattach(row.client, promise) if is_known else None
        except IdempotencyConflict as error:
            return error
        if twin is None:
            row.idempotency_key, row.idempotency_mark = promise.key, promise.mark
            twin = await self._reuse.earlier(prepared)
        return twin

    async def _accept_or_refuse(
        self, prepared: Prepared, promise: Idempotency | None
    ) -> TaskRow | ZscrapeError:
        try:
            return await self.accept(prepared, promise)
        except ZscrapeError as error:
            return error

    def _submit(self, prepared: Prepared) -> ZscrapeError | None:
        """Queue a task that is kept; return why it is refused."""
        row = prepared.row
        self._ledger.open(row)
        try:
            self._router.submit(prepared.spec, is_free=self.is_alone and not row.is_durable)
        except ZscrapeError as error:
            self._ledger.close(row.id)
            return error
        self._reuse.note(prepared)
        return None

    async def reattach(self, client: str, idempotency: Idempotency) -> TaskRow | None:
        """Return the task that this client has made with this key within the last day.

        Raises:
            IdempotencyConflict: The key came with another body.
        """
        row = await self._store.find_by_key(client, idempotency.key)
        if row is not None and row.created_at < self._clock() - KEY_KEPT_S:
            await self._store.forget_key(client, idempotency.key)
            return None
        if row is not None and row.idempotency_mark != idempotency.mark:
            raise IdempotencyConflict(key=idempotency.key, holder=row.id)
        # A live task's row changes under whoever waits for it; a store may give a copy.
        return row if row is None else self._ledger.get(row.id) or row

    async def fail(
        self,
        request: TaskRequest,
        error: ScriptError,
        *,
        task_id: TaskId,
        client: str,
        idempotency: Idempotency | None = None,
    ) -> TaskRow:
        """Keep a task that ended before it began: its script could not be resolved.

        Raises:
            IdempotencyConflict: The key came with another body.
        """
        if idempotency is None:
            return await self._keep_failed(request, error, task_id, client, None)
        async with self._keys.hold((client, idempotency.key)):
            twin = await self.reattach(client, idempotency)
            if twin is not None:
                return twin
            return await self._keep_failed(request, error, task_id, client, idempotency)

    async def _keep_failed(
        self,
        request: TaskRequest,
        error: ScriptError,
        task_id: TaskId,
        client: str,
        idempotency: Idempotency | None,
    ) -> TaskRow:
        now = self._clock()
        row = TaskRow(
            id=task_id,
            script_name=request.script_name,
            created_at=now,
            finished_at=now,
            version=request.version or "",
            parameters=bytes(request.parameters),
            priority=request.priority,
            tags=request.tags,
            timeout_s=request.timeout,
            metadata=request.metadata or {},
            webhook_url=webhook_of(request)[0],
            webhook_events=webhook_of(request)[1],
            origin="scrape",
            client=client,
            idempotency_key="" if idempotency is None else idempotency.key,
            idempotency_mark="" if idempotency is None else idempotency.mark,
            status=TaskState.FAILED,
            error_code=error.code,
            error_text_key=error.text_key,
            error_fields=error.fields,
        )
        self._on_end(row)
        await self._store.add(row)
        self._ledger.note_state(row, now, error.code)
        return row

    # ---- looking and ending ----------------------------------------------------------

    async def get(self, task_id: TaskId) -> TaskRow:
        """Return a task.

        Raises:
            NotFound: It is not known (any more).
        """
        row = self._ledger.get(task_id) or await self._store.get(task_id)
        if row is None:
            raise NotFound(kind="task", name=task_id[:80])
        return row

    async def cancel(self, task_id: TaskId) -> TaskRow:
        """End a task, gracefully then by force; one that has ended stays as it is.

        Raises:
            NotFound: It is not known (any more).
        """
        row = await self.get(task_id)
        if not row.status.is_final and self._ledger.get(task_id) is None:
            await self.elsewhere.cancel(row)
        elif not row.status.is_final:
            self._router.cancel(task_id)
            kept = self._store.kept(task_id, is_urgent=True)
            if kept is not None:  # else a restart would take it up again
                await asyncio.wait((kept,), timeout=_CANCEL_KEPT_S)
        return row

    def explain(self, row: TaskRow) -> Explanation:
        """Say why a task waits, where it is, or how it ended."""
        if row.status is TaskState.WAITING:
            fields = {"handoff": row.handoff, "worker_id": row.worker_id or "-"}
            return Explanation(reason="person", fields={"attempt": row.attempts, **fields})
        found = None if row.status.is_final else self._router.explain(row.id)
        if found is not None:
            return found
        if not row.status.is_final:
            return Explanation(reason="elsewhere", fields={"status": row.status.value})
        return Explanation(reason="finished", fields={"status": row.status.value})

    def park(self, task_id: TaskId, attempt: int, handoff_id: str) -> None:
        """Let a running task wait for a person."""
        self._ledger.park(task_id, attempt, handoff_id)

    def unpark(self, task_id: TaskId, attempt: int) -> None:
        """Let a task that waited for a person go on."""
        self._ledger.unpark(task_id, attempt)

    def hear_parked(self, listener: ParkedListener) -> None:
        """Tell this listener of tasks that wait for a person without a slot."""
        self._ledger.on_parked = listener

    def wake(self, task_id: TaskId) -> None:
        """Queue a parked task again."""
        self._router.wake(task_id)

    def drop_parked(self, task_id: TaskId) -> None:
        """End a task that is parked on nothing that could wake it."""
        self._router.cancel(task_id)

    def fence(self, task_id: TaskId) -> asyncio.Future[None] | None:
        """Return what must be done before an attempt of this task may be sent."""
        row = self._ledger.get(task_id)
        if row is None or not row.is_durable:
            return None
        return self._store.kept(task_id, is_urgent=True)

    # ---- waiting ---------------------------------------------------------------------

    def watch_end(self, row: TaskRow) -> asyncio.Future[None]:
        """Return what is done when the task ends, or when the gateway closes.

        Whoever stops waiting earlier says so by `forget`.
        """
        self.elsewhere.follow(row)
        future = self._hub.ends.watch(row.id)
        if row.status.is_final:
            self._hub.ends.ring(row.id)
        return future

    def listen_end(self, row: TaskRow, listener: Callable[[], None]) -> None:
        """Call `listener` when the task ends, or when the gateway closes; see `Bell.listen`.

        For a call that has made the task itself; when it stops waiting it says so by `leave_end`.
        """
        self.elsewhere.follow(row)
        ends = self._hub.ends
        ends.listen(row.id, listener)
        if row.status.is_final:
            ends.ring(row.id)

    def leave_end(self, row: TaskRow) -> None:
        """Listen no longer."""
        self._hub.ends.leave(row.id)
        self.elsewhere.leave(row)

    async def settled(self, row: TaskRow) -> None:
        """Wait until a task's end may be told: a crash after that does not take it back.

        Only for tasks that somebody can ask for after a crash; a plain call's answer is its
        own. While the disk refuses, what is known is told: nobody is served by silence.
        """
        if not (row.status.is_final and (row.is_durable or row.idempotency_key)):
            return
        while not self._store.fault():
            kept = self._store.kept(row.id, is_urgent=True)
            if kept is None:
                return
            await asyncio.wait((kept,), timeout=_FAULT_LOOK_S)

    def forget(self, row: TaskRow, future: asyncio.Future[None]) -> None:
        """Stop waiting for the task's end."""
        self._hub.ends.forget(row.id, future)
        self.elsewhere.leave(row)

    def draining_count(self, *, is_kept: bool) -> int:
        """How many tasks `drained` would wait for."""
        return len(self._ledger.staying()) if is_kept else self.live_count

    async def drained(self, *, is_kept: bool = False) -> None:
        """Wait until every task has ended, or with `is_kept` every one that cannot be kept."""
        await self._ledger.drained(is_kept=is_kept)

    def close(self) -> None:
        """Wake everybody who waits and end every stream; nothing is accepted any more."""
        self._hub.close()


def is_request_fault(error: ScriptError) -> bool:
    """True iff the request, and not the script, is at fault: its version is no version."""
    return isinstance(error, VersionInvalid)
