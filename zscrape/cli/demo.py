"""`demo`: everything once, offline."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import click

from zscrape.cli.remote import open_client
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import FAILED, OK, SOME_FAILED, Flag, verb

if TYPE_CHECKING:
    from zscrape.ops.demo import Demo, Result

_SHOWN_ROW_COUNT = 5
_CELL_LIMIT = 44


@verb(
    "demo",
    Flag(["--browser"], is_flag=True, help="cli.option.browser"),
    Flag(["--keep"], is_flag=True, help="cli.option.keep"),
)
def demo(terminal: Terminal, browser: bool, keep: bool) -> int:
    """Run the samples on a cluster of its own and show what they bring."""
    from zscrape.ops.demo import Demo

    started = time.perf_counter()
    terminal.note("cli.demo.starting")
    with Demo(lang=terminal.lang) as running:
        terminal.say(
            "cli.demo.ready",
            site=running.site_url,
            http=running.gateway["http"],
            worker_id=running.worker["worker_id"],
            slots=running.worker["slots"],
            seconds=time.perf_counter() - started,
        )
        results = []
        for result in running.run(has_browser=browser):
            results.append(result)
            _show(terminal, result)
        failed_count = sum(not result.is_ok for result in results)
        elapsed_s = time.perf_counter() - started
        if terminal.is_json:
            terminal.line({"event": "done", "count": len(results), "failed_count": failed_count})
        elif not failed_count:
            terminal.plain()
            terminal.say("cli.demo.done", count=len(results), seconds=elapsed_s)
        if keep:
            _keep(terminal, running)
        elif not failed_count:
            terminal.note("cli.demo.next")
    if failed_count == len(results):
        return FAILED
    return SOME_FAILED if failed_count else OK


def _show(terminal: Terminal, result: Result) -> None:
    step, envelope = result.step, result.envelope
    if terminal.is_json:
        terminal.line({"event": "result", "elapsed_s": round(result.elapsed_s, 6), **envelope})
        return
    title = terminal.words(f"cli.demo.{step.script}")
    terminal.plain()
    milliseconds = click.style(f"{1000 * result.elapsed_s:.0f} ms", fg="green")
    terminal.plain(f"{click.style(step.script, bold=True)}  {title}  {milliseconds}")
    if not result.is_ok:
        error = envelope.get("error") or {}
        terminal.blame(
            terminal.words("cli.demo.failed", script=step.script, code=error.get("code"))
        )
        terminal.blame(str(error.get("message", "")))
        return
    rows = _rows(envelope.get("data"))
    columns = list(dict.fromkeys(name for row in rows for name in row))[:6]
    shown = rows[:_SHOWN_ROW_COUNT]
    terminal.table(columns, [[_cell(row.get(name)) for name in columns] for row in shown])
    if len(rows) > len(shown):
        terminal.note("cli.demo.more", count=len(rows) - len(shown))


def _rows(data: Any) -> list[dict[str, Any]]:
    if isinstance(data, list):
        return [row for row in data if isinstance(row, dict)]
    return [data] if isinstance(data, dict) else []


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        value = f"[{len(value)}]"
    if isinstance(value, str) and len(value) > _CELL_LIMIT:
        return value[: _CELL_LIMIT - 1] + "…"
    return value


def _keep(terminal: Terminal, running: Demo) -> None:
    """Wait for Ctrl-C or SIGTERM."""
    asked_to_end = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: asked_to_end.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    if terminal.is_json:
        told = {"http": running.gateway["http"], "link": running.gateway["link"]}
        terminal.line({"event": "ready", **told, "home": str(running.home)})
    else:
        http = running.gateway["http"]
        terminal.say("cli.demo.keep", http=http, home=running.home)
        with open_client(terminal, url=http, key=None, home=running.home) as client:
            terminal.note("cli.gateway.dashboard", url=client.login_link()["url"])
    asked_to_end.wait()
    for number, handler in before.items():
        signal.signal(number, handler)
