"""How it goes: what ended in each minute of the last hour, how fast, and what waited.

Ends are read from the store, so that they are those of every gateway of one database and are
there after a restart; what waits and runs is this gateway's own, seen since it started. All
who look share one reading: a further open page costs the sending of its bytes.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any, Final

from zscrape.core.snapshots import Snapshot
from zscrape.gateway.envelope import encode
from zscrape.model import TaskState
from zscrape.store.tasks import Ended, TaskStore

MINUTE_COUNT: Final = 60
_MINUTE_S: Final = 60
_SAMPLE_INTERVAL_S: Final = 5.0
_FRESH_S: Final = 0.4  # so old may a reading be that is told
_FIRST_LIMIT_COUNT: Final = 20_000  # ends looked back at
_KEPT_COUNT: Final = 500  # durations of one minute that its percentiles are drawn from
# A task is written a moment after its end, and gateways' clocks differ: looked at again.
_LATE_S: Final = 10.0
_PERCENTS: Final = (50, 95, 99)


class _Minute:
    """One minute: ends by state, a fair sample of their durations, and the longest queue."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.durations: list[float] = []
        self.queued_count = 0
        self.running_count = 0
        self._ordered: list[float] | None = None  # the durations, since the last look

    def add(self, end: Ended) -> None:
        self.counts[end.status] = self.counts.get(end.status, 0) + 1
        self._ordered = None
        duration_s = max(0.0, end.finished_at - end.created_at)
        if len(self.durations) < _KEPT_COUNT:
            self.durations.append(duration_s)
            return
        # Algorithm R (Vitter 1985): each end of the minute is as likely to be among those kept.
        place = random.randrange(sum(self.counts.values()))  # noqa: S311 - no secret
        if place < _KEPT_COUNT:
            self.durations[place] = duration_s

    def ordered(self) -> list[float]:
        """Return the durations in order; a minute that has passed is not sorted again."""
        if self._ordered is None:
            self._ordered = sorted(self.durations)
        return self._ordered

    def view(self) -> dict[str, Any]:
        """Return what is told of it."""
        completed_count = self.counts.get(TaskState.COMPLETED.value, 0)
        cancelled_count = self.counts.get(TaskState.CANCELLED.value, 0)
        return {
            "completed_count": completed_count,
            "failed_count": sum(self.counts.values()) - completed_count - cancelled_count,
            "cancelled_count": cancelled_count,
            **_percentiles(self.ordered()),
            "queue_length": self.queued_count,
            "running_count": self.running_count,
        }


class Pulse:
    """Figures over the last hour; lives in one event loop."""

    def __init__(
        self,
        store: TaskStore,
        snapshot: Callable[[], Snapshot],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._snapshot = snapshot
        self._clock = clock
        self._minutes: dict[int, _Minute] = {}  # by the number of the minute since 1970
        self._seen: dict[str, float] = {}  # ends that may be read again
        self._read_at: float | None = None  # None: never
        self._document = b""
        self._made_at = 0.0
        self._turn = asyncio.Lock()

    async def follow(self) -> None:
        """Look at the queue every few seconds, for ever."""
        while True:
            self.sample()
            await asyncio.sleep(_SAMPLE_INTERVAL_S)

    def sample(self) -> None:
        """Note how much waits and runs now."""
        found = self._snapshot()
        minute = self._minute(self._clock())
        minute.queued_count = max(minute.queued_count, found.queued_count)
        minute.running_count = max(minute.running_count, found.running_count)

    async def document(
        self, figures: Callable[[], dict[str, Any]], *, fresh_s: float = _FRESH_S
    ) -> bytes:
        """Return the figures and the last hour as JSON; the same bytes to all who ask at once.

        Args:
            figures: What else is told.
            fresh_s: So old may a reading be that was made for somebody else.

        Raises:
            StorageError: The store cannot be read.
        """
        async with self._turn:
            now = self._clock()
            if not 0 <= now - self._made_at < fresh_s:
                await self._read(now)
                self._document = encode({**figures(), "hour": self._view(now)})
                self._made_at = now
        return self._document

    def _view(self, now: float) -> dict[str, Any]:
        """Return the minutes of the last hour, the oldest first, and their sums."""
        self.sample()
        last = int(now // _MINUTE_S)
        told = []
        durations: list[float] = []
        for number in range(last - MINUTE_COUNT + 1, last + 1):
            minute = self._minutes.get(number) or _Minute()
            told.append({"at": number * _MINUTE_S, **minute.view()})
            durations += minute.ordered()
        sums = {
            name: sum(minute[name] for minute in told)
            for name in ("completed_count", "failed_count", "cancelled_count")
        }
        durations.sort()  # of runs that are in order: they are merged (Timsort)
        return {"minutes": told, **sums, **_percentiles(durations)}

    async def _read(self, now: float) -> None:
        start = (now // _MINUTE_S - MINUTE_COUNT + 1) * _MINUTE_S
        since = start if self._read_at is None else max(start, self._read_at - _LATE_S)
        for end in await self._store.ended(since=since, limit=_FIRST_LIMIT_COUNT):
            if end.id not in self._seen:
                self._minute(end.finished_at).add(end)
                self._seen[end.id] = end.finished_at
        self._read_at = now
        self._seen = {name: at for name, at in self._seen.items() if at >= now - 2 * _LATE_S}
        for number in [each for each in self._minutes if each * _MINUTE_S < start]:
            del self._minutes[number]

    def _minute(self, at: float) -> _Minute:
        return self._minutes.setdefault(int(at // _MINUTE_S), _Minute())


def _percentiles(ordered: list[float]) -> dict[str, float | None]:
    """Return the nearest-rank percentiles; None of nothing."""
    told: dict[str, float | None] = {}
    for percent in _PERCENTS:
        rank = -(-len(ordered) * percent // 100)  # rounded up
        told[f"p{percent}_s"] = round(ordered[rank - 1], 4) if ordered else None
    return told
