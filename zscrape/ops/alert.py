"""Tell somebody of a run that broke a gate: one POST to a webhook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import httpx
import msgspec

from zscrape.ops.summary import Breach, Summary

_TIMEOUT_S: Final = 10.0
_ERROR_COUNT: Final = 20  # a chat does not want ten thousand


def alert_document(summary: Summary, breaches: Sequence[Breach], words: str) -> dict[str, Any]:
    """Return what is posted; chat services show `text`, programs read the rest."""
    return {
        "text": words,
        "script": summary.script,
        "run_id": summary.run_id,
        "breaches": breaches,
        "summary": msgspec.structs.replace(summary, errors=summary.errors[:_ERROR_COUNT]),
    }


def send_alert(url: str, document: dict[str, Any]) -> str:
    """Post it; return why that was not possible, or an empty text. The address is not told."""
    try:
        answer = httpx.post(
            url,
            content=msgspec.json.encode(document),
            headers={"Content-Type": "application/json"},
            timeout=_TIMEOUT_S,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return type(error).__name__
    return "" if answer.is_success else f"HTTP {answer.status_code}"
