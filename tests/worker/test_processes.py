"""Scripts that start too many processes or threads, and are told so."""

from __future__ import annotations

import pytest

from tests.worker.conftest import Stage
from zscrape.messages import text
from zscrape.model import Limits, OutcomeCode

pytestmark = pytest.mark.asyncio(loop_scope="session")

# The kernel does not hold root to this limit: a user of no other process has it all to itself.
REFUSED = """
import concurrent.futures.thread, multiprocessing.popen_fork, os, resource, subprocess, threading

def refuse():
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    if os.geteuid() == 0:
        uid = 2_000_000_000 + os.getpid()
        os.setresuid(uid, uid, uid)

"""
STARTS = {
    "fork": "os.fork()",
    "spawn": "os.posix_spawn('/bin/true', ['true'], {})",
    "subprocess": "subprocess.run(['/bin/true'])",
    "shell": "subprocess.run('true', shell=True)",
    "multiprocessing": "multiprocessing.Process(target=print).start()",
    "thread": "threading.Thread(target=print).start()",
    "pool": "concurrent.futures.ThreadPoolExecutor().submit(print)",
}


@pytest.mark.parametrize("start", STARTS)
async def test_refused_process_is_told_as_such(stage: Stage, start: str) -> None:
    """An error that means "no more processes" is `process_limit`, with the limit and the line."""
    source = REFUSED + f"def run():\n    refuse()\n    {STARTS[start]}\n"
    ran = await stage.run(source, limits=Limits(process_count=77))
    words = [text("process_limit", lang, **ran.outcome.fields) for lang in ("en", "ko")]

    assert ran.outcome.code == OutcomeCode.PROCESS_LIMIT
    assert ran.outcome.fields == {"limit_count": 77}
    assert ran.outcome.error_type in ("BlockingIOError", "RuntimeError")
    assert "main.py" in ran.outcome.traceback
    assert all("77" in each and "limits.processes" in each for each in words)


@pytest.mark.parametrize("source", [
    "import os\ndef run():\n    reader, _ = os.pipe()\n    os.set_blocking(reader, False)\n"
    "    os.read(reader, 1)",
    "def run():\n    raise RuntimeError('something else')",
    "def run():\n    raise RuntimeError",
    "def run():\n    raise BlockingIOError(11, 'mine')",
    "class Mine(BlockingIOError):\n    errno = 11\ndef run():\n    raise Mine",
])  # fmt: skip
async def test_other_errors_stay_what_they_are(stage: Stage, source: str) -> None:
    """An error that only looks like a refusal is the script's own."""
    ran = await stage.run(source)

    assert ran.outcome.code == OutcomeCode.SCRIPT_ERROR


async def test_handled_refusal_is_no_failure(stage: Stage) -> None:
    """A script that can do without the process goes on."""
    source = REFUSED + (
        "def run():\n    refuse()\n    try:\n        os.fork()\n"
        "    except BlockingIOError:\n        return 'without'\n"
    )
    ran = await stage.run(source)

    assert ran.data == "without"


BOMBS = {
    "forks": """
        import os
        def run():
            while True:
                try:
                    os.fork()
                except BaseException:
                    pass
    """,
    "threads": """
        import threading, time
        def run():
            while True:
                try:
                    threading.Thread(target=time.sleep, args=(60,)).start()
                except BaseException:
                    time.sleep(0.01)
    """,
    "programs": """
        import subprocess
        def run():
            while True:
                try:
                    subprocess.Popen(["sleep", "60"], start_new_session=True)
                except BaseException:
                    pass
    """,
}


@pytest.mark.parametrize("bomb", BOMBS)
async def test_bomb_that_ignores_its_limit_is_ended(stage: Stage, bomb: str) -> None:
    """Where the kernel refuses, a bomb lasts until its time is up; elsewhere it is ended early."""
    begun = stage.begin(stage.write(BOMBS[bomb]), limits=Limits(process_count=30), timeout_s=1.5)
    await begun.started.wait()
    neighbour = await stage.run("def run():\n    return 'fine'")
    await begun.finished.wait()

    assert neighbour.data == "fine"
    assert begun.outcome.code in (OutcomeCode.PROCESS_LIMIT, OutcomeCode.TIMEOUT)
