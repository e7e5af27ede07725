"""The body that keeps a secret: what may be a name, and what may be a value."""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from zscrape.gateway.faults import field_fault
from zscrape.gateway.requests import decode_body
from zscrape.model import KIB

# Shorter values would blank out ordinary words of logs, longer ones are files.
VALUE_LIMITS_BYTES: Final = (4, 64 * KIB)
_NAME: Final = re.compile("[A-Za-z][A-Za-z0-9._-]{0,63}")
_SCRIPT: Final = re.compile(r"[a-z0-9_*?\[\]!-]{1,64}")
# Described here and checked below, where there are words of their own for a fault.
_Name = Annotated[str, Meta(extra_json_schema={"pattern": f"^{_NAME.pattern}$"})]
_Pattern = Annotated[str, Meta(extra_json_schema={"pattern": f"^{_SCRIPT.pattern}$"})]


class SecretRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/secrets`; without `value` an existing one keeps its own."""

    name: _Name
    value: str | None = None
    scripts: Annotated[tuple[_Pattern, ...], Meta(max_length=256)] | None = None


_DECODER = msgspec.json.Decoder(SecretRequest)


def decode_secret(body: bytes) -> SecretRequest:
    """Read which secret is to be kept; what is wrong with it never repeats its value.

    Raises:
        MalformedJson, InvalidRequest: The body is no such request.
    """
    asked = decode_body(_DECODER.decode, body, known=SecretRequest.__struct_fields__)
    if not _NAME.fullmatch(asked.name):
        raise field_fault("/name", "secret_name")
    for place, script in enumerate(asked.scripts or ()):
        if not _SCRIPT.fullmatch(script):
            raise field_fault(f"/scripts/{place}", "secret_script")
    if asked.value is not None:
        _check_value(asked.value)
    return asked


def _check_value(value: str) -> None:
    """Refuse a value that could not be kept out of logs, or not be given to a script.

    Raises:
        FieldFault: It is one.
    """
    low, high = VALUE_LIMITS_BYTES
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise field_fault("/value", "secret_text") from None
    if "\0" in value:
        raise field_fault("/value", "secret_text")
    if not low <= size <= high:
        raise field_fault("/value", "secret_value", limit=high)
