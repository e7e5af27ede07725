"""Keys of items: pending while an attempt runs, known once it has ended well."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from zscrape.store.database import Database
from zscrape.store.itemkeys import ItemKeyStore
from zscrape.store.postgres import PostgresDatabase
from zscrape.store.volatile import VolatileDatabase

A, B, C = (bytes([number]) * 16 for number in range(3))


@pytest.fixture(params=["file", "memory", pytest.param("postgres", marks=pytest.mark.system)])
async def store(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[ItemKeyStore]:
    """Return a store on each kind of database."""
    made: Any
    if request.param == "file":
        made = Database(path)
    elif request.param == "memory":
        made = VolatileDatabase(("item_keys", "pending_item_keys"))
    else:
        made = PostgresDatabase(request.getfixturevalue("postgres").url())
    yield ItemKeyStore(made)
    await made.close()


async def ask(
    store: ItemKeyStore, task: str, *digests: bytes, attempt: int = 1, now: float = 0.0
) -> frozenset[bytes]:
    """Ask for an attempt of the script `shop`, whose keys count for ten seconds."""
    return await store.ask("shop", (task, attempt), digests, kept_s=10.0, now=now)


async def test_keys_count_from_the_end_of_an_attempt_that_ended_well(store: ItemKeyStore) -> None:
    """While it runs nobody else hears of them; afterwards its script does, and no other."""
    first = await ask(store, "t1", A, B)
    meanwhile = await ask(store, "t2", A)
    await store.settle("t1", 1, now=1.0)
    later = await ask(store, "t3", A, B, C, now=2.0)
    other = await store.ask("other", ("t4", 1), [A], kept_s=10.0, now=2.0)

    assert first == meanwhile == other == frozenset()
    assert later == {A, B}
    assert await store.find("shop", A, now=2.0) == ("t1", 11.0)


async def test_keys_of_failed_attempts_are_forgotten(store: ItemKeyStore) -> None:
    """Neither a task that failed, nor the first try of one that came through, keeps a key."""
    await ask(store, "failed", A)
    await store.settle("failed", None, now=1.0)
    await ask(store, "retried", B, attempt=1)
    await ask(store, "retried", C, attempt=2)
    await store.settle("retried", 2, now=1.0)

    assert await ask(store, "t", A, B, C, now=2.0) == {C}


async def test_the_same_question_again_has_the_same_answer(store: ItemKeyStore) -> None:
    """An attempt does not know its own keys, however often it asks."""
    assert await ask(store, "t", A) == await ask(store, "t", A, B) == frozenset()


async def test_a_key_counts_as_long_as_it_is_seen(store: ItemKeyStore) -> None:
    """Its time begins anew with every run that sees it, and ends when none does."""
    await ask(store, "t1", A)
    await store.settle("t1", 1, now=0.0)
    seen = await ask(store, "t2", A, now=9.0)
    await store.settle("t2", 1, now=9.0)

    assert seen == {A}
    assert await ask(store, "t3", A, now=18.0) == {A}
    assert await ask(store, "t3", A, now=19.0) == frozenset()
    assert await store.sweep(now=19.0) == 1
    assert await store.sweep(now=19.0) == 0


async def test_people_forget_one_or_all(store: ItemKeyStore) -> None:
    """What is forgotten is brought again."""
    await ask(store, "t1", A, B, C)
    await store.settle("t1", 1, now=0.0)

    assert await store.count("shop", now=1.0) == 3
    assert await store.forget("shop", A) == 1
    assert await store.forget("shop", A) == 0
    assert await store.forget("shop") == 2
    assert await ask(store, "t2", A, B, C, now=1.0) == frozenset()


async def test_pending_keys_name_their_tasks(store: ItemKeyStore) -> None:
    """After a restart it can be found out whose keys are undecided."""
    await ask(store, "t1", A, now=1.0)
    await ask(store, "t1", B, now=2.0)
    await ask(store, "t2", A, now=3.0)

    assert sorted(await store.pending()) == [("t1", 2.0), ("t2", 3.0)]
