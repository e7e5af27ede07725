"""`scripts list new check`."""

from __future__ import annotations

import asyncio
import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import FAILED, OK, SOME_FAILED, Flag, verb
from zscrape.ops.starters import STARTERS

if TYPE_CHECKING:
    from zscrape.ops.checking import CheckReport


@verb("list", *remote_options(), help_key="cli.scripts.list")
def list_scripts(terminal: Terminal, **where: Any) -> int:
    """Show the catalogue of the gateway."""
    with open_client(terminal, **where) as client:
        catalogue = client.scripts()
    if terminal.is_json:
        terminal.answer(catalogue)
        return OK
    for repository in catalogue.get("repositories", ()):
        if repository.get("error"):
            terminal.note(
                "cli.scripts.refresh_failed", name=repository["name"], reason=repository["error"]
            )
    rows = catalogue.get("scripts", [])
    if not rows:
        terminal.note("cli.scripts.none")
        return OK
    columns = ("name", "version", "description", "repository")
    terminal.table(
        terminal.columns(*columns),
        [[row.get(name) for name in columns] for row in rows],
    )
    for row in rows:
        for problem in row.get("problems") or ():
            terminal.note("cli.scripts.unusable", name=row.get("name"), reason=problem["reason"])
    return OK


@verb(
    "new",
    click.Argument(["folder"], type=click.Path(path_type=Path, file_okay=False)),
    Flag(
        ["--template"],
        type=click.Choice(list(STARTERS)),
        default="http",
        show_default=True,
        help="cli.option.template",
    ),
    Flag(["--author"], help="cli.option.author"),
    help_key="cli.scripts.new",
)
def new(terminal: Terminal, folder: Path, template: str, author: str | None) -> int:
    """Make the folder of a new script."""
    from zscrape.ops.newscript import create_script

    files = create_script(
        folder.absolute(), author=author or _user(), lang=terminal.lang, starter=template
    )
    if terminal.is_json:
        terminal.answer({"name": folder.name, "files": [str(path) for path in files]})
        return OK
    for path in files:
        terminal.say("cli.scripts.written", path=path)
    shown = folder if folder.is_absolute() else f"./{folder}"
    terminal.note("cli.scripts.next", folder=shown)
    return OK


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return ""


@verb(
    "check",
    click.Argument(["paths"], nargs=-1, required=True, type=click.Path(path_type=Path)),
    help_key="cli.scripts.check",
)
def check(terminal: Terminal, paths: tuple[Path, ...]) -> int:
    """Check scripts without running them."""
    from zscrape.ops.checking import check_script

    async def check_all() -> list[CheckReport]:
        return [await check_script(path, lang=terminal.lang) for path in paths]

    reports = asyncio.run(check_all())
    if terminal.is_json:
        terminal.answer({"scripts": reports})
    else:
        for report in reports:
            _tell(terminal, report)
    failed_count = sum(not report.is_ok for report in reports)
    if failed_count == len(reports):
        return FAILED
    return SOME_FAILED if failed_count else OK


def _tell(terminal: Terminal, report: CheckReport) -> None:
    mark = click.style("ok", fg="green") if report.is_ok else click.style("x ", fg="red", bold=True)
    terminal.plain(f"{mark} {report.path}  {report.name} {report.version}".rstrip())
    for problem in report.errors:
        terminal.plain(f"   {click.style(problem['pointer'], bold=True)} {problem['reason']}")
    for problem in report.warnings:
        told = f"   {problem['pointer']} {problem['reason']}"
        terminal.plain(click.style(told, fg="yellow"))
    for name, schema in report.parameters.items():
        kind = schema.get("type") or "any"
        default = f" = {schema['default']!r}" if "default" in schema else ""
        terminal.plain(click.style(f"   -p {name}: {kind}{default}", dim=True))
