"""`[scripts.NAME] sites`: budgets that one script's own manifest does not have to know."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from zscrape.budgets import rate_per_s, site_name
from zscrape.config.repositories import fields_of
from zscrape.config.values import wrong
from zscrape.model import SiteBudget

_SHAPE = '"example.com".rate = "2/s"'


class _Site(Struct, frozen=True, kw_only=True):
    """One site, as a manifest has it, too."""

    rate: str | None = None
    concurrency: int | None = None
    burst: int | None = None
    gap: float | None = None


def read_script_sites(table: Any, source: str) -> dict[str, SiteBudget]:
    """Return the budgets of a table, by site.

    Raises:
        SettingError: It is no such table.
    """
    if not isinstance(table, dict):
        raise wrong(source, table, _SHAPE)
    found = {}
    for host, row in table.items():
        place = f"{source}.{host}"
        name = site_name(host)
        if name is None or not isinstance(row, dict):
            raise wrong(place, row if name else host, _SHAPE)
        told = _Site(**fields_of(_Site, row, place))
        found[name] = SiteBudget(
            rate_per_s=_rate(told.rate, place),
            concurrency_count=told.concurrency,
            burst_count=told.burst,
            gap_s=told.gap,
        )
    return found


def _rate(told: str | None, place: str) -> float | None:
    if told is None:
        return None
    rate = rate_per_s(told)
    if rate is None:
        raise wrong(f"{place}.rate", told, "2/s, 30/min, 100/h")
    return rate
