"""Documents as tables: every cell is what it was, and none of them runs."""

from __future__ import annotations

import pytest

from zscrape.errors.requests import TableTooLarge
from zscrape.gateway.tables import Names, as_csv, as_xlsx, chosen, csv_line


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"])
def test_no_cell_is_a_formula(start):
    """What a spreadsheet would run is marked as text, in names and in values; numbers stay."""
    assert csv_line([start + "1", "a" + start, -1, -1.5]).startswith(b"'" + start.encode()) or (
        csv_line([start + "1"]).startswith(b"\"'" + start.encode())
    )
    assert csv_line([-1, -1.5]) == b"-1,-1.5\r\n"


def test_columns_are_the_union():
    """Each name is a column, in order of first sight, whatever item has it."""
    table = as_csv([b'{"b":1}', b'{"a":2,"b":3}', b"4"], Names())

    assert table == b"b,a,value\r\n1,,\r\n3,2,\r\n,,4\r\n"


def test_numbers_beyond_python_are_shown():
    """A number that cannot be read stands as it came, also where names are chosen."""
    raw = b"1" * 5_000

    assert raw in as_csv([raw], Names())
    assert chosen([raw, b'{"a":1,"b":2}'], Names(omitted=frozenset({"a"}))) == [raw, b'{"b":2}']


def test_spreadsheet_has_its_limits():
    """More columns than a spreadsheet has are refused, not lost."""
    wide = b"{" + b",".join(b'"c%d":1' % n for n in range(16_385)) + b"}"

    with pytest.raises(TableTooLarge) as caught:
        as_xlsx([wide], Names())

    assert caught.value.column_count == 16_385
