"""`secrets set list remove`: values for scripts, which no command line shows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import OK, Flag, UsageFault, verb

_NAME = click.Argument(["name"])


@verb(
    "set",
    _NAME,
    Flag(["--script", "scripts"], multiple=True, help="cli.option.secret_script"),
    Flag(
        ["--from-file", "file"],
        type=click.Path(path_type=Path, dir_okay=False, exists=True, allow_dash=True),
        help="cli.option.secret_file",
    ),
    Flag(["--grant-only"], is_flag=True, help="cli.option.grant_only"),
    *remote_options(),
    help_key="cli.secrets.set",
)
def set_secret(
    terminal: Terminal,
    name: str,
    scripts: tuple[str, ...],
    file: Path | None,
    grant_only: bool,
    **where: Any,
) -> int:
    """Keep a secret, or change who may read it."""
    if file is not None and grant_only:
        raise UsageFault("cli.secrets.file_and_grant")
    value = None if grant_only else _value(terminal, name, file)
    with open_client(terminal, **where) as client:
        kept = client.set_secret(name, value, scripts=list(scripts) or None)
    if terminal.is_json:
        terminal.answer(kept)
        return OK
    granted = kept.get("scripts") or []
    if granted:
        terminal.say("cli.secrets.kept", name=name, scripts=", ".join(granted))
    else:
        terminal.say("cli.secrets.kept.nobody", name=name)
    return OK


def _value(terminal: Terminal, name: str, file: Path | None) -> str:
    """Return the value: from a file, from a person who types it unseen, or from a pipe."""
    if file is None and sys.stdin.isatty():
        prompt = terminal.words("cli.secrets.prompt", name=name)
        typed: str = click.prompt(prompt, hide_input=True, err=True)
        return typed
    raw = sys.stdin.buffer.read() if file is None or str(file) == "-" else file.read_bytes()
    try:
        return raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise UsageFault("cli.secrets.not_text") from None


@verb("list", *remote_options(), help_key="cli.secrets.list")
def list_secrets(terminal: Terminal, **where: Any) -> int:
    """Show the names of secrets and who may read them."""
    with open_client(terminal, **where) as client:
        document = client.secrets()
    if terminal.is_json:
        terminal.answer(document)
        return OK
    rows = document.get("secrets", [])
    if not rows:
        terminal.note("cli.secrets.none")
        return OK
    columns = terminal.columns("secret", "scripts", "updated")
    terminal.table(columns, [[each.get(key) for key in _SHOWN] for each in rows])
    return OK


_SHOWN = ("name", "scripts", "updated_at")


@verb("remove", _NAME, *remote_options(), help_key="cli.secrets.remove")
def remove_secret(terminal: Terminal, name: str, **where: Any) -> int:
    """Remove a secret."""
    with open_client(terminal, **where) as client:
        client.remove_secret(name)
    if terminal.is_json:
        terminal.answer({"name": name, "removed": True})
    terminal.say("cli.secrets.removed", name=name)
    return OK
