"""Keeps the values of an attempt's secrets out of what it says.

A script that prints its secret seldom prints it bare: it stands in a `repr`, in JSON, in a
header (base64) or in an address (percent-encoded). All of these forms are looked for. This
guards against slips, not against a script that wants to give its secret away: that one may
turn it around, and nothing short of taking the secret away would help.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus

import msgspec

from zscrape.onuse import on_use
from zscrape.runtime.trace import CUT_MARK

if TYPE_CHECKING:
    import html
else:
    html = on_use("html")

MASK: Final = "********"
# A derived form (base64, hexadecimal, ...) or a line of a longer value that is shorter than
# this would blank out ordinary words.
_DERIVED_LIMIT_CHARACTERS: Final = 6
_NAME_LIMIT_CHARACTERS: Final = 128  # of files that are saved
_TYPE_LIMIT_CHARACTERS: Final = 255
# Encoders break long lines there: PEM at 64 characters, MIME at 76.
_WRAPS: Final = (64, 76)

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Mask:
    """Blanks out secrets in whatever one attempt says; `hit_count` tells how often it did."""

    __slots__ = ("_bytes", "_forms", "_needles", "hit_count")

    def __init__(self, secrets: Mapping[str, str]) -> None:
        found = {form for value in secrets.values() for form in _forms(value)}
        # The longest first: a form inside of another must not spoil the other.
        self._forms = sorted(found, key=lambda form: (-len(form), form))
        self._bytes = [form.encode("utf-8", "surrogatepass") for form in self._forms]
        # As they stand inside of JSON's quotation marks.
        self._needles = [_in_json(form) for form in self._forms]
        self.hit_count = 0

    def text(self, text: str) -> str:
        """Return a text with every secret blanked out, also one that a cut has halved."""
        told = text
        for form in self._forms:
            if form in told:
                told = told.replace(form, MASK)
        if CUT_MARK in told:
            told = CUT_MARK.join(self._before_cut(told.split(CUT_MARK)))
        if told != text:
            self.hit_count += 1
        return told

    def beginning(self, text: str) -> str:
        """Return the first part of a longer text: a secret may have begun at its end."""
        told = self._without_halved(self.text(text))
        if told != text:
            self.hit_count += 1
        return told

    def value(self, value: Any) -> Any:
        """Return what a JSON document stands for, with every secret in it blanked out."""
        kind = type(value)
        if kind is str:
            return self.text(value)
        if kind is dict:
            return {self.text(name): self.value(each) for name, each in value.items()}
        if kind is list:
            return [self.value(each) for each in value]
        if kind is int or kind is float:
            bare = str(value)
            return value if self.text(bare) == bare else MASK
        return value

    def document(self, document: bytes) -> bytes:
        """Return a JSON document with every secret in it blanked out.

        Raises:
            RecursionError: It is nested too deeply to be looked through.
        """
        # An escaped character may be any: then every text is looked at.
        if b"\\u" not in document and not any(each in document for each in self._needles):
            return document
        hit_count = self.hit_count
        masked = self.value(_decode(document))
        return document if self.hit_count == hit_count else _encode(masked)

    def content(self, content: bytes) -> bytes:
        """Return bytes with every secret in them blanked out."""
        told = content
        for form in self._bytes:
            told = told.replace(form, MASK.encode())
        self.hit_count += told != content
        return told

    def file(self, record: bytes) -> bytes:
        """Return a saved file's record with every secret blanked out: in bytes, name and type."""
        saved = _decode(record)
        content = binascii.a2b_base64(saved["data"])
        told = self.content(content)
        # A name has no asterisks, and both have a greatest length.
        name = self.text(saved["name"]).replace("*", "-")[:_NAME_LIMIT_CHARACTERS]
        content_type = self.text(saved["content_type"])[:_TYPE_LIMIT_CHARACTERS]
        is_named = (name, content_type) != (saved["name"], saved["content_type"])
        if told == content and not is_named:
            return record
        saved["name"], saved["content_type"] = name, content_type
        if told != content:
            saved["data"] = base64.b64encode(told).decode()
            saved["size"], saved["sha256"] = len(told), hashlib.sha256(told).hexdigest()
        return _encode(saved)

    def _before_cut(self, parts: list[str]) -> Iterator[str]:
        for part in parts[:-1]:
            yield self._without_halved(part)
        yield parts[-1]

    def _without_halved(self, text: str) -> str:
        """Return a text that was cut without the first part of a secret at its end."""
        for form in self._forms:
            longest = min(len(form) - 1, len(text))
            for length in range(longest, _DERIVED_LIMIT_CHARACTERS - 3, -1):
                if text.endswith(form[:length]):
                    return text[:-length] + MASK
        return text


def _in_json(form: str) -> bytes:
    return json.dumps(form, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass")


def _forms(value: str) -> Iterator[str]:
    """Yield every form in which a value may be told."""
    yield value
    for form in _derived(value):
        if len(form) >= _DERIVED_LIMIT_CHARACTERS:
            yield form


def _derived(value: str) -> Iterator[str]:
    raw = value.encode("utf-8", "surrogatepass")
    yield from (line.strip() for line in value.splitlines())
    for ascii_only in (True, False):
        escaped = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        yield escaped
        yield escaped.replace("/", "\\/")
    yield repr(value)[1:-1]
    yield repr(raw)[2:-1]
    yield html.escape(value)
    for percent in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        yield percent
        yield _lower_hex(percent)
    yield raw.hex()
    yield raw.hex().upper()
    yield from _base64_forms(raw)


def _lower_hex(percent: str) -> str:
    first, *rest = percent.split("%")
    return "%".join((first, *(part[:2].lower() + part[2:] for part in rest)))


def _base64_forms(raw: bytes) -> Iterator[str]:
    """Yield what base64 makes of these bytes, wherever they stand among others.

    Of three bytes it makes four characters, so there are three ways, each without the
    characters that hold bits of its neighbours.
    """
    for before_count in range(3):
        told = base64.b64encode(bytes(before_count) + raw).decode()
        first = -(-before_count * 8 // 6)
        last = (before_count + len(raw)) * 8 // 6
        whole = told[first:last]
        yield whole
        yield whole.replace("+", "-").replace("/", "_")
        if before_count == 0:
            for width in _WRAPS:
                if len(whole) > width:
                    yield from (whole[at : at + width] for at in range(0, len(whole), width))
