"""Time limits of one attempt, and how it is ended: softly, then by force.

First cause wins: an attempt that is cancelled while it times out ends as one of the two.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from zscrape.model import OutcomeCode
from zscrape.worker.alarms import Alarms

# A process that SIGKILL has not ended by then is stuck in the kernel: the attempt is over
# for everybody else.
_GIVE_UP_S = 5.0


class Guarded(Protocol):
    """An attempt that can be ended."""

    def signal(self, number: signal.Signals) -> None:
        """Signal its processes."""

    def give_up(self) -> None:
        """End it without them."""


class Guard(Struct, eq=False):
    """Watches one attempt and ends it."""

    _alarms: Alarms
    _grace_s: float
    # When its task's whole life ends, by the loop's clock, and how long that is.
    _deadline: tuple[float, float] | None = None
    attempt: Guarded | None = None  # until it is over
    _limit_s: float = 0.0  # what will have been used up when the alarm rings
    _step: asyncio.TimerHandle | None = None
    code: OutcomeCode | None = None  # set once the attempt has been told to end
    fields: Mapping[str, str | int | float] = {}

    def bound(self, at: float) -> None:
        """End the attempt at the loop's time `at` whatever else is said: its task's life ends."""
        self._deadline = at, max(at - self._alarms.loop.time(), 0.0)
        self.lift()

    def limit(self, at: float, limit_s: float) -> None:
        """End the attempt at the loop's time `at`, having used up `limit_s`, or at its deadline.

        Whichever comes first; replaces an earlier limit.
        """
        deadline = self._deadline
        if deadline is not None and deadline[0] <= at:
            at, limit_s = deadline
        self._limit_s = limit_s
        self._alarms.set(self, at)

    def lift(self) -> None:
        """Set no limit any more but the deadline."""
        if self._deadline is None:
            self._alarms.clear(self)
        else:
            self.limit(*self._deadline)

    def wake(self) -> None:
        """End the attempt: its time is used up."""
        self.stop(OutcomeCode.TIMEOUT, {"limit_s": self._limit_s})

    def stop(self, code: OutcomeCode, fields: Mapping[str, str | int | float]) -> bool:
        """Ask the attempt to end; return False if it has been asked before."""
        if self.code is not None:
            return False
        self.code = code
        self.fields = fields
        self._send(signal.SIGTERM)
        self._step = self._alarms.loop.call_later(self._grace_s, self._force)
        return True

    def kill(self, code: OutcomeCode, fields: Mapping[str, str | int | float]) -> None:
        """End the attempt at once."""
        if self.code is None:
            self.code = code
            self.fields = fields
        if self._step is not None:
            self._step.cancel()
        self._force()

    def close(self) -> None:
        """Stop watching."""
        self._alarms.clear(self)
        if self._step is not None:
            self._step.cancel()

    def _send(self, number: signal.Signals) -> None:
        if self.attempt is not None:
            self.attempt.signal(number)

    def _give_up(self) -> None:
        if self.attempt is not None:
            self.attempt.give_up()

    def _force(self) -> None:
        self._send(signal.SIGKILL)
        self._step = self._alarms.loop.call_later(_GIVE_UP_S, self._give_up)
