"""Numbers that are too long to be read are found, wherever they stand, and nothing else is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from zscrape.model import OutcomeCode
from zscrape.worker.numbers import holds_unreadable_number
from zscrape.worker.speech import DECODE_ERRORS, Violation, _check_data, check_json

LONG = "7" * 1000
FILLING = json.dumps(["x" * 9, 1.5e300, -12, "\\", '"', None] * 4000)[1:-1]


@pytest.mark.parametrize(
    "number", [LONG, f"-{LONG}", f"0.{LONG}", f"1e{LONG}", "1e9999", "1E+99999", f"1.{LONG}e5"]
)
@pytest.mark.parametrize("place", ["[{}, {}]", "[{1}, {0}]", '{{"a\\\\": [{1}, {{"b": {0}}}]}}'])
def test_a_number_without_end_is_found(number: str, place: str) -> None:
    """At the beginning, at the end, deep inside, among strings with escapes."""
    document = place.format(number, FILLING).encode()

    assert holds_unreadable_number(document)


@pytest.mark.parametrize("shift", range(0, 1200, 37))
def test_a_number_across_two_pieces_is_found(shift: int) -> None:
    """Where a document is cut up does not matter."""
    document = f'["{"1" * (65536 - shift)}", {LONG}]'.encode()

    assert holds_unreadable_number(document)


@pytest.mark.parametrize(
    "text", [LONG, f'"{LONG}', f"\\{LONG}", f'\\"{LONG}', "1e99999", f'", {LONG}, "', "\\" * 70000]
)
def test_digits_in_a_string_are_no_number(text: str) -> None:
    """A string may hold as many digits as it likes."""
    document = json.dumps([LONG, "\\" * 65535, text, 1, FILLING]).encode()

    assert not holds_unreadable_number(document)


@pytest.mark.parametrize("number", ["1e+300", "1E+016", "9" * 300, "1e-4000"])
def test_large_numbers_that_can_be_read_are_none(number: str) -> None:
    """A plus in an exponent is no digit of it, and what is too small is nothing."""
    assert not holds_unreadable_number(f'["{LONG}",{number},1]'.encode())


@given(st.recursive(st.text('\\"1e0 ') | st.integers() | st.floats(), st.lists, max_leaves=30))
def test_what_people_write_holds_none(value: object) -> None:
    """No list of strings and numbers that Python writes is mistaken for one."""
    document = json.dumps([LONG, value]).encode()

    assert not holds_unreadable_number(document)


@pytest.mark.parametrize(
    "others",
    ["", "0," * 50_000, f'"{"x" * 5_000_000}",'],
    ids=["few values", "many values", "very large"],
)
def test_a_result_with_such_a_number_is_refused(others: str) -> None:
    """A document that is too large to be decoded is held to the same as a small one."""
    with pytest.raises(Violation) as caught:
        _check_data(f"[{others}{LONG * 1000}]".encode())

    assert caught.value.code is OutcomeCode.RESULT_INVALID
    assert "too large" in str(caught.value.fields)


@pytest.mark.parametrize("others", ["", "0," * 50_000], ids=["few values", "many values"])
def test_a_large_text_may_hold_anything(others: str) -> None:
    """Digits, commas and whatever has to be escaped are no matter in a text, however it is read."""
    text = json.dumps(f'{LONG}, 1e99999 [{{"\\ \n' * 300)

    _check_data(f"[{others}{text}]".encode())
    _check_data(text.encode())


@pytest.mark.parametrize("document", [b'"%b', b'"%b\xff"', b'"%b" 1', b'["%b",]'])
def test_a_large_text_that_is_torn_is_not_passed_on(document: bytes) -> None:
    """Nor is one that is not UTF-8, or that something follows."""
    with pytest.raises(DECODE_ERRORS):
        check_json(document % (b"x" * 100_000))
