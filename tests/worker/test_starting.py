"""A template whose process is there, and something around it is not, leaves nothing behind."""

from __future__ import annotations

import errno
import gc
import os
from pathlib import Path
from typing import Any

import pytest

from tests.worker.conftest import Stage
from zscrape.worker import starting
from zscrape.worker.kinds import Kind, TemplateFailed

pytestmark = pytest.mark.asyncio(loop_scope="session")


def held() -> tuple[int, set[str]]:
    """Return how many descriptors this process has, and its children."""
    gc.collect()  # what earlier tests have left to the collector is closed by it
    told = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
    return len(list(Path("/proc/self/fd").iterdir())), set(" ".join(told).split())


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

    assert held() == before


async def test_interpreter_that_is_none_leaves_nothing(stage: Stage, tmp_path: Path) -> None:
    """It is told by its name."""
    templates = stage.slots._templates
    kind = Kind("", None, python=str(tmp_path / "a" / "bin" / "python"))
    before = held()
    with pytest.raises(TemplateFailed, match="bin/python: No such file"):
        starting.begin(kind, templates._policy, templates._scratch.root, None)

    assert held() == before
