"""What a template does not carry into each fork, and what its children have all the same."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from tests.worker.conftest import Stage
from zscrape.runtime.template import _IN_USE_COUNT

pytestmark = pytest.mark.asyncio(loop_scope="session")

_LOCKS = """
    import logging, os, threading

    def run():
        held, done = threading.Event(), threading.Event()
        handler = logging.StreamHandler()

        def hold():
            with handler.lock:
                held.set()
                done.wait(20)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(20)
        pid = os.fork()
        if pid == 0:
            is_free = handler.lock.acquire(timeout=5)
            os._exit(threading.active_count() if is_free else 99)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        done.set()
        thread.join()
        return status
"""
_RANDOM = """
    import random
    def run():
        return random.random()
"""
_HELD = """
    def run():
        with open("/proc/self/smaps_rollup") as file:
            told = {words[0]: int(words[1]) for words in map(str.split, file) if len(words) == 3}
        return (told["Anonymous:"] - told["AnonHugePages:"]) * 1024
"""
_ENLARGE = (
    "from zscrape.runtime import hugepages as huge;"
    "raise SystemExit(huge.enlarge_code(*huge.find_code()) == 0)"
)
_HUGE = """
    def run():
        with open("/proc/self/smaps_rollup") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("AnonHugePages:"))
"""


async def test_a_script_that_forks_has_its_locks_made_anew(stage: Stage) -> None:
    """In a fork of a script its handlers' locks are free and its other threads are gone."""
    ran = await stage.run(_LOCKS, kit=("http",))

    assert ran.data == 1


async def test_each_child_has_random_numbers_of_its_own(stage: Stage) -> None:
    """Attempts of one template do not draw the same numbers."""
    drawn = [(await stage.run(_RANDOM, kit=("http",))).data for _ in range(3)]

    assert len(set(drawn)) == 3


@pytest.mark.parametrize(("kit", "limit_bytes"), [((), 8_500_000), (("http",), 27_000_000)])
async def test_a_child_begins_small(stage: Stage, kit: tuple[str, ...], limit_bytes: int) -> None:
    """A child begins with little, but for huge pages: each other one is part of a fork."""
    ran = await stage.run(_HELD, kit=kit)

    assert ran.data < limit_bytes


@pytest.fixture
async def _huge_code() -> None:
    """Skip where the code of this interpreter cannot lie in huge pages."""
    command = [sys.executable, "-c", _ENLARGE]
    told = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
    if told.returncode != 0:
        pytest.skip("this machine gives no huge pages, or the code does not fill one")


@pytest.mark.usefixtures("_huge_code")
async def test_children_inherit_code_in_huge_pages(stage: Stage) -> None:
    """Where the machine has huge pages, a child of a kit runs code that lies in them."""
    ran = await stage.run(_HUGE, kit=("http",))

    assert ran.data >= 2048


@pytest.mark.usefixtures("_huge_code")
async def test_a_lean_template_takes_huge_pages_when_it_is_in_use(stage: Stage) -> None:
    """Children of one that has forked often enough have them, the first ones do not."""
    name = stage.write(_HUGE)
    options = {"preload": ("colorsys",)}  # it gets a template of its own
    first = await stage.run(_HUGE, **options)
    for _ in range(2 * _IN_USE_COUNT):
        await stage.begin(name, **options).finished.wait()
    last = await stage.run(_HUGE, **options)

    assert first.data == 0
    assert last.data >= 2048
