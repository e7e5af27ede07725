"""Tasks from acceptance to their one end: the promise `RECORD`."""

from __future__ import annotations

import time
from asyncio import AbstractEventLoop, Future, TimerHandle
from collections import deque
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from math import inf
from typing import Any

from msgspec import Struct

from bench.floors.ladder.asked import Key, Script
from bench.floors.ladder.http import Connection
from zscrape.core.retry import rest_s
from zscrape.errors.refusals import ClientQueueFull, Draining, QueueFull
from zscrape.errors.requests import LockHeld
from zscrape.gateway.identifiers import new_task_id
from zscrape.gateway.requests import TaskRequest
from zscrape.model import RETRIED_BY_DEFAULT, RETRY_COUNT, Overlap, RetryPolicy

QUEUED, ASSIGNED, RUNNING, COMPLETED = "queued", "assigned", "running", "completed"
_STATUS_OF = {"ok": COMPLETED, "timeout": "timed_out", "cancelled": "cancelled"}
LIMIT_COUNT, CLIENT_LIMIT_COUNT = 100_000, 10_000  # of tasks that wait; of a client's that live
_SCHEDULE_S, _MATCH_S = 300.0, 3.0  # for a slot; for a worker that could run it at all


class Task(Struct, kw_only=True, gc=False):
    """A task: what was asked, and what became of it. Moments are Unix time.

    It refers to nothing that refers to it.
    """

    id: str
    script: Script
    request: TaskRequest
    parameters: bytes
    key: Key
    created_at: float
    waiter: Connection | None
    trace_id: str = ""
    due_at: float = inf  # by the loop's clock
    waits_until: float = inf  # for a slot; by the loop's clock
    turn: tuple[int, float, int] | None = None  # in the queue, once it has one
    status: str = QUEUED
    attempts: int = 0
    lost_count: int = 0
    try_count: int = 0
    next_retry_at: float | None = None
    dropped_reason: str = ""
    worker_id: str | None = None
    assigned_at: float | None = None
    finished_at: float | None = None
    code: str = ""  # of its end
    data: bytes | None = None
    error: dict[str, Any] = {}  # what a script has raised
    run_s: float = 0.0
    cpu_s: float = 0.0
    memory_bytes: int = 0
    records: list[Any] = []  # what it has said
    # Each change of its state, when, the number in its log, the attempt, and its worker. What it
    # says has the numbers between: a stream can be taken up again behind any of them.
    states: list[tuple[str, float, int, int, str | None]] = []


class Lives:
    """The tasks that have not ended.

    `tell` hears of the end of each, once, and `note` of every change. `run` is to run a task,
    `stop` to end what runs of one; `matches` says whether any worker could run it.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        *,
        tell: Callable[[Task], None],
        note: Callable[[Task], None],
    ) -> None:
        self._loop, self._tell, self._note = loop, tell, note
        self.run: Callable[[Task], None]
        self.stop: Callable[[Task], None]
        self.matches: Callable[[Task], bool]
        self._live: dict[str, Task] = {}
        self._waiting: dict[str, Task] = {}  # for a slot
        self._due: list[tuple[float, str]] = []  # a heap; by the loop's clock
        self._timer: TimerHandle | None = None
        self._wakes_at = 0.0
        self._lines: dict[str, deque[Task]] = {}  # by lock; its holder comes first
        self._drained: Future[None] | None = None  # iff nothing is accepted any more
        self.followed: dict[str, Callable[[Task], None]] = {}

    def get(self, task_id: str) -> Task | None:
        """Return a task that has not ended."""
        return self._live.get(task_id)

    def waiting(self) -> Iterable[Task]:
        """Return the tasks that wait for a slot."""
        return self._waiting.values()

    def drain(self) -> Future[None]:
        """Accept nothing any more; returns what is done once every task has ended."""
        self._drained = self._loop.create_future()
        if not self._live:
            self._drained.set_result(None)
        return self._drained

    def accept(
        self,
        request: TaskRequest,
        script: Script,
        *,
        parameters: bytes,
        key: Key,
        trace_id: str,
        waiter: Connection,
        now: float,
    ) -> None:
        """Make a task of a request, and have it run.

        Raises:
            Draining, QueueFull, ClientQueueFull, LockHeld: It is not accepted.
        """
        if self._drained is not None:
            raise Draining
        if len(self._waiting) >= LIMIT_COUNT:
            raise QueueFull(limit_count=LIMIT_COUNT)
        if key.live_count >= CLIENT_LIMIT_COUNT:
            raise ClientQueueFull(limit_count=CLIENT_LIMIT_COUNT)
        if request.lock_key is not None:
            self._look_at_lock(request)
        task = Task(
            id=new_task_id(),
            script=script,
            request=request,
            parameters=parameters,
            key=key,
            created_at=now,
            waiter=waiter,
            trace_id=trace_id,
        )
        key.live_count += 1
        self._live[task.id] = task
        if request.timeout is not None:
            task.due_at = self._loop.time() + request.timeout
            self._look_by(task.due_at, task)
        self._change(task, QUEUED, now)
        if request.lock_key is None or self._has_lock(task):
            self.run(task)

    def _change(self, task: Task, status: str, now: float) -> None:
        task.status = status
        _add(task, status, now)
        self._note(task)
        if self.followed and task.id in self.followed:
            self.followed[task.id](task)

    def wait(self, task: Task) -> None:
        """Note that a task waits for a slot."""
        task.waits_until = self._loop.time() + (_SCHEDULE_S if self.matches(task) else _MATCH_S)
        self._waiting[task.id] = task
        self._look_by(task.waits_until, task)

    def assigned(self, task: Task, worker_id: str | None) -> None:
        """Begin an attempt."""
        if self._waiting:
            self._waiting.pop(task.id, None)
        task.attempts += 1
        task.assigned_at = now = time.time()
        task.worker_id = worker_id
        self._change(task, ASSIGNED, now)

    def lost(self, task: Task) -> None:
        """Let a task wait again: its worker is gone."""
        task.worker_id = None
        self._change(task, QUEUED, time.time())

    def answered(self, task: Task, code: str, data: bytes | None) -> None:
        """End an attempt: its task as well, unless it is tried again."""
        if task.run_s:
            _add(task, RUNNING, time.time())
        if code == "ok" or not self._tries_again(task, code):
            self.end(task, code, data)

    def end(self, task: Task, code: str, data: bytes | None = None) -> None:
        """End a task, and tell it; of one that has ended before nothing changes."""
        if self._live.pop(task.id, None) is None:
            return
        if self._waiting:
            self._waiting.pop(task.id, None)
        task.key.live_count -= 1
        task.code, task.data, task.finished_at = code, data, time.time()
        task.status = _STATUS_OF.get(code, "failed")
        self._tell(task)
        task.waiter = None
        self._change(task, task.status, task.finished_at)
        if task.request.lock_key is not None:
            self._release(task)
        if self._drained is not None and not self._live and not self._drained.done():
            self._drained.set_result(None)

    def cancel(self, task: Task, code: str = "cancelled") -> None:
        """End a task whose attempt may still run."""
        self.stop(task)
        self.end(task, code)

    # ---- tries and locks -------------------------------------------------------------

    def _tries_again(self, task: Task, code: str) -> bool:
        asked = task.request.retry
        if asked is None or code not in (asked.on or RETRIED_BY_DEFAULT):
            return False
        task.try_count += 1
        if task.try_count > (RETRY_COUNT if asked.max is None else asked.max):
            task.dropped_reason = "retry_exhausted"
            return False
        policy = RetryPolicy(backoff_s=asked.backoff, cap_s=asked.cap)
        delay_s = rest_s(policy, (task.id, task.attempts), try_count=task.try_count)
        task.next_retry_at = time.time() + delay_s
        self.lost(task)
        self._loop.call_later(delay_s, self._try_again, task)
        return True

    def _try_again(self, task: Task) -> None:
        task.next_retry_at = None
        if task.finished_at is None:
            self.run(task)

    def _look_at_lock(self, request: TaskRequest) -> None:
        """Make room where a newcomer replaces who holds its lock.

        Raises:
            LockHeld: It would not wait for it.
        """
        line = self._lines.get(request.lock_key or "")
        if line and request.overlap is Overlap.REPLACE:
            for task in [*line]:
                self.cancel(task)
        elif line and (
            request.overlap in (None, Overlap.SKIP)
            or (request.overlap is Overlap.QUEUE_ONE and len(line) > 1)
        ):
            age_s = time.time() - line[0].created_at
            raise LockHeld(key=request.lock_key or "", holder=line[0].id, age_s=age_s)

    def _has_lock(self, task: Task) -> bool:
        """Stand in the line for a lock; True iff the task may run."""
        if task.request.overlap is Overlap.ALLOW:
            return True
        line = self._lines.setdefault(task.request.lock_key or "", deque())
        line.append(task)
        return len(line) == 1

    def _release(self, task: Task) -> None:
        lock = task.request.lock_key or ""
        line = self._lines.get(lock, deque())
        if task not in line:
            return
        was_holder = line[0] is task
        line.remove(task)
        if not line:
            del self._lines[lock]
        elif was_holder:
            self.run(line[0])

    # ---- time ------------------------------------------------------------------------

    def _look_by(self, at: float, task: Task) -> None:
        """Look at a task by then: one timer for all of them."""
        heappush(self._due, (at, task.id))
        self._arm()

    def _arm(self) -> None:
        due_at = self._due[0][0]
        if self._timer is not None:
            if self._wakes_at <= due_at:
                return
            self._timer.cancel()
        self._wakes_at = due_at
        self._timer = self._loop.call_at(due_at, self._expire)

    def _expire(self) -> None:
        self._timer = None
        due, now = self._due, self._loop.time()
        while due and due[0][0] <= now:
            task = self._live.get(heappop(due)[1])
            if task is None:
                continue
            if task.due_at <= now:
                self.cancel(task, "timeout")
            elif task.waits_until <= now and task.id in self._waiting:
                self.end(task, "expired" if self.matches(task) else "no_matching_worker")
        if due:
            self._arm()


def _add(task: Task, status: str, now: float) -> None:
    states = task.states
    number = len(states) + len(task.records) + 1
    states.append((status, now, number, task.attempts, task.worker_id))
