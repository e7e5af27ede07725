"""How long somebody waits at a start: for the command line, for `up`, for a new script.

Beside the first two stands an interpreter that does nothing. Modules are compiled beforehand,
as they are wherever the product is installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from bench.path import Script, cluster

ROUND_COUNT = 7
UP_COUNT = 3
SCRIPT_COUNT = 12


def _environ() -> dict[str, str]:
    return {name: os.environ[name] for name in os.environ if name != "PYTHONDONTWRITEBYTECODE"}


def _run_ms(*arguments: str) -> float:
    began_at = time.perf_counter()
    command = [sys.executable, *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=_environ())
    return (time.perf_counter() - began_at) * 1e3


def _up_s(home: Path) -> float:
    began_at = time.perf_counter()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "zscrape", "up", "--json", "--home", str(home)),
            *("--http", "127.0.0.1:0", "--link", "tcp://127.0.0.1:0", "--slots", "2"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environ(),
        text=True,
    )
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    took_s = time.perf_counter() - began_at
    process.terminate()
    process.communicate(timeout=30)
    assert told["event"] == "ready", told
    return took_s


def _first_calls_ms() -> list[float]:
    """Return the time of the first call of each of some scripts that no worker has seen."""
    source = "def run():\n    return None\n"
    scripts = {
        f"fresh_{number}": Script(f"{source}# {number}\n", {"kit": []})
        for number in range(SCRIPT_COUNT)
    }
    with cluster(scripts) as running:
        running.drive("noop_bare", in_flight=1, seconds=0.5)  # warm
        took_ms = []
        for name in scripts:
            began_at = time.perf_counter()
            running.data(name)
            took_ms.append((time.perf_counter() - began_at) * 1e3)
    return took_ms


def measure() -> dict[str, float]:
    """Return medians; those of the interpreter and of the command line in turn."""
    took_ms: dict[str, list[float]] = {"python": [], "cli": [], "client": []}
    for number in range(ROUND_COUNT + 1):
        told = {
            "python": _run_ms("-c", "pass"),
            "cli": _run_ms("-m", "zscrape", "--version"),
            "client": _run_ms("-m", "zscrape", "batch", "--help"),
        }
        for name, value_ms in told.items():
            if number:  # the first one compiles
                took_ms[name].append(value_ms)
    with tempfile.TemporaryDirectory() as folder:
        up_s = [_up_s(Path(folder) / "home") for _ in range(UP_COUNT + 1)][1:]
    return {f"{name}_ms": median(taken) for name, taken in took_ms.items()} | {
        "up_s": median(up_s),
        "first_call_ms": median(_first_calls_ms()),
    }
