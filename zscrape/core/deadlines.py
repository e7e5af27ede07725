"""When something is next to be looked at: one heap for everything that waits for time."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

# Moment at which it surfaces, number (breaks ties, so that keys are never compared), key or None
# once it is void, moment that was promised: the same or later. A list, not a tuple: a void entry
# lets go of its key at once, and may be given to another.
Entry: TypeAlias = list[Any]


class Awaited(Protocol):
    """What is looked at in time. It holds its entry itself: a dictionary of all would be cold."""

    promise: Entry | None


Key = TypeVar("Key", bound=Awaited)

# With fewer void entries a heap is not worth compacting.
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
    it is too early and asks again). A void entry stays in the heap and is given to the next key
    whose moment is no earlier; when it surfaces it is put where that one belongs. So what is
    touched is what comes and goes, however many others wait beside it.
    """

    def __init__(self, alarm: Alarm | None = None) -> None:
        self._alarm = alarm or Alarm()
        # Nothing waits for a moment before it, infinite if nothing waits. It may be one that is
        # void: to be exact would cost every task a look, and one look too early is enough to be.
        self.next_at = inf
        self._heap: list[Entry] = []
        self._void: list[Entry] = []  # the last one void is given away first: it is warm
        self._number = 0

    def wake(self, key: Key, at: float) -> None:
        """Look at `key` no later than `at`. An earlier promise stands."""
        if at == inf:
            return
        known = key.promise
        if known is not None:
            if known[3] <= at:
                return
            self.clear(key)
        void = self._void
        if void and void[-1][0] <= at:
            entry = void.pop()
            entry[2], entry[3] = key, at
        else:
            self._number += 1
            entry = [at, self._number, key, at]
            heappush(self._heap, entry)
            if at < self.next_at:
                self.next_at = at
                self._alarm.by(at)
            if len(void) > _COMPACT_FLOOR_COUNT and 2 * len(void) > len(self._heap):
                self._compact()
        key.promise = entry

    def clear(self, key: Key) -> None:
        """Never mind `key`."""
        entry = key.promise
        if entry is not None:
            key.promise = entry[2] = None
            self._void.append(entry)

    def due(self, now: float) -> list[Key]:
        """Take out and return the keys whose moment has come, earliest first."""
        keys: list[Key] = []
        if now < self.next_at:
            return keys
        heap = self._heap
        while heap and (heap[0][0] <= now or heap[0][2] is None):
            entry = heappop(heap)
            key = entry[2]
            if key is None:
                entry[0] = inf  # it has left the heap: it is not to be given away
            elif entry[3] > entry[0]:
                entry[0] = entry[3]
                heappush(heap, entry)
            else:
                key.promise = None
                keys.append(key)
        self.next_at = heap[0][0] if heap else inf
        return keys

    def _compact(self) -> None:
        self._heap[:] = [entry for entry in self._heap if entry[2] is not None]
        heapify(self._heap)
        self._void.clear()

    def at(self, key: Key) -> float:
        """Return the moment promised for `key`, infinite if there is none."""
        return inf if key.promise is None else float(key.promise[3])
