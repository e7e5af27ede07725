"""`audit list export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zscrape.cli.export import deliver, export_options, form_of
from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.selecting import moment_of
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import OK, Flag, verb
from zscrape.client import Document


def _filters() -> list[click.Parameter]:
    return [
        Flag(["--since"], help="cli.option.since"),
        Flag(["--actor"], help="cli.option.actor"),
        Flag(["--action"], help="cli.option.action"),
    ]


def _asked(since: str | None, actor: str | None, action: str | None) -> Document:
    moment = None if since is None else moment_of(since)
    return {"since": moment, "actor": actor, "action": action}


@verb(
    "list",
    *_filters(),
    Flag(["--limit"], type=click.IntRange(1, 1000), default=20, help="cli.option.limit"),
    Flag(["--cursor"], help="cli.option.cursor"),
    *remote_options(),
    help_key="cli.audit.list",
)
def list_audit(
    terminal: Terminal,
    since: str | None,
    actor: str | None,
    action: str | None,
    limit: int,
    cursor: str | None,
    **where: Any,
) -> int:
    """Show who did what, newest first."""
    with open_client(terminal, **where) as client:
        page = client.audit(limit=limit, cursor=cursor, **_asked(since, actor, action))
    if terminal.is_json:
        terminal.answer(page)
        return OK
    columns = ("at", "actor", "action", "target", "address", "result")
    rows = [[line[name] for name in columns] for line in page["audit"]]
    if not rows:
        terminal.note("cli.audit.none")
        return OK
    terminal.table(terminal.columns(*columns), rows)
    if page["next_cursor"]:
        terminal.note("cli.tasks.more", cursor=page["next_cursor"])
    return OK


@verb(
    "export",
    *export_options(),
    *_filters(),
    *remote_options(),
    help_key="cli.audit.export",
)
def export(
    terminal: Terminal,
    form: str | None,
    output: Path | None,
    since: str | None,
    actor: str | None,
    action: str | None,
    **where: Any,
) -> int:
    """Write the audit to a file or to standard output."""
    form = form or form_of(output)
    with open_client(terminal, **where) as client:
        chunks = client.export_audit(form, **_asked(since, actor, action))
        return deliver(terminal, chunks, form, output)
