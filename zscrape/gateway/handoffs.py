"""Hand-offs: a running script asks, its task waits, and a person answers.

The question stands in the database. The gateway that looks after the task waits for its end,
which may come by any gateway; a gateway that restarts is asked again and goes on with what
stands there. Where gateways share a database the open ones are looked at now and then.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

import msgspec

from zscrape.errors import StorageError
from zscrape.errors.requests import (
    HandoffClosed,
    HandoffDismissed,
    HandoffExpired,
    NotFound,
    TooManyHandoffs,
)
from zscrape.gateway.events import Bell
from zscrape.gateway.handoffbody import TIMEOUT_S, Question, decode_answer, decode_question
from zscrape.gateway.parked import ParkedTasks, Waking
from zscrape.model import Attempt, OutcomeCode, TaskId
from zscrape.store.handoffs import HandoffQuery, HandoffRow, HandoffStatus, HandoffStore
from zscrape.store.tasks import TaskRow

QUESTION_LIMIT_COUNT: Final = 100  # of one attempt; of one task, where it gives its slot back
_LOOK_S: Final = 2.0  # between looks at what another gateway may have ended
_SWEEP_S: Final = 3600.0
_read_question = msgspec.json.Decoder(Question).decode


class Asked(Protocol):
    """A question as the link brings it."""

    @property
    def task_id(self) -> TaskId:
        """Whose."""
        ...

    @property
    def attempt(self) -> int:
        """Of which attempt."""
        ...

    @property
    def request(self) -> int:
        """Which question of the attempt: asked again it has the same number."""
        ...

    @property
    def body(self) -> bytes:
        """What is asked, JSON."""
        ...


class Parking(Waking, Protocol):
    """What is needed of the service of tasks."""

    def hear_parked(self, listener: Callable[[TaskRow, bool], None]) -> None:
        """Tell this listener of tasks that wait for a person without a slot."""
        ...

    def live(self, task_id: TaskId) -> TaskRow | None:
        """Return a task that has not ended."""
        ...

    def park(self, task_id: TaskId, attempt: int, handoff_id: str) -> None:
        """Let a running task wait for a person."""
        ...

    def unpark(self, task_id: TaskId, attempt: int) -> None:
        """Let it go on."""
        ...


class Handoffs:
    """The questions of one gateway's tasks, and the doors to all of them."""

    def __init__(
        self,
        store: HandoffStore,
        tasks: Parking,
        *,
        clock: Callable[[], float] = time.time,
        is_shared: bool = False,
        kept_s: float = 30 * 86_400.0,
        on_open: Callable[[TaskRow], None] = lambda _row: None,
    ) -> None:
        self._on_open = on_open
        self._store = store
        self._tasks = tasks
        self._clock = clock
        self._is_shared = is_shared
        self._kept_s = kept_s
        self._bell = Bell()
        self._parked: Counter[Attempt] = Counter()
        self._swept_at = 0.0
        self._writing: set[asyncio.Task[Any]] = set()
        self._is_closing = False
        self._slotless = ParkedTasks(store, tasks, ended=self._ended, on_open=on_open)
        tasks.hear_parked(self._slotless.parked)

    # ---- scripts ---------------------------------------------------------------------

    async def answer_script(self, asked: Asked) -> bytes:
        """Wait until a person has answered; asked again, go on waiting.

        Where the script gives its slot back nobody waits: it is told the answer, if there is
        one by now, or that it is parked and has to end.

        Raises:
            HandoffInvalid, TooManyHandoffs: It is not asked.
            HandoffExpired, HandoffDismissed: Nobody answers.
            NotFound: Its task has ended.
            StorageError: It cannot be kept.
        """
        question = decode_question(asked.body)
        row, is_new = await self._open(asked, question)
        if question.free_slot is not None:
            return await self._answer_slotless(row)
        attempt = (row.task_id, row.attempt)
        if row.status is HandoffStatus.OPEN:
            self._park(attempt, row.id)
            task = self._tasks.live(row.task_id)
            if is_new and task is not None:
                self._on_open(task)
            try:
                row = await self._ended(row)
            except asyncio.CancelledError:
                if not self._is_closing:  # the attempt is over, and nobody waits any more
                    self._later(self._store.end(row.id, HandoffStatus.GONE, at=self._clock()))
                raise
            finally:
                self._unpark(attempt)
        return _answer_of(row)

    async def _answer_slotless(self, row: HandoffRow) -> bytes:
        if row.status is HandoffStatus.OPEN and row.expires_at > self._clock():
            return b'{"parked":"%b"}' % row.id.encode()
        if row.status is HandoffStatus.OPEN:
            row = await self._ended(row)
        return b'{"answer":%b}' % _answer_of(row)

    async def _open(self, asked: Asked, question: Question) -> tuple[HandoffRow, bool]:
        """Return the question, and whether nobody has been asked it before."""
        task = self._tasks.live(asked.task_id)
        if task is None:
            raise NotFound(kind="task", name=asked.task_id[:80])
        handoff_id = _id_of(asked, question)
        known = await self._store.get(handoff_id)
        if known is not None:
            return known, False
        is_slotless = question.free_slot is not None
        count = await self._store.count(asked.task_id, asked.attempt)
        if max(count, task.handoff_count if is_slotless else 0) >= QUESTION_LIMIT_COUNT:
            raise TooManyHandoffs(limit_count=QUESTION_LIMIT_COUNT)
        now = self._clock()
        if not is_slotless:  # of those, one may still be asked again
            await self._store.close_task(asked.task_id, at=now, attempt=asked.attempt)
        await self._sweep(now)
        row = HandoffRow(
            id=handoff_id,
            task_id=asked.task_id,
            attempt=asked.attempt,
            request=asked.request,
            script_name=task.script_name,
            client=task.client,
            mark=question.mark,
            created_at=now,
            expires_at=now + (question.timeout_s or TIMEOUT_S),
            question=msgspec.json.encode(question),
        )
        task.handoff_count += 1
        # A person has answered and the worker was lost: that is no reason to ask again. What
        # an attempt has used, and failed all the same, is asked anew.
        is_lost = task.last_error == OutcomeCode.WORKER_LOST.value and not is_slotless
        return await self._store.open(row, is_answer_kept=is_lost), True

    async def _ended(self, row: HandoffRow) -> HandoffRow:
        """Return the question once it is not open any more."""
        while True:
            news = self._bell.watch(row.id)
            try:
                found = await self._store.get(row.id)
                if found is None or found.status is not HandoffStatus.OPEN:
                    return found or msgspec.structs.replace(row, status=HandoffStatus.DISMISSED)
                left_s = found.expires_at - self._clock()
                if left_s <= 0:
                    await self._store.end(row.id, HandoffStatus.EXPIRED, at=self._clock())
                    continue
                wait_s = min(left_s, _LOOK_S) if self._is_shared else left_s
                await asyncio.wait((news,), timeout=wait_s)
            finally:
                self._bell.forget(row.id, news)

    def _park(self, attempt: Attempt, handoff_id: str) -> None:
        self._parked[attempt] += 1
        self._tasks.park(*attempt, handoff_id)

    def _unpark(self, attempt: Attempt) -> None:
        self._parked[attempt] -= 1
        if not self._parked[attempt]:
            del self._parked[attempt]
            if not self._is_closing:  # else it waits on, for the next gateway
                self._tasks.unpark(*attempt)

    async def _sweep(self, now: float) -> None:
        if now - self._swept_at >= _SWEEP_S:
            self._swept_at = now
            await self._store.forget(now - self._kept_s)

    # ---- people ----------------------------------------------------------------------

    async def page(
        self, query: HandoffQuery, is_seen: Callable[[HandoffRow], bool] = lambda _row: True
    ) -> list[HandoffRow]:
        """Return questions, the newest first.

        Raises:
            StorageError: They cannot be read.
        """
        return [self._timed(row) for row in await self._store.page(query, is_seen)]

    async def get(self, handoff_id: str) -> HandoffRow:
        """Return a question.

        Raises:
            NotFound: It is not known (any more).
            StorageError: It cannot be read.
        """
        row = await self._store.get(handoff_id)
        if row is None:
            raise NotFound(kind="hand-off", name=handoff_id[:80])
        return self._timed(row)

    async def answer(self, row: HandoffRow, body: bytes, *, actor: str) -> HandoffRow:
        """Give a script its answer.

        Raises:
            HandoffClosed: Somebody or something came first.
            MalformedJson, InvalidRequest: It does not fit what was asked for.
            StorageError: It cannot be kept.
        """
        answer = decode_answer(body, question_of(row).fields)
        return await self._end(row, HandoffStatus.ANSWERED, actor, msgspec.json.encode(answer))

    async def dismiss(self, row: HandoffRow, *, actor: str) -> HandoffRow:
        """Tell a script that nobody will answer.

        Raises:
            HandoffClosed: Somebody or something came first.
            StorageError: It cannot be kept.
        """
        return await self._end(row, HandoffStatus.DISMISSED, actor, b"")

    async def _end(
        self, row: HandoffRow, status: HandoffStatus, actor: str, answer: bytes
    ) -> HandoffRow:
        now = self._clock()
        is_in_time = row.status is HandoffStatus.OPEN
        if not (
            is_in_time and await self._store.end(row.id, status, at=now, actor=actor, answer=answer)
        ):
            row = await self.get(row.id)
            raise HandoffClosed(id=row.id, status=row.status.value)
        self._bell.ring(row.id)
        return await self.get(row.id)

    def _timed(self, row: HandoffRow) -> HandoffRow:
        """Return a question as it stands by now: whoever waited for it may be gone."""
        if row.status is HandoffStatus.OPEN and row.expires_at <= self._clock():
            status = HandoffStatus.EXPIRED
            return msgspec.structs.replace(row, status=status, ended_at=row.expires_at)
        return row

    # ---- tasks and the gateway -------------------------------------------------------

    def ended(self, row: TaskRow) -> None:
        """Close what a task that ends has open, and forget what it was answered."""
        self._slotless.forget(row.id)
        if row.handoff_count:
            self._later(self._store.close_task(row.id, at=self._clock()))

    async def close(self) -> None:
        """Leave what is open to the next gateway, and finish what is being written."""
        self._is_closing = True
        await self._slotless.close()
        self._bell.close()
        await asyncio.gather(*self._writing, return_exceptions=True)

    def _later(self, work: Coroutine[Any, Any, Any]) -> None:
        writing = asyncio.get_running_loop().create_task(work, name="hand-off")
        self._writing.add(writing)
        writing.add_done_callback(self._written)

    def _written(self, writing: asyncio.Task[Any]) -> None:
        self._writing.discard(writing)
        error = None if writing.cancelled() else writing.exception()
        # A disk that refuses is told of by the store; the question expires by itself.
        if error is not None and not isinstance(error, StorageError):
            raise error


def question_of(row: HandoffRow) -> Question:
    """Return what was asked."""
    return _read_question(row.question)


def _answer_of(row: HandoffRow) -> bytes:
    """Return the answer to a question that has ended.

    Raises:
        HandoffExpired, HandoffDismissed: There is none.
    """
    if row.status is HandoffStatus.ANSWERED:
        return row.answer
    if row.status is HandoffStatus.EXPIRED:
        raise HandoffExpired(limit_s=round(row.expires_at - row.created_at, 3))
    raise HandoffDismissed(actor=row.actor)


def _id_of(asked: Asked, question: Question) -> str:
    """Return one id for one question, however often it is asked.

    Where a script gives its slot back, its attempts share their questions.
    """
    told = f"{asked.task_id}/{asked.attempt}/{asked.request}"
    if question.free_slot is not None:
        told = f"{asked.task_id}/slot/{question.mark}"
    return "h-" + hashlib.blake2b(told.encode(), digest_size=12).hexdigest()
