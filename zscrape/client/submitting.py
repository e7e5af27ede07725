"""Calls that make tasks. Each carries a key by which a second one finds the first one's task."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import UNSET

from zscrape.client.calls import (
    MANY_S,
    Answer,
    Call,
    as_document,
    at,
    document_in,
    given,
    refusal,
)
from zscrape.client.failures import Document
from zscrape.client.manner import Manner
from zscrape.client.options import TaskOptions, Unpack
from zscrape.client.tasks import Task

_KEY: Final = "Idempotency-Key"


def new_key() -> str:
    """Return an idempotency key that nobody has used."""
    return uuid.uuid4().hex


def run(
    script: str, parameters: Mapping[str, Any] | None = None, **options: Unpack[TaskOptions]
) -> Call[Task]:
    """Run a script to its end and return the task, whatever the outcome.

    Args:
        script: The script's name.
        parameters: Its parameters.
        options: Further fields of the call: `version`, `timeout`, `priority`, ...

    Raises:
        ClientError: The answer is not an envelope.
    """
    body, headers = _request(script, parameters, options)
    timeout_s = body.get("timeout")
    return Call(
        method="POST",
        path="/scrape",
        read=_envelope,
        body=body,
        headers=headers,
        timeout_s=None if timeout_s is None else float(timeout_s) + 30.0,
        is_repeatable=True,
    )


def submission(
    script: str, parameters: Mapping[str, Any] | None = None, **options: Unpack[TaskOptions]
) -> Call[Task]:
    """Queue a task and return `{request_id, status, links}` at once."""
    body, headers = _request(script, parameters, options)
    return Call(
        method="POST",
        path="/v1/tasks",
        read=as_task,
        body=body,
        headers=headers,
        is_repeatable=True,
    )


def submit_many(tasks: Sequence[Mapping[str, Any]]) -> Call[list[Document]]:
    """Queue up to 1,000 tasks: a view, or an `error`, for each in their order.

    Each is a request as of one task; those without an `idempotency_key` are given one.
    """
    keyed = [{"idempotency_key": new_key(), **given(task)} for task in tasks]
    return Call(
        method="POST",
        path="/v1/tasks/batch",
        read=_views,
        body={"tasks": keyed},
        timeout_s=MANY_S,
        is_repeatable=True,
    )


def retry(task_id: str) -> Call[Task]:
    """Do an ended task again: a new one with the same pin and parameters."""
    return Call(
        method="POST",
        path=at("tasks", task_id, "retry"),
        read=as_task,
        headers={_KEY: new_key()},
        is_repeatable=True,
        body=UNSET,
    )


def as_task(answer: Answer, manner: Manner) -> Task:
    """Return the task that an answer tells of."""
    return Task(as_document(answer, manner), lang=manner.lang)


def _envelope(answer: Answer, manner: Manner) -> Task:
    document = document_in(answer)
    if isinstance(document, dict) and {"request_id", "status", "error"} <= document.keys():
        return Task(document, lang=manner.lang)
    raise refusal(answer, manner)


def _views(answer: Answer, manner: Manner) -> list[Document]:
    views: list[Document] = as_document(answer, manner)["tasks"]
    return views


def _request(
    script: str, parameters: Mapping[str, Any] | None, options: TaskOptions
) -> tuple[Document, dict[str, str]]:
    rest = given(options)
    key = rest.pop("idempotency_key", None) or new_key()
    body = {"script_name": script, "parameters": dict(parameters or {}), **rest}
    return body, {_KEY: key}
