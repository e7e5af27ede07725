"""When a schedule is due: a cron expression or an interval, in a zone, within bounds.

Pure: a timetable and a moment always give the same answer, on any gateway. That is what lets
gateways claim a due moment by its name alone.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from math import floor
from typing import TYPE_CHECKING, Final
from zlib import crc32

from msgspec import Struct

from zscrape.core.cron import next_moment
from zscrape.core.hours import Window, is_open, next_open
from zscrape.onuse import on_use

if TYPE_CHECKING:
    import zoneinfo
else:
    zoneinfo = on_use("zoneinfo")

# Moments outside of the allowed hours that are looked at before a timetable counts as over.
_CLOSED_LIMIT_COUNT: Final = 5_000
_WALK_LIMIT_COUNT: Final = 300
_LAST_ROUNDS_COUNT: Final = 8


class Timetable(Struct, frozen=True, kw_only=True):
    """When something is due. It has a cron expression or an interval, never both."""

    cron: str = ""  # as `parse_cron` returns it
    interval_s: float = 0.0
    zone: str = "UTC"
    anchor_at: float = 0.0  # the interval counts from here, whole seconds
    start_at: float | None = None  # the first moment that may be due
    end_at: float | None = None  # the last one
    jitter_s: float = 0.0  # up to so much later, another time for each moment
    hours: tuple[Window, ...] = ()  # empty: all day

    def next_due(self, after: float) -> float | None:
        """Return the first due moment after `after`; None when there is none (any more)."""
        if self.start_at is not None and after < self.start_at:
            after = self.start_at - 0.001
        zone = zone_of(self.zone)
        for _ in range(_CLOSED_LIMIT_COUNT):
            due_at = self._step(zone, after)
            if due_at is None or (self.end_at is not None and due_at > self.end_at):
                return None
            if not self.hours or is_open(self.hours, zone, due_at):
                return due_at
            # Not moment by moment: a night has 28,800 seconds.
            after = max(due_at, next_open(self.hours, zone, due_at) - 0.001)
        return None

    def _step(self, zone: zoneinfo.ZoneInfo, after: float) -> float | None:
        if self.cron:
            return next_moment(self.cron, zone, after)
        number = max(0, floor((after - self.anchor_at) / self.interval_s) + 1)
        due_at = round(self.anchor_at + number * self.interval_s, 3)
        if due_at <= after:  # the division has lost a digit
            due_at = round(self.anchor_at + (number + 1) * self.interval_s, 3)
        return due_at

    def fire_at(self, name: str, due_at: float) -> float:
        """Return when a due moment is acted upon: later by its jitter, within the same hours.

        The share is drawn from the schedule's name and the moment: every gateway and every
        look at the next moments says the same.
        """
        if not self.jitter_s:
            return due_at
        share = crc32(f"{name}:{due_at:.3f}".encode()) / 0x1_0000_0000  # 0 to 1, without 1
        late_at = due_at + self.jitter_s * share
        if self.hours and not is_open(self.hours, zone_of(self.zone), late_at):
            return due_at
        return late_at

    def upcoming(self, after: float, count: int) -> list[float]:
        """Return the next due moments, up to `count` of them."""
        found: list[float] = []
        while len(found) < count:
            due_at = self.next_due(found[-1] if found else after)
            if due_at is None:
                break
            found.append(due_at)
        return found

    def passed(self, after: float, now: float, limit: int) -> Passed:
        """Return what was due after `after` and up to `now`: the last `limit` of it."""
        first = self.next_due(after)
        last: deque[float] = deque(maxlen=limit)
        due_at, count = first, 0
        for _ in range(_LAST_ROUNDS_COUNT):
            begun_at, walked_count = due_at, 0
            while due_at is not None and due_at <= now and walked_count < _WALK_LIMIT_COUNT:
                last.append(due_at)
                walked_count += 1
                due_at = self.next_due(due_at)
            count += walked_count
            if due_at is None or due_at > now or begun_at is None:
                break
            # A month of seconds is not walked through: most of the rest is passed over.
            pace_s = (due_at - begun_at) / walked_count
            due_at = self.next_due(max(due_at, now - pace_s * limit * 2) - 0.001)
        is_whole = count == len(last)
        return Passed(tuple(last), None if is_whole or first is None else first)


class Passed(Struct, frozen=True):
    """Moments that were due. `first_at` is the first of those left out; None: there are all."""

    due_ats: tuple[float, ...]
    first_at: float | None = None


@lru_cache(maxsize=1024)
def zone_of(name: str) -> zoneinfo.ZoneInfo:
    """Return a time zone by its IANA name.

    Raises:
        ValueError: There is none of this name.
    """
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, OSError) as error:  # a folder of the zone's files is no zone
        raise ValueError(name) from error
