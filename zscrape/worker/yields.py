"""Whether an attempt has found what its script promises: `expect` of the manifest.

Items are counted as they come, each looked at once and none kept. An answer is looked at only
where there were no items: then its rows are what was found.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Raw

from zscrape.model import Expect

_FIELD_LIMIT_COUNT: Final = 500  # of names that items have, where none are required
_TOLD_LIMIT_COUNT: Final = 10
_NAME_LIMIT_CHARACTERS: Final = 100
_LACKING: Final = frozenset((b"null", b'""'))
# What msgspec raises beside its own: see `decode` in zscrape.wire.
_DECODE_ERRORS: Final = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)

_read_row = msgspec.json.Decoder(dict[str, Raw]).decode
_read_rows = msgspec.json.Decoder(list[Raw]).decode

Fields = dict[str, str | int | float]


class Yields:
    """What one attempt has found so far, against what is expected of it."""

    __slots__ = ("_expect", "_has_fields", "_having", "_item_count")

    def __init__(self, expect: Expect) -> None:
        self._expect = expect
        self._has_fields = bool(expect.required) or expect.max_null_ratio is not None
        self._having = dict.fromkeys(expect.required, 0)  # items with a value, by field
        self._item_count = 0

    def take(self, item: bytes) -> None:
        """Count one item: a JSON document that has been checked."""
        self._item_count += 1
        if not self._has_fields:
            return
        try:
            row = _read_row(item)
        except _DECODE_ERRORS:  # no object: it lacks every field
            return
        having = self._having
        for name in self._expect.required or row:
            if name not in having and len(having) >= _FIELD_LIMIT_COUNT:
                continue
            value = row.get(name)
            has_value = value is not None and bytes(value).strip() not in _LACKING
            having[name] = having.get(name, 0) + has_value

    def fault(self, data: bytes, *, known_count: int = 0) -> Fields | None:
        """Return what fills the words of `empty_result`; None when enough was found.

        Args:
            data: The script's answer.
            known_count: Items that were found and left out because an earlier run had them.
        """
        if not self._item_count:
            for row in _rows(data):
                self.take(row)
        found_count = self._item_count + known_count
        if found_count < self._expect.min_item_count:
            return {
                "what": "few",
                "item_count": found_count,
                "min_item_count": self._expect.min_item_count,
            }
        missing = self._missing()
        if missing:
            return {"what": "missing", "item_count": self._item_count, "missing": missing}
        return None

    def _missing(self) -> str:
        """Return which fields too many items lack, and how many do; empty for none."""
        allowed_count = (self._expect.max_null_ratio or 0.0) * self._item_count
        lacking = [(self._item_count - count, name) for name, count in self._having.items()]
        # A share such as 0.1 is not exact: 3 of 30 must not be more than a tenth.
        told = sorted((each for each in lacking if each[0] > allowed_count + 1e-9), reverse=True)
        parts = [
            f"{name[:_NAME_LIMIT_CHARACTERS]} {count}/{self._item_count}"
            for count, name in told[:_TOLD_LIMIT_COUNT]
        ]
        if len(told) > _TOLD_LIMIT_COUNT:
            parts.append(f"+{len(told) - _TOLD_LIMIT_COUNT}")
        return ", ".join(parts)


def _rows(data: bytes) -> Iterator[bytes]:
    """Yield the rows of an answer: a list's elements, or the one object; nothing of null."""
    try:
        yield from map(bytes, _read_rows(data))
    except _DECODE_ERRORS:
        if data.strip() not in _LACKING:
            yield data
