"""How a task's answer is shown, and written to a file."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from zscrape.cli.manner import words
from zscrape.cli.terminal import Terminal, harmless
from zscrape.client import Document
from zscrape.errors import ConfigError

_COLUMN_LIMIT_COUNT: Final = 12  # wider tables cannot be read; JSON is shown instead
_CELL_LIMIT: Final = 80


def show_answer(terminal: Terminal, envelope: Document, *, shows_data: bool) -> None:
    """Show how a task ended and what it brought: the words beside, the data on its own."""
    error = envelope.get("error")
    script = f"{envelope.get('script_name')} {envelope.get('version') or ''}".strip()
    if envelope.get("status") == "completed":
        terminal.note(
            "cli.run.completed",
            script=script,
            seconds=float(envelope.get("execution_time") or 0.0),
            item_count=envelope.get("item_count", 0),
            worker=envelope.get("worker_id") or "-",
        )
        if shows_data:
            show_data(terminal, envelope.get("data"))
        return
    status = terminal.words(f"cli.state.{envelope.get('status')}")
    code = error.get("code", "") if isinstance(error, dict) else ""
    click.secho(terminal.words("cli.run.ended", script=script, status=status, code=code), err=True)
    if isinstance(error, dict):
        show_error(terminal, error)
    if envelope.get("worker_id") != "local":
        terminal.note("cli.run.look", request_id=envelope["request_id"])


def show_error(terminal: Terminal, error: Document) -> None:
    """Show a task's error: words, problems, and the script's own traceback."""
    message = harmless(str(error.get("message", "")))
    click.echo(
        f"{click.style(terminal.words('cli.error'), fg='red', bold=True)} {message}", err=True
    )
    for problem in error.get("problems") or ():
        click.echo(f"  {problem.get('pointer')}: {problem.get('reason')}", err=True)
    if error.get("traceback"):
        click.secho(harmless(str(error["traceback"])).rstrip(), err=True, dim=True)


def show_data(terminal: Terminal, data: Any) -> None:
    """Show data on standard output: rows as a table, text as it is, anything else as JSON."""
    if data is None:
        return
    rows = rows_of(data)
    columns = columns_of(rows) if rows else []
    if rows and len(columns) <= _COLUMN_LIMIT_COUNT and sys.stdout.isatty():
        terminal.table(columns, [[_cell(row.get(name)) for name in columns] for row in rows])
    elif isinstance(data, str):
        click.echo(harmless(data))
    else:
        click.echo(msgspec.json.format(msgspec.json.encode(data), indent=2))


def _cell(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _CELL_LIMIT:
        return value[: _CELL_LIMIT - 1] + "…"
    return value


def rows_of(data: Any) -> list[Document]:
    """Return data as rows, or an empty list when it is no list of objects."""
    if isinstance(data, list) and data and all(isinstance(row, dict) for row in data):
        return data
    return []


def columns_of(rows: Iterable[Document]) -> list[str]:
    """Return every name that a row has, in the order of first appearance."""
    return list(dict.fromkeys(name for row in rows for name in row))


def write_data(path: Path, data: Any) -> None:
    """Write data to a file: `.jsonl` one row a line, `.csv` a table, anything else JSON.

    Raises:
        ConfigError: The file cannot be written, or the data is no table.
    """
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        rows = data if isinstance(data, list) else [data]
        content = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    elif suffix == ".csv":
        content = _csv(rows_of(data), path)
    else:
        content = msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n"
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConfigError(source=str(path), reason=error.strerror or str(error)) from error


def write_files(folder: Path, files: dict[str, bytes]) -> list[Path]:
    """Write files that a script saved and return where they are.

    Raises:
        ConfigError: One cannot be written, or its name would leave the folder.
    """
    written = []
    for name, content in files.items():
        path = folder / name
        if path.parent != folder or name in ("", ".", ".."):
            raise ConfigError(source=name, reason=words("cli.output.bad_name"))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise ConfigError(source=str(path), reason=error.strerror or str(error)) from error
        written.append(path)
    return written


def _csv(rows: list[Document], path: Path) -> bytes:
    if not rows:
        raise ConfigError(source=str(path), reason=words("cli.output.no_table"))
    out = io.StringIO(newline="")
    columns = columns_of(rows)
    writer = csv.writer(out)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_plain(row.get(name)) for name in columns])
    # The mark lets spreadsheets read Korean as UTF-8.
    return out.getvalue().encode("utf-8-sig")


def _plain(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, dict | list | bool):
        return msgspec.json.encode(value).decode()
    # A spreadsheet would run a cell that begins like a formula (OWASP, CSV injection).
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value
