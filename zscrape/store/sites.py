"""Budgets of sites as operators have set them."""

from __future__ import annotations

import sqlite3
from typing import Final

from msgspec import Struct

from zscrape.model import SiteBudget
from zscrape.store.volatile import Tables

_COLUMNS: Final = "site, rate_per_s, concurrency_count, burst_count, gap_s, updated_at, updated_by"
_SELECT: Final = f"SELECT {_COLUMNS} FROM site_budgets ORDER BY site"  # noqa: S608 - constants
_UPSERT: Final = (
    f"INSERT INTO site_budgets ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) "  # noqa: S608 - constants
    "ON CONFLICT (site) DO UPDATE SET rate_per_s = excluded.rate_per_s, "
    "concurrency_count = excluded.concurrency_count, burst_count = excluded.burst_count, "
    "gap_s = excluded.gap_s, updated_at = excluded.updated_at, updated_by = excluded.updated_by"
)


class BudgetRow(Struct, frozen=True):
    """The budget of one site, and who has set it."""

    site: str
    budget: SiteBudget
    updated_at: float
    updated_by: str


class SiteBudgets:
    """The budgets in a database."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def all(self) -> list[BudgetRow]:
        """Return every budget, by site.

        Raises:
            StorageError: They cannot be read.
        """
        return await self._tables.read(_read_all)

    async def put(self, row: BudgetRow) -> None:
        """Keep a budget, over the one of its site.

        Raises:
            StorageError: It cannot be written; what was there still is.
        """
        budget = row.budget
        values = (
            *(row.site, budget.rate_per_s, budget.concurrency_count),
            *(budget.burst_count, budget.gap_s, row.updated_at, row.updated_by),
        )

        def work(writer: sqlite3.Connection) -> None:
            writer.execute(_UPSERT, values)

        await self._tables.write(work)

    async def drop(self, site: str) -> bool:
        """Forget a budget; False when there is none.

        Raises:
            StorageError: It cannot be written; what was there still is.
        """
        answers: list[bool] = []

        def work(writer: sqlite3.Connection) -> None:
            found = writer.execute("DELETE FROM site_budgets WHERE site = ?", (site,))
            answers.append(found.rowcount > 0)

        await self._tables.write(work)
        return answers[-1]


def _read_all(reader: sqlite3.Connection) -> list[BudgetRow]:
    return [
        BudgetRow(site, SiteBudget(rate, concurrency, burst, gap), at, by)
        for site, rate, concurrency, burst, gap, at, by in reader.execute(_SELECT)
    ]
