"""A worker is trusted less than the gateway: what it sends as JSON is looked at before use.

Bytes of a worker stand untouched inside the gateway's own answers; one that is not JSON would
break every answer that it stands in.
"""

from __future__ import annotations

from typing import Final

import msgspec

from zscrape.core.nesting import READABLE_DEPTH, depth_of
from zscrape.model import Outcome, OutcomeCode

_REASON_LIMIT_CHARACTERS: Final = 200
# A walk builds nothing: 64 MiB take 15 to 140 ms, a decode many times that. It holds the
# interpreter's lock, so that a thread would win nothing.
_walk = msgspec.json.Decoder(msgspec.Raw).decode


def json_fault(document: bytes) -> str:
    """Return why `document` is not JSON in UTF-8, an empty text when it is."""
    try:
        if not document.isascii():  # the walk passes over texts without reading them
            document.decode()
        _walk(document)
        # Not every Python's walk minds. What is shorter cannot nest so deeply.
        if len(document) > READABLE_DEPTH and depth_of(document, READABLE_DEPTH) > READABLE_DEPTH:
            return "it is nested too deeply"
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        return str(error)[:_REASON_LIMIT_CHARACTERS]
    return ""


def invalid(outcome: Outcome, fault: str) -> Outcome:
    """Return what takes the place of an outcome whose data is not JSON."""
    return msgspec.structs.replace(
        outcome,
        code=OutcomeCode.RESULT_INVALID,
        data=None,
        fields={"reason": f"its worker sent what is not JSON: {fault}"},
    )
