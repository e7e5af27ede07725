"""Whether spans are made at all."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import pytest

from zscrape.gateway.tracers import is_asked_for, open_spans


@pytest.mark.parametrize(
    ("environ", "asked"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "True"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "otlp"}, True),
    ],
)
def test_a_collector_must_be_named(environ: dict[str, str], asked: bool) -> None:
    """The standard's variables decide: without an address there are no spans."""
    assert is_asked_for(environ) is asked


class _Log:
    def __init__(self) -> None:
        self.told: list[str] = []

    def warning(self, event: str, **_: object) -> None:
        self.told.append(event)


async def test_missing_package_is_told_and_nothing_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that are set for a whole cluster do not keep a gateway from starting."""
    monkeypatch.setitem(sys.modules, "zscrape.gateway.spans", None)
    log = _Log()
    async with contextlib.AsyncExitStack() as parts:
        spans = open_spans({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, log, parts)

    assert spans is None
    assert log.told == ["traces_unavailable"]


def test_nothing_is_imported_without_need() -> None:
    """A gateway without a collector loads nothing of the package."""
    code = (
        "import sys, zscrape.gateway.serve;"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert told.stdout.strip() == "[]"
