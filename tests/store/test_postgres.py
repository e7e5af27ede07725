"""The store on PostgreSQL: the same tables, the same errors, and other gateways beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from tests.postgres import Server
from zscrape.errors import StorageError
from zscrape.errors.storage import LeaseLost, PostgresEncoding, StorageNewer, StorageUnavailable
from zscrape.store import behind
from zscrape.store.newest import HEAD
from zscrape.store.postgres import PostgresDatabase, look_at_server, open_database
from zscrape.store.schema import METADATA
from zscrape.store.sql import SqlTaskStore
from zscrape.store.tasks import KeyTaken, TaskRow

pytestmark = pytest.mark.system


def task(number: int, **fields: Any) -> TaskRow:
    """Return a durable row."""
    named: dict[str, Any] = {"origin": "task", **fields}
    return TaskRow(id=f"t{number}", script_name="page", created_at=float(number), **named)


async def until(is_so: Callable[[], bool]) -> None:
    """Look until it is so."""
    while not is_so():  # noqa: ASYNC110 - what is looked at tells nobody
        await asyncio.sleep(0.01)


@pytest.fixture
async def stores(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[SqlTaskStore, SqlTaskStore]]:
    """Return the stores of two gateways on one database, which try again soon."""
    monkeypatch.setattr(behind, "RETRY_S", 0.05)
    url = postgres.url()
    async with AsyncExitStack() as parts:
        made = [SqlTaskStore(PostgresDatabase(url), owner=name) for name in ("a", "b")]
        for store in made:
            parts.push_async_callback(store.close)
        yield made[0], made[1]


def test_gateways_that_start_at_once_make_the_schema_once(postgres: Server) -> None:
    """Of several upgrades at the same time one does it, and the tables are those of the schema."""
    url = postgres.url()
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(open_database, url) for _ in range(4)]:
            done.result()

    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), METADATA)
    engine.dispose()

    assert differences == []


def test_a_server_is_looked_at_without_a_change(postgres: Server) -> None:
    """Before the first gateway there is no schema; afterwards it is told, with who is there."""
    url = postgres.url()

    before = look_at_server(url)
    open_database(url)

    assert (before, look_at_server(url)) == (("", 0), (HEAD, 0))


async def test_a_database_of_plain_bytes_keeps_every_text(postgres: Server) -> None:
    """SQL_ASCII, which a server set up without a locale has, is brought up to date and written."""
    store = SqlTaskStore(PostgresDatabase(postgres.url("SQL_ASCII")), owner="a")
    await store.add(task(1, client="녹차 \U0001f375", idempotency_key="주문 1"))
    found = await store.find_by_key("녹차 \U0001f375", "주문 1")
    await store.close()

    assert found is not None
    assert found.client == "녹차 \U0001f375"


@pytest.mark.parametrize("use", [open_database, look_at_server])
def test_a_database_that_cannot_hold_every_text_is_refused(
    postgres: Server, use: Callable[[str], object]
) -> None:
    """In LATIN1 the first Korean page would end all writing: it is said before the start."""
    with pytest.raises(PostgresEncoding) as caught:
        use(postgres.url("LATIN1"))

    assert caught.value.reason == "LATIN1"


def test_a_newer_schema_is_left_alone(postgres: Server) -> None:
    """A database of a newer zscrape is refused and not touched."""
    url = postgres.url()
    open_database(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StorageNewer):
        open_database(url)


def test_a_server_that_is_not_there_is_told() -> None:
    """Nobody at the address: an error with the code that says so, without the password."""
    with pytest.raises(StorageUnavailable) as caught:
        open_database("postgresql://user:hidden@127.0.0.1:1/none")

    assert caught.value.code == "storage_unavailable"
    assert "hidden" not in str(caught.value)


async def test_one_key_is_one_task_over_two_gateways(
    stores: tuple[SqlTaskStore, SqlTaskStore],
) -> None:
    """Of two gateways that accept the same key at once one is refused; the others' keys pass."""
    first, second = stores
    rows = [
        task(number, client="c", idempotency_key=f"k{number % 10}", origin=origin)
        for number, origin in ((n, "task" if n % 2 else "scrape") for n in range(20))
    ]
    answers = await asyncio.gather(
        *(first.add(row) for row in rows[:10]),
        *(second.add(row) for row in rows[10:]),
        return_exceptions=True,
    )

    refused = [each for each in answers if each is not None]
    kept = {f"k{number}": await first.find_by_key("c", f"k{number}") for number in range(10)}
    other = {f"k{number}": await second.find_by_key("c", f"k{number}") for number in range(10)}
    assert len(refused) == 10
    assert all(isinstance(each, KeyTaken) for each in refused)
    assert all(row is not None for row in kept.values())
    assert {key: row and row.id for key, row in kept.items()} == {
        key: row and row.id for key, row in other.items()
    }


async def test_nothing_accepted_is_lost_by_a_restart_of_the_server(
    stores: tuple[SqlTaskStore, SqlTaskStore], postgres: Server
) -> None:
    """While the server is away new tasks are refused; then it goes on by itself, with all."""
    store = stores[0]
    accepted: list[str] = []
    refused: list[str] = []
    is_over = asyncio.Event()

    async def load(begin: int) -> None:
        number = begin
        while not is_over.is_set():
            number += 1
            try:
                await store.add(task(number))
                accepted.append(f"t{number}")
            except StorageError as error:
                refused.append(error.code)
                await asyncio.sleep(0.01)

    loads = [asyncio.create_task(load(place * 1_000_000)) for place in range(4)]
    await until(lambda: len(accepted) >= 50)
    await asyncio.to_thread(postgres.stop, "immediate")
    await until(lambda: bool(refused))
    await asyncio.to_thread(postgres.start)
    count = len(accepted)
    await until(lambda: len(accepted) >= count + 50)
    is_over.set()
    await asyncio.gather(*loads)
    await store.settled()

    taken, _ = await SqlTaskStore(store._database, owner="a").take_up(0.0)
    assert {each.row.id for each in taken} == set(accepted)
    assert set(refused) == {"storage_unavailable"}
    assert store.fault() == ""


async def test_a_life_without_its_lease_writes_nothing(postgres: Server) -> None:
    """A gateway whose tasks are another's by now cannot change them."""
    url = postgres.url()
    store = SqlTaskStore(PostgresDatabase(url, fence=("a", "boot")), owner="a")

    with pytest.raises(LeaseLost):
        await store.add(task(1))

    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM tasks").fetchone() == (0,)
    store._dirty.clear()
    store._discarded.clear()
    await store.close()


async def test_odd_text_is_kept_out_of_harm(stores: tuple[SqlTaskStore, SqlTaskStore]) -> None:
    """Text that PostgreSQL cannot hold is found nowhere, and is no fault of the database."""
    assert await stores[0].get("\0") is None
    assert await stores[0].get("\ud800") is None
    assert stores[0].fault() == ""
