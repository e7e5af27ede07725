"""What is told of tasks and errors, beyond what the calls' own tests see."""

from __future__ import annotations

from typing import Any

import pytest

from zscrape.errors.scripts import ManifestInvalid
from zscrape.gateway.envelope import error_view, execution_time, moment, task_error_view
from zscrape.model import Outcome, OutcomeCode, TaskState
from zscrape.store.tasks import TaskRow


def _row(**fields: Any) -> TaskRow:
    return TaskRow(id="t", script_name="page", created_at=100.0, **fields)


@pytest.mark.parametrize("at", [None, float("inf"), float("nan"), 1e300, -1e300])
def test_what_is_no_moment(at):
    """A clock reading that is no moment is told as none."""
    assert moment(at) is None


def test_execution_time_as_seen_here():
    """Where the worker gave no time, that between start and end is told."""
    unknown = Outcome(code=OutcomeCode.WORKER_LOST)

    assert execution_time(_row(outcome=unknown, started_at=101.0, finished_at=103.5)) == 2.5
    assert execution_time(_row(outcome=unknown, finished_at=103.5)) == 0.0
    assert execution_time(_row(outcome=Outcome(code=OutcomeCode.OK, run_s=0.25))) == 0.25


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("code", [code for code in OutcomeCode if code is not OutcomeCode.OK])
def test_every_failure_has_words(code, lang):
    """Every outcome code is told in words, also when its fields are missing."""
    view = task_error_view(_row(status=TaskState.FAILED, outcome=Outcome(code=code)), lang)

    assert view is not None
    assert view.code == code.value
    assert view.message != code.value


@pytest.mark.parametrize("what", ["folder_size", "folder_files", "items"])
def test_output_limit_says_of_what(what):
    """A code that comes about in several ways is told in the words for the way that it did."""
    fields = {"what": what, "limit_count": 77, "limit_bytes": 88, "size_bytes": 99}
    outcome = Outcome(code=OutcomeCode.OUTPUT_LIMIT, fields=fields)
    told = [task_error_view(_row(outcome=outcome), lang) for lang in ("en", "ko")]
    views = [view for view in told if view is not None]

    assert len(views) == 2
    assert {view.code for view in views} == {"output_limit"}
    assert all(f"limits.{what}" in view.message for view in views)
    assert all("{" not in view.message for view in views)


def test_unknown_way_is_told_in_the_words_of_its_code():
    """What a newer worker may say is told as well as it can be."""
    outcome = Outcome(OutcomeCode.OUTPUT_LIMIT, fields={"what": "new", "limit_bytes": 5})
    view = task_error_view(_row(outcome=outcome), "en")

    assert view is not None
    assert "limits.result_size" in view.message


def test_manifest_problems_are_told_in_both_languages():
    """Every fault of a manifest is told, in the reader's language."""
    problems = [{"pointer": "/version", "code": "required", "reason": "required, but missing"}]
    error = ManifestInvalid(name="page", problems=problems)

    english, korean = error_view(error, "en"), error_view(error, "ko")

    assert english.problems[0]["reason"] == "required, but missing"
    assert korean.problems[0]["reason"] != english.problems[0]["reason"]
    assert english.details == {"name": "page"}
