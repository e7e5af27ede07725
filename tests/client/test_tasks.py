"""A task as a program and a notebook see it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from zscrape.client import Artifact, ClientError, Task

DONE: dict[str, Any] = {
    "request_id": "t1",
    "status": "completed",
    "data": [{"name": "<b>", "price": 1}, {"name": "나", "extra": [1]}, "odd"],
    "error": None,
    "execution_time": 0.4125,
    "script_name": "watch",
    "version": "1.4.2",
    "item_count": 3,
    "artifacts": [
        {"name": "a.csv", "size": 1200, "content_type": "text/csv", "sha256": "0", "link": "/x"}
    ],
}
FAILED: dict[str, Any] = {
    **DONE,
    "status": "failed",
    "data": None,
    "artifacts": [],
    "item_count": 0,
    "error": {"code": "script_error", "message": "It <failed>.", "traceback": "line <1>"},
}


def test_fields_are_properties_and_the_document_stays() -> None:
    """A task is the API's own document, equal to it, and can be written as JSON again."""
    task = Task(DONE)

    assert task == DONE
    assert (task.id, task.status, task.is_final, task.is_completed) == (
        "t1",
        "completed",
        True,
        True,
    )
    assert task.rows == DONE["data"]
    assert task.artifacts == [Artifact("a.csv", 1200, "text/csv", "0", "/x")]
    assert task.error is None
    assert task.raise_for_failure() is task
    assert json.loads(json.dumps(task)) == DONE == msgspec.json.decode(msgspec.json.encode(task))


def test_failure_is_raised_on_demand() -> None:
    """A failure carries its code, its words and the task's id."""
    with pytest.raises(ClientError, match="It <failed>") as caught:
        Task(FAILED).raise_for_failure()

    assert (caught.value.code, caught.value.request_id) == ("script_error", "t1")


def test_task_that_goes_on_is_no_success() -> None:
    """A task that has not ended says so in the reader's language."""
    with pytest.raises(ClientError, match="완료되지 않았습니다") as caught:
        Task({"request_id": "t1", "status": "running"}, lang="ko").raise_for_failure()

    assert caught.value.code == "running"


@pytest.mark.parametrize(
    ("data", "rows"), [(None, []), ({"a": 1}, [{"a": 1}]), ([1, 2], [1, 2]), (0, [0])]
)
def test_rows_are_a_list(data: Any, rows: list[Any]) -> None:
    """Whatever a script gives back can be gone through."""
    assert Task({**DONE, "data": data}).rows == rows


def test_summary_of_a_list_tells_its_failure() -> None:
    """What lists of tasks tell of a failure is one as well."""
    error = Task({"request_id": "t", "status": "failed", "error_code": "blocked"}).error

    assert error is not None
    assert error.code == "blocked"


def test_repr_is_one_line() -> None:
    """A task on a console says which it is and how it went."""
    assert repr(Task(DONE)) == "<Task t1 · completed · watch@1.4.2 · 3 items · 0.412 s>"
    assert repr(Task(FAILED)).endswith("· script_error: It <failed>.>")


def test_notebook_shows_a_table_without_markup_of_the_script() -> None:
    """Names are columns, items rows, and nothing that a site said is HTML."""
    shown = Task(DONE)._repr_html_()

    assert "<th>name</th><th>price</th><th>extra</th>" in shown
    assert "<td>&lt;b&gt;</td><td>1</td><td></td>" in shown
    assert "<td>나</td><td></td><td>[1]</td>" in shown
    assert '<td colspan="3">odd</td>' in shown
    assert "a.csv (1,200 B)" in shown
    assert "<b>" not in shown.replace("<b>watch", "")


def test_notebook_tells_a_failure_in_words() -> None:
    """What went wrong stands there with its traceback, in the language of the client."""
    shown = Task(FAILED, lang="ko")._repr_html_()

    assert "실패" in shown
    assert "It &lt;failed&gt;." in shown
    assert "<pre>line &lt;1&gt;</pre>" in shown


def test_notebook_is_not_flooded() -> None:
    """Of many rows, long texts and many columns some are shown, and how many there are."""
    rows = [{f"c{number}": "x" * 1_000 for number in range(100)}] * 1_000

    shown = Task({**DONE, "data": rows})._repr_html_()

    assert "50 of 1000 are shown." in shown
    assert len(shown) < 400_000


@pytest.mark.parametrize("data", [{"a": 1, "b": [1]}, "text", 3, [], [1, "<i>"], {}, True])
def test_notebook_shows_any_data(data: Any) -> None:
    """Not every script yields rows."""
    assert "<i>" not in Task({**DONE, "data": data})._repr_html_()
