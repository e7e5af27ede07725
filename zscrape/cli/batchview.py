"""A batch as it goes: a progress bar and the last ends in a table, on a terminal only."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from zscrape.cli.terminal import Terminal, show

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live
    from rich.progress import Progress, TaskID

    from zscrape.ops.operation import Operation

_ROW_COUNT: Final = 8
_WIDTHS: Final = (20, 9, 7, 24)  # of the columns at least, and twice that at most
_STYLES: Final = {"succeeded": "green", "failed": "red", "skipped": "bright_black"}


class BatchView:
    """Shows a run while it goes; use it in a `with`. Elsewhere than on a terminal it is silent."""

    def __init__(self, terminal: Terminal, operation: Operation, title: str) -> None:
        self._terminal = terminal
        self._operation = operation
        self._title = title
        self._live: Live | None = None
        self._progress: Progress | None = None
        self._bar: TaskID | None = None

    def __enter__(self) -> BatchView:
        if self._terminal.is_live:
            from rich.live import Live

            self._progress = _bar(self._terminal)
            self._bar = self._progress.add_task(
                self._title, total=self._operation.summary.targets_total, told=""
            )
            self._live = Live(
                self._picture(),
                console=self._terminal.error_console,
                refresh_per_second=8,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, flying_count: int) -> None:
        """Show how things stand; `flying_count` tasks are under way."""
        if self._live is None or self._progress is None or self._bar is None:
            return
        summary = self._operation.summary
        told = self._terminal.words(
            "cli.batch.progress", flying=flying_count, failed=summary.failed_total
        )
        done_count = summary.processed_total + summary.skipped_total
        self._progress.update(self._bar, completed=done_count, told=told)
        self._live.update(self._picture())

    def _picture(self) -> Group:
        from rich import box
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        names = self._terminal.columns("target", "status", "seconds", "error")
        for name, width in zip(names, _WIDTHS, strict=True):
            table.add_column(
                name, no_wrap=True, overflow="ellipsis", min_width=width, max_width=width * 2
            )
        for end in self._operation.ends[-_ROW_COUNT:]:
            table.add_row(
                Text(show(end.target)),
                Text(end.fate, style=_STYLES[end.fate]),
                f"{end.elapsed_s:.1f}",
                Text(show(end.reason.partition("\n")[0])),
            )
        parts: list[Any] = [self._progress] if self._progress is not None else []
        return Group(*([table] if self._operation.ends else []), *parts)


def _bar(terminal: Terminal) -> Progress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("[bold]{task.description}", markup=True),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}", style="bright_black", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=terminal.error_console,
        auto_refresh=False,
    )
