"""Whether spans are told to a collector: where nobody asks for it, nothing is imported."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zscrape.gateway.spans import Spans

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def is_asked_for(environ: Mapping[str, str]) -> bool:
    """True iff the environment names a collector and does not switch traces off.

    Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() or "otlp"
    return exporter == "otlp" and any(environ.get(name, "").strip() for name in _ENDPOINTS)


def open_spans(
    environ: Mapping[str, str], log: Any, parts: contextlib.AsyncExitStack
) -> Spans | None:
    """Return what makes spans of calls and tasks; None: nobody asks for them.

    What is not told yet is told when `parts` are closed. Where the extra is not installed a line
    of the log says so, and the gateway runs without: the variables may be meant for others.
    """
    if not is_asked_for(environ):
        return None
    try:
        from zscrape.gateway.spans import Spans, exporting
    except ImportError as error:
        log.warning("traces_unavailable", reason=str(error))
        return None
    spans = Spans(exporting(environ))
    parts.push_async_callback(spans.close)
    return spans
