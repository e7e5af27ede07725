"""Sessions with sites and their leases, on every kind of database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from zscrape.store.database import Database
from zscrape.store.postgres import PostgresDatabase
from zscrape.store.sitesessions import LeaseRow, SessionRow, SiteSessionStore
from zscrape.store.volatile import VolatileDatabase

KEPT = SessionRow(
    site="shop.example",
    account="김",
    sealed=b"\0sealed",
    key_id="k",
    scripts=("shop_*",),
    status="good",
    cookie_count=2,
    created_at=1.0,
    updated_at=2.0,
    expires_at=9.0,
)


@pytest.fixture(params=["file", "memory", pytest.param("postgres", marks=pytest.mark.system)])
async def store(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[SiteSessionStore]:
    """Return a store on each kind of database."""
    made: Any
    if request.param == "file":
        made = Database(path)
    elif request.param == "memory":
        made = VolatileDatabase(("site_sessions", "session_leases"))
    else:
        made = PostgresDatabase(request.getfixturevalue("postgres").url())
    yield SiteSessionStore(made)
    await made.close()


def wanted(task_id: str, *, attempt: int = 1, is_exclusive: bool = True) -> LeaseRow:
    """Return a lease of the session that is kept."""
    return LeaseRow(
        site=KEPT.site,
        account=KEPT.account,
        task_id=task_id,
        attempt=attempt,
        is_exclusive=is_exclusive,
        granted_at=5.0,
    )


async def lease(store: SiteSessionStore, task_id: str, **more: Any) -> list[str]:
    """Lease the session; return the tasks that are in the way."""
    return [each.task_id for each in await store.lease(wanted(task_id, **more), ("shop",))]


async def test_a_session_comes_back_whole(store: SiteSessionStore) -> None:
    """Every field is kept, the last word stands, and what is removed is gone."""
    await store.put(replace(KEPT, status="bad", reason="old"))
    await store.put(KEPT)

    assert await store.all() == [KEPT]
    assert await store.get(KEPT.site, KEPT.account) == KEPT
    assert await store.get(KEPT.site, "other") is None
    assert [await store.remove(KEPT.site, KEPT.account) for _ in range(2)] == [True, False]
    assert await store.all() == []


async def test_an_exclusive_lease_keeps_everybody_else_out(store: SiteSessionStore) -> None:
    """The holder may ask again; shared or not, others are told who is in the way."""
    await store.put(KEPT)
    first = [await lease(store, "a"), await lease(store, "a")]
    others = [await lease(store, "b"), await lease(store, "c", is_exclusive=False)]
    row = await store.get(KEPT.site, KEPT.account)

    assert first == [[], []]
    assert others == [["a"], ["a"]]
    assert row is not None
    assert (row.use_count, row.used_at) == (1, 5.0)


async def test_shared_leases_keep_out_only_who_wants_to_be_alone(store: SiteSessionStore) -> None:
    """Several share it; one who would be alone waits for all of them."""
    shared = [await lease(store, name, is_exclusive=False) for name in ("a", "b")]
    alone = await lease(store, "c")
    await store.free("a", 1)
    after = await lease(store, "c")

    assert shared == [[], []]
    assert alone == ["a", "b"]
    assert after == ["b"]


async def test_many_at_once_are_granted_one(store: SiteSessionStore) -> None:
    """Of ten that want it alone at the same moment, exactly one has it."""
    found = await asyncio.gather(*(lease(store, f"t{number}") for number in range(10)))

    assert found.count([]) == 1
    assert len(await store.leases()) == 1


async def test_giving_back_changes_it_once(store: SiteSessionStore) -> None:
    """Only who has it may change it, and only while it has it."""
    await store.put(KEPT)
    await lease(store, "a")
    changed = replace(KEPT, revision=7)
    foreign = await store.give_back(KEPT.site, KEPT.account, ("b", 1), replace(KEPT, revision=9))
    given = await store.give_back(KEPT.site, KEPT.account, ("a", 1), changed)
    again = await store.give_back(KEPT.site, KEPT.account, ("a", 1), replace(KEPT, revision=8))
    row = await store.get(KEPT.site, KEPT.account)

    assert (foreign, given, again) == (False, True, False)
    assert row is not None
    assert row.revision == 7
    assert await store.leases() == []


async def test_the_end_of_an_attempt_frees_what_it_had(store: SiteSessionStore) -> None:
    """Its own leases and those of earlier tries; a later try keeps its own."""
    await lease(store, "a", attempt=1)
    await store.free("a", 2)
    await lease(store, "a", attempt=3)
    kept_count = await store.free("a", 2)

    assert kept_count == 0
    assert [each.attempt for each in await store.leases()] == [3]


async def test_a_session_that_never_was_leaves_nothing(store: SiteSessionStore) -> None:
    """Leasing what does not exist makes room for it, which goes when nothing came of it."""
    await lease(store, "a")
    (made,) = await store.all()
    await store.free("a", 1)

    assert (made.status, made.scripts) == ("new", ("shop",))
    assert await store.all() == []


@pytest.mark.system
async def test_of_two_gateways_one_lends_it(request: pytest.FixtureRequest) -> None:
    """Leases that two gateways grant at the same moment are one, round after round."""
    url = request.getfixturevalue("postgres").url()
    databases = [PostgresDatabase(url) for _ in range(2)]
    stores = [SiteSessionStore(each) for each in databases]
    granted_counts = []
    for number in range(20):
        wants = [lease(each, f"t{number}-{place}") for place, each in enumerate(stores)]
        granted_counts.append((await asyncio.gather(*wants)).count([]))
        for place in range(2):
            await stores[0].free(f"t{number}-{place}", 1)
    for each in databases:
        await each.close()

    assert granted_counts == [1] * 20
