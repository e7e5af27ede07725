"""Spares that rehearse while there is nothing else to do, and what attempts see of it: nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.worker.conftest import Stage, until
from zscrape.model import OutcomeCode
from zscrape.worker.children import Child
from zscrape.worker.slots import SlotPolicy

_PID = "import os\ndef run():\n    return os.getpid()"
_ONE = "def run():\n    return 1"
_STANDING = """
    import gc, os, resource, sys

    def run(ctx, *, values=None):
        fds = sorted(os.listdir("/proc/self/fd"))
        limits = resource.getrlimit(resource.RLIMIT_CPU)
        names = sorted(name for name in sys.modules if name.startswith(("main", "zscrape")))
        return [
            os.getpid(), fds, limits, names, sys.path, sys.argv, gc.isenabled(), sys.stdin is None,
            sorted(globals()), ctx.cancelled, ctx.deadline > 0,
        ]
"""


@pytest_asyncio.fixture
async def own(tmp_path: Path) -> AsyncIterator[Stage]:
    """A `Slots` of this test alone, closed at its end."""
    policy = SlotPolicy(slot_count=2, scratch_dir=tmp_path / "scratch", script_roots=(tmp_path,))
    stage = Stage(tmp_path, policy)
    await stage.slots.start()
    yield stage
    await stage.slots.close()


def waiting(stage: Stage) -> list[list[Child]]:
    """Return the spares of each kind, the one that is taken next first."""
    templates = stage.slots._templates._templates.values()
    return [[*spares.waiting] for each in templates for spares in each._spares.values()]


def rehearsed(stage: Stage) -> list[Child]:
    """Return the spares that have rehearsed, or do just now."""
    return [child for spares in waiting(stage) for child in spares if child.rehearsed_count]


async def rested(stage: Stage, name: str = "", **options: Any) -> Child:
    """Run an attempt after which nothing is to be done, until a spare rehearses; return that."""
    name = name or stage.write(_ONE)
    while not rehearsed(stage):
        await stage.begin(name, **options).finished.wait()
        await stage.until_quiet()
    [child] = rehearsed(stage)
    return child


async def test_the_next_spare_rehearses_at_rest_and_is_the_next_taken(own: Stage) -> None:
    """After the last attempt one spare rehearses, and the next attempt runs in it."""
    child = await rested(own)
    ran = await own.run(_PID)

    assert ran.data == child.pid
    assert child not in rehearsed(own)


async def test_nothing_rehearses_beside_an_attempt(own: Stage) -> None:
    """While something runs the end of another attempt makes no spare rehearse."""
    running = own.begin(own.write("import time\ndef run():\n    print('up')\n    time.sleep(60)"))
    await running.until(lambda ran: ran.messages("stdout") == ["up"])
    for _ in range(3):
        await own.run(_ONE)

    assert rehearsed(own) == []


@pytest.mark.parametrize(
    ("kit", "network", "count"),
    [((), "public", 1), (("http",), "public", 2), (("http",), "none", 2)],
)
async def test_an_attempt_finds_nothing_of_rehearsals(
    own: Stage, kit: tuple[str, ...], network: str, count: int
) -> None:
    """Modules, path, arguments, descriptors and limits are those of a child that never did any."""
    options: dict[str, Any] = {"kit": kit, "network": network}
    name = own.write(_STANDING)
    running = own.begin(own.write("import time\ndef run():\n    time.sleep(60)"), **options)
    plain = own.begin(name, **options)  # beside another one: nothing was to rehearse
    await plain.finished.wait()
    own.slots.stop(running.assignment.task_id, 1, OutcomeCode.CANCELLED)
    await running.finished.wait()
    child = await rested(own, **options)
    loop = asyncio.get_running_loop()
    await until(lambda: child.rehearsed_count == count and child.rehearses_until < loop.time())
    after = own.begin(name, **options)
    await after.finished.wait()

    assert after.data[0] == child.pid
    assert after.data[1:] == plain.data[1:]


async def test_an_attempt_does_not_wait_for_a_rehearsed_visit(own: Stage) -> None:
    """Whoever comes while the next spare makes a visit is given the one after it."""
    child = await rested(own)
    child.rehearses_until = asyncio.get_running_loop().time() + 60.0
    ran = await own.run(_PID)

    assert ran.data != child.pid
    assert ran.outcome.is_ok


async def test_the_request_may_come_with_the_word_to_rehearse(own: Stage) -> None:
    """A child that finds both at once runs the attempt."""
    name = own.write(_PID)
    await own.begin(name).finished.wait()  # also compiles
    first = await rested(own, name)
    [child] = [each[1] for each in waiting(own) if first in each]
    await until(lambda: child.pid != 0)
    os.kill(child.pid, signal.SIGSTOP)
    took_first = own.begin(name)
    await took_first.finished.wait()
    await until(lambda: child.rehearsed_count > 0)
    ran = own.begin(name)
    os.kill(child.pid, signal.SIGCONT)
    await ran.finished.wait()

    assert (took_first.data, ran.data) == (first.pid, child.pid)


async def test_a_spare_that_ends_rehearsing_is_given_to_nobody(own: Stage) -> None:
    """It is let go of as soon as it has ended, and the next attempt runs in another."""
    child = await rested(own)
    os.kill(child.pid, signal.SIGKILL)
    await until(lambda: rehearsed(own) == [])
    await until(lambda: child.exited is not None)
    ran = await own.run(_PID)

    assert ran.data != child.pid
