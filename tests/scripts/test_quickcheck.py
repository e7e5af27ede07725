"""The quick check never allows what the full one refuses."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from zscrape.scripts.quickcheck import quick_check
from zscrape.scripts.schema import Validator

_TYPES = st.sampled_from(["string", "integer", "number", "boolean", "null", "object", "array"])
_PROPERTIES = st.dictionaries(
    st.sampled_from("abc"), st.fixed_dictionaries({"type": _TYPES}), max_size=3
)
_VALUES: st.SearchStrategy[object] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=3)
    | st.just([])
    | st.just({})
)


@given(
    properties=_PROPERTIES,
    required=st.lists(st.sampled_from("abc"), unique=True),
    takes_more=st.booleans(),
    params=st.dictionaries(st.sampled_from("abcd"), _VALUES, max_size=4),
)
def test_quick_yes_is_a_yes(properties, required, takes_more, params):
    """Whatever the quick check allows, the full check allows too."""
    schema = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": takes_more,
    }
    check = quick_check(schema)

    assert check is not None
    if check(params):
        assert Validator(schema).problems(params) == []


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "array"},
        {"type": "object", "minProperties": 1},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {"a": {"type": ["string", "null"]}}},
        {"type": "object", "properties": {"a": {"type": "string", "minLength": 1}}},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a": {"$ref": "#"}}},
        {"type": "object", "properties": {"a": {"type": "strange"}}},
        {"type": "object", "properties": {"a": {}}},
    ],
)
def test_schemas_that_are_not_plain(schema):
    """A schema that says more than types is left to the full check."""
    assert quick_check(schema) is None


def test_what_it_allows():
    """The plain case is allowed quickly, and each fault is not."""
    check = quick_check(
        {
            "type": "object",
            "properties": {"url": {"type": "string"}, "pages": {"type": "integer", "default": 1}},
            "required": ["url"],
            "additionalProperties": False,
        }
    )

    assert check is not None
    assert check({"url": "a", "pages": 2})
    assert check({"url": "a"})
    assert not check({})
    assert not check({"url": 1})
    assert not check({"url": "a", "pages": True})
    assert not check({"url": "a", "pages": 1.0})
    assert not check({"url": "a", "zzz": 1})
