"""Budgets of sites that several gateways keep together, by the database that they share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest

from tests.postgres import Server
from zscrape.gateway.asked import Asked
from zscrape.gateway.siteledger import SharedLedger
from zscrape.gateway.sites import Sites
from zscrape.model import Pin, RunSpec, SiteBudget
from zscrape.store.postgres import PostgresDatabase
from zscrape.store.sites import SiteBudgets
from zscrape.store.sitestates import SiteStates

pytestmark = pytest.mark.system

RUN = RunSpec(Pin("r", "shop", "1.0.0", "sha256:0"))
LIMIT_S = 40.0


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    """Return a PostgreSQL server."""
    server = Server()
    yield server
    server.close()


@pytest.fixture
async def gateways(postgres: Server) -> AsyncIterator[list[Sites]]:
    """Return the sites of three gateways on one database."""
    url = postgres.url()
    databases = [PostgresDatabase(url) for _ in range(3)]
    made = [
        Sites(
            budgets=SiteBudgets(database),
            ledger=SharedLedger(SiteStates(url)),
            owner=f"g{number}",
            is_shared=True,
        )
        for number, database in enumerate(databases)
    ]
    for each in made:
        await each.start()
    yield made
    for each in made:
        await each.close()
    for database in databases:
        await database.close()


def asked(task_id: str, number: int, body: dict[str, Any]) -> Asked:
    """Return a question of a task."""
    return Asked(task_id, 1, number, "site", msgspec.json.encode(body), "w", RUN)


async def crawl(sites: Sites, task_id: str, count: int, arrived: list[float]) -> None:
    """Ask a site so many times, as a script does."""
    for number in range(count):
        told = await sites.answer(asked(task_id, number, {"host": "a.example"}))
        arrived.append(time.monotonic())
        report = {"event": "over", "token": msgspec.json.decode(told)["token"]}
        await sites.seen(asked(task_id, number, {"reports": [report]}))


async def test_a_rate_holds_over_all_gateways(gateways: list[Sites]) -> None:
    """However many gateways let requests go, a site sees no more than its rate."""
    await gateways[0].put("a.example", SiteBudget(rate_per_s=20.0), by="key")
    for each in gateways:
        await each.load()
    arrived: list[float] = []
    async with asyncio.timeout(LIMIT_S):
        await asyncio.gather(
            *(crawl(each, f"t{number}", 20, arrived) for number, each in enumerate(gateways))
        )

    arrived.sort()
    assert len(arrived) == 60
    # The budget is kept by the database's clock, which may be set while this looks at another.
    assert min(last - first for first, last in zip(arrived, arrived[20:], strict=False)) > 0.98


async def test_places_hold_over_all_gateways(gateways: list[Sites]) -> None:
    """An open request at one gateway is one less at the others, until it is over."""
    await gateways[0].put("a.example", SiteBudget(concurrency_count=1), by="key")
    for each in gateways:
        await each.load()
    told = await gateways[0].answer(asked("a", 1, {"host": "a.example"}))
    waiting = asyncio.create_task(gateways[1].answer(asked("b", 1, {"host": "a.example"})))
    async with asyncio.timeout(LIMIT_S):
        while (await gateways[2].view("a.example")).waiting_count == 0:
            pass
        seen = await gateways[2].view("a.example")
        report = {"event": "over", "token": msgspec.json.decode(told)["token"]}
        await gateways[0].seen(asked("a", 2, {"reports": [report]}))
        await waiting

    assert (seen.in_use_count, seen.waiting_count) == (1, 1)


async def test_a_complaint_is_heeded_everywhere(gateways: list[Sites]) -> None:
    """What one gateway hears of a site is known to the others a moment later."""
    report = {"event": "over", "host": "a.example", "status": 429, "retry_after_s": 600.0}
    await gateways[0].seen(asked("a", 1, {"reports": [report]}))
    async with asyncio.timeout(LIMIT_S):
        while b"a.example" not in await gateways[1].answer(asked("b", 1, {})):
            await gateways[1].load()

    assert (await gateways[2].view("a.example")).paused_s > 500.0
