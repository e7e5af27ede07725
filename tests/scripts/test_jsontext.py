"""Changing members of a JSON text in place."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, strategies as st

from zscrape.scripts.jsontext import with_members

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)


def test_the_rest_of_the_text_stays() -> None:
    """Order, one-line lists, numbers and unusual spaces are as somebody wrote them."""
    raw = b'{\n  "name" : "a",\n  "tags": ["x",  "y"],\n  "timeout": 1.50\n}\n'

    changed = with_members(raw, {"sum": {"m": "1"}, "signature": "s"})

    assert changed == (
        b'{\n  "name" : "a",\n  "tags": ["x",  "y"],\n  "timeout": 1.50,\n'
        b'  "sum": {\n    "m": "1"\n  },\n  "signature": "s"\n}\n'
    )


def test_a_member_that_is_there_is_replaced_in_its_place() -> None:
    """Setting the same members again and again does not move or repeat them."""
    raw = '{"a": {"old": [1]}, "이름": "값", "b": 2}'.encode()
    once = with_members(raw, {"a": {"새": 1}})

    assert once.decode() == '{"a": {"새": 1}, "이름": "값", "b": 2}'
    assert with_members(once, {"a": {"새": 1}}) == once


def test_a_text_on_one_line_and_an_empty_object_are_written_on_one_line() -> None:
    """The style of the text is kept, and a byte order mark with it."""
    assert with_members(b"{}", {"a": 1}) == b'{"a": 1}'
    assert with_members(b'\xef\xbb\xbf{"a": 1 }', {"b": [1]}) == b'\xef\xbb\xbf{"a": 1, "b": [1] }'


@given(
    st.dictionaries(st.text(max_size=6), values, max_size=5),
    st.dictionaries(st.text(max_size=6), values, max_size=3),
    st.sampled_from([None, 0, 1, 4, "\t"]),
)
def test_any_object_reads_as_if_updated(
    document: dict[str, Any], members: dict[str, Any], indent: int | str | None
) -> None:
    """Whatever the object and its layout, the result reads as the object with the members."""
    raw = json.dumps(document, indent=indent).encode()

    assert json.loads(with_members(raw, members)) == {**document, **members}
