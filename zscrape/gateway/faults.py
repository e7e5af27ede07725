"""What a request has done wrong, in words that exist in both languages."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from msgspec import MsgspecError

from zscrape.errors.requests import InvalidRequest, MalformedJson
from zscrape.spelling import nearest


class FieldFault(InvalidRequest):
    """An `InvalidRequest` whose words stand in the catalogue under `key`."""

    key: str
    values: dict[str, Any]

    @property
    def text_key(self) -> str:
        """The words of this fault instead of the general ones."""
        return self.key

    @property
    def fields(self) -> dict[str, Any]:
        """The place, and what fills the placeholders."""
        return {"pointer": self.pointer, "reason": self.reason, **self.values}


class JsonFault(MalformedJson):
    """A `MalformedJson` whose words stand in the catalogue under `key`."""

    key: str
    byte: str = ""

    @property
    def text_key(self) -> str:
        """The words of this fault instead of the general ones."""
        return self.key

    @property
    def fields(self) -> dict[str, Any]:
        """The reason, and the byte where the document has one that is to blame."""
        return {"reason": self.reason, **({"byte": self.byte} if self.byte else {})}


def field_fault(pointer: str, key: str, **values: Any) -> FieldFault:
    """Return the fault at `pointer` with the words `http.<key>`."""
    told = ", ".join(f"{name}={value}" for name, value in values.items())
    reason = f"{key} ({told})" if told else key
    return FieldFault(pointer=pointer, reason=reason, key=f"http.{key}", values=values)


# ---- what msgspec says, as faults ----------------------------------------------------

_PLACE = re.compile(r" - at `([^`]*)`$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_BYTE = re.compile(r"\(byte (\d+)\)")
_Reading = Callable[[str, re.Match[str], tuple[str, ...]], FieldFault]


def _unknown_field(pointer: str, found: re.Match[str], known: tuple[str, ...]) -> FieldFault:
    name = found[1][:80]
    near = nearest(name, known)
    key = "unknown_field.nearest" if near else "unknown_field"
    return field_fault(f"{pointer}/{name}", key, name=name, **({"nearest": near} if near else {}))


def _missing_field(pointer: str, found: re.Match[str], _known: tuple[str, ...]) -> FieldFault:
    return field_fault(f"{pointer}/{found[1]}", "missing_field", name=found[1])


def _out_of_range(pointer: str, found: re.Match[str], _known: tuple[str, ...]) -> FieldFault:
    return field_fault(pointer, "out_of_range", bound=f"{found[1]} {found[2].removesuffix('.0')}")


def _wrong_length(pointer: str, found: re.Match[str], _known: tuple[str, ...]) -> FieldFault:
    return field_fault(pointer, "wrong_length", bound=f"{found[1]} {found[2]}")


def _wrong_form(pointer: str, _found: re.Match[str], _known: tuple[str, ...]) -> FieldFault:
    return field_fault(pointer, "wrong_form")


def _wrong_type(pointer: str, found: re.Match[str], _known: tuple[str, ...]) -> FieldFault:
    expected = found[1].replace(" | null", "")
    return field_fault(pointer, "wrong_type", expected=expected, actual=found[2])


def _not_one_of(pointer: str, found: re.Match[str], _known: tuple[str, ...]) -> FieldFault:
    return field_fault(pointer, "not_one_of", given=found[1][:80])


def _number(pointer: str, _found: re.Match[str], _known: tuple[str, ...]) -> FieldFault:
    return field_fault(pointer, "number_too_large")


# msgspec 0.22 tells its findings only in English sentences; a test holds these to them.
_READINGS: tuple[tuple[re.Pattern[str], _Reading], ...] = (
    (re.compile(r"unknown field `(.*)`$", re.DOTALL), _unknown_field),
    (re.compile(r"missing required field `([^`]*)`$"), _missing_field),
    (re.compile(r"^Expected `[^`]*` of length (>=|<=|==) (\d+)$"), _wrong_length),
    (re.compile(r"^Expected `[^`]*` (>=|<=|>|<) (-?[\d.]+)$"), _out_of_range),
    (re.compile(r"matching regex"), _wrong_form),
    (re.compile(r"^Expected `([^`]*)`, got `([^`]*)`$"), _wrong_type),
    (re.compile(r"^Invalid enum value '?(.*?)'?$", re.DOTALL), _not_one_of),
    (re.compile(r"out of range$"), _number),
)


def read_fault(
    error: Exception, known: tuple[str, ...] = (), *, at: str = ""
) -> FieldFault | JsonFault:
    """Return what a decoder's `error` means for the caller; `known` are the allowed names."""
    told = str(error)
    if isinstance(error, UnicodeError):
        return JsonFault(reason="not UTF-8", key="http.json_not_utf8")
    if isinstance(error, RecursionError):
        return JsonFault(reason="nested too deeply", key="http.json_nested")
    place = _PLACE.search(told)
    pointer = at + (pointer_of(place[1]) if place else "")
    finding = told[: place.start()] if place else told
    for pattern, reading in _READINGS:
        found = pattern.search(finding)
        if found is not None:
            return reading(pointer, found, known)
    return _json_fault(finding if isinstance(error, MsgspecError) else type(error).__name__)


def _json_fault(finding: str) -> JsonFault:
    byte = _BYTE.search(finding)
    if "truncated" in finding:
        return JsonFault(reason=finding, key="http.json_incomplete")
    if byte is None:
        return JsonFault(reason=finding, key="http.json_unreadable")
    return JsonFault(reason=finding, key="http.json_at_byte", byte=byte[1])


def pointer_of(path: str) -> str:
    """Return msgspec's path (`$.tags[0]`) as a JSON pointer (`/tags/0`)."""
    steps = [name or place for name, place in _STEP.findall(path)]
    return "".join("/" + step for step in steps if step != "...")
