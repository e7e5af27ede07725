"""The baseline: a process that has imported what a template has, and does nothing but fork.

`fork`, `_exit` in the child, `wait` in the parent: what any system that gives each task a
fresh process must pay. One loop for the time of one, two loops at once for the rate of two
cores.
"""

from __future__ import annotations

import json
import subprocess
import sys
from statistics import median

LOOP_S = 0.7

_LOOP = """
import importlib, json, os, sys, time
for name in json.loads(sys.argv[1]):
    try:
        importlib.import_module(name)
    except ImportError:
        pass
import gc
gc.collect(); gc.freeze(); gc.disable()
fork, leave, wait, clock = os.fork, os._exit, os.waitpid, time.perf_counter
print("ready", flush=True)
sys.stdin.readline()
took = []
ends_at = clock() + float(sys.argv[2])
while True:
    began = clock()
    pid = fork()
    if pid == 0:
        leave(0)
    wait(pid, 0)
    now = clock()
    took.append(now - began)
    if now > ends_at:
        break
print(json.dumps(took))
"""


def loops(modules: list[str], count: int, seconds: float = LOOP_S) -> list[list[float]]:
    """Run `count` loops at once; returns how long each of their forks took, in seconds."""
    command = [sys.executable, "-I", "-B", "-W", "ignore", "-c", _LOOP]
    command += [json.dumps(modules), str(seconds)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return [json.loads(process.communicate()[0]) for process in processes]


def fork_p50_s(modules: list[str]) -> float:
    """Return the median time of one fork, `_exit` and `wait`, one at a time."""
    return median(loops(modules, 1)[0])


def fork_rate(modules: list[str]) -> float:
    """Return forks per second of two loops at once."""
    return sum(len(took) / sum(took) for took in loops(modules, 2))
