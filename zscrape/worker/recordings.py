"""The recording of an attempt that has failed, on its way from the child to the gateway."""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from typing import Any, Final

import msgspec

from zscrape.model import OutcomeCode
from zscrape.runtime import recording
from zscrape.worker.masking import MASK, Mask
from zscrape.worker.speech import Violation

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_FAULTS: Final = (zlib.error, msgspec.MsgspecError, ValueError, RecursionError)


def record_of(payload: bytes, mask: Mask | None) -> bytes:
    """Return the body of a recording's record: a saved file, its secrets blanked out.

    Without secrets the child's bytes go on unread; who looks at them bounds what they become.

    Raises:
        Violation: It is larger than any recording is.
    """
    if len(payload) > recording.LIMIT_BYTES:
        raise Violation(OutcomeCode.CRASHED, reason="its channel carried too large a recording")
    told = payload if mask is None else _masked(payload, mask)
    return _encode(
        {
            "name": "recording",
            "size": len(told),
            "content_type": recording.CONTENT_TYPE,
            "sha256": hashlib.sha256(told).hexdigest(),
            "data": base64.b64encode(told).decode(),
        }
    )


def _masked(payload: bytes, mask: Mask) -> bytes:
    """Return a recording without secrets; one that cannot be looked through is dropped whole."""
    try:
        plain = zlib.decompressobj().decompress(payload, recording.PLAIN_LIMIT_BYTES)
        told = _encode(_without(_decode(plain), mask))
    except _FAULTS:
        return zlib.compress(b"{}")
    return zlib.compress(told)


def _without(value: Any, mask: Mask) -> Any:
    if isinstance(value, dict):
        if set(value) == {"base64"}:
            return {"base64": _bytes_without(value["base64"], mask)}
        return {mask.text(name): _without(each, mask) for name, each in value.items()}
    if isinstance(value, list):
        return [_without(each, mask) for each in value]
    return mask.value(value)


def _bytes_without(content: Any, mask: Mask) -> str:
    try:
        return base64.b64encode(mask.content(base64.b64decode(content, validate=True))).decode()
    except (TypeError, binascii.Error):
        return MASK
