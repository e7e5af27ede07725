"""What a request for a task may say beside its script and parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict, Unpack

__all__ = ["TaskOptions", "Unpack"]


class TaskOptions(TypedDict, total=False):
    """The further fields of a request; None is as good as absent.

    `idempotency_key` is made by the client where it is not given, so that a lost answer can be
    asked for again; one of your own makes a whole program safe to run twice.
    """

    version: str | None
    timeout: float | None  # seconds: waiting, preparing and running together
    priority: int | None
    tags: Sequence[str] | None
    lock_key: str | None
    overlap: Literal["skip", "queue_one", "queue_all", "replace", "allow"] | None
    retry: dict[str, Any] | None
    webhook: dict[str, Any] | None
    webhook_url: str | None
    max_age: float | None
    metadata: dict[str, Any] | None
    idempotency_key: str | None
