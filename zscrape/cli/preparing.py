"""`token prepare`: the secrets of a cluster before any of it has started."""

from __future__ import annotations

from pathlib import Path

import click

from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import OK, Flag, verb


@verb(
    "prepare",
    click.Argument(["folder"], type=click.Path(path_type=Path, file_okay=False)),
    Flag(
        ["--address", "addresses"],
        multiple=True,
        required=True,
        help="cli.option.prepare_address",
    ),
    help_key="cli.token.prepare",
)
def prepare(terminal: Terminal, folder: Path, addresses: tuple[str, ...]) -> int:
    """Write the secrets of a cluster that is still to be started."""
    from zscrape.ops import preparing

    prepared = preparing.prepare(folder, addresses)
    if terminal.is_json:
        terminal.answer(prepared)
        return OK
    terminal.note(
        "cli.token.prepared",
        folder=prepared.folder,
        made=", ".join(prepared.made),
        kept=", ".join(prepared.kept) or "-",
    )
    return OK
