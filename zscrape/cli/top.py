"""`top`: the cluster at a glance, again and again."""

from __future__ import annotations

import sys
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.terminal import Terminal, show
from zscrape.cli.verbs import OK, Flag, verb
from zscrape.client import Client, ClientError, Document

if TYPE_CHECKING:
    from rich.console import Group

_RUNNING_COUNT: Final = 10
_FAILURE_COUNT: Final = 8
_Rows = list[list[object]]


@verb(
    "top",
    Flag(
        ["--interval", "interval_s"],
        type=click.FloatRange(0.2, 3_600),
        default=2.0,
        help="cli.option.top_interval",
    ),
    Flag(["--once"], is_flag=True, help="cli.option.once"),
    *remote_options(),
)
def top(terminal: Terminal, interval_s: float, once: bool, **where: Any) -> int:
    """Show how it goes, until Ctrl-C; once with `--json` and into a pipe."""
    with open_client(terminal, **where) as client:
        look = _look(client)
        if terminal.is_json:
            terminal.answer(look)
        elif once or not sys.stdout.isatty():
            _print(terminal, look)
        else:
            _watch(terminal, client, look, interval_s)
    return OK


def _look(client: Client) -> Document:
    """Return what is shown, as one document."""
    failures = [
        row
        for status in ("failed", "timed_out")
        for row in client.tasks(status=status, limit=_FAILURE_COUNT)["tasks"]
    ]
    failures.sort(key=lambda row: row["finished_at"] or "", reverse=True)
    hour = client.overview()
    figures = {name: value for name, value in hour.items() if name != "hour"}
    ends = {name: value for name, value in hour["hour"].items() if name != "minutes"}
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "figures": figures,
        "last_hour": ends,
        "running": client.tasks(status="running", limit=_RUNNING_COUNT)["tasks"],
        "workers": client.workers()["workers"],
        "failures": failures[:_FAILURE_COUNT],
    }


def _watch(terminal: Terminal, client: Client, look: Document, interval_s: float) -> None:
    from rich.live import Live
    from rich.text import Text

    pause = threading.Event()
    with Live(_picture(terminal, look), console=terminal.console, screen=True) as live:
        try:
            while True:
                pause.wait(interval_s)
                try:
                    live.update(_picture(terminal, _look(client)), refresh=True)
                except ClientError as error:  # it may be back at the next look
                    told = terminal.words("cli.top.away", reason=str(error))
                    live.update(Text(told, style="red"), refresh=True)
        except KeyboardInterrupt:
            return


def _print(terminal: Terminal, look: Document) -> None:
    for line in _lines(terminal, look):
        terminal.plain(line)
    for title, columns, rows in _tables(terminal, look):
        terminal.plain(f"\n{title}")
        if rows:
            terminal.table(columns, rows)
        else:
            terminal.say("cli.top.nothing")


def _picture(terminal: Terminal, look: Document) -> Group:
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[Any] = [Text(line) for line in _lines(terminal, look)]
    for title, columns, rows in _tables(terminal, look):
        table = Table(
            title=title,
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
        )
        for column in columns:
            table.add_column(column, no_wrap=True, overflow="ellipsis")
        for row in rows or [[terminal.words("cli.top.nothing")]]:
            table.add_row(*(Text(show(value)) for value in row))
        parts.append(table)
    parts.append(Text(terminal.words("cli.top.end"), style="bright_black"))
    return Group(*parts)


def _lines(terminal: Terminal, look: Document) -> list[str]:
    figures, hour = look["figures"], look["last_hour"]
    p95_s = hour.get("p95_s")
    return [
        terminal.words(
            "cli.top.figures",
            queued=figures["queue_length"],
            oldest_s=round(figures["oldest_queued_s"]),
            running=figures["running_count"],
            free=figures["free_slot_count"],
            slots=figures["slot_count"],
            workers=figures["active_workers"],
            cpu=round(figures["cpu_usage"]),
            memory=round(figures["memory_usage"]),
        ),
        terminal.words(
            "cli.top.hour",
            completed=hour["completed_count"],
            failed=hour["failed_count"],
            cancelled=hour["cancelled_count"],
            p95="-" if p95_s is None else f"{p95_s:.2f} s",
        ),
    ]


def _tables(terminal: Terminal, look: Document) -> list[tuple[str, list[str], _Rows]]:
    running: _Rows = [
        [row["request_id"], row["script_name"], row["worker_id"], f"{row['execution_time']:.1f}"]
        for row in look["running"]
    ]
    workers: _Rows = [
        [
            row["id"],
            row["status"],
            f"{row['in_flight_count']}/{row['slots']}",
            f"cpu {row['cpu_percent']:.0f} % mem {row['memory_percent']:.0f} %",
        ]
        for row in look["workers"]
    ]
    failures: _Rows = [
        [row["request_id"], row["script_name"], row["error_code"], _age(row), _first(row)]
        for row in look["failures"]
    ]
    return [
        (
            terminal.words("cli.top.running"),
            terminal.columns("id", "script", "worker", "seconds"),
            running,
        ),
        (
            terminal.words("cli.top.workers"),
            terminal.columns("id", "status", "slots", "load"),
            workers,
        ),
        (
            terminal.words("cli.top.failures"),
            terminal.columns("id", "script", "error", "age", "reason"),
            failures,
        ),
    ]


def _age(row: Document) -> str:
    told = row["finished_at"]
    if not told:
        return "-"
    return f"{max(0.0, time.time() - datetime.fromisoformat(told).timestamp()):.0f} s"


def _first(row: Document) -> str:
    return str(row["error_message"] or "").partition("\n")[0][:80]
