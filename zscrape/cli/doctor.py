"""`doctor`: what works here and what does not."""

from __future__ import annotations

import os
from pathlib import Path

from zscrape.cli.serving import read_settings
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import FAILED, OK, Flag, home_option, verb


@verb(
    "doctor",
    Flag(["--config", "shows_settings"], is_flag=True, help="cli.option.shows_settings"),
    Flag(["--file", "config_file"], help="cli.option.config"),
    home_option(),
)
def doctor(
    terminal: Terminal, shows_settings: bool, config_file: str | None, home: Path | None
) -> int:
    """Check this machine, this home folder and this gateway, or show the settings."""
    settings = read_settings(None if config_file is None else Path(config_file), home=home)
    terminal = Terminal.now()
    from zscrape.ops.doctor import examine
    from zscrape.ops.effective import effective

    if shows_settings:
        rows = effective(settings)
        if terminal.is_json:
            terminal.answer({"settings": rows})
        else:
            terminal.table(
                terminal.columns("setting", "value", "source", "environment"),
                [[row.name, row.value, row.source, row.environment] for row in rows],
            )
        return OK
    checks = examine(settings, lang=terminal.lang, environ=os.environ)
    broken_count = sum(check.status == "broken" for check in checks)
    if terminal.is_json:
        terminal.answer({"ok": broken_count == 0, "checks": checks})
    else:
        terminal.table(
            terminal.columns("check", "status", "detail"),
            [[check.name, check.status, check.detail] for check in checks],
        )
        if broken_count:
            terminal.note("doctor.broken", count=broken_count)
    return FAILED if broken_count else OK
