"""What a text stands for where a script wants a value: a command line and a form have only text.

A text is JSON where it reads as JSON and the schema does not want text there, else it is text:
`3` for a number of pages is a number, `03187` and `3` for a name are not.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

_JSON_TYPES: Final[dict[type, str]] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}


def value_of(told: str, schema: Any) -> Any:
    """Return what `told` stands for, by the schema of its parameter."""
    parsed = parse(told)
    if parsed is None:
        return told
    return told if is_text(parsed[0], schema) else parsed[0]


def parse(told: str) -> tuple[Any] | None:
    """Return the JSON value in a tuple, or None when it is not JSON."""
    try:
        return (msgspec.json.decode(told),)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def is_text(parsed: Any, schema: Any) -> bool:
    """True iff a text that reads as this JSON value is meant as the text."""
    wanted = _types(schema)
    return "string" in wanted and not _fits(parsed, wanted)


def _types(schema: Any) -> set[str]:
    """Return the JSON types that a schema names, through `anyOf` and `oneOf`."""
    if not isinstance(schema, dict):
        return set()
    named = schema.get("type", [])
    found = {named} if isinstance(named, str) else set(named)
    if any(isinstance(value, str) for value in schema.get("enum", ())):
        found.add("string")
    for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        found |= _types(part)
    return found


def _fits(value: Any, wanted: set[str]) -> bool:
    kind = _JSON_TYPES.get(type(value), "string")
    return kind != "string" and (kind in wanted or (kind == "integer" and "number" in wanted))
