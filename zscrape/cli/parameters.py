"""Reading `-p key=value` and `-p @file.json`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from zscrape.cli.verbs import UsageFault
from zscrape.client import Document

_JSON_TYPES: Final[dict[type, str]] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}


def read_parameters(given: Sequence[str], schema: Callable[[], Document]) -> Document:
    """Return the parameters; a later one of the same name wins.

    A value is JSON where it reads as JSON and the schema does not want text there, else it
    is text: `-p pages=3` is a number, `-p zip=03187` and `-p name=3` of a text are not.

    Args:
        given: What followed each `-p`.
        schema: Brings the script's schema; asked only when a value may be either.

    Raises:
        UsageFault: A piece is neither `key=value` nor a readable `@file` with a JSON object.
    """
    found: Document = {}
    unsure: dict[str, tuple[str, Any]] = {}
    for piece in given:
        if piece.startswith("@"):
            found |= _read_file(piece[1:])
            continue
        name, has_value, value = piece.partition("=")
        if not has_value or not name:
            raise UsageFault("cli.usage.parameter", given=piece)
        parsed = _parse(value)
        found[name] = value if parsed is None else parsed[0]
        unsure.pop(name, None)
        if parsed is not None:
            unsure[name] = (value, parsed[0])
    if unsure:
        properties = schema().get("properties", {})
        for name, (value, parsed_value) in unsure.items():
            wanted = _types(properties.get(name, {}))
            if "string" in wanted and not _fits(parsed_value, wanted):
                found[name] = value
    return found


def _parse(value: str) -> tuple[Any] | None:
    """Return the JSON value in a tuple, or None when it is not JSON."""
    try:
        return (msgspec.json.decode(value),)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


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


def _read_file(name: str) -> Document:
    try:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        content = msgspec.json.decode(raw)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageFault("cli.usage.parameter_file", name=name, reason=reason) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise UsageFault("cli.usage.parameter_file", name=name, reason=str(error)) from error
    if not isinstance(content, dict):
        raise UsageFault("cli.usage.parameter_object", name=name)
    return content
