"""What scripts remember between runs, on every kind of database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from zscrape.store.database import Database
from zscrape.store.postgres import PostgresDatabase
from zscrape.store.scriptstate import ScriptStateStore, StateCountReached, StateMoved
from zscrape.store.volatile import VolatileDatabase


@pytest.fixture(params=["file", "memory", pytest.param("postgres", marks=pytest.mark.system)])
async def database(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[Any]:
    """Return a database of each kind."""
    made: Any
    if request.param == "file":
        made = Database(path)
    elif request.param == "memory":
        made = VolatileDatabase(("script_state",))
    else:
        made = PostgresDatabase(request.getfixturevalue("postgres").url())
    yield made
    await made.close()


class Kept:
    """A store, with what every put of these tests has in common."""

    def __init__(self, database: Any) -> None:
        self.store = ScriptStateStore(database)
        self.count = 0

    async def put(self, key: str, value: bytes = b"1", **more: Any) -> int:
        """Keep a value of the script `shop`."""
        self.count += 1
        told: dict[str, Any] = {
            "revision": None,
            "writer": f"w{self.count}",
            "now": 1.0,
            "limit_count": 5,
            **more,
        }
        return await self.store.put(told.pop("script", "shop"), key, value, **told)


@pytest.fixture
def kept(database: Any) -> Kept:
    """Return a store."""
    return Kept(database)


async def test_what_is_put_comes_back(kept: Kept) -> None:
    """A value is found by its script and key, and by no other; the last one stands."""
    await kept.put("한 글", b'{"a":1}')
    revision = await kept.put("한 글", b'{"a":2}')
    row = await kept.store.get("shop", "한 글")

    assert row is not None
    assert (row.value, row.revision) == (b'{"a":2}', revision)
    assert await kept.store.get("shop", "other") is None
    assert await kept.store.get("other", "한 글") is None


async def test_a_change_of_what_has_moved_is_refused(kept: Kept) -> None:
    """Only the revision that is there now may be replaced, and zero stands for none."""
    first = await kept.put("k", revision=0)
    second = await kept.put("k", b"2", revision=first)
    for old in (0, first, second + 1):
        with pytest.raises(StateMoved):
            await kept.put("k", b"3", revision=old)
    with pytest.raises(StateMoved):
        await kept.put("none", revision=second)
    row = await kept.store.get("shop", "k")

    assert second > first
    assert row is not None
    assert row.value == b"2"


async def test_the_same_change_again_is_one_change(kept: Kept) -> None:
    """Whoever asks again because an answer was lost is told what the first one was."""
    first = await kept.put("k", revision=0, writer="task/1/1")
    again = await kept.put("k", revision=0, writer="task/1/1")

    assert again == first


async def test_a_key_that_is_made_anew_has_no_old_revision(kept: Kept) -> None:
    """Forgetting and remembering again is a change that a compare sees."""
    first = await kept.put("k", now=1.0)
    removed = [await kept.store.remove("shop", "k") for _ in range(2)]
    second = await kept.put("k", now=1.1)

    assert removed == [True, False]
    assert second > first


async def test_parallel_changes_lose_nothing(kept: Kept) -> None:
    """Twenty that read, add one and compare all count."""

    async def add(number: int) -> None:
        while True:
            row = await kept.store.get("shop", "n")
            value, revision = (0, 0) if row is None else (int(row.value), row.revision)
            try:
                await kept.put("n", b"%d" % (value + 1), revision=revision)
            except StateMoved:
                continue
            return

    await asyncio.gather(*(add(number) for number in range(20)))
    row = await kept.store.get("shop", "n")

    assert row is not None
    assert row.value == b"20"


async def test_a_script_has_so_many_keys_and_no_more(kept: Kept) -> None:
    """What is there may change at the limit; a new key may not come; others are not concerned."""
    for number in range(5):
        await kept.put(f"k{number}")
    with pytest.raises(StateCountReached):
        await kept.put("k5")
    await kept.put("k0", b"2")
    await kept.put("k0", script="other")

    assert len(await kept.store.page("shop", limit=10)) == 5


async def test_pages_go_by_key(kept: Kept) -> None:
    """A page has what comes after a key and begins with a prefix, taken as it stands."""
    for key in ("a%1", "a%2", "ab", "b"):
        await kept.put(key)
    prefixed = await kept.store.page("shop", prefix="a%", limit=10)
    rest = await kept.store.page("shop", after="a%2", limit=1)

    assert [row.key for row in prefixed] == ["a%1", "a%2"]
    assert [row.key for row in rest] == ["ab"]
    assert await kept.store.clear("shop") == 4
    assert await kept.store.page("shop", limit=10) == []


@pytest.mark.system
async def test_of_two_gateways_one_changes_a_revision(request: pytest.FixtureRequest) -> None:
    """Two gateways that put over the same revision, or where there is none, do so once."""
    url = request.getfixturevalue("postgres").url()
    databases = [PostgresDatabase(url) for _ in range(2)]
    stores = [ScriptStateStore(each) for each in databases]

    async def put(store: ScriptStateStore, key: str, revision: int, writer: str) -> int:
        try:
            return await store.put(
                "shop", key, b"1", revision=revision, writer=writer, now=1.0, limit_count=100
            )
        except StateMoved:
            return 0

    won_counts = []
    for number in range(20):
        revision = 0
        for turn in range(2):
            told = await asyncio.gather(
                *(
                    put(each, f"k{number}", revision, f"{number}/{turn}/{place}")
                    for place, each in enumerate(stores)
                )
            )
            won_counts.append(2 - told.count(0))
            revision = max(told)
    for each in databases:
        await each.close()

    assert won_counts == [1] * 40
