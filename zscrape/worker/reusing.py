"""Children that have run an attempt and wait for another one, where the script asks for it.

A child is given to the same client's attempt of the same pin alone, under the same limits, and
works in a folder that has been emptied. It goes after so many attempts, after any that did not go
well, when something that it started is still there, when nobody has needed it for a while, and
when there are more of them than slots.
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from zscrape.model import RunSpec
from zscrape.worker import tree
from zscrape.worker.children import Child
from zscrape.worker.pump import Pump
from zscrape.worker.scratch import is_emptied

_IDLE_S: Final = 30.0
_LATE_EXIT_S: Final = 1.0


class Use(NamedTuple):
    """What must be the same for a child to be used again."""

    client: str
    run: RunSpec
    python: str


class _Waiting(NamedTuple):
    use: Use
    since_at: float


class Reusing:
    """The waiting children of one worker, the one that waited least first."""

    def __init__(self, loop: asyncio.AbstractEventLoop, pump: Pump, limit_count: int) -> None:
        self._loop = loop
        self._pump = pump
        self._limit_count = limit_count
        self._waiting: dict[Child, _Waiting] = {}  # the one that has waited longest first
        self._emptying: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    def take(self, use: Use) -> Child | None:
        """Return a child for an attempt; None if there is none that fits."""
        for child in reversed(self._waiting):
            if self._waiting[child].use == use:
                self._forget(child)
                child.template.resume(child)
                return child
        return None

    def offer(self, use: Use, child: Child) -> None:
        """Keep a child whose attempt is over; it is told to end if it can't be kept."""
        child.on_exit = lambda _how: self._on_exit(child)
        self._pump.add(child.channel_fd, lambda: self._drop(child))
        self._waiting[child] = _Waiting(use, self._loop.time())
        home = child.template.home_of(child)
        if self._is_closed:
            self._drop(child)
        elif not is_emptied(home, is_trying=False):
            self._set_aside(use, child, home)
        elif len(self._waiting) > self._limit_count:
            self._drop(next(iter(self._waiting)))
        if self._timer is None and self._waiting:
            self._timer = self._loop.call_later(_IDLE_S, self._drop_idle)

    async def close(self) -> None:
        """Let go of all of them."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*self._emptying)
        for child in [*self._waiting]:
            self._drop(child)

    def _set_aside(self, use: Use, child: Child, home: str) -> None:
        """Have its folder emptied beside the loop; until then nobody is given it."""
        self._forget(child)
        child.on_exit = lambda _how: None
        emptying = self._loop.create_task(self._empty(use, child, home))
        self._emptying.add(emptying)
        emptying.add_done_callback(self._emptying.discard)

    async def _empty(self, use: Use, child: Child, home: str) -> None:
        is_empty = await asyncio.to_thread(is_emptied, home, is_trying=True)
        if child.exited is not None:
            child.hang_up()
        elif is_empty:
            self.offer(use, child)
        else:
            self._let_go(child)

    def _forget(self, child: Child) -> None:
        del self._waiting[child]
        child.on_exit = None
        self._pump.remove(child.channel_fd)

    def _drop(self, child: Child) -> None:
        if child in self._waiting:
            self._forget(child)
            self._let_go(child)

    def _let_go(self, child: Child) -> None:
        child.on_exit = None
        child.hang_up()
        child.template.unwatch(child)
        child.template.expect_exit(child, _LATE_EXIT_S)

    def _on_exit(self, child: Child) -> None:
        if child in self._waiting:
            self._forget(child)
            child.hang_up()

    def _drop_idle(self) -> None:
        self._timer = None
        now = self._loop.time()
        for child, waiting in [*self._waiting.items()]:
            if now - waiting.since_at >= _IDLE_S:
                self._drop(child)
        if self._waiting:
            oldest_at = next(iter(self._waiting.values())).since_at
            self._timer = self._loop.call_at(oldest_at + _IDLE_S, self._drop_idle)


def is_alone(child: Child) -> bool:
    """True iff nothing that a child has started is there any more, threads included."""
    if not child.pid:
        return False
    seen = tree.look(child.pid, child.template.strays_of(child), 1)
    return len(seen) == 1 and seen[0].thread_count == 1
