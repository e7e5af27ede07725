"""Checking parameters against a schema."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from zscrape.scripts.schema import DRAFT, Validator, schema_problems
from zscrape.scripts.signature import parameters_schema

VALIDATOR = Validator(
    parameters_schema(
        b"def run(url: str, pages: int = 1, mode: Literal['a', 'b'] = 'a',\n"
        b"        since: datetime | None = None, tags: list[str] = [], *, ctx): pass"
    )
)


def test_fitting_parameters_have_no_problems() -> None:
    """What the signature admits passes."""
    fitting = {"url": "x", "pages": 3, "mode": "b", "since": "2026-01-31T09:00:00Z", "tags": ["t"]}

    assert VALIDATOR.problems(fitting) == []
    assert VALIDATOR.problems({"url": "x", "since": None}) == []


def test_every_fault_is_told_at_once_with_its_place() -> None:
    """Wrong types, unknown names and missing ones are told together, each with its pointer."""
    problems = VALIDATOR.problems(
        {"page": 1, "pages": "3", "mode": "c", "since": "today", "tags": ["a", 1], "a/b": 0}
    )

    assert {each["pointer"]: each["reason"] for each in problems} == {
        "/parameters/url": "required, but missing",
        "/parameters/page": "unknown name; did you mean pages?",
        "/parameters/a~1b": "unknown name",
        "/parameters/pages": "expected integer, got string",
        "/parameters/mode": "c is not one of: a, b",
        "/parameters/since": "today is not a valid date-time",
        "/parameters/tags/1": "expected string, got integer",
    }


@pytest.mark.parametrize("value", [True, 1.5, "1", None, [], {}])
def test_a_boolean_is_no_number(value: Any) -> None:
    """An integer parameter takes integers only."""
    problems = VALIDATOR.problems({"url": "x", "pages": value})

    assert [each["pointer"] for each in problems] == ["/parameters/pages"]


def test_bounds_and_patterns_of_a_manifest_are_told() -> None:
    """The rules of a hand-written schema have words, others quote the library."""
    schema = {
        "type": "object",
        "properties": {
            "n": {"minimum": 1, "maximum": 5},
            "s": {"type": "string", "pattern": "^a", "minLength": 3},
            "u": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
        },
    }
    assert schema_problems(schema, "/parameters") == []

    reasons = [each["reason"] for each in Validator(schema).problems({"n": 9, "s": "b", "u": []})]

    assert reasons == [
        "9 is more than 5",
        "b does not match ^a",
        "does not fit the schema (minLength): 'b' is too short",
        "expected integer or string, got array",
    ]


def test_a_schema_never_reaches_out() -> None:
    """A remote reference is a fault of the schema; given all the same, nothing is fetched."""
    schema = {"properties": {"a": {"$ref": "http://127.0.0.1:9/never.json"}}}

    assert schema_problems(schema, "/parameters")[0]["pointer"] == "/parameters/properties/a/$ref"
    assert Validator(schema).problems({"a": 1})[0]["code"] == "schema"


def test_a_schema_without_end_is_a_problem_not_a_crash() -> None:
    """A schema that refers to itself is told, in the manifest and at a request."""
    schema = {"allOf": [{"$ref": "#"}]}

    assert schema_problems(schema, "/parameters")[0]["code"] == "recursion"
    assert Validator(schema).problems({})[0]["code"] == "recursion"


def test_no_more_problems_than_anybody_reads() -> None:
    """A thousand faults are cut to fifty."""
    assert len(VALIDATOR.problems({f"x{number}": 1 for number in range(1000)})) == 50


@given(st.dictionaries(st.text(max_size=8), st.none() | st.integers() | st.text(max_size=8)))
def test_any_parameters_are_checked_without_an_error(params: dict[str, Any]) -> None:
    """Whatever is given, the answer is a list of problems, each inside /parameters."""
    problems = VALIDATOR.problems(params)

    assert all(each["pointer"].startswith("/parameters") for each in problems)
    assert problems


keywords = st.sampled_from(
    [
        "type",
        "properties",
        "required",
        "items",
        "enum",
        "const",
        "anyOf",
        "allOf",
        "not",
        "minimum",
        "maximum",
        "multipleOf",
        "pattern",
        "patternProperties",
        "additionalProperties",
        "minLength",
        "maxItems",
        "uniqueItems",
        "format",
        "$ref",
        "if",
        "then",
        "prefixItems",
        "contains",
        "dependentRequired",
        "propertyNames",
        "minProperties",
    ]
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 10**6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        ["object", "string", "integer", "array", "#", "#/x", "(", "^a+$", "date", "a"]
    ),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(keywords | st.sampled_from(["a", "b", "("]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(keywords, values, max_size=4), st.dictionaries(st.sampled_from("ab"), values)
)
def test_any_schema_is_refused_or_usable(schema: dict[str, Any], params: dict[str, Any]) -> None:
    """Whatever a manifest's schema is, it is told to be wrong or checks without an error."""
    if schema_problems(schema, "/parameters") == []:
        Validator(schema).problems(params)


def test_a_pattern_is_applied_to_texts_of_usual_length_only() -> None:
    """A text of a megabyte is a fault of its own, told at once, and not matched for hours."""
    slow = {"type": "object", "properties": {"a": {"type": "string", "pattern": "(x+x+)y"}}}
    validator = Validator(slow)

    (long,) = validator.problems({"a": "x" * 1_000_000})
    (short,) = validator.problems({"a": "x" * 20})

    assert (long["code"], long["limit"]) == ("pattern_length", "1000")
    assert short["code"] == "pattern"
    assert validator.problems({"a": "x" * 999 + "y"}) == []


def test_the_limit_of_patterns_holds_behind_references() -> None:
    """A schema that refers to itself by its root is checked by the same rules."""
    validator = Validator(
        {
            "$schema": DRAFT,
            "type": "object",
            "properties": {"a": {"pattern": "x"}, "b": {"$ref": "#"}},
        }
    )

    (found,) = validator.problems({"b": {"b": {"a": "x" * 1001}}})

    assert (found["code"], found["pointer"]) == ("pattern_length", "/parameters/b/b/a")


def test_names_that_patterns_are_applied_to_are_limited_too() -> None:
    """`patternProperties` looks at names, which may be as long as texts."""
    validator = Validator({"type": "object", "patternProperties": {"^(a+)+$": {}}})

    (found,) = validator.problems({"deep": [{"a" * 1001: 1}]})

    assert found["code"] == "name_length"
    assert validator.problems({"aaa": 1}) == []
