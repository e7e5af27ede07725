"""Children that have run an attempt and wait for another one, where the script asks for it.

A child is given to the same client's attempt of the same pin alone, under the same limits, and
works in a folder that has been emptied. It goes after so many attempts, after any that did not go
well, when something that it started is still there, when nobody has needed it for a while, and
when there are more of them than slots.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from math import inf
from typing import Final

from msgspec import Struct

from zscrape.worker import tree
from zscrape.worker.children import Child
from zscrape.worker.pump import Pump
from zscrape.worker.scratch import is_emptied, is_empty, opened

_IDLE_S: Final = 30.0
_LATE_EXIT_S: Final = 1.0
# A script may forge its answer and go on: what waits is looked at, and must do nothing.
_LOOK_S: Final = 0.5
_STIR_S: Final = 0.05  # the processor time that it may use meanwhile
_EMPTY_LIMIT_S: Final = 2.0


class Use(Struct, frozen=True):
    """What must be the same for a child to be used again."""

    client: str
    plan: object  # which stands for what runs, and for the interpreter: one object for the same
    memory_bytes: int
    secrets: dict[str, str]  # one that was rotated is not blanked out of what comes after


class _Waiting(Struct):
    use: Use
    since_at: float
    cpu_s: float  # that it had used by then


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
            if self._waiting[child].use == use and child.exited is None:
                del self._waiting[child]
                return child
        return None

    def offer(self, use: Use, child: Child) -> None:
        """Keep a child whose attempt is over; it is told to end if it can't be kept.

        Its channel is among those that are watched, and stays there for as long as it is kept.
        """
        cpu_s = None if self._is_closed else alone_s(child, use.memory_bytes)
        if cpu_s is None:
            self._let_go(child)
        elif child.template.is_home_untouched(child):
            self._keep(use, child, cpu_s)
        else:
            self._offer_touched(use, child, cpu_s)

    def _offer_touched(self, use: Use, child: Child, cpu_s: float) -> None:
        try:
            folder = opened(child.template.home_of(child))
        except OSError:
            self._let_go(child)
            return
        if is_empty(folder):
            os.close(folder)
            self._keep(use, child, cpu_s)
        elif len(self._emptying) < self._limit_count:
            self._set_aside(use, child, folder)
        else:
            os.close(folder)
            self._let_go(child)

    async def close(self) -> None:
        """Let go of all of them."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*self._emptying)
        for child in [*self._waiting]:
            self._drop(child)

    def _keep(self, use: Use, child: Child, cpu_s: float) -> None:
        # What waits says nothing. Its end shows there too, or with the next look.
        self._pump.add(child.channel_fd, partial(self._drop, child))
        self._waiting[child] = _Waiting(use, self._loop.time(), cpu_s)
        if self._is_closed:  # since its folder was set aside
            self._drop(child)
        elif len(self._waiting) > self._limit_count:
            self._drop(next(iter(self._waiting)))
        elif self._timer is None:
            self._timer = self._loop.call_later(_LOOK_S, self._look)

    def _set_aside(self, use: Use, child: Child, folder: int) -> None:
        """Have its folder emptied beside the loop; until then nobody is given it."""
        self._pump.remove(child.channel_fd)
        emptying = self._loop.create_task(self._empty(use, child, folder))
        self._emptying.add(emptying)
        emptying.add_done_callback(self._emptying.discard)

    async def _empty(self, use: Use, child: Child, folder: int) -> None:
        # What fills it meanwhile would do so for ever.
        ends_at = self._loop.time() + _EMPTY_LIMIT_S
        ending = self._loop.call_at(ends_at, _end, child, 0.0)
        is_ready = await asyncio.to_thread(is_emptied, folder)
        ending.cancel()
        is_late = self._loop.time() >= ends_at
        if child.exited is not None:
            child.hang_up()
            return
        cpu_s = alone_s(child, use.memory_bytes) if is_ready and not is_late else None
        if cpu_s is None:
            self._let_go(child)
        else:
            self._keep(use, child, cpu_s)

    def _drop(self, child: Child) -> None:
        if self._waiting.pop(child, None) is not None:
            self._let_go(child)

    def _let_go(self, child: Child) -> None:
        self._pump.remove(child.channel_fd)
        is_alone = alone_s(child) is not None
        child.hang_up()
        child.template.unwatch(child)
        _end(child, _LATE_EXIT_S if is_alone else 0.0)

    def _look(self) -> None:
        """Drop what nobody has needed for a while, and what does anything but wait."""
        self._timer = None
        now = self._loop.time()
        for child, waiting in [*self._waiting.items()]:
            cpu_s = alone_s(child, waiting.use.memory_bytes)
            is_idle = now - waiting.since_at >= _IDLE_S
            if is_idle or cpu_s is None or cpu_s - waiting.cpu_s > _STIR_S:
                self._drop(child)
        if self._waiting:
            self._timer = self._loop.call_later(_LOOK_S, self._look)


def alone_s(child: Child, limit_bytes: float = inf) -> float | None:
    """Return the processor time that a child's process has used.

    None iff anything that it has started, or it itself, is not over - threads count too - or it
    holds more than an attempt may: each may be too short for its memory to be watched.
    """
    if not child.pid or child.exited is not None:
        return None
    eye = child.eye
    if eye is None:
        try:
            eye = child.eye = tree.Eye(child.pid)
        except OSError:
            return None
    cpu_s = eye.alone_s(limit_bytes)
    # Strays last: what loses its parent between the two looks is seen by the second.
    return None if cpu_s is None or child.template.strays_of(child) else cpu_s


def _end(child: Child, within_s: float) -> None:
    if child.exited is None:
        child.template.expect_exit(child, within_s)
