"""A tape for `ctx.http` that asks, by the attempt's channel, what was answered then."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from zscrape.runtime.gate import Exchange
from zscrape.runtime.recording import safe_url

if TYPE_CHECKING:
    from collections.abc import Callable


class AskedTape:
    """Answers each request as it was answered when it was recorded."""

    def __init__(self, ask: Callable[[str, Any], Any]) -> None:
        self._ask = ask

    def answer(self, method: str, url: str, body: bytes) -> Exchange | None:
        """Return what was answered then; None: the network may be asked.

        Raises:
            AskRefused: It was not asked then, and the network may not be asked now.
        """
        mark = hashlib.sha256(body).hexdigest() if body else ""
        told = self._ask("replay", {"method": method, "url": safe_url(url), "body": mark})
        if told is None:
            return None
        return Exchange(
            method,
            url,
            [],
            body,
            told["status"],
            [(name, value) for name, value in told["headers"]],
            _bytes(told["body"]),
            told["is_cut"],
            told["error"],
            told["elapsed_s"],
        )


def _bytes(body: dict[str, str]) -> bytes:
    text = body.get("text")
    return base64.b64decode(body.get("base64", "")) if text is None else text.encode()
