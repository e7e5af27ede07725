"""Time limits of one attempt, and how it is ended: softly, then by force.

First cause wins: an attempt that is cancelled while it times out ends as one of the two.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping

from zscrape.model import OutcomeCode

# A process that SIGKILL has not ended by then is stuck in the kernel: the attempt is over
# for everybody else.
_GIVE_UP_S = 5.0


class Guard:
    """Watches one attempt. `send` signals its processes, `give_up` ends it without them."""

    __slots__ = ("_give_up", "_grace_s", "_limit", "_loop", "_send", "_step", "code", "fields")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        grace_s: float,
        send: Callable[[signal.Signals], None],
        give_up: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._grace_s = grace_s
        self._send = send
        self._give_up = give_up
        self._limit: asyncio.TimerHandle | None = None
        self._step: asyncio.TimerHandle | None = None
        self.code: OutcomeCode | None = None  # set once the attempt has been told to end
        self.fields: Mapping[str, str | int | float] = {}

    def limit(self, at: float, limit_s: float) -> None:
        """End the attempt at the loop's time `at`, having used up `limit_s`; replaces a limit."""
        self.lift()
        self._limit = self._loop.call_at(at, self._time_out, limit_s)

    def lift(self) -> None:
        """Set no limit any more."""
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def stop(self, code: OutcomeCode, fields: Mapping[str, str | int | float]) -> bool:
        """Ask the attempt to end; return False if it has been asked before."""
        if self.code is not None:
            return False
        self.code = code
        self.fields = fields
        self._send(signal.SIGTERM)
        self._step = self._loop.call_later(self._grace_s, self._force)
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
        if self._limit is not None:
            self._limit.cancel()
        if self._step is not None:
            self._step.cancel()

    def end(self) -> None:
        """Let go of the attempt, which is over: a ring of both would be left to the collector."""
        self.close()
        self._send = _signal_nothing
        self._give_up = _do_nothing

    def _time_out(self, limit_s: float) -> None:
        self.stop(OutcomeCode.TIMEOUT, {"limit_s": limit_s})

    def _force(self) -> None:
        self._send(signal.SIGKILL)
        self._step = self._loop.call_later(_GIVE_UP_S, self._give_up)


def _signal_nothing(_number: signal.Signals) -> None:
    pass


def _do_nothing() -> None:
    pass
