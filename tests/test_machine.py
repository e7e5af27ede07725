"""What is told of the machine, beside what psutil tells of it."""

from __future__ import annotations

import psutil
import pytest

from zscrape import machine
from zscrape.machine import Processors, memory_bytes, memory_percent


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
