"""`tasks capsule`: all that is known of a failed attempt, as one archive."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import click

from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import OK, Flag, UsageFault, verb


@verb(
    "capsule",
    click.Argument(["task_id"]),
    Flag(
        ["--output", "-o"],
        type=click.Path(path_type=Path, dir_okay=False),
        help="cli.option.capsule_output",
    ),
    Flag(["--attempt"], type=click.IntRange(1), help="cli.option.capsule_attempt"),
    *remote_options(),
    help_key="cli.tasks.capsule",
)
def capsule(
    terminal: Terminal, task_id: str, output: Path | None, attempt: int | None, **where: Any
) -> int:
    """Write the capsule of a failed attempt to a file."""
    path = output or Path(f"capsule-{task_id}.zip")
    with open_client(terminal, **where) as client:
        packed = client.capsule(task_id, attempt=attempt)
    try:
        path.write_bytes(packed)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageFault("cli.usage.bad", name="--output", reason=reason) from error
    if terminal.is_json:
        digest = hashlib.sha256(packed).hexdigest()
        terminal.answer({"path": str(path), "size": len(packed), "sha256": digest})
        return OK
    terminal.say("cli.tasks.capsule_written", path=path, request_id=task_id)
    return OK
