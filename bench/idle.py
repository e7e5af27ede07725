"""What a cluster holds while nobody asks it for anything, by process.

Proportional set size: what several processes share counts once, in equal parts. `up` is a
gateway and a worker by one command, at first with both templates that it keeps warm, then at
rest, as after fifteen minutes without a task: the kit is unloaded, and the lean template waits
with its spare. `apart` are the same two as on machines of their own, though what their files
bring is still shared here: a few MB each. Modules are compiled beforehand, as they are wherever
the product is installed: compiling leaves a MB behind.

What the files of interpreter and libraries bring, some 18 MB, counts in parts for whoever else has
them open: with twenty other clusters of the same interpreter the same processes were told as
53 MB, with none as 62. `own` is what they have written themselves, in which nobody else has a
part; `alone` is that and all of the files' pages, as if nothing else ran on the machine, not even
another program with the same C library.
"""

from __future__ import annotations

import compileall
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import zscrape
from bench.path import cluster
from bench.stages import below, each_held_mb, held_mb, processes, processes_of

_SETTLE_S = 3.0
_UNLOADED_WITHIN_S = 60.0  # templates are looked at each half minute
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# A word of /proc/PID/pagemap for each page: see proc(5).
_WORD_BYTES = 8
_PRESENT, _OF_FILE = 1 << 63, 1 << 61


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
    named = processes_of(pid, worker_pid)
    told = held_mb(named) | _apart_from_others_mb(_with_spares(named))
    return figures | {f"up_at_rest_{name}": mb for name, mb in told.items()}


def _with_spares(named: dict[str, int]) -> list[int]:
    templates = (pid for name, pid in named.items() if name.startswith("template_"))
    return [*named.values(), *(spare for pid in templates for spare in below(pid))]


def _apart_from_others_mb(pids: list[int]) -> dict[str, float]:
    """Return what processes hold whoever else runs: of their own, and with the files' pages."""
    own_mb = sum(each_held_mb(pids, "Pss_Anon:"))
    page_count = len({page for pid in pids for page in _pages_of_files(pid)})
    return {"own_mb": own_mb, "alone_mb": own_mb + page_count * _PAGE_BYTES / 1024 / 1000}


def _pages_of_files(pid: int) -> Iterator[tuple[str, int]]:
    """Yield each page of a file that a process has before it, unless it has written to it."""
    with Path(f"/proc/{pid}/pagemap").open("rb") as pages:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, _, offset, device, inode, *_ = line.split()
            if inode == "0":
                continue
            start, end = (int(each, 16) // _PAGE_BYTES for each in span.split("-"))
            pages.seek(start * _WORD_BYTES)
            words = struct.unpack(f"{end - start}Q", pages.read((end - start) * _WORD_BYTES))
            first = int(offset, 16) // _PAGE_BYTES
            for place, word in enumerate(words, first):
                if word & _PRESENT and word & _OF_FILE:
                    yield f"{device} {inode}", place


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
