"""How an operational verb is declared: its options, its exit codes, its summary.

@operational("verify", TARGETS, help_key="cli.scripts.verify")
def verify(terminal: Terminal, operation: Operation, *, targets: ...) -> Document:
    operation.begin(scope)
    ...
    operation.end("price_watch@1.4.2", "failed", "signature_invalid: ...")
    return {"scripts": [...]}      # what `--json` shows beside the summary
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import (
    FAILED,
    INTERRUPTED,
    OK,
    SOME_FAILED,
    Flag,
    Verb,
    verb,
)
from zscrape.errors import ZscrapeError

if TYPE_CHECKING:
    from zscrape.client import Document
    from zscrape.ops.operation import Operation
    from zscrape.ops.summary import Summary

_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_NAMES: Final = (
    "is_dry_run",
    "limit",
    "is_fail_fast",
    "json_output",
    "junit_output",
    "timeout_s",
    "max_failed",
    "max_retry_ratio_pct",
    "alert_webhook",
)


def standard_options(*, limit: int | None = None) -> list[click.Parameter]:
    """Options of every operational verb (contract section 5)."""
    return [
        Flag(["--dry-run", "is_dry_run"], is_flag=True, help="cli.option.dry_run"),
        Flag(
            ["--limit"],
            type=click.IntRange(min=1),
            default=limit,
            metavar="N",
            help="cli.option.limit_targets",
        ),
        Flag(["--fail-fast", "is_fail_fast"], is_flag=True, help="cli.option.fail_fast"),
        Flag(["--json-output"], type=_FILE, help="cli.option.json_output"),
        Flag(["--junit-output"], type=_FILE, help="cli.option.junit_output"),
        Flag(
            ["--timeout-sec", "timeout_s"],
            type=click.FloatRange(0, 864_000, min_open=True),
            metavar="N",
            help="cli.option.timeout_run",
        ),
        Flag(
            ["--max-failed", "--max-dropped-total", "max_failed"],
            type=click.IntRange(min=0),
            metavar="N",
            help="cli.option.max_failed",
        ),
        Flag(
            ["--max-retry-ratio", "--max-retry-ratio-pct", "max_retry_ratio_pct"],
            type=click.FloatRange(0, 100),
            metavar="PCT",
            help="cli.option.max_retry_ratio",
        ),
        Flag(["--alert-webhook"], metavar="URL", help="cli.option.alert_webhook"),
    ]


def operational(
    name: str,
    *parameters: click.Parameter,
    help_key: str | None = None,
    script: str | None = None,
    limit: int | None = None,
) -> Callable[[Callable[..., Document | None]], Verb]:
    """Make a function an operational verb.

    It gets a `Terminal`, an `Operation` that has not begun, then its own options, `home` among
    them; it returns what `--json` shows beside the summary.

    Args:
        name: The verb.
        parameters: Its own options, `--home` among them.
        help_key: Its help, where that is not `cli.` and its name.
        script: Its name in summaries and locks: `scripts verify`.
        limit: The default of `--limit`.
    """

    def declare(function: Callable[..., Document | None]) -> Verb:
        def call(terminal: Terminal, **values: Any) -> int:
            return _run(function, terminal, script or name, values)

        options = [*parameters, *standard_options(limit=limit)]
        return verb(name, *options, help_key=help_key)(call)

    return declare


def _run(
    function: Callable[..., Document | None], terminal: Terminal, name: str, values: dict[str, Any]
) -> int:
    from zscrape.config import default_home
    from zscrape.ops.operation import Operation, Standard
    from zscrape.ops.summary import Gates

    given = {option: values.pop(option) for option in _NAMES}
    gates = Gates(given.pop("max_failed"), given.pop("max_retry_ratio_pct"))
    standard = Standard(**given, gates=gates, is_verbose=terminal.is_verbose)
    home = values["home"] or Path(os.environ.get("ZSCRAPE_HOME") or default_home(os.environ))
    details: Document = {}
    with Operation(
        name, standard, home=home, lang=terminal.lang, tell=_log_to(terminal)
    ) as operation:
        if values.get("key"):
            operation.masks.hide(values["key"])
        operation.masks.hide(os.environ.get("ZSCRAPE_API_KEY", ""))
        try:
            with _stoppable():
                details = function(terminal, operation, **values) or {}
        except KeyboardInterrupt:
            operation.interrupt()
        except ZscrapeError as error:
            operation.fail(error)
            operation.finish()
            raise
        summary = operation.finish()
    terminal = Terminal.now()
    _tell(terminal, operation, details)
    if operation.is_interrupted:
        terminal.note("cli.interrupted")
    return end_code(operation, summary)


def end_code(operation: Operation, summary: Summary) -> int:
    """Return the exit code of a run; a gate that was not passed is fatal."""
    if operation.is_interrupted:
        return INTERRUPTED
    if operation.breaches or operation.has_failed or summary.ending == "failed":
        return FAILED
    if operation.is_late:
        return SOME_FAILED if summary.succeeded_total else FAILED
    return SOME_FAILED if summary.ending == "some_failed" else OK


def _log_to(terminal: Terminal) -> Callable[[str], None] | None:
    """Return where lines of the log go: not to a person's terminal, unless asked for more."""
    if sys.stderr.isatty() and not terminal.is_verbose:
        return None
    return lambda line: click.echo(line, err=True)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does: timers and build servers end their processes by it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell(terminal: Terminal, operation: Operation, details: Document) -> None:
    import msgspec

    summary = operation.summary
    if terminal.is_json:
        terminal.answer({**msgspec.to_builtins(summary), **details})
        return
    for warning in summary.warnings:
        terminal.plain_note(warning)
    terminal.note(
        "cli.summary",
        run_id=summary.run_id,
        succeeded_count=summary.succeeded_total,
        failed_count=summary.failed_total,
        skipped_count=summary.skipped_total,
        count=summary.targets_total,
        seconds=f"{summary.duration_ms / 1000:.1f}",
    )
