"""Ids are UUIDv7: valid, distinct, in order of time."""

from __future__ import annotations

import time
import uuid

from zscrape.gateway.identifiers import new_task_id


def test_ids_are_uuid_7():
    """An id is a UUID of version 7 that carries its moment."""
    before_ms = time.time_ns() // 1_000_000
    task_id = new_task_id()
    parsed = uuid.UUID(task_id)

    assert str(parsed) == task_id
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert before_ms <= parsed.int >> 80 <= time.time_ns() // 1_000_000


def test_ids_are_distinct():
    """No two are the same."""
    assert len({new_task_id() for _ in range(10_000)}) == 10_000
