"""What the processes of an attempt hold together: exactly where that matters, else about.

Counting each page once means to walk every page table: 30 ms for a browser, at the time when it
is busiest, and it waits for that. What each process holds for itself costs a hundredth, and the
sum of it is never less than the exact one: pages that are shared count several times.
"""

from __future__ import annotations

import asyncio

from zscrape.worker import tree
from zscrape.worker.tree import Process

# A sum that has not grown by more than this since it was last measured is not measured again.
_GROWTH = 1.05
# One that has not grown for so many looks stands still. A browser takes a breath now and then
# while it starts: one that is measured then answers later.
_STILL_COUNT = 3
# The kernel's own counts may be late by some pages: this part of a limit is near it.
_NEAR = 0.8


class Weight:
    """The memory of one attempt, look by look."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.held_bytes = 0  # when it was last measured
        self._peak_bytes = 0
        self._resident_bytes = 0  # the sum of resident sets at the last look
        self._measured_bytes = 0  # the largest such sum that was looked into
        self._still_count = 0  # looks since that sum has grown
        self._most_bytes = 0  # the largest upper bound that was not looked into
        self._shared_bytes = 0  # what it counted several times, when it was last measured

    @property
    def is_over(self) -> bool:
        """True iff it is more than its limit."""
        return self.held_bytes > self._limit_bytes

    @property
    def peak_bytes(self) -> int:
        """The most that was held at a time; while it grows, about that, and rather more."""
        return max(self._peak_bytes, self._most_bytes - self._shared_bytes)

    async def look(self, found: list[Process]) -> None:
        """Find out what these processes hold, as exactly as it is worth it.

        That is exactly if it may be too much, at first, and if it is the most so far and stands
        still: a browser that starts is another one at each look.
        """
        resident_bytes = sum(each.resident_bytes for each in found)
        has_grown = resident_bytes > self._resident_bytes * _GROWTH
        self._still_count = 0 if has_grown else self._still_count + 1
        self._resident_bytes = resident_bytes
        is_due = self._still_count >= _STILL_COUNT or not self._measured_bytes
        is_news = False
        if len(found) == 1:
            self._peak_bytes = max(self._peak_bytes, resident_bytes)
        else:
            is_news = self._peak_bytes < resident_bytes > self._measured_bytes * _GROWTH
        if not is_news and resident_bytes <= self._limit_bytes:
            return
        most_bytes = tree.most_bytes(found)
        if most_bytes > self._limit_bytes * _NEAR or (is_news and is_due):
            await self._measure(found, resident_bytes, most_bytes)
        elif is_news:
            self._most_bytes = max(self._most_bytes, most_bytes)

    async def _measure(self, found: list[Process], resident_bytes: int, most_bytes: int) -> None:
        # In a thread: a process that changes its memory may hold up whoever looks at it.
        self.held_bytes = await asyncio.to_thread(tree.held_bytes, found)
        self._measured_bytes = max(self._measured_bytes, resident_bytes)
        self._peak_bytes = max(self._peak_bytes, self.held_bytes)
        self._shared_bytes = max(most_bytes - self.held_bytes, 0)
        if most_bytes >= self._most_bytes:
            self._most_bytes = 0
