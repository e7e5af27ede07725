"""`smoke`: does this installation work?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from zscrape.cli.operational import operational
from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.serving import read_settings
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import Flag, config_option

if TYPE_CHECKING:
    from zscrape.client import Document
    from zscrape.ops.operation import Operation

_CASES: Final = (
    *("health", "authentication", "scopes", "workers", "repositories", "run", "routing"),
    *("events", "limit_time", "limit_memory", "schedule", "metrics"),
)
_MARKS: Final = {"succeeded": ("ok", "green"), "failed": ("x ", "red"), "skipped": ("- ", "yellow")}


@operational(
    "smoke",
    Flag(["--case", "cases"], multiple=True, type=click.Choice(_CASES), help="cli.option.case"),
    Flag(["--script"], help="cli.option.probe"),
    Flag(
        ["--scripts", "folder"],
        type=click.Path(path_type=Path, file_okay=False),
        help="cli.option.probe_folder",
    ),
    Flag(["--keep-test-data", "keeps_data"], is_flag=True, help="cli.option.keep_test_data"),
    *remote_options(),
    config_option(),
)
def smoke(
    terminal: Terminal,
    operation: Operation,
    *,
    cases: tuple[str, ...],
    script: str | None,
    folder: Path | None,
    keeps_data: bool,
    url: str | None,
    key: str | None,
    home: Path | None,
    config_file: Path | None,
) -> Document:
    """Check a running installation, case by case."""
    if folder is None and script is None:
        folder = scripts_folder(config_file, home)
    terminal = Terminal.now()
    names = operation.chosen([name for name in _CASES if not cases or name in cases])
    with open_client(terminal, url=url, key=key, home=home) as client:
        operation.masks.hide(client.gateway.key)
        operation.begin(client.gateway.url)
        if operation.is_dry_run:
            for name in names:
                operation.end(name, "skipped", operation.told("summary.dry_run"))
            return {"cases": [{"name": name, "status": "skipped"} for name in names]}
        from zscrape.ops.smoke.suite import Suite

        suite = Suite(operation, client, script=script, folder=folder, keeps_data=keeps_data)
        try:
            suite.run(names)
        finally:
            if not terminal.is_json:
                _tell(terminal, operation)
    return {"url": client.gateway.url, "cases": suite.reports}


def scripts_folder(config_file: Path | None, home: Path | None) -> Path | None:
    """Return the first folder that a gateway of these settings reads scripts from."""
    settings = read_settings(config_file, home=home)
    folders = [each.url for each in settings.repositories if each.type == "dir"]
    return next((Path(each) for each in folders if Path(each).is_dir()), None)


def _tell(terminal: Terminal, operation: Operation) -> None:
    for end in operation.ends:
        mark, colour = _MARKS[end.fate]
        words = terminal.words(f"cli.smoke.{end.target}")
        seconds = click.style(f"{end.elapsed_s:.1f} s", dim=True)
        terminal.plain(f"{click.style(mark, fg=colour)} {end.target:<16} {words}  {seconds}")
        for line in end.reason.splitlines():
            terminal.plain(f"     {line}")
