"""Calls about tasks that there are: look, wait, cancel, and what they brought."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from zscrape.client.calls import (
    MANY_S,
    Answer,
    Call,
    as_bytes,
    as_document,
    at,
    call,
    given,
)
from zscrape.client.failures import Document
from zscrape.client.manner import Manner
from zscrape.client.submitting import as_task
from zscrape.client.tasks import Artifact, Task


def task(task_id: str, *, wait_s: float | None = None) -> Call[Task]:
    """Return a task, after waiting up to `wait_s` for its end."""
    return Call(
        method="GET",
        path=at("tasks", task_id),
        read=as_task,
        params={} if wait_s is None else {"wait": f"{wait_s:g}"},
        extra_s=wait_s or 0.0,
    )


def tasks(**filters: Any) -> Call[Document]:
    """Return one page of the history: `status script origin since limit cursor`."""
    return call("GET", at("tasks"), params=given(filters))


def wait_many(
    task_ids: Sequence[str], *, wait_s: float = 30.0, count: int = 1, data: bool = False
) -> Call[list[Task]]:
    """Return those of up to 1,000 tasks that have ended, once `count` have or time is up.

    Args:
        task_ids: The tasks.
        wait_s: How long to wait at most.
        count: So many ends are worth an answer.
        data: The tasks in full, with their data.
    """
    return Call(
        method="POST",
        path="/v1/tasks/wait",
        read=_ended,
        body={"ids": task_ids, "wait": wait_s, "count": count, "data": data},
        extra_s=wait_s,
        is_repeatable=True,
    )


def _ended(answer: Answer, manner: Manner) -> list[Task]:
    return [Task(each, lang=manner.lang) for each in as_document(answer, manner)["tasks"]]


def cancel(task_id: str) -> Call[Task]:
    """End a task, gracefully and then by force. A task that has ended stays as it is."""
    return Call(
        method="POST", path=at("tasks", task_id, "cancel"), read=as_task, is_repeatable=True
    )


def cancel_many(**selection: Any) -> Call[Document]:
    """End many tasks: `ids`, or `status script origin since all`, and `limit`."""
    return call("POST", at("tasks", "cancel"), body=given(selection), timeout_s=MANY_S)


def explain(task_id: str) -> Call[Document]:
    """Return why a task waits, or where it ran."""
    return call("GET", at("tasks", task_id, "explain"))


def result(task_id: str) -> Call[bytes]:
    """Return a task's data, however large, as JSON text."""
    return Call(method="GET", path=at("tasks", task_id, "result"), read=as_bytes)


def data(task_id: str) -> Call[Any]:
    """Return a task's data, however large: what stands in a task is up to 1 MiB.

    Raises:
        ClientError: `not_found`: it has none.
    """
    return Call(method="GET", path=at("tasks", task_id, "result"), read=_data, timeout_s=MANY_S)


def _data(answer: Answer, manner: Manner) -> Any:
    return msgspec.json.decode(as_bytes(answer, manner))


def artifacts(task_id: str) -> Call[list[Artifact]]:
    """Return the files that a task has saved."""
    return Call(method="GET", path=at("tasks", task_id, "artifacts"), read=_artifacts)


def _artifacts(answer: Answer, manner: Manner) -> list[Artifact]:
    return Task(as_document(answer, manner)).artifacts


def artifact(task_id: str, name: str) -> Call[bytes]:
    """Return a file that a task saved."""
    return Call(method="GET", path=at("tasks", task_id, "artifacts", name), read=as_bytes)


def capsule(task_id: str, *, attempt: int | None = None) -> Call[bytes]:
    """Return the archive with all that is known of a failed attempt: by default, the last."""
    return Call(
        method="GET",
        path=at("tasks", task_id, "capsule"),
        read=as_bytes,
        params={} if attempt is None else {"attempt": attempt},
        timeout_s=MANY_S,
    )


def dead_letters(**filters: Any) -> Call[Document]:
    """Return one page of the dead letters: `script reason since limit cursor`."""
    return call("GET", at("deadletters"), params=given(filters))


def retry_dead_letters(**selection: Any) -> Call[Document]:
    """Do dead letters again: `ids`, or `script reason since all`, and `limit`."""
    return call("POST", at("deadletters", "retry"), body=given(selection), timeout_s=MANY_S)


def drop_dead_letters(**selection: Any) -> Call[Document]:
    """Take tasks from the dead letters: `ids`, or `script reason since all`, and `limit`."""
    query = given(selection)
    if "ids" in query:
        query["ids"] = ",".join(query["ids"])
    return call("DELETE", at("deadletters"), params=query, timeout_s=MANY_S)
