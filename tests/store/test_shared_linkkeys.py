"""Two doors on one PostgreSQL: what one decides the other one knows, and no use counts twice."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.postgres import Server
from zscrape.config.keyfiles import KeyPair, new_pair
from zscrape.gateway.gatekeeper import Expelled, Gatekeeper
from zscrape.store.linkkeys import LinkKeyStore, TokenRow, WorkerKey
from zscrape.store.postgres import PostgresDatabase
from zscrape.wire import PROTOCOL, Join, Reject

pytestmark = pytest.mark.system


class Doors:
    """Two gateways' doors, each on a connection of its own."""

    def __init__(self, url: str) -> None:
        self.databases = [PostgresDatabase(url) for _ in "ab"]
        self.both = [Gatekeeper(local_key=new_pair().public) for _ in "ab"]

    async def open(self) -> None:
        """Take up what is kept."""
        for door, database in zip(self.both, self.databases, strict=True):
            await door.open(LinkKeyStore(database))

    async def token(self, uses: int | None = None) -> TokenRow:
        """Make a token at the first, and have the second see it."""
        token, _ = await self.both[0].create_token(
            "t", uses_limit_count=uses, expires_at=None, now=1.0
        )
        assert await self.both[1].follow() == []
        return token


@pytest.fixture
async def doors(postgres: Server) -> AsyncIterator[Doors]:
    """Return two doors that know nobody."""
    doors = Doors(postgres.url())
    await doors.open()
    yield doors
    for database in doors.databases:
        await database.close()


async def enter(door: Gatekeeper, token: TokenRow, worker_id: str, pair: KeyPair) -> Reject | None:
    """Join by a token; returns why not."""
    return await door.join(door.passage(token.key), Join(PROTOCOL, worker_id, pair.public), 2.0)


async def test_what_one_changes_the_other_one_sees(doors: Doors) -> None:
    """A worker let in, revoked or forgotten here is so there, and there one learns whom to cut."""
    here, there = doors.both
    token, pairs = await doors.token(), [new_pair(), new_pair()]
    for number, pair in enumerate(pairs):
        assert await enter(here, token, f"w{number}", pair) is None
    unseen = [there.admits(pair.public, 3.0) for pair in pairs]
    nobody = await there.follow()
    seen = [bool(there.admits(pair.public, 3.0)) for pair in pairs]
    await here.revoke_worker("w0", 4.0)
    await here.remove_worker("w1")
    await here.revoke_token(token.id, 4.0)
    gone = await there.follow()

    assert unseen == ["", ""]
    assert nobody == []
    assert seen == [True, True]
    assert [(each.worker_id, each.is_revoked) for each in gone] == [
        ("w0", True),
        ("w1", False),
        ("", True),
    ]
    assert gone[2] == Expelled(token.key, "")
    assert [there.admits(pair.public, 5.0) for pair in pairs] == ["", ""]
    assert there.admits(new_pair().public, 5.0) == ""
    assert [each.used_count for each in there.tokens] == [2]
    assert await there.follow() == []


async def test_a_token_for_one_lets_one_in(doors: Doors) -> None:
    """Its last use is the first worker's, at whichever gateway; the same worker may use both."""
    here, there = doors.both
    token, first, second = await doors.token(uses=1), new_pair(), new_pair()

    assert await enter(here, token, "w0", first) is None
    assert await enter(there, token, "w1", second) == Reject("token", "used_up")
    assert await enter(there, token, "w0", first) is None
    assert there.admits(second.public, 3.0) == ""


async def test_an_id_is_one_keys_at_all_gateways(doors: Doors) -> None:
    """Who comes to the other gateway under a worker's id, with another key, stays outside."""
    here, there = doors.both
    token, own, other = await doors.token(), new_pair(), new_pair()

    assert await enter(here, token, "w", own) is None
    assert await enter(there, token, "w", other) == Reject("identity")
    await here.revoke_worker("w", 3.0)
    assert await enter(there, token, "w", own) == Reject("revoked")
    assert await enter(there, token, "w", other) is None


async def test_a_change_of_ones_own_is_not_undone_by_a_look(doors: Doors) -> None:
    """What was read before a worker was let in does not put it out again."""
    here, _ = doors.both
    token, pair = await doors.token(), new_pair()
    keeper = here._keeper

    class Slow(LinkKeyStore):
        async def load(self) -> tuple[list[WorkerKey], list[TokenRow]]:
            found = await super().load()
            assert await enter(here, token, "w", pair) is None
            return found

    here._keeper = Slow(doors.databases[0])
    gone = await here.follow()
    here._keeper = keeper

    assert gone == []
    assert here.admits(pair.public, 3.0)
    assert await here.follow() == []
    assert here.admits(pair.public, 3.0)
