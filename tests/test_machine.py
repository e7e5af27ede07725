"""What is told of the machine, beside what psutil tells of it."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import psutil
import pytest

from zscrape import machine
from zscrape.machine import Processors, keep_freed_memory, memory_bytes, memory_percent

# Prints how many pages were new while a large message was made, by and by.
_LARGE = """
import resource, sys
from zscrape.machine import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def messages(count):
    for _ in range(count):
        parts = [b"x" * 1_000_000, b"y" * 1_000_000, b"z" * 1_000_000]
messages(3)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
messages(20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
# Prints how many heaps of threads there are; each begins at a multiple of 64 MiB, below an address
# to which the rest is reserved.
_THREADS = """
import sys, threading
from zscrape.machine import share_heaps
if sys.argv[1] == "shared":
    share_heaps()
asked = threading.Barrier(9)
kept = []
def ask():
    kept.append([bytes(5_000) for _ in range(20)])
    asked.wait()
    asked.wait()
for _ in range(8):
    threading.Thread(target=ask).start()
asked.wait()
lines = [line.split() for line in open("/proc/self/maps")]
asked.wait()
starts = [int(line[0].split("-")[0], 16) for line in lines if len(line) == 5 and line[1] == "rw-p"]
print(sum(start % (64 * 1024 * 1024) == 0 for start in starts))
"""


def test_memory_is_told_as_psutil_tells_it() -> None:
    """The machine has so much, and nearly the same part of it is in use."""
    known = psutil.virtual_memory()

    assert memory_bytes() == known.total
    assert memory_percent() == pytest.approx(known.percent, abs=10.0)


def test_the_processors_are_busy_as_far_as_their_times_tell(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for a disk is idle, and what guests have used counts once, as users' time."""
    told = tmp_path_factory.mktemp("proc") / "stat"
    monkeypatch.setattr(machine, "_PROCESSORS", told)
    told.write_text("cpu  100 0 50 800 50 0 0 0 40 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    processors = Processors()

    at_once = processors.percent()
    told.write_text("cpu  130 0 60 850 60 0 0 0 70 0\n")
    later = processors.percent()
    told.write_text("cpu  130 0 60 849 60 0 0 0 70 0\n")  # some kernels' idle time goes back
    back = processors.percent()

    assert (at_once, later, back) == (0.0, 40.0, 0.0)


def test_the_times_of_this_machine_can_be_read() -> None:
    """They are counted since its start, and only rise but for what is idle."""
    processors = Processors()

    assert 0.0 <= processors.percent() <= 100.0


def test_elsewhere_psutil_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without these files has other ways, which psutil knows."""
    monkeypatch.setattr(machine, "_IS_LINUX", False)

    assert memory_bytes() == psutil.virtual_memory().total
    assert 0.0 < memory_percent() <= 100.0
    assert 0.0 <= Processors().percent() <= 100.0


def test_a_kernel_that_does_not_tell_what_is_available_is_read_by_psutil(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old kernels and emulated ones tell the total alone; how much is in use is still known."""
    told = tmp_path_factory.mktemp("proc") / "meminfo"
    monkeypatch.setattr(machine, "_MEMORY", told)
    told.write_text("MemTotal:  1000 kB\nMemFree:  100 kB\n")

    assert memory_bytes() == 1_024_000
    assert memory_percent() == pytest.approx(psutil.virtual_memory().percent, abs=10.0)


def test_memory_in_use_is_never_below_nothing(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container may be told more available than it has in all."""
    told = tmp_path_factory.mktemp("proc") / "meminfo"
    monkeypatch.setattr(machine, "_MEMORY", told)
    told.write_text("MemTotal:  1000 kB\nMemAvailable:  1100 kB\n")

    assert memory_percent() == 0.0


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library")
def test_memory_that_is_kept_is_found_again() -> None:
    """What held the message before is there for the next one, without a fault for each page."""
    fresh, kept = (
        int(subprocess.check_output([sys.executable, "-c", _LARGE, how]))
        for how in ("fresh", "kept")
    )

    assert kept < 100
    assert kept < fresh


def test_another_c_library_keeps_what_it_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """One without the option is left alone."""
    asked: list[str | None] = []

    class OtherC:
        @staticmethod
        def CDLL(name: str | None) -> object:  # noqa: N802 - as ctypes names it
            asked.append(name)
            return object()

    monkeypatch.setattr(machine, "ctypes", OtherC)
    keep_freed_memory.__wrapped__()

    assert asked == [None]


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library")
def test_threads_share_a_heap() -> None:
    """Eight threads that ask for memory have one heap beside the first one's, not eight."""
    own, shared = (
        int(subprocess.check_output([sys.executable, "-c", _THREADS, how]))
        for how in ("own", "shared")
    )

    assert shared == 1
    assert own > shared


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library")
@pytest.mark.parametrize(
    "told", [{"MALLOC_ARENA_MAX": "8"}, {"GLIBC_TUNABLES": "glibc.malloc.arena_max=8"}]
)
def test_whoever_has_told_how_many_heaps_there_are_is_left_with_that(told: dict[str, str]) -> None:
    """What the environment says of the C library's heaps goes before what we would have."""
    command = [sys.executable, "-c", _THREADS, "shared"]

    assert int(subprocess.check_output(command, env=os.environ | told)) > 1


def test_a_python_without_ctypes_keeps_what_it_keeps() -> None:
    """One that was built without libffi starts a gateway all the same."""
    without = "import sys; sys.modules['_ctypes'] = None; from zscrape import machine; "
    subprocess.check_call([sys.executable, "-c", f"{without}machine.share_heaps()"])
