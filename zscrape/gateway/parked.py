"""Tasks that have given their slots back to wait for people, and what wakes them.

Such a task has no attempt. It is woken when its question is not open any more, whatever that
came by, and its script runs again from its beginning. Which question it waits for stands in
its row: a gateway that takes the task up waits for the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

from zscrape.errors import StorageError
from zscrape.model import TaskId
from zscrape.store.handoffs import HandoffRow, HandoffStatus, HandoffStore
from zscrape.store.tasks import TaskRow

_Asked = TypeVar("_Asked")
_Found = TypeVar("_Found")
_AGAIN_S: Final = 2.0  # until a database that has refused is asked again


class Waking(Protocol):
    """What is needed of the service of tasks."""

    def wake(self, task_id: TaskId) -> None:
        """Queue a parked task again."""
        ...

    def drop_parked(self, task_id: TaskId) -> None:
        """End a task that is parked on nothing that could wake it."""
        ...


class ParkedTasks:
    """The tasks of one gateway that wait for people without a slot."""

    def __init__(
        self,
        store: HandoffStore,
        tasks: Waking,
        *,
        ended: Callable[[HandoffRow], Awaitable[HandoffRow]],
        on_open: Callable[[TaskRow], None],
    ) -> None:
        self._store = store
        self._tasks = tasks
        self._ended = ended
        self._on_open = on_open
        self._watching: dict[TaskId, asyncio.Task[None]] = {}
        self._woken: dict[TaskId, set[str]] = {}  # by which questions
        self._is_closed = False

    def parked(self, task: TaskRow, is_new: bool) -> None:
        """Wake a task once its question has ended; `is_new`: nobody has been told of that yet."""
        self._leave(task.id)
        # It has asked, whatever is kept of that: so its end is told to whom that concerns.
        task.handoff_count = task.handoff_count or 1
        if self._is_closed:
            return
        loop = asyncio.get_running_loop()
        watching = loop.create_task(self._watch(task, is_new=is_new), name=f"parked {task.id}")
        watching.add_done_callback(_tell_fault)
        self._watching[task.id] = watching

    def forget(self, task_id: TaskId) -> None:
        """Forget a task that has ended."""
        if self._woken or self._watching:  # nearly never
            self._woken.pop(task_id, None)
            self._leave(task_id)

    async def close(self) -> None:
        """Leave what is parked to the next gateway."""
        self._is_closed = True
        left = [*self._watching.values()]
        self._watching.clear()
        for watching in left:
            watching.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _leave(self, task_id: TaskId) -> None:
        watching = self._watching.pop(task_id, None)
        if watching is not None:
            watching.cancel()

    async def _watch(self, task: TaskRow, *, is_new: bool) -> None:
        question = await _patiently(self._store.get, task.handoff)
        woken = self._woken.setdefault(task.id, set())
        # A script that was woken has its answer, and does not wait for it again. Whoever says
        # otherwise would be run again for ever, with no limit of time and no retry counted.
        if question is None or question.task_id != task.id or question.id in woken:
            self._watching.pop(task.id)
            self._tasks.drop_parked(task.id)
            return
        if is_new and question.status is HandoffStatus.OPEN:
            self._on_open(task)
        await _patiently(self._ended, question)
        woken.add(question.id)
        self._watching.pop(task.id)
        self._tasks.wake(task.id)


def _tell_fault(watching: asyncio.Task[None]) -> None:
    """Let a fault of ours reach the loop's handler; a task that is left is cancelled."""
    error = None if watching.cancelled() else watching.exception()
    if error is not None:
        raise error


async def _patiently(look: Callable[[_Asked], Awaitable[_Found]], asked: _Asked) -> _Found:
    while True:
        try:
            return await look(asked)
        except StorageError:  # told by the store; a person's answer waits there
            await asyncio.sleep(_AGAIN_S)
