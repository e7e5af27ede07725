"""JUnit XML, the form that build servers show: one test case for each target."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree as ET  # only writes here: nothing foreign is parsed

from zscrape.ops.summary import Summary, TargetEnd

# XML 1.0 cannot hold these at all, not even escaped.
_NOT_IN_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def junit_document(summary: Summary, ends: Sequence[TargetEnd]) -> bytes:
    """Return the report of a run; targets that were not reached are told as skipped."""
    unreached = max(0, summary.targets_total - summary.processed_total - summary.skipped_total)
    counts: dict[str, str] = {
        "tests": str(len(ends) + bool(unreached)),
        "failures": str(summary.failed_total),
        "errors": "0",
        "skipped": str(summary.skipped_total + bool(unreached)),
        "time": f"{summary.duration_ms / 1000:.3f}",
    }
    root = ET.Element("testsuites", {"name": "zscrape", **counts})
    name = f"zscrape.{_clean(summary.script)}"
    moment = summary.started_at.isoformat()
    suite = ET.SubElement(root, "testsuite", {"name": name, "timestamp": moment, **counts})
    properties = ET.SubElement(suite, "properties")
    for key, value in (("run_id", summary.run_id), ("dry_run", str(summary.dry_run).lower())):
        ET.SubElement(properties, "property", name=key, value=value)
    for end in ends:
        _add(suite, name, end)
    if unreached:
        case = ET.SubElement(suite, "testcase", classname=name, name="(not reached)", time="0.000")
        ET.SubElement(case, "skipped", message=f"{unreached} targets were not reached")
    if summary.warnings:
        ET.SubElement(suite, "system-out").text = _clean("\n".join(summary.warnings))
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _add(suite: ET.Element, name: str, end: TargetEnd) -> None:
    case = ET.SubElement(
        suite, "testcase", classname=name, name=_clean(end.target), time=f"{end.elapsed_s:.3f}"
    )
    if end.fate == "failed":
        first, _, _ = end.reason.partition("\n")
        kind = first.partition(":")[0] or "failed"
        failure = ET.SubElement(case, "failure", message=_clean(first), type=_clean(kind[:80]))
        failure.text = _clean(end.reason)
    elif end.fate == "skipped":
        ET.SubElement(case, "skipped", message=_clean(end.reason))


def _clean(told: str) -> str:
    return _NOT_IN_XML.sub("", told)
