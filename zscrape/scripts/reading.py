"""Read a JSON object written by a person: every fault is kept, with its place, none raised."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any, TypeVar

from zscrape.config import parse_size
from zscrape.scripts.problems import Problem, pointer_to, problem
from zscrape.spelling import nearest

T = TypeVar("T")

DEPTH_LIMIT = 32
_LIST_LIMIT = 256
_UNKNOWN_TOLD_COUNT = 50  # looking for the nearest known name takes its time

_TYPE_NAMES = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}


def decode_json(raw: bytes) -> Any:
    """Return the JSON document in `raw` (UTF-8, a byte order mark is allowed).

    Raises:
        ValueError: It is not one, is nested too deep, or has a name twice in one object.
    """
    try:
        document = json.loads(
            raw.decode("utf-8-sig"), object_pairs_hook=_no_duplicates, parse_constant=_no_constant
        )
    except RecursionError:
        raise ValueError(f"nested deeper than {DEPTH_LIMIT} levels") from None
    if _is_deeper(document, DEPTH_LIMIT):
        raise ValueError(f"nested deeper than {DEPTH_LIMIT} levels")
    return document


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice!r} stands twice in one object")
    return found


def _no_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _is_deeper(document: Any, limit: int) -> bool:
    level: list[Any] = [document]
    for _ in range(limit + 1):
        level = [
            child
            for each in level
            if isinstance(each, (dict, list))
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


def json_type(value: Any) -> str:
    """Return the JSON name of a value's type."""
    return _TYPE_NAMES.get(type(value), type(value).__name__)


def unknown_name(pointer: str, name: str, known: Collection[str]) -> Problem:
    """Describe a name that nothing knows, with the one that was probably meant."""
    close = nearest(name, known)
    return (
        problem(pointer, "unknown_nearest", nearest=close) if close else problem(pointer, "unknown")
    )


class ObjectReader:
    """Takes fields out of one JSON object; what does not fit is noted in `problems`.

    Every method returns the default when the field is absent, null or at fault.
    """

    def __init__(self, source: dict[str, Any], problems: list[Problem], *at: str) -> None:
        self._source = source
        self.problems = problems
        self._at = at
        self._taken: set[str] = set()

    def pointer(self, *parts: object) -> str:
        """Return the JSON pointer to a field of this object."""
        return pointer_to(*self._at, *parts)

    def fault(self, name: str, code: str, **fields: object) -> None:
        """Note a fault of the field `name`."""
        self.problems.append(problem(self.pointer(name), code, **fields))

    def take(self, name: str, *expected: type) -> Any:
        """Return the field if it is of an expected type (a boolean is not a number), else None."""
        self._taken.add(name)
        value = self._source.get(name)
        if value is None or type(value) in expected:
            return value
        told = " or ".join(dict.fromkeys(_TYPE_NAMES[each] for each in expected))
        self.fault(name, "type", expected=told, actual=json_type(value))
        return None

    def unknown(self) -> list[Problem]:
        """Return one problem per field that nobody has taken, up to a number that can be read."""
        strangers = (name for name in self._source if name not in self._taken)
        return [
            unknown_name(self.pointer(name), name, self._taken)
            for name in itertools.islice(strangers, _UNKNOWN_TOLD_COUNT)
        ]

    def text(self, name: str, default: str = "", *, limit: int = 256) -> str:
        """Return a text of at most `limit` characters."""
        value = self.take(name, str)
        if value is None:
            return default
        if len(value) > limit:
            self.fault(name, "length", limit=limit)
            return default
        return str(value)

    def matched(self, name: str, default: T, read: Callable[[str], T | None], code: str) -> T:
        """Return what `read` makes of a text; its None is the fault `code`."""
        value = self.take(name, str)
        if value is None:
            return default
        found = read(value) if len(value) <= _LIST_LIMIT else None
        if found is None:
            self.fault(name, code, actual=value)
            return default
        return found

    def number(self, name: str, default: T, *, minimum: float, maximum: float) -> float | T:
        """Return a finite number from `minimum` to `maximum`."""
        value = self.take(name, int, float)
        if value is None:
            return default
        if not (math.isfinite(value) and minimum <= value <= maximum):
            self.fault(name, "range", actual=value, minimum=minimum, maximum=maximum)
            return default
        return float(value)

    def whole(self, name: str, default: T, *, minimum: int, maximum: int) -> int | T:
        """Return a whole number from `minimum` to `maximum`."""
        value = self.take(name, int)
        if value is None:
            return default
        if not minimum <= value <= maximum:
            self.fault(name, "range", actual=value, minimum=minimum, maximum=maximum)
            return default
        return int(value)

    def size(self, name: str, default: int, *, minimum: int, maximum: int) -> int:
        """Return a size in bytes, written as a number or with a unit."""
        value = self.take(name, str, int)
        if value is None:
            return default
        count = _size(value) if isinstance(value, str) else value
        if count is None:
            self.fault(name, "bytes", actual=value)
            return default
        if not minimum <= count <= maximum:
            self.fault(name, "range", actual=value, minimum=minimum, maximum=maximum)
            return default
        return count

    def choice(self, name: str, default: str, choices: Collection[str]) -> str:
        """Return one of `choices`."""
        value = self.take(name, str)
        if value is None:
            return default
        if value not in choices:
            self.fault(name, "choice", actual=value, expected=", ".join(sorted(choices)))
            return default
        return str(value)

    def moment(self, name: str) -> datetime | None:
        """Return an aware moment; without a zone it is UTC."""
        return self.matched(name, None, _moment, "moment")

    def texts(
        self, name: str, default: tuple[str, ...] = (), *, choices: Collection[str] | None = None
    ) -> tuple[str, ...]:
        """Return a list of texts that are not empty, each once, of `choices` if given."""
        value = self.take(name, list)
        if value is None:
            return default
        if len(value) > _LIST_LIMIT:
            self.fault(name, "count", limit=_LIST_LIMIT)
            return default
        found: list[str] = []
        for index, each in enumerate(value):
            fault = _text_fault(each, found, choices)
            if fault is not None:
                code, fields = fault
                self.problems.append(problem(self.pointer(name, index), code, **fields))
            else:
                found.append(each)
        return tuple(found)

    def child(self, name: str) -> ObjectReader | None:
        """Return a reader of the object under `name`."""
        value = self.take(name, dict)
        return None if value is None else ObjectReader(value, self.problems, *self._at, name)


def _size(value: str) -> int | None:
    try:
        return parse_size(value)
    except ValueError:
        return None


def _text_fault(
    value: Any, found: Collection[str], choices: Collection[str] | None
) -> tuple[str, dict[str, object]] | None:
    """Return the code and the fields of what is wrong with one entry of a list of texts."""
    if type(value) is not str:
        return "type", {"expected": "string", "actual": json_type(value)}
    if not value.strip():
        return "empty", {}
    if len(value) > _LIST_LIMIT:
        return "length", {"limit": _LIST_LIMIT}
    if value in found:
        return "duplicate", {"actual": value}
    if choices is not None and value not in choices:
        return "choice", {"actual": value, "expected": ", ".join(sorted(choices))}
    return None


def _moment(value: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
