"""The store of compiled scripts: what it keeps, and that it does not grow without end."""

from __future__ import annotations

import pytest

from zscrape.worker import codes
from zscrape.worker.codes import Code, CodeKey, Codes


def key(number: int) -> CodeKey:
    """Return the key of one of many scripts."""
    return f"/scripts/{number}", "main.py", "", number, 0, 0


def answer(content: bytes) -> bytes:
    """Return what a compiling child says of a plain script."""
    return b'[true,"%b"]' % content.hex().encode()


def test_code_is_kept_and_claimed_once() -> None:
    """A script is compiled by the first who asks, and found by all others."""
    kept = Codes()

    assert kept.claim(key(1))
    assert not kept.claim(key(1))
    assert kept.get(key(1)) is None
    kept.put(key(1), answer(b"code"))
    assert kept.get(key(1)) == Code(True, b"code")


def test_claims_are_bounded_in_number() -> None:
    """Thousands of scripts push out the ones that were used the longest ago."""
    kept = Codes()
    for number in range(3 * codes._LIMIT_COUNT):
        kept.claim(key(number))
        kept.get(key(0))

    assert len(kept._codes) == codes._LIMIT_COUNT
    assert not kept.claim(key(0))
    assert kept.claim(key(1))


def test_codes_are_bounded_in_size() -> None:
    """Large codes push out the least used, and a code that is put again counts once."""
    kept = Codes()
    large = answer(b"x" * codes._ONE_LIMIT_BYTES)
    for number in range(40):
        kept.put(key(number), large)
        kept.put(key(number), large)

    assert kept._size_bytes == sum(len(each.content) for each in kept._codes.values() if each)
    assert len(kept._codes) == codes._LIMIT_BYTES // codes._ONE_LIMIT_BYTES
    assert kept.get(key(39)) is not None
    assert kept.get(key(0)) is None


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"[true]",
        b'[true,"xy"]',
        answer(b""),
        answer(b"x" * (codes._ONE_LIMIT_BYTES + 1)),
        answer(b"x" * 5_000_000),
    ],
)
def test_answer_that_is_no_code_is_not_kept(bad: bytes) -> None:
    """What cannot be kept leaves the claim, so that it is not tried again and again."""
    kept = Codes()
    kept.claim(key(1))
    kept.put(key(1), bad)

    assert kept.get(key(1)) is None
    assert not kept.claim(key(1))
