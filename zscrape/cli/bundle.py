"""`bundle`: zscrape, scripts and their packages in one archive, for machines without internet."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from zscrape.cli.operational import operational
from zscrape.cli.serving import read_settings
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import Flag, UsageFault, config_option, home_option
from zscrape.errors import ZscrapeError

if TYPE_CHECKING:
    from zscrape.client import Document
    from zscrape.config import Settings
    from zscrape.ops.bundling import Bundle
    from zscrape.ops.operation import Operation

_FOLDER: Final = click.Path(path_type=Path, file_okay=False)
_OWN: Final = "zscrape"


@operational(
    "bundle",
    click.Argument(["file"], type=click.Path(path_type=Path, dir_okay=False)),
    click.Argument(["targets"], nargs=-1),
    Flag(["--scripts"], multiple=True, type=_FOLDER, help="cli.option.scripts"),
    Flag(["--platform", "platforms"], multiple=True, help="cli.option.bundle_platform"),
    Flag(["--python"], help="cli.option.bundle_python"),
    home_option(),
    config_option(),
)
def bundle(
    terminal: Terminal,
    operation: Operation,
    *,
    file: Path,
    targets: tuple[str, ...],
    scripts: tuple[Path, ...],
    platforms: tuple[str, ...],
    python: str | None,
    home: Path | None,
    config_file: Path | None,
) -> Document:
    """Make the archive; scripts that cannot be taken along are told and left out."""
    settings = read_settings(config_file, home=home, repositories=scripts)
    terminal = Terminal.now()
    from zscrape.config import usable
    from zscrape.ops.airgap.archive import archive_mode
    from zscrape.ops.airgap.platforms import parse_platform
    from zscrape.ops.bundling import begin_bundle

    mode, kinds = archive_mode(file), [parse_platform(each) for each in platforms]
    if python is not None and not is_python(python):
        raise UsageFault("cli.usage.bundle_python", given=python)
    operation.begin(str(file.absolute()))
    with tempfile.TemporaryDirectory(prefix="zscrape-bundle-") as scratch, usable(file, "FILE"):
        made = begin_bundle(Path(scratch), settings, python, kinds)
        asyncio.run(_fill(terminal, operation, made, settings, targets))
        size_bytes = 0
        # Scripts without zscrape itself would install nothing.
        if not operation.is_dry_run and operation.ends and operation.ends[0].fate == "succeeded":
            size_bytes = made.write(file, mode)
    if size_bytes:
        size = {"size_mb": size_bytes / 1_000_000, "count": len(made.scripts)}
        terminal.say("cli.bundle.done", path=file, **size)
        terminal.say("cli.bundle.next", name=file.name, folder=made.folder.name)
    return {"path": file if size_bytes else None, "size_bytes": size_bytes, "scripts": made.scripts}


def is_python(told: str) -> bool:
    """True iff a text is a version of Python that zscrape runs in: `3.12`."""
    major, _, minor = told.partition(".")
    return major == "3" and minor.isdecimal() and int(minor) >= 11  # `requires-python`


async def _fill(
    terminal: Terminal,
    operation: Operation,
    made: Bundle,
    settings: Settings,
    targets: tuple[str, ...],
) -> None:
    from zscrape.ops.bundling import open_shelf

    async with open_shelf(settings) as shelf:
        wanted = operation.chosen(list(targets) or await shelf.names())
        operation.summary.targets_total += 1

        async def add_zscrape() -> None:
            if not operation.is_dry_run:
                await asyncio.to_thread(made.add_zscrape)

        async def add(target: str) -> None:
            script, repository = await shelf.find(target)
            if not operation.is_dry_run:
                await made.add_script(script, repository)

        await _isolated(terminal, operation, _OWN, add_zscrape)
        if operation.ends[0].fate != "succeeded":
            return
        for target in wanted:
            if operation.stops:
                return

            async def add_this(target: str = target) -> None:
                await add(target)

            await _isolated(terminal, operation, target, add_this)


async def _isolated(
    terminal: Terminal, operation: Operation, target: str, act: Callable[[], Awaitable[None]]
) -> None:
    """Take one thing into the bundle; that it cannot be had stops no other."""
    started = time.monotonic()
    terminal.note("cli.bundle.taking", target=target)
    try:
        await act()
    except ZscrapeError as error:
        reason = operation.words_of(error)
        operation.end(target, "failed", reason, elapsed_s=time.monotonic() - started)
        terminal.note("cli.bundle.left_out", target=target, reason=reason)
    else:
        operation.end(target, elapsed_s=time.monotonic() - started)
