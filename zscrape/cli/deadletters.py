"""`deadletters list drop`, and how dead letters are chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.selecting import age, moment_of
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import FAILED, OK, SOME_FAILED, Flag, UsageFault, verb
from zscrape.client import Document

if TYPE_CHECKING:
    from zscrape.client import Client

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


def choice_options() -> list[click.Parameter]:
    """Options that choose among the dead letters."""
    return [
        _IDS,
        *_filters(),
        Flag(["--all", "is_all"], is_flag=True, help="cli.option.all_letters"),
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
    show_letters(terminal, page.get("deadletters", []))
    if page.get("next_cursor"):
        terminal.note("cli.tasks.more", cursor=page["next_cursor"])
    return OK


def show_letters(terminal: Terminal, letters: list[Document]) -> None:
    """Show dead letters as a table."""
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


@verb(
    "drop",
    *choice_options(),
    Flag(
        ["--limit"], type=click.IntRange(1, 10_000), default=1_000, help="cli.option.limit_changed"
    ),
    Flag(["--dry-run", "is_dry_run"], is_flag=True, help="cli.option.dry_run"),
    *remote_options(),
    help_key="cli.deadletters.drop",
)
def drop(
    terminal: Terminal,
    task_ids: tuple[str, ...],
    script: str | None,
    reason: str | None,
    since: str | None,
    is_all: bool,
    limit: int,
    is_dry_run: bool,
    **where: Any,
) -> int:
    """Take tasks from the dead letters; they stay in the history."""
    filters = selection_of(task_ids, script, reason, since, is_all=is_all)
    with open_client(terminal, **where) as client:
        if is_dry_run:
            return _foretell(terminal, letters_of(client, task_ids, filters, limit))
        answer = client.drop_dead_letters(
            ids=list(task_ids) or None, all=is_all or None, limit=limit, **filters
        )
    if terminal.is_json:
        terminal.answer(answer)
    else:
        _tell(terminal, answer)
    failed_count = int(answer["failed_count"])
    if not failed_count:
        return OK
    return SOME_FAILED if answer["dropped_count"] else FAILED


def selection_of(
    task_ids: tuple[str, ...],
    script: str | None,
    reason: str | None,
    since: str | None,
    *,
    is_all: bool,
) -> Document:
    """Return the filters of a selection.

    Raises:
        UsageFault: Nothing is selected, or both ids and a filter.
    """
    filters: Document = {"script": script, "reason": reason}
    filters["since"] = None if since is None else moment_of(since)
    has_filter = is_all or any(filters.values())
    if bool(task_ids) == bool(has_filter):
        key = "cli.usage.ids_or_filter" if task_ids else "cli.usage.nothing_selected"
        raise UsageFault(key, ctx=click.get_current_context())
    return filters


def letters_of(
    client: Client, task_ids: tuple[str, ...], filters: Document, limit: int | None
) -> list[Document]:
    """Return the dead letters that a change would be about, the newest first."""
    if task_ids:
        return [client.task(task_id) for task_id in task_ids[:limit]]
    found: list[Document] = []
    cursor = None
    while limit is None or len(found) < limit:
        size = 1_000 if limit is None else min(1_000, limit - len(found))
        page = client.dead_letters(limit=size, cursor=cursor, **filters)
        found += page["deadletters"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    return found


def _foretell(terminal: Terminal, letters: list[Document]) -> int:
    if terminal.is_json:
        terminal.answer({"deadletters": letters, "is_dry_run": True})
        return OK
    show_letters(terminal, letters)
    terminal.note("cli.deadletters.dry.dropped", count=len(letters))
    return OK


def _tell(terminal: Terminal, answer: Document) -> None:
    for letter in answer["deadletters"]:
        error = letter.get("error")
        if error:
            terminal.blame(f"{letter['request_id']}: {error['message']}")
    counts = {"count": answer["dropped_count"], "failed_count": answer["failed_count"]}
    terminal.note("cli.deadletters.dropped", **counts)
