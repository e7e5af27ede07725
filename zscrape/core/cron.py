"""Cron expressions: five fields, six with seconds first, names, and `@daily` and its like.

The parsing and the walk are those of `cronsim`. What an expression means when clocks change is
decided here, and is the same for five and for six fields:

* A fixed time (neither the minute nor the hour begins with `*`) is due once on every day that
  it names. One that falls into the hour that spring leaves out is due as that hour ends; one in
  the hour that autumn repeats is due in the first of the two.
* A rhythm (the minute or the hour begins with `*`) follows real time: nothing is made up for
  in spring, and the hour that autumn repeats counts twice.

Source: cron(8) of Debian, which draws the same line at changes of less than three hours.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from zscrape.onuse import on_use

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    import cronsim
else:
    cronsim = on_use("cronsim")

MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
LENGTH_LIMIT: Final = 200
_FIELDS: Final = frozenset({"second", "minute", "hour", "day-of-month", "month", "day-of-week"})
_BORN: Final = datetime(2000, 1, 1, tzinfo=UTC)


class CronFault(Exception):
    """Raised when an expression cannot be used.

    `fault` is the name of the field that is wrong, or `count`, `macro`, `length` or `never`.
    """

    def __init__(self, fault: str) -> None:
        super().__init__(fault)
        self.fault = fault


def parse_cron(given: str) -> str:
    """Return an expression in its plain form: five or six fields, macros written out.

    Raises:
        CronFault: It is none, or is due at no moment ever.
    """
    if len(given) > LENGTH_LIMIT:
        raise CronFault("length")
    plain = " ".join(given.split())
    if plain.startswith("@"):
        if plain.lower() not in MACROS:
            raise CronFault("macro")
        plain = MACROS[plain.lower()]
    if len(plain.split()) not in (5, 6):
        raise CronFault("count")
    try:
        first = next(cronsim.CronSim(plain, _BORN), None)
    except cronsim.CronSimError as error:
        name = str(error).removeprefix("Bad ")
        raise CronFault(name if name in _FIELDS else "count") from error
    if first is None:
        raise CronFault("never")
    return plain


def next_moment(plain: str, zone: ZoneInfo, after: float) -> float | None:
    """Return the first due moment after `after`, both Unix time; None when there is none.

    Args:
        plain: What `parse_cron` has returned.
        zone: Where its hours are counted.
        after: A moment that is no answer itself.
    """
    start = datetime.fromtimestamp(int(after // 1), zone)
    if not _is_fixed(plain):
        found = next(cronsim.CronSim(plain, start), None)
        return None if found is None else found.timestamp()
    walk = cronsim.CronSim(plain, start.replace(tzinfo=None, fold=0))
    while True:  # a change of clocks puts some on the same moment, or before the last
        naive = next(walk, None)
        if naive is None:
            return None
        moment = _moment_of(naive, zone)
        if moment > after:
            return moment


@lru_cache(maxsize=4096)
def _is_fixed(plain: str) -> bool:
    minute, hour = plain.split()[-5:-3]
    return not (minute.startswith("*") or hour.startswith("*"))


def _moment_of(naive: datetime, zone: ZoneInfo) -> float:
    """Return when a time on the wall is: the first of two, the end of the gap if there is none."""
    early = naive.replace(tzinfo=zone, fold=0)
    moment = early.timestamp()
    seen = datetime.fromtimestamp(moment, zone)
    if seen.replace(tzinfo=None, fold=0) == naive:
        return moment
    # In a gap `fold` 0 counts by the offset from before it, and 1 by that from after: between
    # the two readings lies the change itself, and the later offset is in force from there on.
    late = naive.replace(tzinfo=zone, fold=1).timestamp()
    return _change_between(min(moment, late), max(moment, late), zone)


def _change_between(low: float, high: float, zone: ZoneInfo) -> float:
    """Return the first whole second from which the offset of `high` holds."""
    offset = datetime.fromtimestamp(high, zone).utcoffset()
    low_s, high_s = int(low), int(high)
    while high_s - low_s > 1:
        middle_s = (low_s + high_s) // 2
        if datetime.fromtimestamp(middle_s, zone).utcoffset() == offset:
            high_s = middle_s
        else:
            low_s = middle_s
    return float(high_s)
