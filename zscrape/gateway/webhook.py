"""Calls that carry a signature instead of a key: what Git hosts send after a push.

GitHub, Gitea and Forgejo sign the body (`X-Hub-Signature-256: sha256=HEX`, HMAC-SHA256 with
the shared secret); GitLab sends the secret itself (`X-Gitlab-Token`).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

_SIGNATURE: Final = b"x-hub-signature-256"
_TOKEN: Final = b"x-gitlab-token"

Headers = Mapping[bytes, bytes]  # names in lower case, as ASGI gives them


def comes_signed(headers: Headers) -> bool:
    """True iff a call presents a signature and no key."""
    has_key = b"authorization" in headers or b"x-api-key" in headers
    return not has_key and (_SIGNATURE in headers or _TOKEN in headers)


def is_signed(headers: Headers, body: bytes, secret: str | None) -> bool:
    """True iff the call was made by somebody who knows `secret`; without one nobody does."""
    if not secret:
        return False
    given = headers.get(_SIGNATURE)
    if given is not None:
        expected = b"sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()
        return hmac.compare_digest(given.strip().lower(), expected)
    return hmac.compare_digest(headers.get(_TOKEN, b""), secret.encode())
