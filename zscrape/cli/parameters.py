"""Reading `-p key=value` and `-p @file.json`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from zscrape.cli.verbs import UsageFault
from zscrape.client import Document
from zscrape.scripts.textvalues import is_text, parse


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
        parsed = parse(value)
        found[name] = value if parsed is None else parsed[0]
        unsure.pop(name, None)
        if parsed is not None:
            unsure[name] = (value, parsed[0])
    if unsure:
        properties = schema().get("properties", {})
        for name, (value, parsed_value) in unsure.items():
            if is_text(parsed_value, properties.get(name, {})):
                found[name] = value
    return found


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
