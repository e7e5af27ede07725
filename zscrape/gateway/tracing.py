"""By which id others know a call: it goes with the task through every log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

# W3C Trace Context, 3.2: version, trace, parent and flags; a later version may go on after that.
_TRACEPARENT: Final = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")


def trace_of(headers: Mapping[bytes, bytes]) -> str:
    """Return the trace of `traceparent`, else the caller's own `X-Request-Id`.

    What is neither is no reason to refuse a call: it has an empty text.
    """
    told = headers.get(b"traceparent")
    found = None if told is None else _TRACEPARENT.fullmatch(told.strip())
    if found is not None:
        return found[1].decode()
    own = headers.get(b"x-request-id")
    if own is None:
        return ""
    return own.decode() if _REQUEST_ID.fullmatch(own) else ""
