"""`locks list break`."""

from __future__ import annotations

from typing import Any

import click

from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import OK, Flag, verb


@verb(
    "list",
    Flag(["--prefix"], help="cli.option.lock_prefix"),
    *remote_options(),
    help_key="cli.locks.list",
)
def list_locks(terminal: Terminal, prefix: str | None, **where: Any) -> int:
    """Show who holds which key, the longest held first."""
    with open_client(terminal, **where) as client:
        document = client.locks(prefix=prefix)
    if terminal.is_json:
        terminal.answer(document)
        return OK
    if not document["locks"]:
        terminal.note("cli.locks.none")
        return OK
    terminal.table(
        terminal.columns("key", "holder", "script", "status", "age", "waiting"),
        [
            [
                lock["key"],
                lock["holder"],
                lock.get("script_name"),
                "closing" if lock["closing"] else lock.get("status"),
                f"{lock['age_s']:.0f}s",
                lock["waiting_count"],
            ]
            for lock in document["locks"]
        ],
    )
    return OK


@verb(
    "break",
    click.Argument(["lock_key"]),
    Flag(["--force", "is_forced"], is_flag=True, help="cli.option.force_lock"),
    *remote_options(),
    help_key="cli.locks.break",
)
def break_lock(terminal: Terminal, lock_key: str, is_forced: bool, **where: Any) -> int:
    """End the task that holds a key, so that another may have it."""
    with open_client(terminal, **where) as client:
        document = client.break_lock(lock_key, is_forced=is_forced)
    if terminal.is_json:
        terminal.answer(document)
    elif document["freed"]:
        terminal.say("cli.locks.broken", name=lock_key, holder=document["holder"])
    else:
        terminal.say("cli.locks.breaking", name=lock_key, holder=document["holder"])
    return OK
