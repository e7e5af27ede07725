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
    """Says to the guard of an attempt that asks people when it ends."""

    __slots__ = ("_asked", "_ends_at", "_guard", "_limit_s", "_loop")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, guard: Guard, *, ends_at: float, limit_s: float
    ) -> None:
        self._loop = loop
        self._guard = guard
        self._asked: set[int] = set()  # what people are yet to answer
        self._limit_s = limit_s
        self._ends_at = ends_at  # by its own limit; while it stands: what was left of it

    def park(self, request: int) -> None:
        """Stop the clock until this question, and every other, is answered."""
        if not self._asked:
            self._ends_at -= self._loop.time()
            self._guard.lift()
        self._asked.add(request)

    def unpark(self, request: int) -> None:
        """Let the clock go on once nothing is asked any more."""
        if request not in self._asked:
            return
        self._asked.remove(request)
        if not self._asked:
            self._ends_at += self._loop.time()
            self._guard.limit(self._ends_at, self._limit_s)
