"""What a cluster holds while nobody asks it for anything, by process.

Proportional set size: what several processes share counts once, in equal parts. `up` is a
gateway and a worker by one command, at first with both templates that it keeps warm, then at
rest, as after fifteen minutes without a task: the kit is unloaded, and the lean template waits
with its spare. `apart` are the same two as on machines of their own, though what their files
bring is still shared here: a few MB each. Modules are compiled beforehand, as they are wherever
the product is installed: compiling leaves a MB behind.
"""

from __future__ import annotations

import compileall
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import zscrape
from bench.path import cluster
from bench.stages import below, held_mb, processes, processes_of

_SETTLE_S = 3.0
_UNLOADED_WITHIN_S = 60.0  # templates are looked at each half minute


def _up(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "zscrape", "up", "--json", "--home", str(home)),
            *("--http", "127.0.0.1:0", "--link", "tcp://127.0.0.1:0", "--slots", "2"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "ZSCRAPE_TEMPLATE_IDLE_S": "1"},
        text=True,
    )


def _of_up(pid: int) -> dict[str, float]:
    (worker_pid,) = below(pid)
    figures = {f"up_{name}": mb for name, mb in held_mb(processes_of(pid, worker_pid)).items()}
    deadline = time.monotonic() + _UNLOADED_WITHIN_S
    while "template_http" in processes_of(pid, worker_pid):
        assert time.monotonic() < deadline, "the kit was not unloaded"
        time.sleep(1.0)
    time.sleep(_SETTLE_S)
    named = held_mb(processes_of(pid, worker_pid))
    return figures | {f"up_at_rest_{name}": mb for name, mb in named.items()}


def measure() -> dict[str, float]:
    """Return the MB of each process, and what all of them hold."""
    compileall.compile_dir(str(Path(zscrape.__file__).parent), quiet=1)
    with tempfile.TemporaryDirectory() as folder:
        up = _up(Path(folder))
        try:
            assert up.stdout is not None
            told = json.loads(up.stdout.readline())
            assert told["event"] == "ready", told
            time.sleep(_SETTLE_S)
            figures = _of_up(up.pid)
        finally:
            up.terminate()
            up.communicate(timeout=30)
    with cluster() as running:
        time.sleep(_SETTLE_S)
        apart = held_mb(processes(running))
    return figures | {f"apart_{name}": mb for name, mb in apart.items()}
