"""`tasks list show logs cancel retry explain`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import click

from zscrape.cli.live import Live, local_time, log_line
from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.result import show_data, show_error
from zscrape.cli.selecting import age, filter_options, moment_of
from zscrape.cli.terminal import Terminal, show as cell
from zscrape.cli.verbs import FAILED, INVALID, OK, SOME_FAILED, Flag, UsageFault, verb
from zscrape.client import ClientError, Document
from zscrape.model import TaskState

_TASK_ID = click.Argument(["task_id"])
_FACTS: Final = (
    *("script_name", "version", "digest", "parameters", "priority", "tags", "lock_key"),
    *("timeout", "origin", "client", "worker_id", "attempts", "item_count", "queue_time"),
    *("execution_time", "retry_count", "last_error", "last_error_message"),
    *("dropped_reason", "retry_of", "retried_as"),
)
_MOMENTS: Final = ("created_at", "started_at", "finished_at", "next_retry_at")


@verb(
    "list",
    *filter_options(),
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
    click.Argument(["task_ids"], nargs=-1),
    *filter_options(state for state in TaskState if not state.is_final),
    Flag(["--all", "is_all"], is_flag=True, help="cli.option.all_live"),
    Flag(
        ["--limit"], type=click.IntRange(1, 10_000), default=1_000, help="cli.option.limit_changed"
    ),
    *remote_options(),
    help_key="cli.tasks.cancel",
)
def cancel(
    terminal: Terminal,
    task_ids: tuple[str, ...],
    status: tuple[str, ...],
    script: str | None,
    origin: str | None,
    since: str | None,
    is_all: bool,
    limit: int,
    **where: Any,
) -> int:
    """End tasks, gracefully and then by force."""
    filters: Document = {"script": script, "origin": origin, "status": list(status) or None}
    filters["since"] = None if since is None else moment_of(since)
    if bool(task_ids) == (is_all or any(filters.values())):
        key = "cli.usage.ids_or_filter" if task_ids else "cli.usage.nothing_selected"
        raise UsageFault(key, ctx=click.get_current_context())
    with open_client(terminal, **where) as client:
        if task_ids:
            return _each(terminal, task_ids, client.cancel, _tell_cancelled)
        answer = client.cancel_many(all=is_all or None, limit=limit, **filters)
    if terminal.is_json:
        terminal.answer(answer)
        return OK
    for task in answer["tasks"]:
        if "error" not in task:  # it has ended and was forgotten meanwhile
            _tell_cancelled(terminal, task["request_id"], task)
    terminal.note("cli.tasks.cancelled_count", count=answer["cancelled_count"])
    return OK


@verb(
    "retry",
    click.Argument(["task_ids"], nargs=-1, required=True),
    *remote_options(),
    help_key="cli.tasks.retry",
)
def retry(terminal: Terminal, task_ids: tuple[str, ...], **where: Any) -> int:
    """Do ended tasks again, each as a new task with the same pin and parameters."""
    with open_client(terminal, **where) as client:
        return _each(terminal, task_ids, client.retry, _tell_retried)


def _tell_cancelled(terminal: Terminal, task_id: str, task: Document) -> Document:
    status = terminal.words(f"cli.state.{task.get('status')}")
    terminal.say("cli.tasks.cancelled", request_id=task_id, status=status)
    return {"request_id": task_id, "status": task.get("status")}


def _tell_retried(terminal: Terminal, task_id: str, task: Document) -> Document:
    terminal.say("cli.tasks.retried", request_id=task_id, retried_as=task["request_id"])
    return {"request_id": task_id, "retried_as": task["request_id"], "status": task.get("status")}


def _each(
    terminal: Terminal,
    task_ids: tuple[str, ...],
    call: Callable[[str], Document],
    tell: Callable[[Terminal, str, Document], Document],
) -> int:
    """Do something to each task; one that fails stops no other."""
    answers: list[Document] = []
    failed_count = 0
    for task_id in task_ids:
        try:
            task = call(task_id)
        except ClientError as error:
            if not error.status:
                raise
            failed_count += 1
            answers.append({"request_id": task_id, "error": {"code": error.code}})
            if not terminal.is_json:
                terminal.fail(error)
            continue
        answers.append(tell(terminal, task_id, task))
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
