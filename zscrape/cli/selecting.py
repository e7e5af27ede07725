"""Options that choose among tasks, and the moments in them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import click

from zscrape.cli.verbs import Flag, UsageFault
from zscrape.model import TaskState

_SPAN = re.compile(r"(\d+)([smhd])")
_SPAN_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def filter_options(states: Iterable[TaskState] = TaskState) -> list[click.Parameter]:
    """Options that choose among tasks in any of these states."""
    return [
        Flag(
            ["--status"],
            multiple=True,
            type=click.Choice([str(state) for state in states]),
            help="cli.option.status",
        ),
        Flag(["--script"], help="cli.option.script"),
        Flag(["--origin"], help="cli.option.origin"),
        Flag(["--since"], help="cli.option.since"),
    ]


def moment_of(since: str, now: datetime | None = None) -> str:
    """Return `2h` or an ISO 8601 moment as an ISO 8601 moment in UTC.

    Raises:
        UsageFault: It is neither.
    """
    now = now or datetime.now(UTC)
    span = _SPAN.fullmatch(since)
    if span:
        return (now - timedelta(**{_SPAN_UNITS[span[2]]: int(span[1])})).isoformat()
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        raise UsageFault("cli.usage.since", given=since) from None
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return zoned.astimezone(UTC).isoformat()


def age(created_at: object, now: datetime | None = None) -> str:
    """Return how long ago a moment was, short: `12s`, `5m`, `3h`, `2d`."""
    try:
        moment = datetime.fromisoformat(str(created_at))
    except ValueError:
        return ""
    seconds = max(0.0, ((now or datetime.now(UTC)) - moment).total_seconds())
    for size_s, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size_s:
            return f"{int(seconds // size_s)}{unit}"
    return f"{int(seconds)}s"
