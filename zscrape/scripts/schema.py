"""Check parameters against a script's JSON Schema (draft 2020-12), all faults at once.

A schema comes with a script, so it is not trusted: no reference is ever fetched, and one
that leaves the document is refused when the manifest is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from zscrape.onuse import on_use
from zscrape.scripts.problems import Problem, pointer_to, problem
from zscrape.scripts.reading import json_type, unknown_name

if TYPE_CHECKING:
    import jsonschema
    import referencing.exceptions
else:
    jsonschema = on_use("jsonschema")
    referencing = on_use("referencing")

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
ANY_PARAMETERS: Final[dict[str, Any]] = {"$schema": DRAFT, "type": "object"}

# Python's `re` backtracks: what takes microseconds on a line takes hours on a megabyte.
PATTERN_TEXT_LIMIT: Final = 1_000

_PROBLEM_COUNT_LIMIT = 50
_REFERENCES = ("$ref", "$dynamicRef")


@cache
def _formats() -> jsonschema.FormatChecker:
    formats = jsonschema.FormatChecker(formats=())
    formats.checks("date-time", raises=ValueError)(_is_moment)
    formats.checks("date", raises=ValueError)(_is_date)
    return formats


def _is_moment(value: object) -> bool:
    """Accept what the child's conversion accepts: `datetime.fromisoformat`."""
    return not isinstance(value, str) or bool(datetime.fromisoformat(value))


def _is_date(value: object) -> bool:
    return not isinstance(value, str) or bool(date.fromisoformat(value))


def _bounded_pattern(
    validator: Any, pattern: str, instance: Any, schema: Mapping[str, Any]
) -> Iterator[jsonschema.ValidationError]:
    """Match a text of usual length; a longer one is a fault of its own."""
    if not isinstance(instance, str):
        return
    if len(instance) > PATTERN_TEXT_LIMIT or not re.search(pattern, instance):
        yield jsonschema.ValidationError(f"does not match {pattern!r}")


@cache
def _bounded() -> Any:
    draft = jsonschema.Draft202012Validator
    return jsonschema.validators.extend(draft, {"pattern": _bounded_pattern})  # type: ignore[no-untyped-call]


@cache
def _meta() -> jsonschema.Draft202012Validator:
    draft = jsonschema.Draft202012Validator
    return draft(draft.META_SCHEMA, format_checker=_formats())


class Validator:
    """Checks parameters of one script; built once, costs some ten microseconds a call."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        # A reference to the root would be followed by the class that `$schema` names there.
        own = {name: value for name, value in schema.items() if name != "$schema"}
        self._validator = _bounded()(
            own, registry=referencing.Registry(), format_checker=_formats()
        )
        self._has_name_patterns = "patternProperties" in _names_within(schema)

    def problems(self, params: Mapping[str, Any]) -> list[Problem]:
        """Return every fault of `params`; pointers start with `/parameters`."""
        if self._has_name_patterns:
            long = next((each for each in _names_within(params) if _is_long(each)), None)
            if long is not None:
                return [problem("/parameters", "name_length", limit=PATTERN_TEXT_LIMIT)]
        try:
            return _capped(_told(self._validator.iter_errors(params), "/parameters"))
        except RecursionError:
            return [problem("/parameters", "recursion")]
        except (referencing.exceptions.Unresolvable, re.error, ArithmeticError) as error:
            return [problem("/parameters", "schema", rule=type(error).__name__, detail=error)]


def schema_problems(schema: Mapping[str, Any], at: str) -> list[Problem]:
    """Return every fault of a schema written by hand; `at` is the pointer to it."""
    found = _capped(_told(_meta().iter_errors(schema), at))
    found.extend(_reference_problems(schema, at))
    if schema.get("type", "object") != "object":
        found.append(problem(f"{at}/type", "choice", actual=schema.get("type"), expected="object"))
    if found:
        return found
    try:
        list(Validator(schema)._validator.iter_errors({}))  # noqa: SLF001 - its own class
    except RecursionError:
        return [problem(at, "recursion")]
    except (referencing.exceptions.Unresolvable, re.error) as error:
        return [problem(at, "schema", rule="$ref", detail=error)]
    return []


def _reference_problems(schema: Mapping[str, Any], at: str) -> Iterator[Problem]:
    """Find references to outside, and patterns that are not regular expressions."""
    waiting: list[tuple[str, Any]] = [(at, schema)]
    while waiting:
        place, node = waiting.pop()
        if isinstance(node, Mapping):
            for name in _REFERENCES:
                target = node.get(name)
                if isinstance(target, str) and not target.startswith("#"):
                    yield problem(f"{place}/{name}", "remote_ref", actual=target)
            pattern = node.get("pattern")
            if isinstance(pattern, str) and not _is_regex(pattern):
                yield problem(f"{place}/pattern", "format", actual=pattern, expected="regex")
            for each in _names_in(node.get("patternProperties")):
                if not _is_regex(each):
                    at_name = place + pointer_to("patternProperties", each)
                    yield problem(at_name, "format", actual=each, expected="regex")
            waiting.extend((place + pointer_to(name), child) for name, child in node.items())
        elif isinstance(node, list):
            waiting.extend((place + pointer_to(index), each) for index, each in enumerate(node))


def _names_within(document: Any) -> Iterator[str]:
    """Yield the names of every object in a JSON document."""
    waiting = [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            yield from node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _is_long(text: str) -> bool:
    return len(text) > PATTERN_TEXT_LIMIT


def _names_in(value: Any) -> Iterable[str]:
    return value if isinstance(value, Mapping) else ()


def _is_regex(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _capped(problems: Iterator[Problem]) -> list[Problem]:
    found: list[Problem] = []
    for each in problems:
        found.append(each)
        if len(found) >= _PROBLEM_COUNT_LIMIT:
            break
    return found


# ---- words for what jsonschema finds -------------------------------------------------

# Its attributes are typed as "perhaps unset" for errors made by hand; those found are whole.
_Error: TypeAlias = Any
_Words = Callable[[str, _Error], Iterable[Problem]]


def _told(errors: Iterable[_Error], at: str) -> Iterator[Problem]:
    for error in errors:
        place = at + pointer_to(*error.absolute_path)
        words = _WORDS.get(str(error.validator))
        if words is not None:
            yield from words(place, error)
        else:
            yield problem(place, "schema", rule=error.validator, detail=error.message)


def _required(place: str, error: _Error) -> Iterator[Problem]:
    """One error per missing name comes in; which one it is stands only in its message."""
    name = next(each for each in error.validator_value if error.message.startswith(f"{each!r} is"))
    yield problem(place + pointer_to(name), "required")


def _additional(place: str, error: _Error) -> Iterator[Problem]:
    known = dict(error.schema.get("properties", {}))
    patterns = list(error.schema.get("patternProperties", {}))
    for name in error.instance:
        if name not in known and not any(re.search(each, name) for each in patterns):
            yield unknown_name(place + pointer_to(name), name, known)


def _type(place: str, error: _Error) -> Iterator[Problem]:
    expected = error.validator_value
    told = expected if isinstance(expected, str) else " or ".join(expected)
    yield problem(place, "type", expected=told, actual=json_type(error.instance))


def _enum(place: str, error: _Error) -> Iterator[Problem]:
    told = ", ".join(str(each) for each in error.validator_value)
    yield problem(place, "choice", actual=error.instance, expected=told)


def _alternatives(place: str, error: _Error) -> Iterator[Problem]:
    """Tell the alternatives' own faults where they only differ in type, as unions do."""
    types = [each.validator_value for each in error.context if each.validator == "type"]
    if len(types) == len(error.validator_value) and all(isinstance(each, str) for each in types):
        told = " or ".join(types)
        yield problem(place, "type", expected=told, actual=json_type(error.instance))
    else:
        best = jsonschema.exceptions.best_match([error])
        at = place + pointer_to(*list(best.absolute_path)[len(error.absolute_path) :])
        words = _WORDS.get(str(best.validator))
        if words is not None and best is not error:
            yield from words(at, best)
        else:
            yield problem(place, "schema", rule=error.validator, detail=error.message)


def _plain(code: str) -> _Words:
    def words(place: str, error: _Error) -> Iterator[Problem]:
        yield problem(place, code, actual=error.instance, expected=error.validator_value)

    return words


def _pattern(place: str, error: _Error) -> Iterator[Problem]:
    if _is_long(error.instance):
        yield problem(place, "pattern_length", limit=PATTERN_TEXT_LIMIT)
    else:
        yield problem(place, "pattern", actual=error.instance, expected=error.validator_value)


_WORDS: dict[str, _Words] = {
    "required": _required,
    "additionalProperties": _additional,
    "type": _type,
    "enum": _enum,
    "anyOf": _alternatives,
    "oneOf": _alternatives,
    "minimum": _plain("minimum"),
    "maximum": _plain("maximum"),
    "pattern": _pattern,
    "format": _plain("format"),
}
