"""`seed`: test data by profile."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from zscrape.cli.operational import operational
from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.smoke import scripts_folder
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import Flag, UsageFault, config_option
from zscrape.errors import ConfigError

if TYPE_CHECKING:
    from zscrape.client import Document
    from zscrape.ops.operation import Operation

# Names of scripts are made of it; a shorter one would mean what others have made, too.
_PREFIX: Final = re.compile(r"[a-z0-9][a-z0-9_-]{2,30}")


@operational(
    "seed",
    Flag(
        ["--profile"],
        type=click.Choice(["minimal", "full"]),
        default="minimal",
        show_default=True,
        help="cli.option.profile",
    ),
    Flag(["--prefix"], default="seed_", show_default=True, help="cli.option.prefix"),
    Flag(
        ["--count"],
        type=click.IntRange(1, 1_000),
        default=3,
        show_default=True,
        metavar="N",
        help="cli.option.seed_count",
    ),
    Flag(["--cleanup", "is_cleanup"], is_flag=True, help="cli.option.cleanup"),
    Flag(
        ["--scripts", "folder"],
        type=click.Path(path_type=Path, file_okay=False),
        help="cli.option.seed_folder",
    ),
    *remote_options(),
    config_option(),
)
def seed(
    terminal: Terminal,
    operation: Operation,
    *,
    profile: str,
    prefix: str,
    count: int,
    is_cleanup: bool,
    folder: Path | None,
    url: str | None,
    key: str | None,
    home: Path | None,
    config_file: Path | None,
) -> Document:
    """Make test data, or remove it."""
    if not _PREFIX.fullmatch(prefix):
        raise UsageFault("cli.usage.prefix", given=prefix, ctx=click.get_current_context())
    folder = folder or scripts_folder(config_file, home)
    terminal = Terminal.now()
    if folder is None:
        raise ConfigError(source="--scripts", reason=terminal.words("cli.seed.no_folder"))
    from zscrape.ops.seeding import Seeding

    with open_client(terminal, url=url, key=key, home=home) as client:
        operation.masks.hide(client.gateway.key)
        operation.begin(f"{client.gateway.url}/{prefix}")
        seeding = Seeding(operation, client, folder=folder, prefix=prefix, count=count)
        with closing(seeding):
            if is_cleanup:
                seeding.clean()
            else:
                seeding.make(profile)
    for end in operation.ends:
        words = terminal.words(f"cli.seed.{end.fate}")
        terminal.plain(f"{words:<10} {end.target}  {end.reason}".rstrip())
    return {
        "profile": profile,
        "prefix": prefix,
        "targets": [{"target": end.target, "status": end.fate} for end in operation.ends],
    }
