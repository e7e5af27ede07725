"""How budgets of sites are written: what a site is called, and what a rate is."""

from __future__ import annotations

import re
from typing import Final

EVERY_SITE: Final = "*"
_HOST = re.compile(
    r"(?=.{1,255}\Z)(?:\[[0-9a-f:.]+\]|(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*"
    r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)(?::[0-9]{1,5})?"
)
_RATE = re.compile(r"(?P<count>[0-9]{1,6}(?:\.[0-9]{1,3})?)\s*/\s*(?P<unit>s|min|m|h)")
_UNITS_S: Final = {"s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}


def site_name(given: str) -> str | None:
    """Return the name of a site as it is compared: `example.com`, `example.com:8080`, `*`.

    None: it is no host name. Letters of other than ASCII are written as IDNA has them.
    """
    name = given.strip().lower().rstrip(".")
    if not name.isascii():
        try:
            name = name.encode("idna").decode()
        except UnicodeError:
            return None
    return name if name == EVERY_SITE or _HOST.fullmatch(name) else None


def rate_per_s(given: str) -> float | None:
    """Return a rate such as `2/s`, `30/min` or `100/h` as so many a second; None: it is none."""
    match = _RATE.fullmatch(given.strip())
    if match is None or float(match["count"]) == 0:
        return None
    return float(match["count"]) / _UNITS_S[match["unit"]]


def rate_text(per_s: float) -> str:
    """Return a rate in the shortest unit of time that makes it at least one, as people write it."""
    unit = next((each for each in ("s", "min") if per_s * _UNITS_S[each] >= 1.0), "h")
    return f"{round(per_s * _UNITS_S[unit], 3):g}/{unit}"
