"""Change single members of a JSON object in its text; all the rest stays as somebody wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

_BOM = b"\xef\xbb\xbf"
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


class _Member(NamedTuple):
    name: str
    start: int  # of the name
    value_start: int
    end: int


def with_members(raw: bytes, members: Mapping[str, Any]) -> bytes:
    """Return the text of an object with these members set: in their place, else at the end.

    `raw` must be one that `reading.decode_json` has accepted as an object.
    """
    mark = _BOM if raw.startswith(_BOM) else b""
    text = raw.removeprefix(_BOM).decode()
    for name, value in members.items():
        text = _with_member(text, name, value)
    return mark + text.encode()


def _with_member(text: str, name: str, value: Any) -> str:
    found = _members(text)
    margin = _margin(text, found)
    written = _written(value, margin)
    known = next((each for each in found if each.name == name), None)
    if known is not None:
        return text[: known.value_start] + written + text[known.end :]
    member = f"{json.dumps(name)}: {written}"
    if not found:
        opened = text.index("{") + 1
        return text[:opened] + member + text[opened:]
    end = found[-1].end
    before = " " if margin is None else f"\n{margin}"
    return f"{text[:end]},{before}{member}{text[end:]}"


def _written(value: Any, margin: str | None) -> str:
    """Write a value as its neighbours are: on one line, or indented below `margin`."""
    if not margin:
        return json.dumps(value, ensure_ascii=False)
    written = json.dumps(value, ensure_ascii=False, indent=margin)
    return written.replace("\n", f"\n{margin}")


def _margin(text: str, found: list[_Member]) -> str | None:
    """Return what stands before the first name on its line; None when it does not start one."""
    if not found:
        return None
    line = text[: found[0].start].rpartition("\n")
    return line[2] if line[1] and not line[2].strip() else None


def _members(text: str) -> list[_Member]:
    """Return the members of the object, where each starts and ends."""
    found: list[_Member] = []
    at = _after_space(text, text.index("{") + 1)
    while text[at] != "}":
        name, name_end = _DECODER.raw_decode(text, at)
        value_start = _after_space(text, _after_space(text, name_end) + 1)
        _, end = _DECODER.raw_decode(text, value_start)
        found.append(_Member(name, at, value_start, end))
        at = _after_space(text, end)
        if text[at] == ",":
            at = _after_space(text, at + 1)
    return found


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
