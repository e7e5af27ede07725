"""`tasks list show logs cancel explain`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

from zscrape.cli.live import Live, local_time, log_line
from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.result import show_data, show_error
from zscrape.cli.terminal import Terminal, show as cell
from zscrape.cli.verbs import FAILED, INVALID, OK, SOME_FAILED, Flag, UsageFault, verb
from zscrape.client import ClientError, Document
from zscrape.model import TaskState

_TASK_ID = click.Argument(["task_id"])
_FACTS: Final = (
    *("script_name", "version", "digest", "parameters", "priority", "tags", "lock_key"),
    *("timeout", "origin", "client", "worker_id", "attempts", "item_count", "queue_time"),
    *("execution_time", "last_error"),
)
_MOMENTS: Final = ("created_at", "started_at", "finished_at", "next_retry_at")
_SPAN = re.compile(r"(\d+)([smhd])")
_SPAN_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@verb(
    "list",
    Flag(
        ["--status"],
        multiple=True,
        type=click.Choice([str(state) for state in TaskState]),
        help="cli.option.status",
    ),
    Flag(["--script"], help="cli.option.script"),
    Flag(["--origin"], help="cli.option.origin"),
    Flag(["--since"], help="cli.option.since"),
    Flag(["--limit"], type=click.IntRange(1, 1000), default=20, help="cli.option.limit"),
    Flag(["--cursor"], help="cli.option.cursor"),
    *remote_options(),
    help_key="cli.tasks.list",
)
def list_tasks(
    terminal: Terminal,
    status: tuple[str, ...],
    script: str | None,
    origin: str | None,
    since: str | None,
    limit: int,
    cursor: str | None,
    **where: Any,
) -> int:
    """Show the history, newest first."""
    filters: Document = {
        "status": ",".join(status) or None,
        "script": script,
        "origin": origin,
        "since": None if since is None else moment_of(since),
        "limit": limit,
        "cursor": cursor,
    }
    with open_client(terminal, **where) as client:
        page = client.tasks(**filters)
    if terminal.is_json:
        terminal.answer(page)
        return OK
    rows = page.get("tasks", [])
    if not rows:
        terminal.note("cli.tasks.none")
        return OK
    columns = ("id", "status", "script", "version", "items", "attempts", "seconds", "age", "error")
    terminal.table(
        [terminal.words(f"cli.column.{name}") for name in columns], [_row(r) for r in rows]
    )
    if page.get("next_cursor"):
        terminal.note("cli.tasks.more", cursor=page["next_cursor"])
    return OK


def _row(task: Document) -> list[object]:
    return [
        task.get("request_id"),
        task.get("status"),
        task.get("script_name"),
        task.get("version"),
        task.get("item_count"),
        task.get("attempts"),
        task.get("execution_time") or None,
        age(task.get("created_at")),
        task.get("error_code"),
    ]


@verb("show", _TASK_ID, *remote_options(), help_key="cli.tasks.show")
def show(terminal: Terminal, task_id: str, **where: Any) -> int:
    """Show one task: what was asked, how it went, what it brought."""
    with open_client(terminal, **where) as client:
        task = client.task(task_id)
    if terminal.is_json:
        terminal.answer(task)
        return OK
    terminal.facts(
        (terminal.words(f"cli.fact.{name}"), told) for name, told in _facts(terminal, task)
    )
    if isinstance(task.get("error"), dict):
        terminal.plain()
        show_error(terminal, task["error"])
    elif task.get("data") is not None:
        terminal.plain()
        show_data(terminal, task["data"])
    return OK


def _facts(terminal: Terminal, task: Document) -> Iterator[tuple[str, str]]:
    """Yield what is told of a task, names of the catalogue and values, empty ones too."""
    yield "request_id", cell(task.get("request_id"))
    yield "status", terminal.words(f"cli.state.{task.get('status')}")
    progress = task.get("progress")
    if isinstance(progress, dict) and not TaskState(task["status"]).is_final:
        percent = 100 * float(progress.get("fraction") or 0)
        yield "progress", cell(f"{percent:.0f} % {progress.get('text') or ''}")
    for name in _FACTS:
        yield name, cell(task.get(name) or None)
    for name in _MOMENTS:
        yield name, local_time(task.get(name), "%Y-%m-%d %H:%M:%S %Z")
    for artifact in task.get("artifacts") or ():
        yield "artifact", cell(f"{artifact.get('name')}  {artifact.get('size')} B")


@verb(
    "logs",
    _TASK_ID,
    Flag(["--follow", "-f"], is_flag=True, help="cli.option.follow_logs"),
    *remote_options(),
    help_key="cli.tasks.logs",
)
def logs(terminal: Terminal, task_id: str, follow: bool, **where: Any) -> int:
    """Show what a task has logged; with `--follow` until it ends."""
    with open_client(terminal, **where) as client:
        if not follow:
            for record in client.logs(task_id):
                if terminal.is_json:
                    terminal.line(record)
                else:
                    click.echo(log_line(record))
            return OK
        with Live(terminal, task_id, shows_records=True) as live:
            for event in client.events(task_id):
                if event.kind != "item":
                    live.show(event)
    return OK


@verb(
    "cancel",
    click.Argument(["task_ids"], nargs=-1, required=True),
    *remote_options(),
    help_key="cli.tasks.cancel",
)
def cancel(terminal: Terminal, task_ids: tuple[str, ...], **where: Any) -> int:
    """End tasks, gracefully and then by force."""
    answers: list[Document] = []
    failed_count = 0
    with open_client(terminal, **where) as client:
        for task_id in task_ids:
            try:
                task = client.cancel(task_id)
            except ClientError as error:
                if not error.status:
                    raise
                failed_count += 1
                answers.append({"request_id": task_id, "error": {"code": error.code}})
                if not terminal.is_json:
                    terminal.fail(error)
                continue
            answers.append({"request_id": task_id, "status": task.get("status")})
            status = terminal.words(f"cli.state.{task.get('status')}")
            terminal.say("cli.tasks.cancelled", request_id=task_id, status=status)
    if terminal.is_json:
        terminal.answer({"tasks": answers})
    if failed_count == len(task_ids):
        return INVALID if len(task_ids) == 1 else FAILED
    return SOME_FAILED if failed_count else OK


@verb("explain", _TASK_ID, *remote_options(), help_key="cli.tasks.explain")
def explain(terminal: Terminal, task_id: str, **where: Any) -> int:
    """Tell why a task waits, or where it ran and why."""
    with open_client(terminal, **where) as client:
        explanation = client.explain(task_id)
    if terminal.is_json:
        terminal.answer(explanation)
        return OK
    terminal.plain(str(explanation.get("message") or explanation.get("reason") or ""))
    return OK


# ---- time ----------------------------------------------------------------------------


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
