"""Attempts that were sent before there was a slot for them: so that no slot waits for the next.

Attempts are short where this is done. One that finds no slot soon is given back: at another
worker, or in its place in the queue, it may be better off.
"""

from __future__ import annotations

import asyncio
from typing import Final

from msgspec import Struct

from zscrape.model import Attempt
from zscrape.worker.assignment import Assignment
from zscrape.worker.attempt import SlotListener

# Longer than two short attempts in a row may take, each of which the gateway takes for short
# below 10 ms.
_LIE_LIMIT_S: Final = 0.05


class _Lying(Struct):
    assignment: Assignment
    listener: SlotListener
    until: float  # by the loop's clock


class Line:
    """What lies at this worker until a slot is free, the first that came first."""

    def __init__(self) -> None:
        self._lying: dict[Attempt, _Lying] = {}
        self._timer: asyncio.TimerHandle | None = None  # set iff something lies, or did lately

    @property
    def digests(self) -> frozenset[str]:
        """The digests of the scripts that lie here."""
        return frozenset(each.assignment.run.pin.digest for each in self._lying.values())

    def add(self, assignment: Assignment, listener: SlotListener) -> None:
        """Let an attempt lie here until it is taken, or for too long."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _LIE_LIMIT_S
        self._lying[assignment.task_id, assignment.attempt] = _Lying(assignment, listener, until)
        if self._timer is None:
            self._timer = loop.call_at(until, self._look, loop)

    def take(self) -> tuple[Assignment, SlotListener] | None:
        """Return the attempt that has lain here longest; None if there is none."""
        first = next(iter(self._lying), None)
        return None if first is None else self.remove(first)

    def remove(self, attempt: Attempt) -> tuple[Assignment, SlotListener] | None:
        """Return an attempt, which lies here no more; None if it does not lie here."""
        lying = self._lying.pop(attempt, None)
        return None if lying is None else (lying.assignment, lying.listener)

    def close(self) -> None:
        """Give nothing back any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give back what has lain here for too long."""
        self._timer = None
        now = loop.time()
        for attempt, lying in [*self._lying.items()]:
            if lying.until > now:
                self._timer = loop.call_at(lying.until, self._look, loop)
                return
            del self._lying[attempt]
            if lying.assignment.give_back is not None:
                lying.assignment.give_back()
