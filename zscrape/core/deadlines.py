"""When something is next to be looked at: one heap for everything that waits for time."""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from math import inf
from typing import Any, Generic, TypeAlias, TypeVar

Key = TypeVar("Key", bound=Hashable)
# Moment, number (breaks ties, so that keys are never compared), key or None once it is void.
# A list, not a tuple: a void entry lets go of its key at once. A heap full of ended tasks that
# wait for their far deadlines to surface costs 5 % of the dispatcher's speed in cache misses.
_Entry: TypeAlias = list[Any]

# Below this many entries a heap is not worth compacting.
_COMPACT_FLOOR_COUNT = 64


class Alarm:
    """When somebody is to look again: whoever wants that sooner says so.

    So nobody has to be asked after each message, when hardly any changes it.
    """

    __slots__ = ("at",)

    def __init__(self) -> None:
        self.at = inf

    def by(self, at: float) -> None:
        """Look no later than `at`."""
        if at < self.at:
            self.at = at


class Deadlines(Generic[Key]):
    """Moments by key, the earliest first.

    A moment is a promise to look, not a decision: putting it off is free (the look finds that
    it is too early and asks again). Void entries stay in the heap until they surface, or are found
    to outnumber the others when one is added.
    """

    def __init__(self, alarm: Alarm | None = None) -> None:
        self._alarm = alarm or Alarm()
        # Nothing waits for a moment before it, infinite if nothing waits. It may be one that is
        # void: to be exact would cost every task a look, and one look too early is enough to be.
        self.next_at = inf
        self._heap: list[_Entry] = []
        self.entry_by_key: dict[Key, _Entry] = {}  # what is waited for
        self._number = 0

    def wake(self, key: Key, at: float) -> None:
        """Look at `key` no later than `at`. An earlier promise stands."""
        if at == inf:
            return
        known = self.entry_by_key.get(key)
        if known is not None:
            if known[0] <= at:
                return
            known[2] = None
        self._number += 1
        entry = self.entry_by_key[key] = [at, self._number, key]
        heap = self._heap
        heappush(heap, entry)
        if at < self.next_at:
            self.next_at = at
            self._alarm.by(at)
        if len(heap) > _COMPACT_FLOOR_COUNT and len(heap) > 2 * len(self.entry_by_key):
            heap[:] = self.entry_by_key.values()
            heapify(heap)

    def clear(self, key: Key) -> None:
        """Never mind `key`."""
        entry = self.entry_by_key.pop(key, None)
        if entry is not None:
            entry[2] = None

    def due(self, now: float) -> list[Key]:
        """Take out and return the keys whose moment has come, earliest first."""
        keys: list[Key] = []
        if now < self.next_at:
            return keys
        heap = self._heap
        while heap and (heap[0][0] <= now or heap[0][2] is None):
            key = heappop(heap)[2]
            if key is not None:
                del self.entry_by_key[key]
                keys.append(key)
        self.next_at = heap[0][0] if heap else inf
        return keys

    def at(self, key: Key) -> float:
        """Return the moment promised for `key`, infinite if there is none."""
        entry = self.entry_by_key.get(key)
        return inf if entry is None else entry[0]
