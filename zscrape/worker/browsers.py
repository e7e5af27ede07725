"""Browsers of this worker: how many attempts may have one at once, and what children are told."""

from __future__ import annotations

import os
from typing import Final

from zscrape.config import Settings
from zscrape.errors import ConfigError
from zscrape.machine import memory_bytes
from zscrape.model import MIB
from zscrape.runtime import chromium
from zscrape.runtime.landlock import SYSTEM

# One with a page or two; what is left over is the rest of the machine's.
_ROOM_BYTES: Final = 1024 * MIB
_DEFAULT_COUNT: Final = 2


def has_browser(settings: Settings) -> bool:
    """True iff this worker has a Chromium that its scripts can run.

    Raises:
        ConfigError: The settings name a program that scripts cannot see, or that is not there.
    """
    named = settings.worker.browser_program
    if named:
        source = settings.sources.get("worker.browser_program", "worker.browser_program")
        if not named.startswith(tuple(f"{folder}/" for folder in SYSTEM)):
            reason = f"{named} is not beneath {', '.join(SYSTEM)}: scripts see nothing else"
            raise ConfigError(source=source, reason=reason)
        if not os.access(named, os.X_OK):
            raise ConfigError(source=source, reason=f"{named} is not a program")
        return True
    try:
        chromium.find_program()
    except chromium.BrowserMissing:
        return False
    return True


def browser_slots(settings: Settings) -> int:
    """Return how many attempts may have a browser at once: as set, else what memory allows.

    Raises:
        ConfigError: As `has_browser` does.
    """
    if not has_browser(settings):
        return 0
    if settings.worker.browser_slots is not None:
        return settings.worker.browser_slots
    room_count = memory_bytes() // _ROOM_BYTES - 1
    return int(max(1, min(_DEFAULT_COUNT, room_count)))


def environ(settings: Settings) -> dict[str, str]:
    """Return the variables that children are told of the browser by."""
    named = settings.worker.browser_program
    return {chromium.PROGRAM_VARIABLE: named} if named else {}
