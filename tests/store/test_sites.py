"""Budgets of sites: kept, replaced and forgotten; and states that several gateways share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.postgres import Server
from zscrape.model import SiteBudget
from zscrape.store.database import Database
from zscrape.store.postgres import PostgresDatabase, open_database
from zscrape.store.sites import BudgetRow, SiteBudgets
from zscrape.store.sitestates import SiteStates
from zscrape.store.volatile import VolatileDatabase


@pytest.fixture(
    params=["file", "memory", pytest.param("postgres", marks=pytest.mark.system)],
)
async def budgets(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[SiteBudgets]:
    """Return budgets on each kind of database."""
    database: Any
    if request.param == "postgres":
        server: Server = request.getfixturevalue("postgres")
        database = PostgresDatabase(server.url())
    else:
        is_file = request.param == "file"
        database = Database(path) if is_file else VolatileDatabase(("site_budgets",))
    yield SiteBudgets(database)
    await database.close()


async def test_a_budget_is_kept_replaced_and_forgotten(budgets: SiteBudgets) -> None:
    """The last word holds, and what was forgotten cannot be forgotten again."""
    first = BudgetRow("b.example", SiteBudget(2.0, 3, 4, 0.5), 1.0, "key")
    last = BudgetRow("b.example", SiteBudget(), 2.0, "other")
    other = BudgetRow("a.example", SiteBudget(rate_per_s=0.1), 3.0, "key")
    await budgets.put(first)
    kept = await budgets.all()
    await budgets.put(last)
    await budgets.put(other)
    replaced = await budgets.all()
    dropped = [await budgets.drop("b.example") for _ in range(2)]

    assert kept == [first]
    assert replaced == [other, last]
    assert dropped == [True, False]
    assert await budgets.all() == [other]


@pytest.fixture
async def gateways(postgres: Server) -> AsyncIterator[list[SiteStates]]:
    """Return three gateways' sites, in one database."""
    url = postgres.url()
    open_database(url)
    made = [SiteStates(url) for _ in range(3)]
    yield made
    for each in made:
        await each.close()


def add(raw: bytes, now: float) -> tuple[bytes, bytes]:
    """Add one letter to a state, and return what was there."""
    return raw + b"x", raw


@pytest.mark.system
async def test_changes_of_several_gateways_follow_each_other(gateways: list[SiteStates]) -> None:
    """No two see the same state, and none is lost, however many come at once."""
    seen = await asyncio.gather(
        *(each.change("a.example", add) for each in gateways for _ in range(20))
    )
    (found,) = await gateways[0].recent(60.0, 10)

    assert sorted(map(len, seen)) == list(range(60))
    assert found[:2] == ("a.example", b"x" * 60)


@pytest.mark.system
async def test_states_that_are_old_are_swept(gateways: list[SiteStates]) -> None:
    """What has not changed for long is gone; the clock is the database's."""
    for site in ("old.example", "new.example"):
        await gateways[0].change(site, add)
    with psycopg.connect(gateways[0]._alone.url, autocommit=True) as connection:
        connection.execute("UPDATE site_states SET at = at - 100 WHERE site = 'old.example'")
    recent = await gateways[1].recent(60.0, 10)
    await gateways[1].sweep(60.0)
    left = await gateways[2].recent(1000.0, 10)

    assert [site for site, _, _ in recent] == ["new.example"]
    assert [site for site, _, _ in left] == ["new.example"]


@pytest.mark.system
async def test_a_change_that_fails_changes_nothing(gateways: list[SiteStates]) -> None:
    """An error inside leaves what was there, and the next change goes on from it."""

    def fail(raw: bytes, now: float) -> tuple[bytes, None]:
        raise LookupError

    await gateways[0].change("a.example", add)
    with pytest.raises(LookupError):
        await gateways[0].change("a.example", fail)

    assert await gateways[1].change("a.example", add) == b"x"
