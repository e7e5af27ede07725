"""Calls about schedules, locks and questions to people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zscrape.client.calls import Call, at, call, given
from zscrape.client.failures import Document


def schedules(**filters: Any) -> Call[Document]:
    """Return one page of the schedules by name: `script limit cursor`."""
    return call("GET", at("schedules"), params=given(filters))


def schedule(schedule: str) -> Call[Document]:
    """Return a schedule, by its id or name, with its next ten moments."""
    return call("GET", at("schedules", schedule))


def preview_schedule(asked: Mapping[str, Any]) -> Call[Document]:
    """Return when a schedule would be due, without keeping it."""
    return call("POST", at("schedules", "preview"), body=dict(asked))


def add_schedule(asked: Mapping[str, Any]) -> Call[Document]:
    """Keep a schedule: `name script_name`, `cron` or `interval`, and what else it has."""
    return call("POST", at("schedules"), body=dict(asked))


def change_schedule(schedule: str, change: Mapping[str, Any]) -> Call[Document]:
    """Change fields of a schedule; None brings a default back."""
    return call("PATCH", at("schedules", schedule), body=dict(change))


def remove_schedule(schedule: str) -> Call[Document]:
    """Forget a schedule; tasks that it has made go on."""
    return call("DELETE", at("schedules", schedule))


def act_on_schedule(schedule: str, act: str) -> Call[Document]:
    """Do one of `pause resume trigger` to a schedule; a trigger returns its task."""
    return call("POST", at("schedules", schedule, act))


def occurrences(schedule: str, **filters: Any) -> Call[Document]:
    """Return what became of a schedule's moments, newest first: `status limit cursor`."""
    path = at("schedules", schedule, "occurrences")
    return call("GET", path, params=given(filters))


def locks(**filters: Any) -> Call[Document]:
    """Return who holds which key, the longest held first: `prefix limit`."""
    return call("GET", at("locks"), params=given(filters))


def break_lock(key: str, *, is_forced: bool = False) -> Call[Document]:
    """End the task that holds a key; by force free the key before its attempt is over."""
    path = at("locks", key)
    return call("DELETE", path, params={"force": "1"} if is_forced else {})


def handoffs(**filters: Any) -> Call[Document]:
    """Return what running scripts ask people: `status task limit`."""
    return call("GET", at("handoffs"), params=given(filters))


def handoff(handoff_id: str) -> Call[Document]:
    """Return one question."""
    return call("GET", at("handoffs", handoff_id))


def answer_handoff(handoff_id: str, answer: Mapping[str, Any]) -> Call[Document]:
    """Give a script what it asks for, by the names of its fields."""
    body = {"answer": dict(answer)}
    return call("POST", at("handoffs", handoff_id, "answer"), body=body)


def dismiss_handoff(handoff_id: str) -> Call[Document]:
    """Tell a script that nobody will answer."""
    return call("POST", at("handoffs", handoff_id, "dismiss"))
