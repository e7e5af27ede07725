"""The form of signatures and key ids."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, strategies as st

from zscrape.scripts.trust import is_signature, key_id_of, split_signature

SIGNATURE = "ed25519:0123456789abcdef:" + "A" * 86 + "=="


def test_a_key_id_is_the_start_of_the_keys_hash() -> None:
    """Anybody can compute it from the raw public key."""
    raw = bytes(range(32))

    assert key_id_of(raw) == hashlib.sha256(raw).hexdigest()[:16]


def test_a_signature_has_three_parts() -> None:
    """Scheme, key id and the signature itself."""
    assert split_signature(SIGNATURE) == ("0123456789abcdef", "A" * 86 + "==")


@pytest.mark.parametrize(
    "value",
    ["", "abc", SIGNATURE[:-1], SIGNATURE.upper(), SIGNATURE + "\n", "rsa" + SIGNATURE[7:]],
)
def test_what_is_no_signature_is_not_taken_for_one(value: str) -> None:
    """Another scheme, a cut text or a line feed is no signature."""
    assert not is_signature(value)
    with pytest.raises(ValueError, match="not a signature"):
        split_signature(value)


@given(st.text())
def test_any_text_can_be_asked_of(value: str) -> None:
    """Whatever stands there, asking does not fail."""
    assert is_signature(value) in (True, False)
