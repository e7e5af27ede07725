"""`tasks export`, and what all exports share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.selecting import filter_options, moment_of
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import OK, Flag, verb
from zscrape.errors import ConfigError


def export_options() -> list[click.Parameter]:
    """Options of verbs that write rows to a file or to standard output."""
    return [
        Flag(
            ["--format", "form"],
            type=click.Choice(["jsonl", "csv"]),
            help="cli.option.export_format",
        ),
        Flag(
            ["--output", "-o"],
            type=click.Path(path_type=Path, dir_okay=False),
            help="cli.option.export_output",
        ),
    ]


@verb(
    "export",
    *export_options(),
    *filter_options(),
    Flag(["--limit"], type=click.IntRange(min=1), help="cli.option.export_limit"),
    Flag(["--data", "has_data"], is_flag=True, help="cli.option.export_data"),
    *remote_options(),
    help_key="cli.tasks.export",
)
def export(
    terminal: Terminal,
    form: str | None,
    output: Path | None,
    status: tuple[str, ...],
    script: str | None,
    origin: str | None,
    since: str | None,
    limit: int | None,
    has_data: bool,
    **where: Any,
) -> int:
    """Write the history to a file or to standard output."""
    filters = {
        "status": ",".join(status) or None,
        "script": script,
        "origin": origin,
        "since": None if since is None else moment_of(since),
        "limit": limit,
        "data": "1" if has_data else None,
    }
    form = form or form_of(output)
    with open_client(terminal, **where) as client:
        return deliver(terminal, client.export(form, **filters), form, output)


def form_of(output: Path | None) -> str:
    """Return the form that a file's name asks for: lines, unless it is a table."""
    return "csv" if output is not None and output.suffix.lower() == ".csv" else "jsonl"


def deliver(terminal: Terminal, chunks: Iterator[bytes], form: str, output: Path | None) -> int:
    """Write what is exported to a file, and tell of it, or to standard output."""
    if output is None:
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        return OK
    size_bytes = write_whole(output, chunks)
    if terminal.is_json:
        terminal.answer({"path": output, "format": form, "size_bytes": size_bytes})
    else:
        terminal.note("cli.export.done", path=output)
    return OK


def write_whole(path: Path, chunks: Iterator[bytes]) -> int:
    """Write a file; what breaks off half way leaves no half file. Returns its size.

    Raises:
        ConfigError: It cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            with part.open("wb") as file:
                for chunk in chunks:
                    file.write(chunk)
                size_bytes = file.tell()
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(source=str(path), reason=error.strerror or str(error)) from error
    return size_bytes
