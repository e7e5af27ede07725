"""`-p`: what is a number, what is text, what is a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zscrape.cli.parameters import read_parameters
from zscrape.cli.verbs import UsageFault

SCHEMA = {
    "properties": {
        "text": {"type": "string"},
        "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "either": {"type": ["string", "integer"]},
        "choice": {"enum": ["1", "2"]},
        "count": {"type": "integer"},
        "share": {"anyOf": [{"type": "number"}, {"type": "string"}]},
    }
}


@pytest.mark.parametrize(
    ("piece", "expected"),
    [
        ("count=3", 3),
        ("count=3.5", 3.5),
        ("other=true", True),
        ("other=[1]", [1]),
        ('other={"a":1}', {"a": 1}),
        ("other=plain", "plain"),
        ("other=", ""),
        ("other=a=b", "a=b"),
        ('other="quoted"', "quoted"),
        ("text=3", "3"),
        ("text=true", "true"),
        ("text=null", "null"),
        ('text="quoted"', '"quoted"'),
        ("maybe=null", None),
        ("maybe=3", "3"),
        ("either=3", 3),
        ("either=3.5", "3.5"),
        ("either=true", "true"),
        ("choice=1", "1"),
        ("share=1", 1),
        ("text=03187", "03187"),
    ],
)
def test_value_is_json_unless_the_schema_says_text(piece: str, expected: Any) -> None:
    """A value that reads as JSON is JSON, except where the script wants text."""
    found = read_parameters([piece], lambda: SCHEMA)

    value = found[piece.partition("=")[0]]
    assert value == expected
    assert type(value) is type(expected)


def test_schema_is_asked_for_only_when_it_matters() -> None:
    """Plain text needs no look at the schema."""

    def schema() -> dict[str, Any]:
        raise AssertionError("asked")

    assert read_parameters(["url=https://example.com", "name=a b"], schema) == {
        "url": "https://example.com",
        "name": "a b",
    }


def test_later_one_wins_over_file_and_value(tmp_path: Path) -> None:
    """Files and values are read in order."""
    path = tmp_path / "p.json"
    path.write_text('{"a": 1, "b": 2}', encoding="utf-8")

    found = read_parameters(["a=0", f"@{path}", "b=x", "c=1", "c=y"], dict)

    assert found == {"a": 1, "b": "x", "c": "y"}


@pytest.mark.parametrize("content", ["[1]", "nonsense", "\udc80"])
def test_file_must_hold_an_object(tmp_path: Path, content: str) -> None:
    """A file with anything else is refused by name."""
    path = tmp_path / "p.json"
    path.write_text(content, encoding="utf-8", errors="surrogateescape")

    with pytest.raises(UsageFault, match=r"p\.json"):
        read_parameters([f"@{path}"], dict)


def test_missing_file_is_refused() -> None:
    """A file that is not there is named."""
    with pytest.raises(UsageFault, match=r"none\.json"):
        read_parameters(["@none.json"], dict)
