"""Keep secrets out of what a run leaves behind: summaries, reports, logs, alerts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from zscrape.config import MASK

_SHORTEST: Final = 4  # shorter ones would blank out ordinary words
_PATTERNS: Final = (
    re.compile(r"(?<=://)[^/\s@\"'<>]+(?=@)"),  # the user of an address
    re.compile(
        r"(?i)(?<=[?&;])((?:[a-z0-9_.-]*[_-])?"
        r"(?:api_?key|key|token|secret|password|passwd|signature|sig|auth)=)[^&#\s\"'<>]+"
    ),
    re.compile(r"(?i)(\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(
        r"(?i)(\b(?:api[_-]?key|access[_-]?token|token|secret|password|passwd|authorization)"
        r"[\"']?\s*[:=]\s*[\"']?)(?!bearer\b)[^\s\"',;&]{4,}"
    ),
)

# No pattern finds anything without one of these; names and ids of targets have none.
_SIGN: Final = re.compile(r"[:=\s]")


class Masks:
    """Known secrets, and what looks like one.

    Args:
        secrets: Texts that must appear nowhere.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: list[str] = []  # the longest first
        for secret in secrets:
            self.hide(secret)

    def hide(self, secret: str) -> None:
        """Never let `secret` through."""
        if len(secret) >= _SHORTEST and secret not in self._secrets:
            self._secrets = sorted([*self._secrets, secret], key=len, reverse=True)

    def apply(self, told: str) -> str:
        """Return a text without secrets."""
        for secret in self._secrets:
            told = told.replace(secret, MASK)
        if _SIGN.search(told) is None:
            return told
        for pattern in _PATTERNS:
            told = pattern.sub(lambda found: (found[1] if found.re.groups else "") + MASK, told)
        return told
