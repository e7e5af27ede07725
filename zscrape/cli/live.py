"""A task as it goes: a progress bar on a terminal, lines elsewhere, JSON lines for machines.

The same events come from a cluster (server-sent events) and from a run on this machine.
"""

from __future__ import annotations

from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from zscrape.cli.terminal import Terminal, harmless, show
from zscrape.client import Document, Event

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_LEVEL_COLOURS = {"error": "red", "critical": "red", "warning": "yellow", "debug": "bright_black"}


class Live:
    """Shows one task while it goes; use it in a `with`.

    Args:
        terminal: Where to.
        title: What runs, for the progress bar.
        shows_records: Logs and items too, not only progress.
    """

    def __init__(self, terminal: Terminal, title: str, *, shows_records: bool) -> None:
        self._terminal = terminal
        self._title = title
        self._shows_records = shows_records
        self._progress: Progress | None = None
        self._bar: TaskID | None = None
        self._item_count = 0

    def __enter__(self) -> Live:
        if self._terminal.is_live:
            self._progress = _progress(self._terminal)
            self._bar = self._progress.add_task(self._title, total=None, told="", items="")
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def show(self, event: Event) -> None:
        """Show one event."""
        if self._terminal.is_json:
            if self._shows_records and event.kind != "result":  # the verb tells that itself
                self._terminal.line({"event": event.kind, "data": event.data})
            return
        data = event.data if isinstance(event.data, dict) else {}
        match event.kind:
            case "progress":
                self._update(completed=data.get("fraction"), told=show(data.get("text", "")))
            case "state":
                status = str(data.get("status", ""))
                key = f"cli.state.{status}"
                told = self._terminal.words(key)
                self._update(told="" if told == key or status == "running" else told)
                if data.get("handoff"):
                    self._line(self._terminal.words("cli.run.waits", id=show(data["handoff"])))
            case "item":
                self._item_count += 1
                items = self._terminal.words("cli.items", count=self._item_count)
                self._update(items=items)
                if self._shows_records:
                    self._line(click.style("item ", fg="cyan") + show(event.data))
            case "log" if self._shows_records:
                self._line(log_line(data))

    def _update(self, **changed: Any) -> None:
        if self._progress is None or self._bar is None:
            return
        completed = changed.pop("completed", None)
        if isinstance(completed, int | float):
            self._progress.update(self._bar, total=1.0, completed=completed)
        self._progress.update(self._bar, **changed)

    def _line(self, line: str) -> None:
        if self._progress is not None:
            from rich.text import Text

            self._progress.console.print(Text.from_ansi(line))
        else:
            click.echo(line, err=True)


def _progress(terminal: Terminal) -> Progress:
    from rich.progress import (
        BarColumn,
        Progress,
        SpinnerColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    return Progress(
        SpinnerColumn(),
        TextColumn("[bold]{task.description}", markup=True),
        BarColumn(bar_width=28),
        TaskProgressColumn(),
        TextColumn("{task.fields[items]}", style="cyan", markup=False),
        TextColumn("{task.fields[told]}", style="bright_black", markup=False),
        TimeElapsedColumn(),
        console=terminal.error_console,
        transient=True,
    )


def log_line(record: Document) -> str:
    """Return one log record of a task as a line for a person."""
    level = str(record.get("level", "info"))
    message = harmless(str(record.get("message", "")))
    extra = {
        name: value
        for name, value in record.items()
        if name not in ("id", "level", "stream", "message", "at", "attempt")
    }
    told = "  ".join([message, *(f"{name}={show(value)}" for name, value in extra.items())])
    at = record.get("at")
    clock = "" if at is None else local_time(at, "%H:%M:%S") + " "
    if record.get("stream") in ("stdout", "stderr"):  # what `print` wrote: nothing put before it
        return click.style(clock, dim=True) + told
    return (
        click.style(clock, dim=True)
        + click.style(f"{level:<7} ", fg=_LEVEL_COLOURS.get(level))
        + told
    )


def local_time(at: object, form: str) -> str:
    """Return a moment (Unix time or ISO 8601) in this machine's zone; empty when it is none."""
    if isinstance(at, int | float):
        moment = datetime.fromtimestamp(at, UTC)
    else:
        try:
            moment = datetime.fromisoformat(str(at))
        except ValueError:
            return ""
    return moment.astimezone().strftime(form)
