"""Attempts that are sent to a worker before it has a slot for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.worker.conftest import Stage, until
from zscrape.model import OutcomeCode
from zscrape.worker import line as line_module
from zscrape.worker.slots import SlotPolicy

SLEEPER = "import time\ndef run():\n    time.sleep(60)"
PROCESS = "import os\ndef run(number):\n    return [os.getpid(), number]"


class Returned:
    """Counts what is given back."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        """Take one."""
        self.count += 1


@pytest_asyncio.fixture
async def own(tmp_path: Path) -> AsyncIterator[Stage]:
    """A worker of one slot, closed at the test's end."""
    policy = SlotPolicy(
        slot_count=1, scratch_dir=tmp_path / "scratch", script_roots=(tmp_path,), grace_s=0.2
    )
    stage = Stage(tmp_path, policy)
    await stage.slots.start()
    yield stage
    await stage.slots.close()


async def test_what_lies_begins_as_a_slot_comes_free(
    own: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other in the order they came, in the process that has just come free."""
    monkeypatch.setattr(line_module, "_LIE_LIMIT_S", 60.0)
    name, returned = own.write(PROCESS), Returned()
    first = own.begin(name, {"number": 0}, reuse_count=9)
    lying = [
        own.begin(name, {"number": number}, reuse_count=9, give_back=returned)
        for number in (1, 2, 3)
    ]

    assert len(own.slots.running) == 1
    assert not any(each.started.is_set() for each in lying)
    for each in (first, *lying):
        await each.finished.wait()

    assert [each.data for each in lying] == [[first.data[0], number] for number in (1, 2, 3)]
    assert returned.count == 0


async def test_what_finds_no_slot_is_given_back(own: Stage) -> None:
    """It is not this worker's any more, and begins nowhere here."""
    returned = Returned()
    long = own.begin(own.write(SLEEPER))
    lying = own.begin(own.write(PROCESS), {"number": 1}, give_back=returned)

    await until(lambda: returned.count == 1)
    own.slots.stop(long.assignment.task_id, 1, OutcomeCode.CANCELLED)
    own.slots.stop(lying.assignment.task_id, 1, OutcomeCode.CANCELLED)
    await long.finished.wait()
    await own.run("def run():\n    return 1")

    assert not lying.started.is_set()
    assert not lying.outcomes


async def test_what_lies_can_be_cancelled(own: Stage) -> None:
    """It has ended at once, and nothing of it has run."""
    returned = Returned()
    own.begin(own.write(SLEEPER))
    lying = own.begin(own.write(PROCESS), {"number": 1}, give_back=returned)
    assert own.slots.digests

    own.slots.stop(lying.assignment.task_id, 1, OutcomeCode.CANCELLED)

    assert lying.outcome.code == OutcomeCode.CANCELLED
    assert not lying.started.is_set()
    assert returned.count == 0


async def test_what_lies_is_lost_with_its_worker(own: Stage) -> None:
    """A worker that closes tells of each attempt once."""
    returned = Returned()
    running = own.begin(own.write(SLEEPER))
    lying = own.begin(own.write(PROCESS), {"number": 1}, give_back=returned)

    await own.slots.close()

    assert running.outcome.code == OutcomeCode.WORKER_LOST
    assert lying.outcome.code == OutcomeCode.WORKER_LOST
    assert returned.count == 0
