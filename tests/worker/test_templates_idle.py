"""Templates of kits that nobody asks for: they end, and start again for the next attempt."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from msgspec.structs import replace

from tests.worker.conftest import Stage, is_alive, until
from zscrape.model import MIB, Limits, OutcomeCode
from zscrape.worker.slots import SlotPolicy

pytestmark = pytest.mark.asyncio(loop_scope="session")

_TELLS = """
    import sys

    def run():
        return "httpx" in sys.modules
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """A running `Slots` that unloads kits after ten minutes."""
    root = tmp_path_factory.mktemp("idle")
    policy = SlotPolicy(
        slot_count=1,
        scratch_dir=root / "scratch",
        script_roots=(root,),
        grace_s=0.3,
        template_idle_s=600.0,
    )
    made = Stage(root, policy)
    await made.slots.start()
    yield made
    await made.slots.close()


async def test_a_kit_that_nobody_asks_for_is_unloaded(own: Stage) -> None:
    """Its template ends with its spares, and the next attempt has a new one."""
    await own.run(_TELLS, kit=("http",))
    await own.until_quiet()
    before = own.slots.template_pids
    now = own.slots._loop.time()

    own.slots._templates._close_idle(now + 500)
    kept = own.slots.template_pids
    own.slots._templates._close_idle(now + 1000)
    left = own.slots.template_pids
    await until(lambda: not is_alive(before["http"]))
    again = await own.run(_TELLS, kit=("http",))

    assert kept == before
    assert left == {"": before[""]}
    assert again.outcome.is_ok
    assert own.slots.template_pids["http"] != before["http"]


async def test_a_worker_that_nobody_asks_keeps_the_lean_template(own: Stage) -> None:
    """After a long rest a script without a kit finds a spare; one for rare limits has ended."""
    await own.run(_TELLS, limits=Limits(memory_bytes=256 * MIB))
    await own.until_quiet()
    before = own.slots.template_pids

    own.slots._templates._close_idle(own.slots._loop.time() + 5000)
    left = own.slots.template_pids
    children = own.slots._templates.children()
    again = await own.run(_TELLS)

    assert "+limits" in before
    assert left == {"": before[""]}
    assert children
    assert again.data is False
    assert own.slots.template_pids[""] == before[""]


async def test_zero_keeps_every_kit(own: Stage) -> None:
    """Where the setting is 0 a template stays, however long nobody asks for it."""
    await own.run(_TELLS, kit=("http",))
    await own.until_quiet()
    templates = own.slots._templates
    before = own.slots.template_pids
    policy = templates._policy
    templates._policy = replace(policy, idle_s=0.0)

    templates._close_idle(own.slots._loop.time() + 1e9)
    templates._policy = policy

    assert own.slots.template_pids == before


async def test_loading_a_kit_again_is_no_time_of_a_script(own: Stage) -> None:
    """An attempt of a kit that was unloaded begins when that has been loaded."""
    await own.run(_TELLS, kit=("http",))
    await own.until_quiet()
    own.slots._templates._close_idle(own.slots._loop.time() + 1000)

    ran = own.begin(own.write(_TELLS), kit=("http",))
    is_begun_unloaded = ran.started.is_set()
    await ran.finished.wait()

    assert not is_begun_unloaded
    assert ran.data is True


async def test_a_kit_in_use_is_not_idle(own: Stage) -> None:
    """The time of an attempt that runs long does not count as time without use."""
    source = "import time\ndef run():\n    time.sleep(60)"
    ran = own.begin(own.write(source), kit=("http",))
    await ran.started.wait()
    now = own.slots._loop.time()

    own.slots._templates._close_idle(now + 1000)
    own.slots.stop(ran.assignment.task_id, 1, OutcomeCode.CANCELLED)
    await ran.finished.wait()
    await own.until_quiet()
    own.slots._templates._close_idle(now + 1500)

    assert any("http" in name for name in own.slots.template_pids)
