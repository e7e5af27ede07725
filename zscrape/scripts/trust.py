"""Whose signatures count, and what was found out about a script's own.

A signature is the text `ed25519:<key id>:<base64>`; a key id is the first 16 hexadecimal
digits of the SHA-256 of the raw public key. How one is made and checked is in `signing`,
which is loaded only where there is something to check.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from msgspec import Struct

_SIGNATURE = re.compile(r"ed25519:(?P<key_id>[0-9a-f]{16}):(?P<value>[A-Za-z0-9+/]{86}==)")

Standing: TypeAlias = Literal["valid", "unsigned", "unknown_key", "forged", "no_checksums"]


class TrustedKey(Struct, frozen=True):
    """The public key of a publisher; `name` is for people (its file's, or the key id)."""

    id: str
    name: str
    raw: bytes


class Trust(Struct, frozen=True):
    """Which publishers are believed, by key id, and whether everybody else is refused."""

    keys: Mapping[str, TrustedKey] = {}
    is_required: bool = False


NOBODY: Final = Trust()


class Verification(Struct, frozen=True):
    """What a script's signature is worth; `name` is that of the trusted key."""

    status: Standing
    key_id: str = ""
    name: str = ""


UNSIGNED: Final = Verification("unsigned")


def key_id_of(raw: bytes) -> str:
    """Return the id of a raw public key."""
    return hashlib.sha256(raw).hexdigest()[:16]


def is_signature(value: str) -> bool:
    """True iff `value` has the form of a signature; whether it fits is another question."""
    return _SIGNATURE.fullmatch(value) is not None


def split_signature(value: str) -> tuple[str, str]:
    """Return the key id and the base64 text of a signature.

    Raises:
        ValueError: It does not have the form of one.
    """
    match = _SIGNATURE.fullmatch(value)
    if match is None:
        raise ValueError(f"not a signature: {value!r}")
    return match["key_id"], match["value"]
