"""The books themselves: each kind of wrong must be found, or an exact account proves nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.accounting import find_faults
from tests.faults.notes import Note
from tests.faults.traffic import Told


def note(what: str, *, attempt: int = 1, alone: str = "", task: str = "t") -> Note:
    """Return a note of a task."""
    return Note(task=task, attempt=attempt, what=what, number=1, at=0.0, alone=alone)


def kept(
    status: str = "completed", attempts: int = 1, code: str | None = None, origin: str = "task"
) -> dict[str, dict[str, Any]]:
    """Return what the gateway says of one task."""
    task = {"status": status, "attempts": attempts, "error_code": code, "origin": origin}
    return {"t": task}


WELL = [note("start"), note("end")]


def test_agreeing_records_have_no_fault() -> None:
    """One task, accepted, begun, ended and kept."""
    told = Told(accepted={"t": 1}, by_key={"k": {"t"}})

    assert find_faults(told, kept(), WELL) == []


@pytest.mark.parametrize(
    ("tasks", "notes", "fault"),
    [
        ({}, WELL, "accepted and lost"),
        (kept("running"), WELL, "accepted and not final"),
        (kept("failed", code="script_error"), WELL, "which no fault explains"),
        (kept("failed", code="gateway_lost"), WELL, "which no fault explains"),
        (kept(), [note("start")], "never ended"),
        (kept(attempts=2), WELL, "never ended"),
        (kept(), [*WELL, note("start")], "was begun 2 times"),
        (kept(), [*WELL, note("start", task="u")], "nobody knows"),
        (kept(), [*WELL, note("start", attempt=2)], "knows of fewer"),
        (kept(), [*WELL, note("overlap", alone="k")], "overlap under lock k"),
    ],
)
def test_each_kind_of_wrong_is_found(tasks: dict[str, Any], notes: list[Note], fault: str) -> None:
    """What is lost, unfinished, repeated, unknown or overlaps is told."""
    faults = find_faults(Told(accepted={"t": 1}), tasks, notes)

    assert any(fault in each for each in faults), faults


def test_open_call_may_end_with_its_gateway() -> None:
    """Only what was accepted as durable must outlive the gateway."""
    tasks = kept("failed", attempts=0, code="gateway_lost", origin="scrape")

    assert find_faults(Told(accepted={"t": 1}), tasks, [note("start")]) == []


def test_two_tasks_of_one_key_are_found() -> None:
    """A key that made two tasks is told."""
    told = Told(by_key={"k": {"t", "u"}})

    assert "key k made 2 tasks" in find_faults(told, {}, [])[0]


def test_overlap_without_a_lock_is_allowed() -> None:
    """At least once is what is promised where no lock is asked for."""
    assert find_faults(Told(), kept(attempts=2), [note("overlap", attempt=2)]) == []
