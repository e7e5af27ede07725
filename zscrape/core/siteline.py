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

    def first(self) -> str | None:
        """Return the token whose turn it is."""
        waited = next(iter(self._turns.values()), None)
        return None if waited is None else waited[0]

    def serve(self) -> str:
        """Return the token whose turn it is, and let the next task have the next one.

        Raises:
            StopIteration: Nobody waits.
        """
        task_id = next(iter(self._turns))
        waited = self._turns.pop(task_id)
        token_id = waited.popleft()
        if waited:
            self._turns[task_id] = waited
        return token_id
