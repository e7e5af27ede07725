"""Hours of the day in which something may happen, as `09:00-18:00` or `22:00-06:00`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

# Minutes of the day: from, and up to but without; one that ends before it begins is over night.
Window: TypeAlias = tuple[int, int]

_FORM: Final = re.compile(r"(\d{1,2})(?::(\d{2}))?\s*-\s*(\d{1,2})(?::(\d{2}))?")
_DAY_MINUTES: Final = 1440


def parse_window(given: str) -> Window:
    """Return a window of the day.

    Raises:
        ValueError: It is none.
    """
    found = _FORM.fullmatch(given.strip())
    if found is None:
        raise ValueError(given)
    begin = _minute(found[1], found[2])
    end = _minute(found[3], found[4])
    if begin >= _DAY_MINUTES or end > _DAY_MINUTES or begin == end:
        raise ValueError(given)
    return begin, end


def _minute(hour: str, minute: str | None) -> int:
    if int(minute or 0) > 59:
        raise ValueError(minute)
    return int(hour) * 60 + int(minute or 0)


def window_text(window: Window) -> str:
    """Return a window as it is written."""
    begin, end = window
    return f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"


def is_open(windows: Iterable[Window], zone: ZoneInfo, at: float) -> bool:
    """True iff a moment lies in one of the windows, by the clocks of `zone`."""
    local = datetime.fromtimestamp(at, zone)
    minute = local.hour * 60 + local.minute
    return any(_has(window, minute) for window in windows)


def _has(window: Window, minute: int) -> bool:
    begin, end = window
    return begin <= minute < end if begin < end else minute >= begin or minute < end


def next_open(windows: Iterable[Window], zone: ZoneInfo, at: float) -> float:
    """Return the first moment from `at` on, or one shortly before it, at which a window opens."""
    today = datetime.fromtimestamp(at, zone).date()
    begins = [
        datetime.combine(
            today + timedelta(days=day), time(begin // 60, begin % 60, fold=fold), tzinfo=zone
        ).timestamp()
        for day in (0, 1, 2)  # the third, since a change of clocks may leave out a beginning
        for begin, _ in windows
        for fold in (0, 1)  # in a gap the earlier reading, of two moments the first
    ]
    return min(moment for moment in begins if moment >= at)
