"""`deadletters retry`, with the standard of operational verbs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zscrape.cli.deadletters import choice_options, letters_of, selection_of, show_letters
from zscrape.cli.operational import operational
from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import Flag

if TYPE_CHECKING:
    from zscrape.client import Client, Document
    from zscrape.ops.operation import Operation


@operational(
    "retry",
    *choice_options(),
    Flag(["--group", "groups"], multiple=True, help="cli.option.group_letters"),
    Flag(
        ["--rounds"],
        type=click.IntRange(1, 100),
        default=1,
        show_default=True,
        metavar="N",
        help="cli.option.rounds",
    ),
    Flag(["--wait", "waits"], is_flag=True, help="cli.option.wait_retried"),
    *remote_options(),
    help_key="cli.deadletters.retry",
    script="deadletters retry",
    limit=1_000,
)
def retry(
    terminal: Terminal,
    operation: Operation,
    *,
    task_ids: tuple[str, ...],
    script: str | None,
    reason: str | None,
    since: str | None,
    is_all: bool,
    groups: tuple[str, ...],
    rounds: int,
    waits: bool,
    url: str | None,
    key: str | None,
    home: Path | None,
) -> Document:
    """Do dead letters again, each as a new task with the same pin and parameters."""
    wanted = frozenset(name for each in groups for name in each.split(",") if name)
    filters = selection_of(task_ids, script, reason, since, is_all=is_all or bool(wanted))
    limit = operation.standard.limit
    with open_client(terminal, url=url, key=key, home=home) as client:
        operation.masks.hide(client.gateway.key)
        chosen = {**filters, "ids": sorted(task_ids), "groups": sorted(wanted)}
        scope = ",".join(f"{name}={chosen[name]}" for name in chosen if chosen[name])
        operation.begin(scope or "all")
        if task_ids and not operation.is_dry_run:
            letters: list[Document] = [{"request_id": task_id} for task_id in task_ids]
        else:
            found = letters_of(client, task_ids, filters, None if wanted else limit)
            letters = _of_groups(client, found, wanted) if wanted else found
        letters = list(operation.chosen(letters))
        if operation.is_dry_run:
            return _foretell(terminal, operation, letters)
        return _run(terminal, operation, client, letters, rounds, waits=waits or rounds > 1)


def _of_groups(client: Client, letters: list[Document], groups: frozenset[str]) -> list[Document]:
    """Return the letters of these groups; the group stands in a task's metadata."""
    full = (client.task(letter["request_id"]) for letter in letters)
    return [task for task in full if str((task.get("metadata") or {}).get("group")) in groups]


def _foretell(terminal: Terminal, operation: Operation, letters: list[Document]) -> Document:
    for letter in letters:
        operation.end(letter["request_id"], "skipped", operation.told("summary.dry_run"))
    if not terminal.is_json:
        show_letters(terminal, letters)
        terminal.note("cli.deadletters.dry.retried", count=len(letters))
    return {"deadletters": letters, "is_dry_run": True}


def _run(
    terminal: Terminal,
    operation: Operation,
    client: Client,
    letters: list[Document],
    rounds: int,
    *,
    waits: bool,
) -> Document:
    from zscrape.ops.retrying import Retrying

    retrying = Retrying(operation, client, rounds=rounds, waits=waits)
    retrying.run([letter["request_id"] for letter in letters])
    if retrying.pending_count:
        operation.warn("cli.deadletters.pending", count=retrying.pending_count)
    retried = [told for told in retrying.answers if "retried_as" in told]
    for told in retrying.answers:
        if "error" not in told:
            terminal.say("cli.tasks.retried", **told)
        elif not terminal.is_json:
            terminal.blame(f"{told['request_id']}: {told['error']['message']}")
    failed_count = operation.summary.failed_total
    terminal.note("cli.deadletters.retried", count=len(retried), failed_count=failed_count)
    return {
        "deadletters": retrying.answers,
        "retried_count": len(retried),
        "failed_count": failed_count,
    }
