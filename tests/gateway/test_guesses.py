"""Wrong keys: whoever guesses waits, and nobody else does."""

from __future__ import annotations

import pytest

from tests.gateway.conftest import KEY
from zscrape.errors.requests import LockedOut, Unauthorized
from zscrape.gateway.access import Access
from zscrape.gateway.guesses import FREE_COUNT, Guesses, source_of

WRONG = {b"authorization": b"Bearer wrong"}
RIGHT = {b"authorization": b"Bearer right"}


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """Return the moment."""
        return self.now


def guess(access: Access, peer: str, count: int = FREE_COUNT + 1) -> None:
    """Present wrong keys."""
    for _ in range(count):
        with pytest.raises(Unauthorized):
            access.authenticate(WRONG, peer)


def test_a_guesser_waits_and_others_do_not():
    """After some wrong keys an address is refused, the right key included, until its time."""
    clock = Clock()
    heard = []
    access = Access("right", clock=clock, on_guess=lambda *told: heard.append(told))
    guess(access, "192.0.2.1")

    with pytest.raises(LockedOut) as refused:
        access.authenticate(RIGHT, "192.0.2.1")

    assert refused.value.retry_after_s == 1
    assert heard == [("192.0.2.1", 1.0)]
    assert access.authenticate(RIGHT, "192.0.2.2").id == "admin"
    clock.now += 1
    assert access.authenticate(RIGHT, "192.0.2.1").id == "admin"


def test_a_key_that_was_good_from_there_still_is():
    """One guesser behind a proxy does not shut out those who work behind it."""
    access = Access("right", clock=Clock())
    access.authenticate(RIGHT, "192.0.2.1")
    guess(access, "192.0.2.1")

    assert access.authenticate(RIGHT, "192.0.2.1").id == "admin"
    with pytest.raises(LockedOut):
        access.authenticate(WRONG, "192.0.2.1")


def test_no_key_is_no_guess():
    """A call without a key is refused and never counted: browsers make them."""
    access = Access("right", clock=Clock())
    for _ in range(100):
        with pytest.raises(Unauthorized):
            access.authenticate({}, "192.0.2.1")

    assert access.authenticate(RIGHT, "192.0.2.1").id == "admin"


def test_waits_double_to_a_limit_and_are_forgotten():
    """1, 2, 4 s and so on, five minutes at the most; after a quiet quarter of an hour anew."""
    guesses, now = Guesses(), 0.0
    for _ in range(FREE_COUNT):
        assert guesses.note("a", now) == 0
    waits = []
    for _ in range(12):
        waits.append(guesses.note("a", now))
        now += waits[-1]

    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert guesses.wait_s("a", now) == 0
    assert guesses.note("a", now + 901) == 0


def test_memory_is_bounded():
    """Any number of addresses takes the room of some."""
    guesses = Guesses()
    for number in range(11_000):
        guesses.note(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0)

    assert len(guesses._guessers) == 10_000


def test_addresses_of_one_customer_are_one():
    """A /64 of IPv6 is one source; IPv4 in IPv6's clothes is IPv4."""
    assert source_of("2001:db8::1") == source_of("2001:db8::ffff:1") != source_of("2001:db8:0:1::1")
    assert source_of("::ffff:192.0.2.1") == source_of("192.0.2.1") == "192.0.2.1"
    assert source_of("fe80::1%eth0") == source_of("fe80::2")
    assert source_of("") == ""


async def test_the_answer_says_when_to_come_back(gateway):
    """429 with `Retry-After`, at both doors."""
    async with gateway.client(Authorization="Bearer wrong") as client:
        for _ in range(FREE_COUNT + 1):
            assert (await client.get("/v1/tasks")).status_code == 401
        refused = await client.get("/v1/tasks")
        scraped = await client.post("/scrape", json={"script_name": "page"})
        healthy = await client.get("/health")

    assert (refused.status_code, refused.json()["code"]) == (429, "locked_out")
    assert refused.headers["retry-after"] == "1"
    assert (scraped.status_code, scraped.json()["error"]["code"]) == (429, "locked_out")
    assert healthy.status_code == 200
    assert KEY not in refused.text
