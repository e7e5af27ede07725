"""One piece of work per key, however many wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Flights(Generic[K, V]):
    """Callers of one key at the same time share one run; one that gives up does not end it."""

    def __init__(self) -> None:
        self._running: dict[K, asyncio.Task[V]] = {}

    async def join(self, key: K, make: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Return what the run under way for `key` gives; `make` starts one if there is none."""
        task = self._running.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(make())
            self._running[key] = task
            task.add_done_callback(lambda done: self._landed(key, done))
        try:
            return await asyncio.shield(task)
        finally:
            del task  # it holds its error, whose traceback holds this frame

    async def close(self) -> None:
        """Cancel what still runs and wait until it has ended."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _landed(self, key: K, task: asyncio.Task[V]) -> None:
        if self._running.get(key) is task:
            del self._running[key]
        if not task.cancelled():
            task.exception()  # looked at: with every caller gone nobody else will
