"""Leases in the database: who lives, who is dead, and who gets the dead one's tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import psycopg
import pytest

from tests.postgres import Server
from zscrape.errors.storage import LeaseLost
from zscrape.store.gateways import GatewayLease
from zscrape.store.postgres import PostgresDatabase, open_database
from zscrape.store.sql import SqlTaskStore
from zscrape.store.tasks import TaskRow

pytestmark = pytest.mark.system


class Scene:
    """Gateways that share one database, each by its name."""

    def __init__(self, url: str, parts: AsyncExitStack) -> None:
        self.url = url
        self._parts = parts

    async def gateway(self, name: str, boot: str = "b1", *, lease_s: float = 60.0) -> GatewayLease:
        """Begin a life of a gateway."""
        lease = GatewayLease(self.url, name, boot, lease_s=lease_s)
        self._parts.push_async_callback(lease.close)
        await lease.register()
        return lease

    async def own(self, owner: str, *numbers: int) -> None:
        """Have a gateway own tasks."""
        store = SqlTaskStore(PostgresDatabase(self.url), owner=owner)
        for number in numbers:
            row = TaskRow(id=f"t{number}", script_name="page", created_at=1.0, origin="task")
            await store.add(row)
        await store.close()

    def kill(self, *names: str) -> None:
        """Let leases have ended long ago."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                "UPDATE gateways SET lease_until = 0 WHERE id = ANY(%s)", (list(names),)
            )


@pytest.fixture
async def scene(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    """Return a database with no gateway; whoever looks at others has lived long enough."""
    monkeypatch.setattr(GatewayLease, "_is_steady", lambda self: True)
    url = postgres.url()
    open_database(url)
    async with AsyncExitStack() as parts:
        yield Scene(url, parts)


async def test_the_tasks_of_the_dead_go_to_the_others_once(scene: Scene) -> None:
    """Two that take over at once get different tasks, all of them, and nobody else's."""
    first, second = await scene.gateway("a"), await scene.gateway("b")
    await scene.gateway("c")
    await scene.own("a", 100)
    await scene.own("c", *range(20))
    scene.kill("c")
    renewed = await first.renew()

    taken: list[int] = []
    while got := [seq for each in await both(first, second) for seq in each]:
        taken += got

    again = await first.renew()
    assert (renewed.expired, renewed.dead_count, renewed.other_count) == (("c",), 1, 1)
    assert sorted(taken) == sorted(set(taken))
    assert len(taken) == 20
    assert (again.dead_count, again.other_count) == (0, 1)


async def both(first: GatewayLease, second: GatewayLease) -> list[tuple[int, ...]]:
    """Let both take over a few at the same time."""
    found = await asyncio.gather(first.adopt(3), second.adopt(3))
    return [each.live for each in found]


async def test_who_was_taken_for_dead_is_told(scene: Scene) -> None:
    """A life that is over cannot be renewed, takes nothing, and gets no lock; a new one can."""
    living, dead = await scene.gateway("a"), await scene.gateway("b")
    scene.kill("b")
    await living.renew()

    for call in (dead.renew(), dead.adopt(1), dead.take_lock("key", "t", is_sure=True)):
        with pytest.raises(LeaseLost):
            await call
    await (await scene.gateway("b", "b2")).renew()


async def test_another_life_of_a_gateway_fences_the_one_before(scene: Scene) -> None:
    """The same home started again: what the process before still writes is refused."""
    before = await scene.gateway("a", "b1")
    await scene.gateway("a", "b2")

    with pytest.raises(LeaseLost):
        await before.renew()


async def test_a_gateway_that_leaves_hands_over_at_once(scene: Scene) -> None:
    """Nobody has to wait for the lease of one that has ended in good order."""
    staying, leaving = await scene.gateway("a"), await scene.gateway("b")
    await scene.own("b", 1)
    await leaving.close()

    renewed, adopted = await staying.renew(), await staying.adopt(10)

    assert (renewed.expired, renewed.dead_count) == ((), 1)
    assert len(adopted.live) == 1


async def test_after_an_outage_nobody_is_dead_before_all_could_come_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who reaches the database first after it was away gives the others a lease's time."""
    monkeypatch.undo()
    first = await scene.gateway("a")
    await scene.gateway("b")
    scene.kill("a", "b")

    assert (await first.renew()).expired == ()


async def test_a_wish_is_heard_once_by_the_owner(scene: Scene) -> None:
    """A cancel that is left in the database reaches the gateway that looks after the task."""
    first, second = await scene.gateway("a"), await scene.gateway("b")
    await scene.own("a", 1)

    await second.ask_cancel("t1")
    await second.ask_cancel("t1")
    other, heard, later = await second.renew(), await first.renew(), await first.renew()

    assert (other.cancelled, heard.cancelled, later.cancelled) == ((), ("t1",), ())


async def test_a_lock_is_one_gateways_until_it_is_freed(scene: Scene) -> None:
    """The other is told the holder; a dead holder's lock goes with its task."""
    first, second = await scene.gateway("a"), await scene.gateway("b")
    await scene.own("a", 1)
    taken = await first.take_lock("key", "t0", is_sure=False)
    kept = await first.take_lock("key", "t9", is_sure=False)
    given = await first.take_lock("key", "t1", is_sure=True)
    refused = await second.take_lock("key", "t2", is_sure=True)
    scene.kill("a")
    await second.renew()
    early = await second.take_lock("key", "t2", is_sure=True)
    await second.adopt(10)
    moved = await second.locks()
    await second.free_locks(["key"])

    assert (taken, kept, given) == (None, None, None)
    assert refused is not None
    assert refused.holder == "t1"
    assert early is not None
    assert moved == {"key": "t1"}
    assert await second.locks() == {}
