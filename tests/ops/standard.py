"""What tests of operational verbs share: the schema of summaries, and a reader of reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema

SCHEMA = json.loads((Path(__file__).parent / "summary_schema.json").read_text())


def summary_of(path: Path) -> dict[str, Any]:
    """Return a summary from a file; it fits the schema and its counts add up."""
    document: dict[str, Any] = json.loads(path.read_bytes())
    check(document)
    return document


def check(document: dict[str, Any]) -> None:
    """Hold a summary to the schema and to its own sums."""
    own = {name: document[name] for name in SCHEMA["properties"]}
    jsonschema.validate(own, SCHEMA, cls=jsonschema.Draft202012Validator)
    assert own["processed_total"] == own["succeeded_total"] + own["failed_total"]
    assert own["processed_total"] + own["skipped_total"] <= own["targets_total"]


def report_of(path: Path) -> ET.Element:
    """Return the suite of a JUnit report; its counts are those of its cases."""
    root = ET.parse(path).getroot()
    (suite,) = root.findall("testsuite")
    cases = suite.findall("testcase")
    assert root.tag == "testsuites"
    assert int(suite.get("tests", "")) == len(cases)
    assert int(suite.get("failures", "")) == len(suite.findall("testcase/failure"))
    assert int(suite.get("skipped", "")) == len(suite.findall("testcase/skipped"))
    assert all(case.get("name") and case.get("classname") for case in cases)
    return suite
