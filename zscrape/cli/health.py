"""`health`: is what runs here alive?"""

from __future__ import annotations

import os
from pathlib import Path

from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import FAILED, OK, Flag, home_option, verb


@verb(
    "health",
    Flag(["--ready", "is_ready"], is_flag=True, help="cli.option.is_ready"),
    Flag(["--url"], help="cli.option.url"),
    home_option(),
)
def health(terminal: Terminal, is_ready: bool, url: str | None, home: Path | None) -> int:
    """Tell by the exit code whether what runs from a home folder is alive."""
    from zscrape.config import default_home
    from zscrape.ops.health import examine

    environ = os.environ
    parts = examine(
        home=home,
        url=url or environ.get("ZSCRAPE_URL"),
        is_ready=is_ready,
        lang=terminal.lang,
        environ=environ,
    )
    is_well = bool(parts) and all(part.is_well for part in parts)
    if terminal.is_json:
        terminal.answer({"ok": is_well, "parts": parts})
    elif not parts:
        place = home or environ.get("ZSCRAPE_HOME") or default_home(environ)
        terminal.note("cli.health.nothing", home=place)
    for part in [] if terminal.is_json else parts:
        terminal.plain(f"{part.name}: {part.status}" + (f" ({part.detail})" if part.detail else ""))
    return OK if is_well else FAILED
