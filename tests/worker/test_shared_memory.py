"""What attempts leave in the shared memory of their view is gone soon after, whoever runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worker.conftest import Stage, until
from zscrape.model import OutcomeCode

in_one_loop = pytest.mark.asyncio(loop_scope="session")
LEAVE = """
    def run(name):
        with open(f"/dev/shm/{name}", "w") as file:
            file.write("x" * 1000)
        return 1
"""


def needs_view(stage: Stage) -> Path:
    """Return the folder as the template has it; skip where there is no view."""
    if reason := stage.slots.layers.missing.get("view"):
        pytest.skip(reason)
    return Path(f"/proc/{stage.slots.template_pids['']}/root/dev/shm")


@in_one_loop
async def test_what_an_ended_attempt_has_left_goes(stage: Stage) -> None:
    """Nobody needs to run anything for it."""
    shm = needs_view(stage)
    ran = await stage.run(LEAVE, {"name": "left"})
    await until(lambda: not (shm / "left").exists())

    assert ran.data == 1


@in_one_loop
async def test_what_a_running_attempt_has_stays(stage: Stage) -> None:
    """It goes with what its own attempt leaves, not with what its neighbours do."""
    shm = needs_view(stage)
    name = stage.write("""
        import time
        def run():
            open("/dev/shm/kept", "w").close()
            time.sleep(60)
    """)
    running = stage.begin(name, timeout_s=60.0)
    await until((shm / "kept").exists)
    await stage.run(LEAVE, {"name": "neighbours"})
    templates = stage.slots._templates._templates.values()
    await until(lambda: all(template._sweeps_left <= 0 for template in templates))
    is_kept = (shm / "kept").exists()
    stage.slots.stop(running.assignment.task_id, 1, OutcomeCode.CANCELLED)
    await until(lambda: not (shm / "kept").exists())

    assert is_kept


@in_one_loop
async def test_a_folder_in_shared_memory_hurts_nobody(stage: Stage) -> None:
    """Where one can be made at all, the template and the neighbours live on."""
    needs_view(stage)
    before = stage.slots.template_pids[""]
    ran = await stage.run("""
        import os
        def run():
            try:
                os.makedirs("/dev/shm/folder/inner")
            except OSError as error:
                return error.errno
    """)
    after = await stage.run("def run(): return 1")
    allowed = () if "landlock" in stage.slots.layers.active else (None,)

    assert ran.data in (13, *allowed)
    assert after.data == 1
    assert stage.slots.template_pids[""] == before
