"""How Chromium is started: where it stands, what it is told and what it speaks through."""

from __future__ import annotations

import os
import select
import shutil
from pathlib import Path
from typing import Any

import pytest

from zscrape.runtime import chromium, devtools

LIMIT_MS = 20_000
# Tells its answer through the pipe that it writes to, once it has heard through the other.
PROGRAM = """#!/bin/sh
read heard <&3
echo "$heard $(cd "$TMPDIR" && pwd -P) $HOME" >&4
echo words >&2
"""


@pytest.mark.parametrize("where", ["above", "elsewhere", "removed"])
def test_its_sockets_have_short_names_wherever_the_script_stands(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder for sockets is its own, named from where it stands; its pipes are 3 and 4."""
    program, away = tmp_path / "program", tmp_path / "away"
    program.write_text(PROGRAM)
    program.chmod(0o700)
    away.mkdir()
    monkeypatch.setenv(chromium.PROGRAM_VARIABLE, str(program))
    monkeypatch.chdir(tmp_path if where == "above" else away)
    if where == "removed":
        away.rmdir()
    folder = str(tmp_path / ".browser-0")
    started = chromium.start(folder)
    os.write(started.write_fd, b"hello\n")
    poll = select.poll()
    poll.register(started.read_fd, select.POLLIN)
    has_answer = bool(poll.poll(LIMIT_MS))
    told = os.read(started.read_fd, 4096).decode().split()
    os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
    words = started.last_words()
    started.end()
    monkeypatch.chdir(tmp_path)
    chromium.remove_ended()

    assert has_answer
    assert told == ["hello", folder, folder]
    assert words == "words"
    assert not os.path.lexists(folder)


def test_program_that_cannot_be_started_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the system says of the program is what the script is told."""
    program = tmp_path / "program"
    program.write_text("#!/nowhere\n")
    program.chmod(0o700)
    monkeypatch.setenv(chromium.PROGRAM_VARIABLE, str(program))
    monkeypatch.chdir(tmp_path)

    with pytest.raises(chromium.BrowserFailed, match="No such file or directory"):
        chromium.start(str(tmp_path / ".browser-0"))


@pytest.mark.system
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's package chromium")
async def test_it_shows_its_first_page_and_nothing_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No page of its own window is drawn beside the one that a script is given."""
    monkeypatch.chdir(tmp_path)
    started = chromium.start(str(tmp_path / ".browser-0"))
    wire = devtools.Wire(started)
    shown: list[dict[str, Any]] = []
    while not any(each["type"] == "page" for each in shown):
        shown = (await wire.call("Target.getTargets", {"filter": [{}]}))["targetInfos"]
    wire.close()
    started.end()
    chromium.remove_ended()

    assert {each["type"] for each in shown} <= {"page", "tab"}, shown
