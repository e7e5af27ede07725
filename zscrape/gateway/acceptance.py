"""Tasks come in: each of them once, kept first and then queued."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Protocol

from msgspec import Struct

from zscrape.errors import ScriptError, ZscrapeError, let_go
from zscrape.errors.refusals import Draining
from zscrape.errors.requests import IdempotencyConflict, LockHeld
from zscrape.errors.storage import StorageLocked
from zscrape.gateway.envelope import ReusedView
from zscrape.gateway.events import EventHub
from zscrape.gateway.intake import Prepared, webhook_of
from zscrape.gateway.keylocks import KeyLocks
from zscrape.gateway.ledger import EndListener, Ledger
from zscrape.gateway.requests import TaskRequest
from zscrape.gateway.reuse import Reuse, reused_view
from zscrape.gateway.taskrouter import TaskRouter
from zscrape.model import TaskId, TaskSpec, TaskState
from zscrape.store.tasks import DURABLE_ORIGINS, KeyTaken, TaskRow, TaskStore

_TURN_COUNT: Final = 50  # tasks of a batch queued before others get a turn
_TAKEN_COUNT: Final = 5  # tries with a key that is taken, and free again when looked at
KEY_KEPT_S: Final = 86_400.0  # how long an `Idempotency-Key` stands for its task


class Gate(Protocol):
    """What other gateways, which may have tasks of this one and hold locks, have to say."""

    async def admit(self, spec: TaskSpec) -> None:
        """Look whether a task may come in.

        Raises:
            LockHeld: It may not.
        """
        ...

    def entered(self, task_id: TaskId) -> None:
        """Hear that a task for which it was asked is queued by now, or will not be."""
        ...


class Idempotency(Struct, frozen=True):
    """A client's promise that calls with this key are one call. `mark` stands for the body."""

    key: str
    mark: str


class Acceptance:
    """Takes tasks in. `gate` is set where other gateways share the database."""

    def __init__(
        self,
        *,
        router: TaskRouter,
        store: TaskStore,
        hub: EventHub,
        ledger: Ledger,
        clock: Callable[[], float],
        on_end: EndListener,
    ) -> None:
        self.gate: Gate | None = None
        self._router = router
        self._store = store
        self._hub = hub
        self._ledger = ledger
        self._clock = clock
        self._on_end = on_end
        self._keys: KeyLocks[tuple[str, str]] = KeyLocks()
        self._reuse = Reuse(store, ledger.get, clock)
        self._asked: KeyLocks[tuple[str, str]] = KeyLocks()  # with a `max_age`, by their script

    def accept(
        self, prepared: Prepared, idempotency: Idempotency | None = None
    ) -> Coroutine[Any, Any, TaskRow]:
        """Accept a task: kept first, then queued. Returns an earlier one that will do.

        Raises:
            RefusedError, LockHeld: It was not accepted; nothing of it is kept.
            IdempotencyConflict: The key came with another body.
        """
        if self._hub.is_closed:
            raise Draining
        if idempotency is not None:
            return self._accept_once(prepared, idempotency)
        if prepared.max_age_s is None and self.gate is None:
            return self._queue(prepared)  # nearly always: a step less
        return self._accept(prepared)

    def accept_at_once(self, prepared: Prepared) -> TaskRow | Coroutine[Any, Any, TaskRow]:
        """Accept a call's task of which nothing is promised and that no earlier one may serve.

        Return its row, or what waits for it where others are to be asked first.

        Raises:
            RefusedError: It was not accepted; nothing of it is kept.
        """
        if self._hub.is_closed:
            raise Draining
        if self.gate is not None:
            return self._accept(prepared)
        row, spec = prepared.row, prepared.spec
        self._store.take_in(row, spec)
        self._ledger.open(row)
        try:
            self._router.submit(spec, is_free=True)
        except ZscrapeError:
            self._ledger.close(row.id)
            self._store.take_back(row.id)
            raise
        return row

    async def _discard(self, row: TaskRow, refusal: ZscrapeError) -> TaskRow:
        """Forget a task that was refused, then say why."""
        await self._store.discard(row.id)
        raise refusal

    async def _accept_once(self, prepared: Prepared, idempotency: Idempotency) -> TaskRow:
        row = prepared.row
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
            return await self._enter(prepared)
        # Of equal questions at once one is asked: the others find it on its way.
        async with self._asked.hold((prepared.row.digest, prepared.row.script_name)):
            earlier = await self._reuse.earlier(prepared)
            if earlier is not prepared.row:
                return earlier
            return await self._enter(prepared)

    async def _enter(self, prepared: Prepared) -> TaskRow:
        gate = self.gate
        if gate is None:
            return await self._queue(prepared)
        try:
            await gate.admit(prepared.spec)
            return await self._queue(prepared)
        finally:
            gate.entered(prepared.row.id)

    async def _queue(self, prepared: Prepared) -> TaskRow:
        row = prepared.row
        await self._store.add(row, prepared.spec)
        refusal = self._submit(prepared)
        return row if refusal is None else await self._discard(row, refusal)

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
        answers = await self._earlier_many(prepared, promises)
        gate = self.gate
        if gate is None:
            return await self._queue_many(prepared, promises, answers)
        try:
            await _admit_many(gate, prepared, answers)
            return await self._queue_many(prepared, promises, answers)
        finally:
            for each in prepared:
                gate.entered(each.row.id)

    async def _queue_many(
        self,
        prepared: Sequence[Prepared],
        promises: Sequence[Idempotency | None],
        answers: list[TaskRow | ZscrapeError],
    ) -> list[TaskRow | ZscrapeError]:
        """Keep and queue those of many tasks that answer for themselves."""
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
            let_go(error)
            return error

    def _submit(self, prepared: Prepared) -> ZscrapeError | None:
        """Queue a task that is kept; return why it is refused."""
        row = prepared.row
        self._ledger.open(row)
        try:
            is_free = self.gate is None and row.origin not in DURABLE_ORIGINS
            self._router.submit(prepared.spec, is_free=is_free)
        except ZscrapeError as error:
            self._ledger.close(row.id)
            let_go(error)
            return error
        if prepared.max_age_s is not None:
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


async def _admit_many(
    gate: Gate, prepared: Sequence[Prepared], answers: list[TaskRow | ZscrapeError]
) -> None:
    """Put into `answers` why tasks that would be queued may not come in."""
    for place, each in enumerate(prepared):
        if answers[place] is not each.row:
            continue
        try:
            await gate.admit(each.spec)
        except LockHeld as error:
            answers[place] = error
