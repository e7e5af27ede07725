"""Limits of several gateways on one PostgreSQL: what one gives away, the others have no more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import pytest

from tests.postgres import Server
from zscrape.core.bucket import Rate
from zscrape.errors.storage import StorageFailed
from zscrape.gateway.ratelimits import LocalLimiter
from zscrape.gateway.sharedlimits import LimitSharing, SharedBuckets
from zscrape.store.gateways import GatewayLease
from zscrape.store.limits import Drawn, LimitStore
from zscrape.store.postgres import PostgresDatabase

pytestmark = pytest.mark.system

# So slow that no token comes in while the test runs.
SLOW = Rate(0.001, 10)


class Counter:
    """Counts the tasks of clients, as a dispatcher would."""

    def __init__(self) -> None:
        self.own: dict[str, int] = {}
        self.others: Mapping[str, int] = {}

    def client_counts(self) -> dict[str, int]:
        """Return how many tasks of each client have not ended here."""
        return dict(self.own)

    def count_elsewhere(self, counts: Mapping[str, int]) -> None:
        """Take what others have told."""
        self.others = counts


class Limited:
    """What one gateway has to do with limits."""

    def __init__(self, url: str, name: str) -> None:
        self.lease = GatewayLease(url, name, f"boot of {name}")
        self.database = PostgresDatabase(url)
        self.keeper = LimitStore(self.database, name)
        self.buckets = SharedBuckets("client", lambda: 0.0)
        self.scripts = SharedBuckets("script", lambda: 0.0)
        self.limiter = LocalLimiter(SLOW, lambda: 0.0, self.buckets)
        self.counter = Counter()
        self.is_alone = False
        self.sharing = LimitSharing(
            self.keeper,
            (self.buckets, self.scripts),
            self.counter,
            is_alone=lambda: self.is_alone,
        )

    def calls(self, count: int, client: str = "c") -> int:
        """Call so often; returns how many calls were let in."""
        verdicts = [self.limiter.take(client) for _ in range(count)]
        return sum(verdict is not None and verdict.is_allowed for verdict in verdicts)

    async def close(self) -> None:
        """End this gateway."""
        await self.database.close()
        await self.lease.close()


@pytest.fixture
async def both(postgres: Server) -> AsyncIterator[tuple[Limited, Limited]]:
    """Return two gateways of one database."""
    url = postgres.url()
    both = Limited(url, "a"), Limited(url, "b")
    for each in both:
        await each.lease.register()
    yield both
    for each in both:
        await each.close()


async def test_calls_at_two_gateways_are_counted_together(both: tuple[Limited, Limited]) -> None:
    """After they have settled, both know of every call, and a debt is paid off by waiting."""
    here, there = both

    assert (here.calls(6), there.calls(3)) == (6, 3)
    await here.sharing.settle()
    await there.sharing.settle()
    await here.sharing.settle()
    assert (here.calls(5), there.calls(0)) == (1, 0)
    await here.sharing.settle()
    await there.sharing.settle()
    assert there.calls(1) == 0
    assert here.calls(1, "another") == 1

    here.calls(10, "elsewhere")
    await here.sharing.settle()
    await there.sharing.settle()
    assert there.calls(1, "elsewhere") == 0

    assert there.calls(10, "quick") == 10
    assert here.calls(10, "quick") == 10
    for each in (here, there, here):
        await each.sharing.settle()
    verdict = here.limiter.take("quick")
    assert verdict is not None
    assert not verdict.is_allowed
    assert verdict.left_count == 0
    assert verdict.next_in_s > 10 / SLOW.per_s  # ten too many: ten calls later than one's own


async def test_a_bucket_fills_by_the_databases_clock(both: tuple[Limited, Limited]) -> None:
    """What is drawn again later is drawn from what has come in since, and never from more."""
    here, _ = both
    await here.keeper.settle({"client:c": Drawn(10, SLOW.per_s, SLOW.burst_count)}, {})
    await here.keeper.settle({"client:c": Drawn(1, 1e9, 10)}, {})
    levels = await here.keeper.levels()

    assert levels["client:c"].tokens == 9.0
    assert levels["client:c"].age_s < 5.0


async def test_scripts_and_clients_of_one_name_are_two(both: tuple[Limited, Limited]) -> None:
    """A client that is called as a script is takes nothing from that script."""
    here, there = both
    here.calls(10, "page")
    there.scripts.take("page", SLOW, now=0.0)
    await here.sharing.settle()
    await there.sharing.settle()

    assert there.scripts.take("page", SLOW, now=0.0).left_count == 8


async def test_tasks_of_a_client_are_counted_everywhere(both: tuple[Limited, Limited]) -> None:
    """Each gateway knows how many the others have, until they end or their gateway does."""
    here, there = both
    here.counter.own = {"c": 3, "d": 1}
    there.counter.own = {"c": 2}
    for each in (here, there, here):
        await each.sharing.settle()
    seen = [dict(each.counter.others) for each in both]
    here.counter.own = {"c": 1}
    await here.sharing.settle()
    await there.sharing.settle()
    ended = dict(there.counter.others)
    await here.lease.close()
    await there.sharing.settle()

    assert seen == [{"c": 2}, {"c": 3, "d": 1}]
    assert ended == {"c": 1}
    assert there.counter.others == {}


async def test_nothing_is_lost_while_the_database_is_away(both: tuple[Limited, Limited]) -> None:
    """What could not be told is told with the next settlement; alone nothing is written."""
    here, there = both

    class Broken(LimitStore):
        async def settle(self, drawn: Mapping[str, Drawn], counts: Mapping[str, int]) -> None:
            raise StorageFailed(reason="away")

    sharing = LimitSharing(
        Broken(here.database, "a"), (here.buckets,), here.counter, is_alone=lambda: False
    )
    here.calls(4)
    with pytest.raises(StorageFailed):
        await sharing.settle()
    here.calls(1)
    await here.sharing.settle()
    there.calls(1)
    there.is_alone = True
    await there.sharing.settle()
    levels = await here.keeper.levels()

    assert levels["client:c"].tokens == 5.0
