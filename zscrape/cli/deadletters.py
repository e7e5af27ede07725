"""`deadletters list retry drop`."""

from __future__ import annotations

from typing import Any

import click

from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.selecting import age, moment_of
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import FAILED, OK, SOME_FAILED, Flag, UsageFault, verb
from zscrape.client import Document

_IDS = click.Argument(["task_ids"], nargs=-1)


def _filters() -> list[click.Parameter]:
    return [
        Flag(["--script"], help="cli.option.script"),
        Flag(
            ["--reason"],
            type=click.Choice(["retry_exhausted", "poison"]),
            help="cli.option.reason",
        ),
        Flag(["--since"], help="cli.option.since"),
    ]


def _choice() -> list[click.Parameter]:
    return [
        _IDS,
        *_filters(),
        Flag(["--all", "is_all"], is_flag=True, help="cli.option.all_letters"),
        Flag(
            ["--limit"],
            type=click.IntRange(1, 10_000),
            default=1_000,
            help="cli.option.limit_changed",
        ),
        Flag(["--dry-run", "is_dry_run"], is_flag=True, help="cli.option.dry_run"),
        *remote_options(),
    ]


@verb(
    "list",
    *_filters(),
    Flag(["--limit"], type=click.IntRange(1, 1000), default=20, help="cli.option.limit"),
    Flag(["--cursor"], help="cli.option.cursor"),
    *remote_options(),
    help_key="cli.deadletters.list",
)
def list_letters(
    terminal: Terminal,
    script: str | None,
    reason: str | None,
    since: str | None,
    limit: int,
    cursor: str | None,
    **where: Any,
) -> int:
    """Show the dead letters, newest first."""
    moment = None if since is None else moment_of(since)
    with open_client(terminal, **where) as client:
        page = client.dead_letters(
            script=script, reason=reason, since=moment, limit=limit, cursor=cursor
        )
    if terminal.is_json:
        terminal.answer(page)
        return OK
    _show(terminal, page.get("deadletters", []))
    if page.get("next_cursor"):
        terminal.note("cli.tasks.more", cursor=page["next_cursor"])
    return OK


def _show(terminal: Terminal, letters: list[Document]) -> None:
    if not letters:
        terminal.note("cli.deadletters.none")
        return
    terminal.table(
        terminal.columns("id", "script", "version", "reason", "error", "retries", "age"),
        [
            [
                letter.get("request_id"),
                letter.get("script_name"),
                letter.get("version"),
                letter.get("dropped_reason"),
                letter.get("last_error"),
                letter.get("retry_count"),
                age(letter.get("finished_at")),
            ]
            for letter in letters
        ],
    )


@verb("retry", *_choice(), help_key="cli.deadletters.retry")
def retry(terminal: Terminal, **given: Any) -> int:
    """Do dead letters again, each as a new task with the same pin and parameters."""
    return _change(terminal, "retried", **given)


@verb("drop", *_choice(), help_key="cli.deadletters.drop")
def drop(terminal: Terminal, **given: Any) -> int:
    """Take tasks from the dead letters; they stay in the history."""
    return _change(terminal, "dropped", **given)


def _change(
    terminal: Terminal,
    done: str,
    *,
    task_ids: tuple[str, ...],
    script: str | None,
    reason: str | None,
    since: str | None,
    is_all: bool,
    limit: int,
    is_dry_run: bool,
    **where: Any,
) -> int:
    """Retry or drop; `done` is what the answer calls it.

    Raises:
        UsageFault: Nothing is selected, or both ids and a filter.
    """
    filters: Document = {"script": script, "reason": reason}
    filters["since"] = None if since is None else moment_of(since)
    has_filter = is_all or any(filters.values())
    if bool(task_ids) == bool(has_filter):
        key = "cli.usage.ids_or_filter" if task_ids else "cli.usage.nothing_selected"
        raise UsageFault(key, ctx=click.get_current_context())
    with open_client(terminal, **where) as client:
        if is_dry_run:
            return _foretell(terminal, _selected(client, task_ids, filters, limit), done)
        change = client.retry_dead_letters if done == "retried" else client.drop_dead_letters
        answer = change(ids=list(task_ids) or None, all=is_all or None, limit=limit, **filters)
    if terminal.is_json:
        terminal.answer(answer)
    else:
        _tell(terminal, answer, done)
    failed_count = int(answer["failed_count"])
    if not failed_count:
        return OK
    return SOME_FAILED if answer[f"{done}_count"] else FAILED


def _selected(
    client: Any, task_ids: tuple[str, ...], filters: Document, limit: int
) -> list[Document]:
    """Return the dead letters that a change would be about."""
    if task_ids:
        return [client.task(task_id) for task_id in task_ids]
    found: list[Document] = []
    cursor = None
    while len(found) < limit:
        size = min(1_000, limit - len(found))
        page = client.dead_letters(limit=size, cursor=cursor, **filters)
        found += page["deadletters"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    return found


def _foretell(terminal: Terminal, letters: list[Document], done: str) -> int:
    if terminal.is_json:
        terminal.answer({"deadletters": letters, "is_dry_run": True})
        return OK
    _show(terminal, letters)
    terminal.note(f"cli.deadletters.dry.{done}", count=len(letters))
    return OK


def _tell(terminal: Terminal, answer: Document, done: str) -> None:
    for letter in answer["deadletters"]:
        error = letter.get("error")
        if error:
            terminal.blame(f"{letter['request_id']}: {error['message']}")
        elif done == "retried":
            terminal.say("cli.tasks.retried", request_id=letter["request_id"], **_new(letter))
    counts = {"count": answer[f"{done}_count"], "failed_count": answer["failed_count"]}
    terminal.note(f"cli.deadletters.{done}", **counts)


def _new(letter: Document) -> Document:
    return {"retried_as": letter["retried_as"]}
