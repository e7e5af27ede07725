"""The moments at which attempts are to end, behind one timer of the loop.

Most attempts are over long before: to note a moment and to forget it again is one step of a
dictionary each, where a timer of its own costs the loop much more.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import Protocol

EARLY_S = 0.001  # the loop counts whole milliseconds: it could not wait for less


class Sleeper(Protocol):
    """Whom an alarm wakes. It is known by its identity."""

    def wake(self) -> None:
        """Its moment has come."""
        ...


class Alarms:
    """One moment for each sleeper."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._moments: dict[Sleeper, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf  # no later than any of them; early is harmless

    def set(self, sleeper: Sleeper, at: float) -> None:
        """Wake `sleeper` at the loop's time `at`, and not when it was set to before."""
        self._moments[sleeper] = at
        if at < self._timer_at:
            self._arm(at)

    def clear(self, sleeper: Sleeper) -> None:
        """Let it sleep."""
        self._moments.pop(sleeper, None)

    def close(self) -> None:
        """Wake nobody any more."""
        self._moments.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = self.loop.call_at(at, self._ring), at

    def _ring(self) -> None:
        self._timer, self._timer_at = None, inf
        due_by = self.loop.time() + EARLY_S
        try:
            for sleeper, at in [*self._moments.items()]:
                # Who was woken before may have cleared it, or set it anew.
                if at < due_by and self._moments.get(sleeper) == at:
                    del self._moments[sleeper]
                    sleeper.wake()
        finally:  # whatever one has come to, the others are to be woken
            first_at = min(self._moments.values(), default=inf)
            if first_at < self._timer_at:
                self._arm(first_at)
