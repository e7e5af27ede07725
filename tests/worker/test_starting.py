"""A template whose process is there, and something around it is not, leaves nothing behind."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.worker.conftest import Stage, until
from zscrape.worker import starting
from zscrape.worker.kinds import Kind, TemplateFailed

pytestmark = pytest.mark.asyncio(loop_scope="session")


def held() -> set[str]:
    """Return what descriptors this process has, each with what it is of, and its children."""
    told = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
    found = set(" ".join(told).split())
    for path in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of this very look, or of another thread
            found.add(f"{path.name} {path.readlink()}")
    return found


@pytest.mark.parametrize("name", ["dup", "pidfd_open"])
async def test_nothing_stays_when_there_are_no_descriptors(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The process is ended and waited for, and what was made for it is closed."""

    def refuse(*_: Any) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    templates = stage.slots._templates
    kind = Kind("", None)
    before = held()
    monkeypatch.setattr(os, name, refuse)
    with pytest.raises(OSError, match="too many"):
        starting.begin(kind, templates._policy, templates._scratch.root, None)

    # What earlier tests have left may go meanwhile, and threads of theirs open something.
    await until(lambda: held() <= before)


async def test_interpreter_that_is_none_leaves_nothing(stage: Stage, tmp_path: Path) -> None:
    """It is told by its name."""
    templates = stage.slots._templates
    kind = Kind("", None, python=str(tmp_path / "a" / "bin" / "python"))
    before = held()
    with pytest.raises(TemplateFailed, match="bin/python: No such file"):
        starting.begin(kind, templates._policy, templates._scratch.root, None)

    # What earlier tests have left may go meanwhile, and threads of theirs open something.
    await until(lambda: held() <= before)
