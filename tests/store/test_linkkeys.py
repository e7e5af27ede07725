"""Join tokens and workers' keys in the database."""

from __future__ import annotations

from pathlib import Path

import pytest

from zscrape.config.keyfiles import new_pair
from zscrape.gateway.gatekeeper import Gatekeeper
from zscrape.store.database import Database
from zscrape.store.linkkeys import Admission, LinkKeyStore, TokenRow, WorkerKey
from zscrape.wire import PROTOCOL, Join


async def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    """Tokens and keys are as they were last written, and what was forgotten is gone."""
    database = Database(tmp_path / "zscrape.db")
    store = LinkKeyStore(database)
    token = TokenRow("t", "key of t", "이름", 1.0, 2.0, 3, 0)
    used = TokenRow("t", "key of t", "이름", 1.0, 2.0, 3, 1, 4.0)
    worker, other = WorkerKey("k1", "w1", "t", 5.0), WorkerKey("k2", "w2", "t", 6.0, 7.0)

    await store.save_token(token)
    assert await store.add_worker(worker, "key of t") is Admission.NEW
    await store.save_worker(other)
    await store.revoke_token("key of t", 4.0)
    both = await store.load()
    await store.forget_worker("k1")
    left = await store.load()
    await database.close()

    assert both == ([worker, other], [used])
    assert left == ([other], [used])


async def test_door_is_the_same_after_a_restart(tmp_path: Path) -> None:
    """Who has joined is known, who was revoked is not, and a token counts on."""
    database = Database(tmp_path / "zscrape.db")
    door = Gatekeeper(local_key=new_pair().public)
    await door.open(LinkKeyStore(database))
    token, _ = await door.create_token("n", uses_limit_count=2, expires_at=100.0, now=1.0)
    pairs = [new_pair(), new_pair()]
    for number, pair in enumerate(pairs):
        join = Join(PROTOCOL, f"w{number}", pair.public)
        assert await door.join(door.passage(token.key), join, 2.0) is None
    await door.revoke_worker("w1", 3.0)

    again = Gatekeeper(local_key=new_pair().public)
    await again.open(LinkKeyStore(database))
    rejects = await again.join(
        again.passage(token.key), Join(PROTOCOL, "w2", new_pair().public), 4.0
    )
    await database.close()

    assert [bool(again.admits(pair.public, 4.0)) for pair in pairs] == [True, False]
    assert [each.used_count for each in again.tokens] == [2]
    assert rejects is not None
    assert (rejects.reason, rejects.detail) == ("token", "used_up")


@pytest.mark.parametrize(
    ("token", "fault"),
    [
        (TokenRow("t", "k", "", 0.0), ""),
        (TokenRow("t", "k", "", 0.0, expires_at=10.0), "expired"),
        (TokenRow("t", "k", "", 0.0, expires_at=10.1), ""),
        (TokenRow("t", "k", "", 0.0, uses_limit_count=1, used_count=1), "used_up"),
        (TokenRow("t", "k", "", 0.0, revoked_at=1.0), "revoked"),
    ],
)
def test_token_says_why_it_no_longer_holds(token: TokenRow, fault: str) -> None:
    """It ends by its time, by its uses, or by being revoked."""
    assert token.fault(10.0) == fault
