"""Memory, number and processor time of all processes of an attempt together."""

from __future__ import annotations

import pytest

from tests.worker.conftest import Stage, is_alive, until
from zscrape.messages import text
from zscrape.model import Limits, OutcomeCode

pytestmark = pytest.mark.asyncio(loop_scope="session")

MB = 1_000_000
# Each holds no more than one process may, all of them together do.
BOMBS = {
    "children": """
        import os, time
        def run():
            for _ in range(8):
                if os.fork() == 0:
                    held = b"x" * 40_000_000
                    time.sleep(60)
            time.sleep(60)
    """,
    "daemons": """
        import os, time
        def run():
            for _ in range(8):
                if os.fork() == 0:
                    os.setsid()
                    if os.fork() == 0:
                        held = b"x" * 40_000_000
                        time.sleep(60)
                    os._exit(0)
            time.sleep(60)
    """,
    "shared memory": """
        import mmap, time
        def run():
            held = mmap.mmap(-1, 300_000_000)
            for at in range(0, 300_000_000, 4096):
                held[at] = 1
            time.sleep(60)
    """,
    "programs": """
        import subprocess, sys, time
        def run():
            source = "import time; held = b'x' * 40_000_000; time.sleep(60)"
            for _ in range(8):
                subprocess.Popen([sys.executable, "-S", "-c", source], start_new_session=True)
            time.sleep(60)
    """,
}


@pytest.mark.parametrize("bomb", BOMBS)
async def test_memory_of_the_tree_is_limited(stage: Stage, bomb: str) -> None:
    """Processes that hold too much together end as `memory_limit`, with limit and peak."""
    ran = await stage.run(BOMBS[bomb], limits=Limits(memory_bytes=200 * MB))
    fields, usage = ran.outcome.fields, ran.outcome.usage
    words = [text("memory_limit", lang, **fields) for lang in ("en", "ko")]

    assert ran.outcome.code == OutcomeCode.MEMORY_LIMIT
    assert fields["limit_bytes"] == 200 * MB
    assert 200 * MB < int(fields["peak_bytes"]) < 400 * MB
    assert usage.memory_peak_bytes == fields["peak_bytes"]
    assert all("200000000" in each and str(fields["peak_bytes"]) in each for each in words)


async def test_memory_shared_by_fork_counts_once(stage: Stage) -> None:
    """Processes that only look at what their parent holds are no heavier than it."""
    source = """
        import os, time
        def run():
            held = b"x" * 60_000_000
            kids = []
            for _ in range(8):
                kids.append(os.fork())
                if kids[-1] == 0:
                    len(held)
                    time.sleep(0.5)
                    os._exit(0)
            for kid in kids:
                os.waitpid(kid, 0)
            return len(held)
    """
    ran = await stage.run(source, limits=Limits(memory_bytes=200 * MB))

    assert ran.data == 60_000_000
    assert 60 * MB < ran.outcome.usage.memory_peak_bytes < 200 * MB


async def test_peak_of_the_tree_is_told(stage: Stage) -> None:
    """The memory of an attempt is that of all its processes at the same time."""
    source = """
        import os, time
        def run(sign):
            for _ in range(3):
                if os.fork() == 0:
                    held = b"x" * 50_000_000
                    time.sleep(60)
            while not os.path.exists(sign):
                time.sleep(0.01)
            return 1
    """
    name = stage.write(source)
    sign = stage.root / name / "sign"
    ran = stage.begin(name, {"sign": str(sign)}, timeout_s=50.0)
    await until(lambda: _seen(stage)[1] > 150 * MB)
    sign.touch()
    await ran.finished.wait()

    assert ran.data == 1
    assert 150 * MB < ran.outcome.usage.memory_peak_bytes < 220 * MB


async def test_refused_memory_tells_limit_and_peak(stage: Stage) -> None:
    """A script whose own process is refused memory is told the limit and what it held."""
    ran = await stage.run(
        "def run():\n    held = b'x' * 90_000_000\n    return len(held + held)",
        limits=Limits(memory_bytes=150 * MB),
    )

    assert ran.outcome.code == OutcomeCode.MEMORY_LIMIT
    assert ran.outcome.fields["limit_bytes"] == 150 * MB
    assert 90 * MB < int(ran.outcome.fields["peak_bytes"]) < 150 * MB


def _seen(stage: Stage) -> tuple[float, int]:
    """Return the processor time and the memory of the one attempt that runs, as seen by now."""
    (running,) = stage.slots._running.values()
    tree = running._tree
    return (0.0, 0) if tree is None else (tree.cpu_s(0.0), tree.peak_bytes(0))


BUSY = """
import os, time
def burn(cpu_s):
    while time.process_time() < cpu_s:
        pass
def wait(sign):
    while not os.path.exists(sign):
        time.sleep(0.01)
"""


@pytest.mark.parametrize("body", [
    "    if os.fork() == 0:\n        burn(0.5)\n        os._exit(0)\n    os.wait()",
    "    if os.fork() == 0:\n        burn(0.5)\n        time.sleep(60)",
    "    if os.fork() == 0:\n        os.setsid()\n        if os.fork() == 0:\n"
    "            burn(0.5)\n            wait(sign)\n        os._exit(0)",
], ids=["waited for", "living", "stray"])  # fmt: skip
async def test_processor_time_of_the_tree_is_told(stage: Stage, body: str) -> None:
    """What an attempt's processes have used is in its outcome, whatever became of them."""
    name = stage.write(BUSY + f"def run(sign):\n{body}\n    wait(sign)\n    return 1\n")
    sign = stage.root / name / "sign"
    ran = stage.begin(name, {"sign": str(sign)}, timeout_s=50.0)
    await until(lambda: _seen(stage)[0] > 0.4)
    sign.touch()
    await ran.finished.wait()

    assert ran.data == 1
    assert 0.3 < ran.outcome.usage.cpu_s < 1.0


async def test_usage_is_told_of_every_end(stage: Stage) -> None:
    """An attempt that is killed tells what it has used, and what it has said."""
    source = BUSY + "def run():\n    print('x' * 1000)\n    burn(0.1)\n    time.sleep(60)\n"
    ran = stage.begin(stage.write(source), timeout_s=50.0)
    await ran.until(lambda ran: bool(ran.messages("stdout")))
    await until(lambda: _seen(stage)[0] >= 0.05)
    stage.slots.stop(ran.assignment.task_id, 1, OutcomeCode.TIMEOUT)
    await ran.finished.wait()

    assert ran.outcome.code == OutcomeCode.TIMEOUT
    assert ran.outcome.usage.cpu_s >= 0.05
    assert ran.outcome.usage.memory_peak_bytes > 5 * MB
    assert ran.outcome.usage.output_bytes > 1000


async def test_number_of_processes_is_limited(stage: Stage) -> None:
    """More processes than allowed end the attempt, also where the kernel does not count them."""
    source = """
        import os, time
        def run():
            for _ in range(60):
                if os.fork() == 0:
                    os.setsid()
                    time.sleep(60)
            time.sleep(60)
    """
    ran = await stage.run(source, limits=Limits(process_count=20))

    assert ran.outcome.code == OutcomeCode.PROCESS_LIMIT
    assert ran.outcome.fields == {"limit_count": 20}


async def test_daemons_that_have_ended_do_not_count(stage: Stage) -> None:
    """A script may start any number of processes, as long as few run at a time."""
    source = """
        import os, time
        def run():
            for _ in range(100):
                if os.fork() == 0:
                    os.fork() and os._exit(0)
                    os._exit(0)
                os.wait()
                time.sleep(0.005)
            return 1
    """
    ran = await stage.run(source, limits=Limits(process_count=40))

    assert ran.data == 1


async def test_strays_that_have_ended_are_waited_for(stage: Stage) -> None:
    """What has lost its parent and ended does not stay a zombie while its attempt runs."""
    source = """
        import os, time
        def run(ctx):
            reader, writer = os.pipe()
            if os.fork() == 0:
                if os.fork() == 0:
                    os.write(writer, b"%d" % os.getpid())
                os._exit(0)
            os.wait()
            ctx.emit(int(os.read(reader, 20)))
            time.sleep(60)
    """
    ran = stage.begin(stage.write(source))
    await ran.until(lambda ran: bool(ran.bodies("item")))
    (pid,) = ran.bodies("item")
    await until(lambda: not is_alive(pid))
    is_running = not ran.finished.is_set()
    stage.slots.stop(ran.assignment.task_id, 1, OutcomeCode.CANCELLED)
    await ran.finished.wait()

    assert is_running


async def test_a_long_answer_is_told_whole_where_there_is_no_memory_left(stage: Stage) -> None:
    """What is told in pieces has room for them: it never ends half way."""
    source = """
        held = []
        def run():
            text = "x" * 1_000_000
            try:
                while True:
                    held.append(bytearray(20_000))
            except MemoryError:
                held[-2:] = []
            return text
    """
    ran = await stage.run(source, limits=Limits(memory_bytes=200 * MB))

    assert ran.outcome.code == OutcomeCode.OK
    assert ran.outcome.data == b'"%b"' % (b"x" * 1_000_000)


async def test_memory_that_runs_out_amid_an_answer(stage: Stage) -> None:
    """What is told is the limit: another thread of the script has taken the answer's room."""
    ran = await stage.run(
        """
        import threading, time
        held = []
        def eat():
            while True:
                try:
                    held.append(bytearray(1 << 18))
                except MemoryError:
                    try:
                        held.append(bytearray(2048))
                    except MemoryError:
                        time.sleep(0.0005)
        def run():
            text = "a" * (20 << 20)
            threading.Thread(target=eat, daemon=True).start()
            time.sleep(0.15)
            return text
        """,
        limits=Limits(memory_bytes=128 * MB),
    )

    assert ran.outcome.code is OutcomeCode.MEMORY_LIMIT
    assert ran.outcome.fields["limit_bytes"] == 128 * MB
    assert int(ran.outcome.fields["peak_bytes"]) > 20 * MB
