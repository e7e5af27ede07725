"""What a run of an operational verb comes to: one schema, counts that add up, gates.

The schema is a promise (contract section 5): pipelines read it from `--json-output`.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

Fate: TypeAlias = Literal["succeeded", "failed", "skipped"]
Ending: TypeAlias = Literal["succeeded", "some_failed", "failed"]

_ERROR_LIMIT_COUNT: Final = 10_000  # a summary is read whole; the log of the run has them all


class TargetEnd(Struct, frozen=True):
    """What became of one target."""

    target: str
    fate: Fate = "succeeded"
    reason: str = ""
    elapsed_s: float = 0.0
    is_retried: bool = False  # it took more than one try


class TargetError(Struct, frozen=True):
    """One target that failed, and why."""

    target: str
    reason: str


class Summary(Struct, kw_only=True):
    """The counts of one run. `targets_total` are those chosen; the others were reached."""

    script: str
    run_id: str
    started_at: datetime
    ended_at: datetime
    duration_ms: int = 0
    dry_run: bool = False
    targets_total: int = 0
    processed_total: int = 0
    succeeded_total: int = 0
    failed_total: int = 0
    skipped_total: int = 0
    retried_total: int = 0
    warnings: list[str] = []
    errors: list[TargetError] = []

    def count(self, end: TargetEnd) -> None:
        """Count one target in. What is skipped was not processed."""
        if end.fate == "skipped":
            self.skipped_total += 1
            return
        self.processed_total += 1
        self.retried_total += end.is_retried
        if end.fate == "succeeded":
            self.succeeded_total += 1
            return
        self.failed_total += 1
        if len(self.errors) < _ERROR_LIMIT_COUNT:
            self.errors.append(TargetError(end.target, end.reason))

    @property
    def retry_ratio_pct(self) -> float:
        """How many of the targets processed took more than one try, in per cent."""
        if not self.processed_total:
            return 0.0
        return self.retried_total / self.processed_total * 100

    @property
    def ending(self) -> Ending:
        """How it ended, targets alone counted."""
        if not self.failed_total:
            return "succeeded"
        return "some_failed" if self.succeeded_total else "failed"

    def encode(self) -> bytes:
        """Return it as JSON for a file."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


class Breach(Struct, frozen=True):
    """A gate that a run did not pass."""

    gate: str
    value: float
    limit: float


class Gates(Struct, frozen=True):
    """How much may go wrong before a pipeline has to stop; None: that gate is open."""

    max_failed: int | None = None
    max_retry_ratio_pct: float | None = None

    def breaches(self, summary: Summary) -> list[Breach]:
        """Return the gates that the run did not pass; reaching a limit is passing."""
        values: tuple[tuple[str, float, float | None], ...] = (
            ("max_failed", summary.failed_total, self.max_failed),
            ("max_retry_ratio", round(summary.retry_ratio_pct, 2), self.max_retry_ratio_pct),
        )
        return [
            Breach(gate, value, limit)
            for gate, value, limit in values
            if limit is not None and value > limit
        ]


def utc_now() -> datetime:
    """Return this moment in UTC, whole seconds: what stands in summaries."""
    return datetime.now(UTC).replace(microsecond=0)


def new_run_id(now: datetime | None = None) -> str:
    """Return a run id such as `20260210T143001Z-8f1c`: sorted by time, told apart by chance."""
    now = now or utc_now()
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
