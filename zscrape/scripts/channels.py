"""Channels: names that stand for a version until somebody promotes another.

They belong to the gateway, not to a repository: what is stable here may be a trial elsewhere.
Every change is kept, so that a channel can be rolled back step by step.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from zscrape.errors import ConfigError
from zscrape.errors.requests import NotFound
from zscrape.errors.scripts import VersionInvalid
from zscrape.log import get_logger
from zscrape.scripts.kept import Unreadable, read_document, write_document
from zscrape.scripts.version import VersionRequest

_HISTORY_COUNT: Final = 20


class Promotion(Struct, frozen=True):
    """One change of a channel: to which version, and when (Unix time)."""

    version: str
    at: float


class Change(Struct, frozen=True):
    """What became of a channel: the version it stands for, and the one before (or empty)."""

    script_name: str
    channel: str
    version: str
    previous: str


_Document = dict[str, dict[str, list[Promotion]]]


def is_channel_name(value: str) -> bool:
    """True iff a version request of this text asks for a channel."""
    try:
        return VersionRequest.parse(value).kind == "channel"
    except VersionInvalid:
        return False


class Channels:
    """The channels of all scripts, in one file. One event loop uses it.

    Raises:
        ConfigError: The file is there but cannot be read: nothing is promoted over it.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._writing = asyncio.Lock()
        self._log: Any = get_logger()
        try:
            self._by_script: _Document = read_document(path, _Document) or {}
        except Unreadable as error:
            raise ConfigError(source=str(path), reason=str(error)) from error

    def of(self, script_name: str) -> Mapping[str, str]:
        """Return which version each channel of a script stands for."""
        channels = self._by_script.get(script_name, {})
        return {name: history[-1].version for name, history in channels.items()}

    async def promote(self, script_name: str, channel: str, version: str) -> Change:
        """Let a channel stand for a version; kept on disk when this returns.

        Raises:
            OSError: The disk will not take it; nothing has changed.
        """
        async with self._writing:
            history = self._history(script_name, channel)
            previous = history[-1].version if history else ""
            if previous != version:
                told = [*history, Promotion(version, self._clock())][-_HISTORY_COUNT:]
                await self._keep(script_name, channel, told)
            return self._tell(Change(script_name, channel, version, previous))

    async def roll_back(self, script_name: str, channel: str) -> Change:
        """Let a channel stand for the version before the last change.

        Raises:
            NotFound: There is no such channel, or nothing before its version.
            OSError: The disk will not take it; nothing has changed.
        """
        async with self._writing:
            history = self._history(script_name, channel)
            if len(history) < 2:
                kind = "earlier version of channel" if history else "channel"
                raise NotFound(kind=kind, name=f"{script_name}@{channel}")
            await self._keep(script_name, channel, history[:-1])
            return self._tell(
                Change(script_name, channel, history[-2].version, history[-1].version)
            )

    async def remove(self, script_name: str, channel: str) -> Change:
        """Forget a channel.

        Raises:
            NotFound: There is no such channel.
            OSError: The disk will not take it; nothing has changed.
        """
        async with self._writing:
            history = self._history(script_name, channel)
            if not history:
                raise NotFound(kind="channel", name=f"{script_name}@{channel}")
            await self._keep(script_name, channel, [])
            return self._tell(Change(script_name, channel, "", history[-1].version))

    def _history(self, script_name: str, channel: str) -> list[Promotion]:
        return self._by_script.get(script_name, {}).get(channel, [])

    async def _keep(self, script_name: str, channel: str, history: list[Promotion]) -> None:
        channels = {**self._by_script.get(script_name, {}), channel: history}
        kept = {name: each for name, each in channels.items() if each}
        told = {**self._by_script, script_name: kept}
        if not kept:
            del told[script_name]
        await asyncio.to_thread(write_document, self._path, told)
        self._by_script = told

    def _tell(self, change: Change) -> Change:
        self._log.info(
            "channel_changed",
            script_name=change.script_name,
            channel=change.channel,
            version=change.version or "-",
            previous=change.previous or "-",
        )
        return change
