"""`backup` and `restore`: the gateway's database as one file."""

from __future__ import annotations

from pathlib import Path

import click

from zscrape.cli.serving import read_settings
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import OK, config_option, home_option, verb

_FILE = click.Argument(["file"], type=click.Path(path_type=Path, dir_okay=False))


@verb("backup", _FILE, home_option(), config_option())
def backup(terminal: Terminal, file: Path, home: Path | None, config_file: Path | None) -> int:
    """Copy the database while the gateway runs."""
    settings = read_settings(config_file, home=home)
    terminal = Terminal.now()
    from zscrape.config import usable
    from zscrape.ops.backup import back_up_home

    with usable(file, "FILE"):
        facts = back_up_home(settings.home, file)
    if terminal.is_json:
        terminal.answer(facts)
    else:
        terminal.say(
            "cli.backup.done",
            path=facts.path,
            size_mb=facts.size_bytes / 1_000_000,
            count=facts.task_count,
        )
        if facts.secret_count:
            terminal.say("cli.backup.no_key", path=settings.home / "secrets.key")
    return OK


@verb("restore", _FILE, home_option(), config_option())
def restore(terminal: Terminal, file: Path, home: Path | None, config_file: Path | None) -> int:
    """Put a backup in the place of the database."""
    settings = read_settings(config_file, home=home)
    terminal = Terminal.now()
    from zscrape.config import usable
    from zscrape.ops.backup import restore_home

    with usable(file, "FILE"):
        restored = restore_home(settings.home, file)
    if terminal.is_json:
        terminal.answer(restored)
        return OK
    facts = restored.facts
    terminal.say("cli.restore.done", path=facts.path, count=facts.task_count)
    if restored.replaced is not None:
        terminal.say("cli.restore.replaced", path=restored.replaced)
    return OK
