"""`run --replay`: a failed attempt again, here, on what sites answered then."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from zscrape.cli.live import Live
from zscrape.cli.parameters import read_parameters
from zscrape.cli.remote import open_client
from zscrape.cli.serving import read_settings
from zscrape.cli.terminal import Terminal
from zscrape.client import Document
from zscrape.runtime.recording import MASK

if TYPE_CHECKING:
    from zscrape.ops.local import LocalRun


class Replayed(Struct, frozen=True):
    """Which failed attempt is to be done again, and how."""

    source: str  # a task's id, or the file of a capsule
    target: str  # a script to take in place of the capsule's own; empty: that one
    given: tuple[str, ...]  # parameters in place of those of then
    is_live: bool
    follow: bool
    timeout_s: float | None


def replay_here(
    terminal: Terminal, asked: Replayed, config_file: Path | None, where: dict[str, Any]
) -> LocalRun:
    """Run it.

    Raises:
        CapsuleUnusable, ClientError: There is nothing to run.
    """
    from zscrape.ops.local import run_here
    from zscrape.ops.replay import Replay, read_capsule, unpack_script

    packed, parameters = _found(terminal, asked.source, where)
    capsule = read_capsule(packed)
    told = capsule.parameters if parameters is None else parameters
    replay = Replay(capsule.recording, is_live=asked.is_live)
    settings = read_settings(config_file, home=where["home"])
    terminal = Terminal.now()  # the file may have said in which language to speak
    terminal.note(
        "cli.run.replaying",
        request_id=capsule.request_id,
        script=capsule.script_name,
        count=len(capsule.recording.exchanges),
    )
    blank = [name for name, value in told.items() if value == MASK]
    blank = [name for name in blank if not any(p.startswith(f"{name}=") for p in asked.given)]
    if blank:
        terminal.note("cli.run.replay_blank", names=", ".join(blank))
    with (
        tempfile.TemporaryDirectory(prefix="zscrape-replay-") as folder,
        Live(terminal, capsule.script_name, shows_records=asked.follow) as live,
    ):
        target = Path(asked.target) if asked.target else unpack_script(capsule, Path(folder))
        ran = asyncio.run(
            run_here(
                target,
                lambda schema: {**told, **read_parameters(asked.given, lambda: schema)},
                settings,
                on_event=live.show,
                timeout_s=asked.timeout_s,
                lang=terminal.lang,
                replay=replay,
            )
        )
    if ran.envelope.get("digest") != capsule.digest:
        terminal.note("cli.run.replay_other", digest=capsule.digest)
    if replay.live_count:
        terminal.note("cli.run.replay_live", count=replay.live_count)
    return ran


def _found(terminal: Terminal, source: str, where: dict[str, Any]) -> tuple[bytes, Document | None]:
    """Return a capsule, and the parameters, which a file has with its keys blanked out."""
    path = Path(source)
    if path.is_file():
        return path.read_bytes(), None
    with open_client(terminal, **where) as client:
        task = client.task(source)
        return client.capsule(source), dict(task.get("parameters") or {})
