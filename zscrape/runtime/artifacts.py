"""Files that a script keeps with its task: what they may be called, and their records."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from zscrape.runtime.channel import ARTIFACT_LIMIT_BYTES
from zscrape.runtime.encode import to_json
from zscrape.runtime.trace import cut, type_name

_NAME_LIMIT_CHARACTERS = 128
_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
_CONTENT_TYPE_LIMIT_CHARACTERS = 255


def artifact(name: str, data: bytes | str, content_type: str | None) -> bytes:
    """Return the record of one file, as JSON.

    Args:
        name: What it is called.
        data: What is in it.
        content_type: A media type; by default plain text for text, else octets.

    Raises:
        TypeError: `data` is neither.
        ValueError: The name, the size or the media type is not allowed, or the text has a
            lone surrogate.
    """
    if not _is_file_name(name):
        given = cut(repr(name), _NAME_LIMIT_CHARACTERS)
        raise ValueError(f"{given} is not a name for an artifact: use A-Z a-z 0-9 . _ -")
    raw, fallback = _raw(data)
    if len(raw) > ARTIFACT_LIMIT_BYTES:
        raise ValueError(f"{name} has {len(raw)} bytes; the limit is {ARTIFACT_LIMIT_BYTES}")
    media_type = content_type or fallback
    if not _is_content_type(media_type):
        given = cut(repr(media_type), _NAME_LIMIT_CHARACTERS)
        raise ValueError(f"content_type {given} is not a media type such as text/html")
    return to_json(
        {
            "name": name,
            "size": len(raw),
            "content_type": media_type,
            "sha256": hashlib.sha256(raw).hexdigest(),
            "data": base64.b64encode(raw).decode(),
        }
    )


def _is_file_name(name: str) -> bool:
    return (
        0 < len(name) <= _NAME_LIMIT_CHARACTERS
        and _NAME_CHARACTERS.issuperset(name)
        and name not in (".", "..")
    )


def _is_content_type(given: str) -> bool:
    is_short = len(given) <= _CONTENT_TYPE_LIMIT_CHARACTERS
    return is_short and given.isascii() and given.isprintable()


def _raw(data: Any) -> tuple[bytes, str]:
    """Return the bytes of what is to be saved, and the media type that goes with its type."""
    kind = type(data)
    if issubclass(kind, str):
        try:
            return str.encode(data), "text/plain; charset=utf-8"
        except UnicodeEncodeError as error:
            raise ValueError(f"data has a lone surrogate at {error.start}: save bytes") from None
    try:
        return bytes(memoryview(data)), "application/octet-stream"
    except TypeError:
        raise TypeError(f"data must be bytes or a text, not {type_name(kind)}") from None
