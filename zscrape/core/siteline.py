"""Who waits for tokens of one site: tasks take turns, however much each of them asks."""

from __future__ import annotations

from collections import deque

from zscrape.model import TaskId


class SiteLine:
    """The line before one site; a task stands in it once, with all that it waits for."""

    def __init__(self) -> None:
        self._turns: dict[TaskId, deque[str]] = {}  # in order of their turns

    def __len__(self) -> int:
        """Return how many tokens are waited for."""
        return sum(map(len, self._turns.values()))

    @property
    def tasks(self) -> tuple[TaskId, ...]:
        """The tasks that wait, in order of their turns."""
        return tuple(self._turns)

    def join(self, task_id: TaskId, token_id: str) -> None:
        """Wait for one more token."""
        self._turns.setdefault(task_id, deque()).append(token_id)

    def leave(self, task_id: TaskId, token_id: str) -> None:
        """Wait for a token no more; one that nobody waits for is no fault."""
        waited = self._turns.get(task_id)
        if waited is not None and token_id in waited:
            waited.remove(token_id)
            if not waited:
                del self._turns[task_id]

    def first(self) -> tuple[TaskId, str] | None:
        """Return the task whose turn it is, and the token that it waits for."""
        return next(((task_id, waited[0]) for task_id, waited in self._turns.items()), None)

    def serve(self, task_id: TaskId, token_id: str) -> None:
        """Note that a token is given: the next turn is another task's."""
        self.leave(task_id, token_id)
        waited = self._turns.pop(task_id, None)
        if waited:
            self._turns[task_id] = waited

    def copy(self) -> SiteLine:
        """Return the same line, to try out what would become of it."""
        copied = SiteLine()
        copied._turns = {task_id: waited.copy() for task_id, waited in self._turns.items()}
        return copied
