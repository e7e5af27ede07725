"""Tasks from acceptance to their one end: the promise `RECORD`."""

from __future__ import annotations

import time
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from msgspec import Struct

from bench.floors.ladder.asked import Script
from bench.floors.ladder.http import Connection
from zscrape.gateway.identifiers import new_task_id
from zscrape.gateway.requests import TaskRequest

QUEUED, ASSIGNED, COMPLETED = "queued", "assigned", "completed"
_STATUS_OF = {"ok": COMPLETED, "timeout": "timed_out", "cancelled": "cancelled"}


class Task(Struct, kw_only=True, gc=False):
    """A task: what was asked, and what became of it. Moments are Unix time.

    It refers to nothing that refers to it.
    """

    id: str
    script: Script
    parameters: bytes
    client: str
    created_at: float
    waiter: Connection | None
    trace_id: str = ""
    timeout_s: float | None = None
    status: str = QUEUED
    attempts: int = 0
    lost_count: int = 0
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
    # Each change of its state, and when: its history, in which a stream can be taken up again.
    states: list[tuple[str, float]] = []


class Lives:
    """The tasks that have not ended.

    `tell` hears of the end of each, once; `note` of every change; `stop` is to end what runs.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        *,
        tell: Callable[[Task], None],
        note: Callable[[Task], None],
        stop: Callable[[Task], None],
    ) -> None:
        self._loop, self._tell, self._note, self._stop = loop, tell, note, stop
        self._live: dict[str, Task] = {}
        self._due: list[tuple[float, str]] = []  # a heap; by the loop's clock
        self._timer: TimerHandle | None = None
        self._wakes_at = 0.0

    def get(self, task_id: str) -> Task | None:
        """Return a task that has not ended."""
        return self._live.get(task_id)

    def accept(
        self,
        request: TaskRequest,
        script: Script,
        *,
        parameters: bytes,
        client: str,
        trace_id: str,
        waiter: Connection,
    ) -> Task:
        """Make a task of a request."""
        task = Task(
            id=new_task_id(),
            script=script,
            parameters=parameters,
            client=client,
            created_at=time.time(),
            waiter=waiter,
            trace_id=trace_id,
            timeout_s=request.timeout,
        )
        task.states.append((QUEUED, task.created_at))
        self._live[task.id] = task
        if task.timeout_s is not None:
            heappush(self._due, (self._loop.time() + task.timeout_s, task.id))
            self._arm()
        self._note(task)
        return task

    def assigned(self, task: Task, worker_id: str | None) -> None:
        """Begin an attempt."""
        task.attempts += 1
        task.assigned_at = now = time.time()
        task.status, task.worker_id = ASSIGNED, worker_id
        task.states.append((ASSIGNED, now))
        self._note(task)

    def lost(self, task: Task) -> None:
        """Let a task wait again: its worker is gone."""
        task.status, task.worker_id = QUEUED, None
        task.states.append((QUEUED, time.time()))
        self._note(task)

    def end(self, task: Task, code: str, data: bytes | None = None) -> None:
        """End a task, and tell it; of one that has ended before nothing changes."""
        if self._live.pop(task.id, None) is None:
            return
        task.code, task.data, task.finished_at = code, data, time.time()
        task.status = _STATUS_OF.get(code, "failed")
        task.states.append((task.status, task.finished_at))
        self._tell(task)
        task.waiter = None
        self._note(task)

    def cancel(self, task: Task, code: str = "cancelled") -> None:
        """End a task whose attempt may still run."""
        self._stop(task)
        self.end(task, code)

    def _arm(self) -> None:
        """Have the next task that is due looked at: one timer for all of them."""
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
            if task is not None:
                self.cancel(task, "timeout")
        if due:
            self._arm()
