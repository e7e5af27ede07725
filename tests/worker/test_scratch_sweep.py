"""What a worker that was killed leaves in its folder is gone when the next one has started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from zscrape.worker.scratch import Scratch, _birth


def killed_worker(base: Path) -> tuple[subprocess.Popen[bytes], Path]:
    """Return a process that has ended and that nobody has waited for, and its folder."""
    worker = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    left = base / f"{worker.pid}-{_birth(worker.pid)}"
    (left / "3" / ".browser" / "profile").mkdir(parents=True)
    worker.kill()
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    return worker, left


async def test_folder_of_a_worker_that_nobody_has_waited_for_is_removed(tmp_path: Path) -> None:
    """Killed, it stays in the process table until its parent asks: it is dead all the same."""
    worker, left = killed_worker(tmp_path)
    scratch = Scratch(tmp_path)
    await scratch.open()
    is_left = left.exists()
    await scratch.close()
    worker.communicate()

    assert not is_left
