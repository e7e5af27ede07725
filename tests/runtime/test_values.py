"""Values on their way in and out of a script: `convert`, `encode`, `trace`, in this process."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import json
import typing
import uuid
from typing import Annotated, Any, Literal

import msgspec
import pytest

from zscrape.runtime.convert import Mismatch, arguments, convert
from zscrape.runtime.encode import NotJson, to_json
from zscrape.runtime.trace import describe, render


class Colour(enum.Enum):
    """Two members."""

    RED = "red"
    ONE = 1


@dataclasses.dataclass
class Site:
    """A dataclass with a nested type."""

    url: str
    since: dt.date | None = None


class Point(msgspec.Struct):
    """A msgspec struct."""

    x: int


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (1, int, 1),
        (1.0, int, 1),
        (1, float, 1.0),
        ("a", str, "a"),
        (None, type(None), None),
        (None, typing.Optional[int], None),  # noqa: UP045 - scripts still write it so
        (1, typing.Union[str, int], 1),  # noqa: UP007
        (1, int | None, 1),
        ("1", int | str, "1"),
        ([1], list, [1]),
        ({"a": 1}, dict, {"a": 1}),
        ([1, 2], tuple[int, ...], (1, 2)),
        ([1, "a"], tuple[int, str], (1, "a")),
        ([1, 1], set[int], {1}),
        ({"a": 1}, dict[str, float], {"a": 1.0}),
        ("red", Colour, Colour.RED),
        ("RED", Colour, Colour.RED),
        (1, Colour, Colour.ONE),
        (1, Literal[1, "a"], 1),
        (5, Annotated[int, "metres"], 5),
        ("2026-01-02", dt.date, dt.date(2026, 1, 2)),
        ("2026-01-02T00:00:00Z", dt.datetime, dt.datetime(2026, 1, 2, tzinfo=dt.UTC)),
        ("1.10", decimal.Decimal, decimal.Decimal("1.10")),
        ({"x": 1}, Point, Point(1)),
        (b"any", Any, b"any"),
        ("left as it is", complex, "left as it is"),
    ],
)
def test_value_becomes_what_the_annotation_says(value: Any, hint: Any, expected: Any) -> None:
    """Each kind of annotation gives a value of its type; an unknown one leaves it alone."""
    found = convert(value, hint, "/parameters/a")

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "hint", "pointer"),
    [
        ("1", int, "/p"),
        (1.5, int, "/p"),
        (True, int, "/p"),
        (1, bool, "/p"),
        (1, str, "/p"),
        ({}, list, "/p"),
        ([1, "a"], list[int], "/p/1"),
        ({"a": "x"}, dict[str, int], "/p/a"),
        ([], dict[str, int], "/p"),
        ({}, list[int], "/p"),
        ([1], tuple[int, int], "/p"),
        ("blue", Colour, "/p"),
        ("b", Literal["a"], "/p"),
        (True, Literal[1], "/p"),
        ([], int | str, "/p"),
        ("soon", dt.date, "/p"),
        ([], dt.date, "/p"),
        ({"url": 1}, Site, "/p/url"),
        ({"uri": "x"}, Site, "/p/uri"),
        ({}, Site, "/p"),
        ([], Site, "/p"),
        ({"x": "1"}, Point, "/p"),
    ],
)
def test_value_that_does_not_fit_names_its_place(value: Any, hint: Any, pointer: str) -> None:
    """What the annotation refuses is told with a JSON pointer."""
    with pytest.raises(Mismatch) as caught:
        convert(value, hint, "/p")

    assert caught.value.pointer == pointer


def test_callable_of_any_kind_is_bound() -> None:
    """Classes, bound methods and functions with positional-only names are called by name too."""

    class Run:
        def method(self, a: int, *, ctx: object) -> None:
            """Take one parameter."""

        def __call__(self, b: int = 1) -> None:
            """Take another."""

    assert arguments(Run().method, {"a": 1}, lambda: "ctx") == {"a": 1, "ctx": "ctx"}
    assert arguments(Run(), {"b": 2}, lambda: None) == {"b": 2}
    with pytest.raises(Mismatch, match="/parameters/a"):
        arguments(lambda a, /: a, {"a": 1}, lambda: None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, b"null"),
        ("값", '"값"'.encode()),
        ({1: (1, 2.5)}, b'{"1":[1,2.5]}'),
        (dt.datetime(2026, 1, 2, tzinfo=dt.UTC), b'"2026-01-02T00:00:00+00:00"'),
        (uuid.UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
        (Site("u"), b'{"url":"u","since":null}'),
        (Point(1), b'{"x":1}'),
        ([Colour.RED], b'["red"]'),
        (2**70, b"1180591620717411303424"),
    ],
)
def test_value_has_one_json_form(value: Any, expected: bytes) -> None:
    """What has a JSON form without doubt is told in it."""
    assert to_json(value) == expected


@pytest.mark.parametrize("sign", ["", '"', "\\", "\n", "\0", "\x1f", "\x7f", "값"])
@pytest.mark.parametrize("at", [0, 65_536, 280_000])
def test_long_text_is_told_as_a_short_one_is(sign: str, at: int) -> None:
    """Whatever has to be written otherwise, and wherever it stands in a long text."""
    text = "a" * at + sign + "z" * (280_000 - at)

    assert to_json(text) == json.dumps(text, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        (float("inf"), ""),
        ({"a": [object()]}, "/a/0"),
        ({"~/": b""}, "/~0~1"),
        ({"\ud800": 1}, ""),
        ({float("nan"): 1}, ""),
        (Site("\ud800"), "/url"),
    ],
)
def test_value_without_json_form_names_its_place(value: Any, pointer: str) -> None:
    """What has none is refused with a pointer to it."""
    with pytest.raises(NotJson) as caught:
        to_json(value)

    assert caught.value.pointer == pointer


def test_group_and_notes_are_told() -> None:
    """Notes and the members of an exception group are part of what is told."""
    error = ExceptionGroup("two", [ValueError("a"), KeyError("b")])
    error.add_note("while parsing")
    told = render(error, "/nowhere")

    assert told.splitlines() == [
        "ExceptionGroup: two (2 sub-exceptions)",
        "while parsing",
        "  with: ValueError: a",
        "  with: KeyError: 'b'",
    ]


def test_lone_surrogates_never_leave() -> None:
    """A message that no encoder takes is told escaped."""
    assert describe(ValueError("\ud800")) == ("ValueError", "\\ud800")
