"""What a text stands for, by the schema of what is wanted."""

from __future__ import annotations

from typing import Any

import pytest

from zscrape.scripts.textvalues import value_of

EITHER = {"anyOf": [{"type": "string"}, {"type": "null"}]}


@pytest.mark.parametrize(
    ("told", "schema", "value"),
    [
        ("3", {"type": "integer"}, 3),
        ("3", {"type": "string"}, "3"),
        ("3", {"type": ["string", "integer"]}, 3),
        ("3", {"type": ["string", "number"]}, 3),
        ("3", {}, 3),
        ("03187", {"type": "integer"}, "03187"),
        ("true", {"enum": ["true", "false"]}, "true"),
        ("null", EITHER, None),
        ('"a"', {"type": "string"}, '"a"'),
        ("[1]", {"type": "array"}, [1]),
        ("plain", {"type": "integer"}, "plain"),
        ("1", True, 1),
    ],
)
def test_text_is_read_as_the_schema_wants(told: str, schema: Any, value: Any) -> None:
    """JSON where it reads as JSON and text is not wanted, else text."""
    assert value_of(told, schema) == value
