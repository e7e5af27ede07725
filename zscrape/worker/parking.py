"""The clock of an attempt: it stands while the attempt waits for a person.

What stands is the script's own time limit. The end of the task's whole life stays where it is,
and so do the limits of memory and of processor time: an attempt that waits may hold little.
"""

from __future__ import annotations

import asyncio
from typing import Final

from zscrape.worker.guard import Guard

PERSON: Final = "person"  # the kind of question that a person answers


class Clock:
    """Says to the guard of an attempt when it ends."""

    __slots__ = ("_asked", "_deadline", "_ends_at", "_guard", "_limit_s", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, guard: Guard) -> None:
        self._loop = loop
        self._guard = guard
        self._asked: set[int] = set()  # what people are yet to answer
        self._limit_s = 0.0
        self._ends_at = 0.0  # by its own limit; while it stands: what was left of it
        self._deadline: tuple[float, float] | None = None  # of the task, and how long that is

    def set_deadline(self, at: float, limit_s: float) -> None:
        """End the attempt at the loop's time `at`, whatever it does."""
        self._deadline = at, limit_s
        self._guard.limit(at, limit_s)

    def begin(self, limit_s: float) -> float:
        """Let it run for `limit_s` from now; return the loop's time at which it ends."""
        self._limit_s = limit_s
        self._ends_at = self._loop.time() + limit_s
        return self._run()

    def park(self, request: int) -> None:
        """Stop the clock until this question, and every other, is answered."""
        if not self._asked:
            self._ends_at -= self._loop.time()
            if self._deadline is None:
                self._guard.lift()
            else:
                self._guard.limit(*self._deadline)
        self._asked.add(request)

    def unpark(self, request: int) -> None:
        """Let the clock go on once nothing is asked any more."""
        if request not in self._asked:
            return
        self._asked.remove(request)
        if not self._asked:
            self._ends_at += self._loop.time()
            self._run()

    def _run(self) -> float:
        deadline = self._deadline
        if deadline is not None and deadline[0] <= self._ends_at:
            self._guard.limit(*deadline)
            return deadline[0]
        self._guard.limit(self._ends_at, self._limit_s)
        return self._ends_at
