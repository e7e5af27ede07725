"""Two signals, and what a gateway does between them."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Iterator


class Stop:
    """Two signals: the first asks, the second insists."""

    def __init__(self) -> None:
        self._events = (asyncio.Event(), asyncio.Event())

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Count SIGTERM and SIGINT while inside."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            loop.add_signal_handler(number, self._on_signal)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        first, second = self._events
        (second if first.is_set() else first).set()

    async def first(self, serving: asyncio.Task[None]) -> None:
        """Wait for the first signal, or for the server to end by itself (it has failed)."""
        await _first_of(self._events[0].wait(), _ended(serving))

    async def second(self, drained: Awaitable[None], grace_s: float) -> None:
        """Wait until `drained` is done, for `grace_s` at the most, or for the second signal."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await _first_of(self._events[1].wait(), drained)


async def _ended(task: asyncio.Task[None]) -> None:
    await asyncio.wait([task])


async def _first_of(*awaitables: Awaitable[object]) -> None:
    tasks = [asyncio.ensure_future(each) for each in awaitables]  # noqa: TID251 - awaited right here
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
