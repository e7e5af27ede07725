"""A call as it goes out."""

from __future__ import annotations

import httpx
from opentelemetry.sdk.trace import TracerProvider

from zscrape.client.calls import call
from zscrape.client.transport import broken, request_options


def test_calls_belong_to_the_program_s_own_trace() -> None:
    """A program that traces itself finds its tasks below its own span; another sends nothing."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("program")
    described = call("GET", "/status", headers={"Accept": "x"})

    with tracer.start_as_current_span("mine") as span:
        within = request_options(described, 30.0)["headers"]
    without = request_options(described, 30.0)["headers"]

    assert f"{span.get_span_context().trace_id:032x}" in within["traceparent"]
    assert without == {"Accept": "x"}


def test_silence_is_measured_from_what_was_asked_for() -> None:
    """A call that waits may be silent for longer; to dial takes no longer for it."""
    waiting = request_options(call("GET", "/v1/tasks/t", extra_s=60.0), 30.0)["timeout"]
    endless = request_options(call("POST", "/scrape", timeout_s=None), 30.0)["timeout"]

    assert (waiting.read, waiting.connect) == (90.0, 30.0)
    assert (endless.read, endless.connect) == (None, 30.0)


def test_only_what_was_not_sent_is_known_as_that() -> None:
    """A broken connection may have brought the call all the same."""
    assert broken(httpx.ConnectError("refused")).is_unsent
    assert not broken(httpx.ReadTimeout("")).is_unsent
    assert broken(httpx.ReadTimeout("")).reason == "ReadTimeout"
