"""`backup` and `restore`: the gateway's database as one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zscrape.cli.manner import words
from zscrape.cli.serving import read_settings
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import OK, config_option, home_option, verb
from zscrape.config import Settings
from zscrape.errors import ConfigError

if TYPE_CHECKING:
    from zscrape.ops.blobcopies import Copied

_FILE = click.Argument(["file"], type=click.Path(path_type=Path, dir_okay=False))


@verb("backup", _FILE, home_option(), config_option())
def backup(terminal: Terminal, file: Path, home: Path | None, config_file: Path | None) -> int:
    """Copy the database while the gateway runs."""
    settings = read_settings(config_file, home=home)
    terminal = Terminal.now()
    _require_file(settings)
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
        _tell_blobs(terminal, facts.blobs, settings.gateway.blob_bucket)
        if facts.secret_count:
            terminal.say("cli.backup.no_key", path=settings.home / "secrets.key")
    return OK


@verb("restore", _FILE, home_option(), config_option())
def restore(terminal: Terminal, file: Path, home: Path | None, config_file: Path | None) -> int:
    """Put a backup in the place of the database."""
    settings = read_settings(config_file, home=home)
    terminal = Terminal.now()
    _require_file(settings)
    from zscrape.config import usable
    from zscrape.ops.backup import restore_home

    with usable(file, "FILE"):
        restored = restore_home(settings.home, file)
    if terminal.is_json:
        terminal.answer(restored)
        return OK
    facts = restored.facts
    terminal.say("cli.restore.done", path=facts.path, count=facts.task_count)
    _tell_blobs(terminal, facts.blobs, settings.gateway.blob_bucket)
    if restored.replaced is not None:
        terminal.say("cli.restore.replaced", path=restored.replaced)
    return OK


def _tell_blobs(terminal: Terminal, blobs: Copied, bucket: str) -> None:
    if blobs.count:
        terminal.say("cli.backup.blobs", size_mb=blobs.size_bytes / 1_000_000, count=blobs.count)
    if blobs.absent_count and bucket:
        terminal.say("cli.backup.blobs_bucket", count=blobs.absent_count, bucket=bucket)
    elif blobs.absent_count:
        terminal.say("cli.backup.blobs_absent", count=blobs.absent_count)


def _require_file(settings: Settings) -> None:
    """Refuse where the tasks are in no file.

    Raises:
        ConfigError: They are on a database server.
    """
    if settings.gateway.database_url:
        raise ConfigError(source="gateway.database_url", reason=words("cli.backup.server"))
