"""One at a time for each key, as many keys at once as there are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)


class KeyLocks(Generic[_Key]):
    """A lock for each key that somebody holds or waits for; others cost nothing."""

    def __init__(self) -> None:
        self._locks: dict[_Key, asyncio.Lock] = {}
        self._counts: dict[_Key, int] = {}

    def __len__(self) -> int:
        """Return how many keys are held."""
        return len(self._locks)

    @asynccontextmanager
    async def hold(self, key: _Key) -> AsyncIterator[None]:
        """Hold `key` while inside; in order of arrival."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._counts[key] = self._counts.get(key, 0) + 1
        try:
            async with lock:
                yield
        finally:
            self._counts[key] -= 1
            if not self._counts[key]:
                del self._counts[key], self._locks[key]
