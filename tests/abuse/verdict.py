"""Whether an attempt ended as its case says."""

from __future__ import annotations

import json

from msgspec import UNSET

from tests.abuse.arena import Ran
from tests.abuse.cases import Case

PATIENCE = 3  # durations are for a machine at rest; those that run tests are not


def fault_of(case: Case, ran: Ran) -> str:
    """Return in which way an attempt did not end as it must; empty: in none."""
    if ran.code not in case.codes:
        return f"{case.name} ended as {ran.code}: {shown(ran)}"
    if ran.envelope["execution_time"] > case.max_s * PATIENCE:
        return f"{case.name} took {ran.envelope['execution_time']} s"
    if ran.code != "ok":
        return ""
    if case.data is not UNSET and ran.data != case.data:
        return f"{case.name} returned {shown(ran)}"
    faults = case.faults_of(ran.data)
    return f"{case.name}: {faults} of {shown(ran)}" if faults else ""


def shown(ran: Ran) -> str:
    """Return an answer in a length that can be read."""
    return json.dumps({"data": ran.data, "error": ran.envelope["error"]})[:3000]
