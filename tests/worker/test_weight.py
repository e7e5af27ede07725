"""What an attempt holds: measured when it stands still or may be too much, else told about."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from msgspec.structs import replace

from zscrape.worker import strays, tree
from zscrape.worker.weight import Weight

MB = 1_000_000
# Two processes share 40 MB; the first takes 40 MB more with each line that it reads.
SOURCE = """
import os, sys
shared = b"x" * 40_000_000
if os.fork() == 0:
    len(shared)
    os.read(int(sys.argv[1]), 1)
    os._exit(0)
held = []
print("ready", flush=True)
for _ in sys.stdin:
    held.append(b"y" * 40_000_000)
    print("ready", flush=True)
"""


class Family:
    """The two processes."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        command = [sys.executable, "-c", SOURCE, str(self.reader)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(self.reader,),
            text=True,
        )
        self._wait()

    def _wait(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def look(self) -> list[tree.Process]:
        """Return them as the watch sees them."""
        return tree.look(self._process.pid, (), 100)

    def grow(self) -> None:
        """Take 40 MB more."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self._wait()

    def end(self) -> None:
        """End both."""
        os.close(self._writer)
        os.close(self.reader)
        self._process.communicate(timeout=20)


@pytest.fixture
def family() -> Iterator[Family]:
    """Two processes that share memory."""
    made = Family()
    yield made
    made.end()


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What has been measured exactly, in turn."""
    found: list[int] = []
    measure: Callable[..., int] = tree.held_bytes

    def note(processes: list[tree.Process]) -> int:
        found.append(measure(processes))
        return found[-1]

    monkeypatch.setattr(tree, "held_bytes", note)
    return found


def test_upper_bound_is_never_less_than_what_is_held(family: Family) -> None:
    """What costs little counts shared pages twice, and leaves none out."""
    found = family.look()

    assert len(found) == 2
    assert 80 * MB < tree.most_bytes(found) < 140 * MB
    assert 40 * MB < tree.held_bytes(found) < tree.most_bytes(found) - 35 * MB


def test_ended_process_holds_nothing() -> None:
    """A process that is gone when it is looked at counts nothing."""
    ended = subprocess.Popen(["/bin/true"])
    ended.wait()

    assert tree.most_bytes([tree.Process(ended.pid, 0, False, False, 1, 0.0, 0)]) == 0


async def test_growing_tree_is_measured_when_it_stands_still(
    family: Family, measured: list[int]
) -> None:
    """Until then its peak is told about, without what it was seen to share; then exactly."""
    weight = Weight(1000 * MB)
    await weight.look(family.look())
    first_count = len(measured)
    family.grow()
    await weight.look(family.look())
    about_bytes = weight.peak_bytes
    for _ in range(2):
        await weight.look(family.look())
    grown_count = len(measured)
    await weight.look(family.look())

    assert (first_count, grown_count, len(measured)) == (1, 1, 2)
    assert measured[0] < about_bytes < measured[1] + 10 * MB
    assert weight.peak_bytes == measured[1] > 80 * MB
    assert not weight.is_over


async def test_tree_that_may_hold_too_much_is_measured_at_each_look(
    family: Family, measured: list[int]
) -> None:
    """Near its limit a tree is measured whether it grows or not, and is over only by that."""
    weight = Weight(80 * MB)
    await weight.look(family.look())
    await weight.look(family.look())
    was_over = weight.is_over
    family.grow()
    family.grow()
    await weight.look(family.look())

    assert len(measured) == 3
    assert not was_over
    assert weight.is_over
    assert weight.peak_bytes == weight.held_bytes == measured[2]


async def test_tree_far_from_its_limit_is_not_measured_for_it(
    family: Family, measured: list[int]
) -> None:
    """Resident sets may be more than the limit in sum: what no file backs is what counts."""
    found = family.look()
    resident_bytes = sum(each.resident_bytes for each in found)
    weight = Weight(int(tree.most_bytes(found) / 0.75))
    for _ in range(3):
        await weight.look([replace(each, resident_bytes=resident_bytes * 2) for each in found])

    assert len(measured) == 1


_RENAMED = """
import ctypes, os, sys, time
ctypes.CDLL(None).prctl(15, b"\\rRssAnon: -9999", 0, 0, 0)
held = b"x" * 40_000_000
print("ready", flush=True)
sys.stdin.read()
"""
_WITHOUT_FIRST_THREAD = """
import ctypes, os, sys, threading
held = b"x" * 40_000_000

def stay():
    print("ready", flush=True)
    sys.stdin.read()
    os._exit(0)

threading.Thread(target=stay).start()
ctypes.CDLL(None).syscall(60, 0)
"""


@pytest.fixture
def begin() -> Iterator[Callable[[str], int]]:
    """Run a source until it says that it is ready; gives its process."""
    running: list[subprocess.Popen[str]] = []

    def start(source: str) -> int:
        process = subprocess.Popen(
            [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process.pid

    yield start
    for process in running:
        process.communicate()


def test_a_name_is_no_figure(begin: Callable[[str], int]) -> None:
    """A process may call itself what it likes, line feeds of other kinds included."""
    [found] = tree.look(begin(_RENAMED), (), 100)

    assert tree.most_bytes([found]) > 40 * MB


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the number of `exit` is that of x86-64")
async def test_a_process_without_its_first_thread_is_seen(begin: Callable[[str], int]) -> None:
    """What goes on in other threads is no zombie, and its memory counts."""
    pid = begin(_WITHOUT_FIRST_THREAD)
    ends_at = time.monotonic() + 20
    while not (found := tree.look(pid, (), 100))[0].has_lost_first_thread:
        assert time.monotonic() < ends_at

    assert not found[0].is_zombie
    assert found[0].resident_bytes > 40 * MB
    assert tree.most_bytes(found) > 40 * MB
    assert tree.held_bytes(found) > 40 * MB
    assert not strays._is_zombie(pid)
