"""A process that is forked ahead of its role."""

from __future__ import annotations

import json
import subprocess
import sys

import psutil

_FORK = """
import json, subprocess, sys, threading
from zscrape.ops.ahead import Ahead

def main(arguments):
    print(json.dumps({"told": arguments, "has": "colorsys" in sys.modules}), flush=True)
    if arguments == ["wait"]:
        threading.Event().wait()
    sys.exit(7)

"""


def _say(source: str) -> subprocess.Popen[str]:
    """Run a source in an interpreter with one thread, which tests do not have."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", _FORK + source],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _said(source: str) -> list[str]:
    process = _say(source)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    return out.splitlines()


def test_it_runs_what_it_is_told() -> None:
    """It has loaded what it needs, gets its arguments, and its exit code is that of its role."""
    said = _said(
        """
ahead = Ahead.fork(main, "colorsys")
ahead.tell(["worker", "--home", "a b"])
print(ahead.stdout.readline(), ahead.wait(), ahead.poll(), end="")
"""
    )

    assert json.loads(said[0]) == {"told": ["worker", "--home", "a b"], "has": True}
    assert said[1:] == [" 7 7"]


def test_it_is_signalled_and_waited_for() -> None:
    """Like any child process: a wait has a limit, and a signal that ends it is its exit code."""
    said = _said(
        """
ahead = Ahead.fork(main, "colorsys")
ahead.tell(["wait"])
ahead.stdout.readline()
try:
    ahead.wait(0.01)
except subprocess.TimeoutExpired:
    print(ahead.poll())
ahead.send_signal(15)
print(ahead.wait(20))
ahead.kill()
"""
    )

    assert said == ["None", "-15"]


def test_one_that_has_ended_before_it_had_a_role() -> None:
    """It can be told, and its end is what a wait tells."""
    said = _said(
        """
ahead = Ahead.fork(main, "colorsys")
ahead.kill()
ahead.wait(20)
ahead.tell(["worker"])
print(ahead.stdout.read() + str(ahead.wait()))
"""
    )

    assert said == ["-9"]


def test_it_ends_with_a_parent_that_had_no_role_for_it() -> None:
    """Settings that are refused, say: nothing is left behind, and nothing is told."""
    parent = _say('ahead = Ahead.fork(main, "colorsys"); print(ahead.pid, flush=True); input()')
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))

    parent.kill()
    parent.communicate(timeout=30)

    assert psutil.wait_procs([child], timeout=30)[1] == []


def test_beside_threads_there_is_none() -> None:
    """A fork has only the thread that forked: another's locks would stay as they were."""
    said = _said(
        """
done = threading.Event()
threading.Thread(target=done.wait).start()
print(Ahead.fork(main, "colorsys"))
done.set()
"""
    )

    assert said == ["None"]


def test_it_is_shown_as_what_it_does() -> None:
    """`ps` tells a worker from the gateway that it was forked from."""
    said = _said(
        """
ahead = Ahead.fork(main, "colorsys")
ahead.tell(["wait"])
ahead.stdout.readline()
print(open(f"/proc/{ahead.pid}/cmdline").read().rstrip(chr(0)).split(chr(0)))
ahead.kill()
"""
    )

    assert said == ["['zscrape', 'wait']"]
