"""A running gateway keeps to its own OpenAPI document, whatever is drawn from that."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.cluster import Cluster
from tests.e2e.conftest import SCRIPTS

CASE_COUNT = 5_000
_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
# Nothing that is drawn has to wait for long.
_SETTINGS = {"ZSCRAPE_MAX_WAIT_S": "0.1", "ZSCRAPE_SCHEDULE_TIMEOUT_S": "2"}


@pytest.mark.e2e
@pytest.mark.timeout(900)  # minutes of a processor, of which it may have a quarter
def test_thousands_of_calls_are_answered_as_described(tmp_path: Path) -> None:
    """No answer is a fault of ours, or of a status, a type or a form that the document lacks."""
    cluster = Cluster(tmp_path / "cluster", SCRIPTS, _SETTINGS)
    report = tmp_path / "report.json"
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--no-color", "run"),
        *(f"{cluster.http.base_url}/openapi.json", "-H", f"X-Api-Key: {cluster.key}"),
        *("--checks", ",".join(_CHECKS), "--phases", "examples,coverage,fuzzing"),
        *("--max-examples", "22", "--seed", "1", "--no-shrink", "--continue-on-failure"),
        *("--generation-database", "none", "--warnings", "off", "--request-timeout", "60"),
        *("--suppress-health-check", "too_slow"),  # how fast it draws is no matter here
        *("--report", "json", "--report-json-path", str(report)),
    ]
    try:
        told = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=880
        )
    finally:
        cluster.close()

    assert told.returncode == 0, told.stdout[-8_000:] + told.stderr[-2_000:]
    found = json.loads(report.read_text())
    assert found["failures"] == found["errors"] == []
    assert found["operations"]["tested"] == found["operations"]["total"]
    assert found["test_cases"]["generated"] >= CASE_COUNT
