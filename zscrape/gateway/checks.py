"""A quick yes for parameters that plainly fit a plain schema.

Most scripts take a few texts and numbers. For these a look at each value's type says all that
the full check would, in a tenth of its time (10 against 1 microseconds). What is not plain,
and every no, is left to the script's own validator, whose words are the ones told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from zscrape.scripts.catalogue import Script
from zscrape.scripts.problems import Problem

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
# Larger parameters are checked beside the loop: a long list of objects takes longer than a beat,
# and the loop must beat in the meantime.
_INLINE_LIMIT_BYTES = 16_384
_REMEMBERED_COUNT: Final = 1024


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


def _say_no(_params: Mapping[str, Any]) -> bool:
    """Leave it to the full check: the schema is not plain."""
    return False


class ParameterChecks:
    """Checks parameters against scripts; remembers the quick check of each version."""

    def __init__(self) -> None:
        self._quick: dict[str, QuickCheck] = {}

    def is_plainly_good(self, script: Script, params: Mapping[str, Any]) -> bool:
        """True only for parameters without a fault; False when a closer look is needed."""
        digest = script.pin.digest
        check = self._quick.get(digest)
        if check is None:
            if len(self._quick) >= _REMEMBERED_COUNT:
                self._quick.clear()
            check = self._quick[digest] = quick_check(script.schema) or _say_no
        return check(params)

    async def problems(
        self, script: Script, params: Mapping[str, Any], *, size_bytes: int
    ) -> list[Problem]:
        """Return every fault of `params`, which took `size_bytes` as JSON."""
        if self.is_plainly_good(script, params):
            return []
        if size_bytes <= _INLINE_LIMIT_BYTES:
            return script.validator.problems(params)
        return await asyncio.to_thread(script.validator.problems, params)
