"""Scripts that are broken or hostile: each ends its own attempt, and a neighbour is fine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.worker.conftest import LIMIT_S, Stage, is_alive, until
from zscrape.model import Limits, OutcomeCode
from zscrape.worker.slots import SlotPolicy

pytestmark = pytest.mark.asyncio(loop_scope="session")

_MOMENT_S = 0.02  # records wait so long for others
NEIGHBOUR = """
    import os, time
    def run(sign):
        while not os.path.exists(sign):
            time.sleep(0.01)
        return "fine"
"""


@pytest_asyncio.fixture(loop_scope="session")
async def patient(tmp_path: Path) -> AsyncIterator[Stage]:
    """A `Slots` that gives what is to end all the time that it needs."""
    policy = SlotPolicy(
        slot_count=1, scratch_dir=tmp_path / "scratch", script_roots=(tmp_path,), grace_s=LIMIT_S
    )
    stage = Stage(tmp_path, policy)
    await stage.slots.start()
    yield stage
    await stage.slots.close()


CRASHES = {
    "leaves": ("import os\ndef run():\n    os._exit(3)", "exit status 3"),
    "leaves with zero": ("import os\ndef run():\n    os._exit(0)", "exit status 0"),
    "segfaults": ("import ctypes\ndef run():\n    ctypes.string_at(8)", "SIGSEGV"),
    "aborts": ("import os\ndef run():\n    os.abort()", "SIGABRT"),
    "kills itself": ("import os\ndef run():\n    os.kill(os.getpid(), 9)", "SIGKILL"),
    "kills its group": (
        "import os, time\ndef run():\n    os.killpg(0, 9)\n    time.sleep(9)",
        "SIGKILL",
    ),
    "terminates its group": (
        "import os, time\ndef run():\n    os.killpg(0, 15)\n    time.sleep(9)",
        "nobody",
    ),
    "leaves while loaded": ("import os\nos._exit(4)", "exit status 4"),
    "leaves from a thread": (
        "import os, threading, time\ndef run():\n"
        "    threading.Thread(target=os._exit, args=(5,)).start()\n    time.sleep(9)",
        "exit status 5",
    ),
    "writes garbage everywhere": (
        "import os\ndef run():\n    for fd in range(256):\n        try:\n"
        "            os.write(fd, b'\\xff' * 4096)\n        except OSError:\n            pass",
        "channel",
    ),
    "says too large a frame": (
        "import os\ndef run():\n    os.write(3, b'\\x7f\\xff\\xff\\xffr')\n    os.read(0, 1)",
        "channel",
    ),
    "says an empty frame": (
        "import os\ndef run():\n    os.write(3, b'\\0\\0\\0\\0rrrr')",
        "channel",
    ),
    "forges an item": ("import os\ndef run():\n    os.write(3, b'\\0\\0\\0\\x05i{no}')", "channel"),
    "forges a log": ("import os\ndef run():\n    os.write(3, b'\\0\\0\\0\\x02l1')", "channel"),
    "forges an answer": (
        "import os\ndef run():\n    os.write(3, b'\\0\\0\\0\\x0br\\0\\0\\0\\x05{\"co}')",
        "channel",
    ),
    "forges a code": (
        'import os\ndef run():\n    h = b\'{"code":"worker_lost"}\'\n'
        "    os.write(3, (len(h) + 5).to_bytes(4, 'big') + b'r'"
        " + len(h).to_bytes(4, 'big') + h)",
        "nobody",
    ),
    "forges text that is none": (
        "import os\ndef run():\n    os.write(3, b'\\0\\0\\0\\x04i\"\\xff\"')",
        "channel",
    ),
    "closes every descriptor": (
        "import os, time\ndef run():\n    os.closerange(0, 256)\n    time.sleep(9)",
        "SIGKILL",
    ),
}


@pytest.mark.parametrize("name", CRASHES)
async def test_broken_process_is_crashed_and_its_neighbour_fine(stage: Stage, name: str) -> None:
    """A process that ends without an answer, or says nonsense, is `crashed`, and alone."""
    source, reason = CRASHES[name]
    sign = stage.root / f"sign {name}"
    neighbour = stage.begin(stage.write(NEIGHBOUR), {"sign": str(sign)})
    await neighbour.started.wait()
    ran = await stage.run(source)
    was_alone = not neighbour.outcomes
    sign.touch()
    await neighbour.finished.wait()

    assert ran.outcome.code == OutcomeCode.CRASHED
    assert reason in str(ran.outcome.fields["reason"])
    assert was_alone
    assert neighbour.data == "fine"


async def test_closed_outputs_do_not_matter(stage: Stage) -> None:
    """A script that closes its standard streams still has its answer heard."""
    source = """
        import os, sys
        def run():
            print("x")
            os.close(1)
            os.close(2)
            sys.stdout = None
            return 1
    """
    ran = await stage.run(source)

    assert ran.data == 1
    assert ran.messages("stdout") == ["x"]


async def test_endless_loop_times_out(stage: Stage) -> None:
    """A loop without end is ended at its limit, with the limit told."""
    ran = await stage.run("def run():\n    while True:\n        pass", timeout_s=0.3)

    assert ran.outcome.code == OutcomeCode.TIMEOUT
    assert ran.outcome.fields == {"limit_s": 0.3}
    assert 0.3 <= ran.outcome.run_s < LIMIT_S


async def test_deadline_of_the_task_ends_an_attempt(stage: Stage) -> None:
    """The end of the task's whole life comes before the attempt's own limit."""
    ran = await stage.run("import time\ndef run():\n    time.sleep(9)", deadline_s=0.3)

    assert ran.outcome.code == OutcomeCode.TIMEOUT
    assert float(ran.outcome.fields["limit_s"]) <= 0.3


async def test_deadline_holds_while_preparing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt whose script cannot be had in time never runs."""
    never = asyncio.Event()

    async def wait(_pin: object) -> Path:
        await never.wait()
        return stage.root

    monkeypatch.setattr(stage.slots, "_held", lambda _pin: None)
    monkeypatch.setattr(stage.slots, "_ensure", wait)
    ran = stage.begin(stage.write("def run():\n    pass"), deadline_s=0.1)
    stopped = stage.begin(stage.write("def run():\n    pass"))
    stage.slots.stop(stopped.assignment.task_id, 1, OutcomeCode.CANCELLED)
    await ran.finished.wait()
    await stopped.finished.wait()

    assert ran.outcome.code == OutcomeCode.TIMEOUT
    assert stopped.outcome.code == OutcomeCode.CANCELLED
    assert not ran.started.is_set()


@pytest.mark.timeout(120)
async def test_processor_limit(stage: Stage) -> None:
    """Processor seconds are counted by the kernel, whatever the script does about it."""
    source = """
        import signal
        def run(is_deaf):
            if is_deaf:
                signal.signal(signal.SIGXCPU, signal.SIG_IGN)
            while True:
                pass
    """
    name = stage.write(source)
    # Scripts come last for a processor: seconds of one are many on a machine that is busy.
    plain = stage.begin(name, {"is_deaf": False}, limits=Limits(cpu_s=1.0), timeout_s=100.0)
    deaf = stage.begin(name, {"is_deaf": True}, limits=Limits(cpu_s=1.0), timeout_s=100.0)
    await plain.finished.wait()
    await deaf.finished.wait()

    assert (plain.outcome.code, deaf.outcome.code) == (OutcomeCode.CPU_LIMIT, OutcomeCode.CPU_LIMIT)
    assert plain.outcome.fields == {"limit_s": 1.0}


@pytest.mark.parametrize("source", [
    "def run():\n    return len(b'x' * 400_000_000)",
    "def run():\n    kept = []\n    while True:\n        kept.append('x' * 100_000)",
    "def run():\n    kept = []\n    while True:\n        kept.append([kept])",
])  # fmt: skip
async def test_memory_limit(stage: Stage, source: str) -> None:
    """A script that needs too much memory is told so, with the limit."""
    ran = await stage.run(source, limits=Limits(memory_bytes=100_000_000))

    assert ran.outcome.code == OutcomeCode.MEMORY_LIMIT
    assert ran.outcome.fields["limit_bytes"] == 100_000_000
    assert ran.outcome.fields["peak_bytes"] == ran.outcome.usage.memory_peak_bytes > 5_000_000


async def test_items_are_bounded_in_sum(stage: Stage) -> None:
    """Items beyond the limit end the attempt, those before it are kept."""
    source = "def run():\n    while True:\n        yield 'x' * 1000"
    ran = await stage.run(source, limits=Limits(result_size_bytes=100_000))

    assert ran.outcome.code == OutcomeCode.OUTPUT_LIMIT
    assert ran.outcome.fields == {"limit_bytes": 100_000}
    assert ran.outcome.item_count == len(ran.bodies("item")) == 99


async def test_forged_items_are_bounded_too(stage: Stage) -> None:
    """The bound does not depend on the script's own process keeping it."""
    source = """
        import os
        def run():
            body = b'"' + b"x" * 1000 + b'"'
            while True:
                os.write(3, (len(body) + 1).to_bytes(4, "big") + b"i" + body)
    """
    ran = await stage.run(source, limits=Limits(result_size_bytes=100_000))

    assert ran.outcome.code == OutcomeCode.OUTPUT_LIMIT


async def test_result_is_bounded(stage: Stage) -> None:
    """A result beyond the limit is `result_invalid` and says how large it was."""
    ran = await stage.run(
        "def run():\n    return 'x' * 200_000", limits=Limits(result_size_bytes=100_000)
    )

    assert ran.outcome.code == OutcomeCode.RESULT_INVALID
    assert "200002" in str(ran.outcome.fields["reason"])


@pytest.mark.parametrize("source", [
    "def run():\n    while True:\n        print('x' * 999)",
    "def run():\n    while True:\n        print('x' * 999, end='')",
    "import os\ndef run():\n    while True:\n        os.write(2, b'\\xff' * 65536)",
    "def run(ctx):\n    while True:\n        ctx.log.info('x' * 99)",
    "def run(ctx):\n    while True:\n        ctx.log.info('x' * 999_999)",
    "import os\ndef run():\n    os.system('yes')",
])  # fmt: skip
async def test_shouting_is_cut_and_blocks_nobody(stage: Stage, source: str) -> None:
    """Endless output is drained and cut at its limits; the loop and a neighbour are not held up."""
    limits = Limits(output_size_bytes=100_000, line_length_bytes=2000)
    shouting = stage.begin(stage.write(source), limits=limits, timeout_s=50.0)
    await shouting.until(lambda ran: bool(ran.records))
    neighbour = await stage.run("def run():\n    return 'fine'")
    was_shouting = not shouting.outcomes
    stage.slots.stop(shouting.assignment.task_id, 1, OutcomeCode.TIMEOUT)
    await shouting.finished.wait()

    logs = [record.body for record in shouting.records]
    assert was_shouting
    assert neighbour.data == "fine"
    assert shouting.outcome.code == OutcomeCode.TIMEOUT
    assert sum(map(len, logs)) < 101_000
    assert max(map(len, logs)) < 2100 * 3  # a byte that is no text takes three
    assert sum(b"the output limit of 100000 bytes" in body for body in logs) <= 1


async def test_endless_progress_is_thinned(stage: Stage) -> None:
    """A bar that is moved in a tight loop gives no more records than there are moments."""
    source = """
        def run(ctx):
            n = 0
            while True:
                n += 1
                ctx.progress(n % 1000 / 1000, str(n))
    """
    ran = stage.begin(stage.write(source), timeout_s=50.0)
    await ran.until(lambda ran: len(ran.bodies("progress")) > 9)
    stage.slots.stop(ran.assignment.task_id, 1, OutcomeCode.CANCELLED)
    await ran.finished.wait()

    assert len(ran.bodies("progress")) <= ran.outcome.run_s / _MOMENT_S + 2  # begun and last


async def test_ignored_sigterm_ends_after_the_grace(stage: Stage) -> None:
    """A script that does not want to end is killed when the grace is over."""
    source = """
        import signal, time
        def run(ctx):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print("deaf")
            while True:
                try:
                    time.sleep(1)
                except BaseException:
                    pass
    """
    ran = stage.begin(stage.write(source))
    await ran.until(lambda ran: ran.messages("stdout") == ["deaf"])
    stage.slots.stop(ran.assignment.task_id, 1, OutcomeCode.CANCELLED)
    stage.slots.stop(ran.assignment.task_id, 1, OutcomeCode.TIMEOUT)
    await ran.finished.wait()

    assert ran.outcome.code == OutcomeCode.CANCELLED


async def test_stopped_script_runs_its_finally(patient: Stage) -> None:
    """A script that does not look at `ctx.cancelled` is interrupted, and may clean up."""
    source = """
        import time
        def run():
            try:
                print("waiting")
                time.sleep(9)
            except Exception:
                print("swallowed")
            finally:
                print("cleaned")
    """
    ran = patient.begin(patient.write(source))
    await ran.until(lambda ran: ran.messages("stdout") == ["waiting"])
    patient.slots.stop(ran.assignment.task_id, 1, OutcomeCode.CANCELLED)
    await ran.finished.wait()

    assert ran.outcome.code == OutcomeCode.CANCELLED
    assert ran.messages("stdout") == ["waiting", "cleaned"]


async def test_polling_script_ends_by_itself(patient: Stage) -> None:
    """A script that looks at `ctx.cancelled` is not interrupted within the grace."""
    source = """
        import time
        def run(ctx):
            print("polling", ctx.cancelled)
            while not ctx.cancelled:
                time.sleep(0.01)
            print("done")
    """
    ran = patient.begin(patient.write(source))
    await ran.until(lambda ran: len(ran.messages("stdout")) == 1)
    patient.slots.stop(ran.assignment.task_id, 1, OutcomeCode.CANCELLED)
    await ran.finished.wait()

    assert ran.outcome.code == OutcomeCode.CANCELLED
    assert ran.messages("stdout") == ["polling False", "done"]


async def test_coroutine_is_stopped_with_its_cleanup(patient: Stage) -> None:
    """A stopped coroutine runs its `finally` blocks too."""
    source = """
        import asyncio
        async def run():
            try:
                print("waiting")
                await asyncio.sleep(9)
            finally:
                print("cleaned")
    """
    ran = patient.begin(patient.write(source))
    await ran.until(lambda ran: ran.messages("stdout") == ["waiting"])
    running = patient.slots.digests
    patient.slots.stop(ran.assignment.task_id, 1, OutcomeCode.CANCELLED)
    await ran.finished.wait()

    assert ran.outcome.code == OutcomeCode.CANCELLED
    assert ran.messages("stdout") == ["waiting", "cleaned"]
    assert running == {ran.assignment.run.pin.digest}
    assert not patient.slots.digests


async def test_stop_of_an_unknown_attempt_does_nothing(stage: Stage) -> None:
    """Stopping what is not there is no error."""
    stage.slots.stop("nobody", 1, OutcomeCode.CANCELLED)

    assert stage.slots.running == ()


LEFTOVERS = {
    "in the session": "os.fork() or time.sleep(60)",
    "in another session": "os.fork() or (os.setsid(), time.sleep(60))",
    "double forked": "os.fork() or (os.setsid(), os.fork() and os._exit(0), time.sleep(60))",
    "executed": "__import__('subprocess').Popen(['sleep', '60'], start_new_session=True)",
    "deaf": "os.fork() or (__import__('signal').signal(15, 1), time.sleep(60))",
}


@pytest.mark.parametrize("how", LEFTOVERS)
@pytest.mark.parametrize("end", ["return 1", "os._exit(1)"])
async def test_what_a_script_leaves_behind_is_ended(stage: Stage, how: str, end: str) -> None:
    """Processes that a script started end with it, wherever they have gone."""
    source = f"""
        import os, time
        def run():
            {LEFTOVERS[how]}
            {end}
    """
    ran = await stage.run(source)
    await until(lambda: _strays_count(stage) == 0)

    assert ran.outcome.code == (OutcomeCode.OK if end == "return 1" else OutcomeCode.CRASHED)


def _below(pids: Iterable[Any]) -> list[int]:
    found = []
    for pid in pids:
        try:
            kids = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except FileNotFoundError:  # it has ended since it was listed
            continue
        found += [*map(int, kids), *_below(kids)]
    return found


async def test_daemon_of_a_living_attempt_is_left_alone(stage: Stage) -> None:
    """What an attempt has started in the background lives as long as that attempt does."""
    source = """
        import os, subprocess, time
        def run(ctx):
            command = "setsid sleep 60 >&- 2>&- & echo $!"
            pid = int(subprocess.run(["sh", "-c", command], capture_output=True).stdout)
            ctx.emit(pid)
            begun = ctx.deadline
            while ctx.deadline > begun - 1.5:
                time.sleep(0.02)
            return open(f"/proc/{pid}/stat").read().split()[2]
    """
    ran = stage.begin(stage.write(source))
    await ran.until(lambda ran: bool(ran.bodies("item")))
    for _ in range(5):
        await stage.run("def run():\n    pass")
        await asyncio.sleep(0.1)
    await ran.finished.wait()
    (pid,) = ran.bodies("item")
    await until(lambda: not is_alive(pid))

    assert ran.data == "S"


async def test_left_over_threads_do_not_hold_the_answer(stage: Stage) -> None:
    """An attempt is over when its function has returned, threads or not."""
    source = """
        import threading, time
        def run():
            threading.Thread(target=time.sleep, args=(60,)).start()
            return 1
    """
    ran = await stage.run(source)

    assert ran.data == 1


async def test_message_that_cannot_be_told_is_told_so(stage: Stage) -> None:
    """An exception whose own text raises is still reported."""
    source = """
        class Bad(Exception):
            def __str__(self):
                return 1 / 0
        def run():
            raise Bad
    """
    ran = await stage.run(source)

    assert (ran.outcome.code, ran.outcome.error_type) == (OutcomeCode.SCRIPT_ERROR, "Bad")
    assert "ZeroDivisionError" in ran.outcome.error_message


async def test_endless_recursion_is_a_short_traceback(stage: Stage) -> None:
    """A thousand equal frames are told by both ends."""
    ran = await stage.run("def run():\n    return run()")

    assert (ran.outcome.code, ran.outcome.error_type) == (
        OutcomeCode.SCRIPT_ERROR,
        "RecursionError",
    )
    assert len(ran.outcome.traceback.splitlines()) < 130


async def test_two_hundred_mixed_attempts_leave_nothing(stage: Stage) -> None:
    """After 200 attempts there are as many descriptors, processes and folders as before."""
    sources = [
        "def run():\n    return 1",
        "def run():\n    yield 1",
        "import os\ndef run():\n    os._exit(1)",
        "import os\ndef run():\n    os.kill(os.getpid(), 11)",
        "def run():\n    open('f', 'w').write('x')\n    import os\n    os.makedirs('a/b/c')",
        "import os\ndef run():\n    os.fork() or __import__('time').sleep(60)",
        "def run():\n    raise ValueError",
        "import os\ndef run():\n    os.write(3, b'\\xff' * 9)",
        "import time\ndef run():\n    time.sleep(60)",
        "def run():\n    print('x' * 100_000)",
    ]
    names = [stage.write(source) for source in sources]
    for name in names:
        await stage.begin(name, timeout_s=0.1).finished.wait()
    await _settled(stage)
    before = _census(stage)
    for _ in range(20):
        attempts = [stage.begin(name, timeout_s=0.1) for name in names]
        for ran in attempts:
            await ran.finished.wait()
    await _settled(stage)

    assert _census(stage) == before
    assert stage.slots.running == ()


async def _settled(stage: Stage) -> None:
    templates = stage.slots._templates._templates
    await stage.until_quiet()
    await until(
        lambda: (
            not any(each._leaving or each._timers for each in templates.values())
            and not stage.slots._scratch._removals
            and _strays_count(stage) == 0
        )
    )


def _strays_count(stage: Stage) -> int:
    return len(_below(stage.slots.template_pids.values())) - len(stage.slots.child_pids)


def _census(stage: Stage) -> tuple[int, int, int]:
    used = stage.slots._scratch.used_count
    return len(list(Path("/proc/self/fd").iterdir())), len(_below([os.getpid()])), used
