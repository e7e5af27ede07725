"""Time limits of one attempt, and how it is ended: softly, then by force.

First cause wins: an attempt that is cancelled while it times out ends as one of the two.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping

from msgspec import Struct

from zscrape.model import OutcomeCode
from zscrape.worker.alarms import Alarms

# A process that SIGKILL has not ended by then is stuck in the kernel: the attempt is over
# for everybody else.
_GIVE_UP_S = 5.0


def _signal_nothing(_number: signal.Signals) -> None:
    pass


def _do_nothing() -> None:
    pass


class Guard(Struct, eq=False):
    """Watches one attempt and ends it: `protect` says by what."""

    _alarms: Alarms
    _grace_s: float
    # When its task's whole life ends, by the loop's clock, and how long that is.
    _deadline: tuple[float, float] | None = None
    _send: Callable[[signal.Signals], None] = _signal_nothing
    _give_up: Callable[[], None] = _do_nothing
    _limit_s: float = 0.0  # what will have been used up when the alarm rings
    _step: asyncio.TimerHandle | None = None
    code: OutcomeCode | None = None  # set once the attempt has been told to end
    fields: Mapping[str, str | int | float] = {}

    def protect(self, send: Callable[[signal.Signals], None], give_up: Callable[[], None]) -> None:
        """Begin to watch: `send` signals the processes, `give_up` ends it without them."""
        self._send = send
        self._give_up = give_up
        if self._deadline is not None:
            self.lift()

    def limit(self, at: float, limit_s: float) -> float:
        """End the attempt at the loop's time `at`, having used up `limit_s`, or at its deadline.

        Replaces an earlier limit; returns which of the two comes first.
        """
        deadline = self._deadline
        if deadline is not None and deadline[0] <= at:
            at, limit_s = deadline
        self._limit_s = limit_s
        self._alarms.set(self, at)
        return at

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

    def end(self) -> None:
        """Let go of the attempt, which is over: a ring of both would be left to the collector."""
        self.close()
        self._send = _signal_nothing
        self._give_up = _do_nothing

    def _force(self) -> None:
        self._send(signal.SIGKILL)
        self._step = self._alarms.loop.call_later(_GIVE_UP_S, self._give_up)
