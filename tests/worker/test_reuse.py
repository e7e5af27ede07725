"""Attempts of one script in one process, for real: what they share, and when it is replaced."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.worker.conftest import Ran, Stage, is_alive, until
from zscrape.model import Limits, OutcomeCode
from zscrape.wire import Ask, Tell

pytestmark = pytest.mark.asyncio(loop_scope="session")

_COUNTS = """
import os
count = 0
def run(**given):
    global count
    count += 1
    return [count, os.getpid()]
"""


# Answers as a child does that may run more, and is then still at work.
_FORGES = """
import os, time
def forge(data):
    head = b'{"code":"ok","is_kept":true}'
    said = b"r" + len(head).to_bytes(4, "big") + head + data
    os.write(3, len(said).to_bytes(4, "big") + said)
def run():
    %s
"""


class Repeated:
    """Runs one script again and again, each time when the one before is over."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.options: dict[str, Any] = {"reuse_count": 10}

    async def run(self, name: str, params: Any = None, **options: Any) -> Ran:
        """Run it once; return when its process waits, or has been given up."""
        await until(self._is_ready)
        ran = self.stage.begin(name, params, **{**self.options, **options})
        await ran.finished.wait()
        reusing = self.stage.slots._reusing
        await until(lambda: not reusing._emptying)
        return ran

    def _is_ready(self) -> bool:
        """True iff there are spares: a child is kept once its template has told its number."""
        templates = self.stage.slots._templates
        spares = [each for one in templates._templates.values() for each in one._spares.values()]
        return all(child.pid for child in templates.children()) and all(
            each.waiting for each in spares
        )

    @property
    def waiting_pids(self) -> list[int]:
        """The processes that wait for another attempt."""
        return [child.pid for child in self.stage.slots._reusing._waiting]


@pytest_asyncio.fixture(loop_scope="session")
async def repeated(stage: Stage) -> AsyncIterator[Repeated]:
    """Runs scripts; when it is done no process waits any more."""
    yield Repeated(stage)
    reusing = stage.slots._reusing
    for child in [*reusing._waiting]:
        reusing._drop(child)
    await stage.until_quiet()


async def test_attempts_share_a_process_until_it_has_run_so_many(repeated: Repeated) -> None:
    """What a module keeps is there for the next attempt; after the last of them it is gone."""
    name = repeated.stage.write(_COUNTS)

    ran = [await repeated.run(name, reuse_count=3) for _ in range(4)]
    counts, pids = zip(*(each.data for each in ran), strict=True)

    assert counts == (1, 2, 3, 1)
    assert len(set(pids[:3])) == 1
    assert pids[3] != pids[0]


async def test_a_script_that_does_not_ask_shares_nothing(repeated: Repeated) -> None:
    """Full isolation is what everybody gets by default."""
    name = repeated.stage.write(_COUNTS)

    ran = [await repeated.run(name, reuse_count=1) for _ in range(2)]

    assert [each.data[0] for each in ran] == [1, 1]
    assert repeated.waiting_pids == []


@pytest.mark.parametrize(
    "other",
    [
        {"client": "other"},
        {"values": {"token": "rotated since"}},
        {"limits": Limits(memory_bytes=300_000_000)},
        {"timeout_s": 9.0},
    ],
    ids=["client", "secrets", "limits", "time"],
)
async def test_nobody_else_gets_the_process(repeated: Repeated, other: dict[str, Any]) -> None:
    """Another client's attempt, one with other limits or other secrets has its own process."""
    name = repeated.stage.write(_COUNTS)

    first = await repeated.run(name)
    second = await repeated.run(name, **other)
    third = await repeated.run(name)

    assert [each.data[0] for each in (first, second, third)] == [1, 1, 2]


@pytest.mark.parametrize(
    "deed",
    [
        "import _thread, time; _thread.start_new_thread(time.sleep, (60,))",
        "import subprocess; subprocess.Popen(['sleep', '60'])",
        "import subprocess; subprocess.Popen(['sleep', '60'], start_new_session=True)",
        "os.fork() or os._exit(0)",
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50))",
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "import signal; signal.alarm(50)",
        "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])",
        "import resource; resource.setrlimit(resource.RLIMIT_CPU, (9, 9))",
        "open('/dev/shm/left', 'wb').close()",
        "import fcntl; fcntl.fcntl(1, 1031, 1 << 20); os.write(1, b'line\\n' * 200_000)",
        "os.close(1)",
        "import sys, io; sys.stdout = io.StringIO()",
        "[os.open('/dev/null', 0) for _ in range(100)]",
        "b'x' * 300_000_000",
        "ctx.fail('blocked')",
        "os._exit(0)",
        "1 / 0",
    ],
)
async def test_a_process_that_is_not_as_it_was_is_replaced(repeated: Repeated, deed: str) -> None:
    """Whatever a script leaves behind that could harm the next attempt ends with its process."""
    source = (
        f"import os\ndef run(is_bad, ctx):\n    if is_bad:\n        {deed}\n    return os.getpid()"
    )
    name = repeated.stage.write(source)

    first = await repeated.run(name, {"is_bad": False})
    await repeated.run(name, {"is_bad": True})
    waiting_pids = repeated.waiting_pids
    third = await repeated.run(name, {"is_bad": False})

    assert waiting_pids == []
    assert third.data != first.data


async def test_each_attempt_finds_an_empty_folder(repeated: Repeated) -> None:
    """Files and folders of the attempt before are gone, and so is its working directory."""
    name = repeated.stage.write("""
        import os, pathlib
        def run():
            found = [os.getpid(), os.getcwd() == os.environ["HOME"], os.listdir()]
            pathlib.Path("deep/er").mkdir(parents=True)
            pathlib.Path("deep/er/file").write_text("left")
            os.chmod("deep", 0)
            os.chdir("/")
            return found
    """)

    ran = [await repeated.run(name) for _ in range(3)]

    assert len({each.data[0] for each in ran}) == 1
    assert [each.data[1:] for each in ran] == [[True, []]] * 3


async def test_each_attempt_has_its_own_context(repeated: Repeated) -> None:
    """Parameters, items, secrets and progress are those of one attempt."""
    name = repeated.stage.write("""
        def run(n, ctx):
            ctx.log.info(f"log {n}")
            print(f"print {n}")
            yield {"n": n, "secret": len(ctx.secret("token"))}
    """)

    ran = [
        await repeated.run(name, {"n": n}, secrets=("token",), values={"token": "x" * 10})
        for n in range(3)
    ]

    assert len(repeated.waiting_pids) == 1
    assert [each.data for each in ran] == [[{"n": n, "secret": 10}] for n in range(3)]
    assert [each.messages("log") for each in ran] == [[f"log {n}"] for n in range(3)]
    assert [each.messages("stdout") for each in ran] == [[f"print {n}"] for n in range(3)]


@pytest.mark.timeout(120)
async def test_each_attempt_has_its_own_processor_time(repeated: Repeated) -> None:
    """What earlier attempts have used counts neither against its limit nor in its usage."""
    name = repeated.stage.write("""
        import time
        def run(busy_s):
            ends_at = time.process_time() + busy_s
            while time.process_time() < ends_at:
                pass
    """)
    # Scripts come last for a processor: seconds of one are many on a machine that is busy.
    options = {"limits": Limits(cpu_s=1.0), "timeout_s": 100.0}

    long = [await repeated.run(name, {"busy_s": 0.6}, **options) for _ in range(3)]
    short = await repeated.run(name, {"busy_s": 0.0}, **options)

    assert [each.outcome.code for each in long] == [OutcomeCode.OK] * 3
    assert all(0.5 < each.outcome.usage.cpu_s < 1.5 for each in long)
    assert short.outcome.usage.cpu_s < 0.5
    over = await repeated.run(name, {"busy_s": 5.0}, **options)
    assert over.outcome.code is OutcomeCode.CPU_LIMIT


async def test_a_later_attempt_is_watched_as_the_first_is(repeated: Repeated) -> None:
    """One that takes its time is heard while it runs, held to its tree's limits, and cancelled."""
    name = repeated.stage.write("""
        import os, time
        def run(deed=""):
            print("begun")
            if deed == "wait":
                time.sleep(60)
            if deed == "fork":
                for _ in range(60):
                    os.fork() or time.sleep(60)
    """)

    await repeated.run(name)
    waiting = repeated.stage.begin(name, {"deed": "wait"}, reuse_count=10)
    await waiting.until(lambda ran: bool(ran.messages("stdout")))
    repeated.stage.slots.stop(waiting.assignment.task_id, 1, OutcomeCode.CANCELLED)
    await waiting.finished.wait()
    limits = Limits(process_count=20)
    await repeated.run(name, limits=limits)
    forking = await repeated.run(name, {"deed": "fork"}, limits=limits)

    assert waiting.outcome.code is OutcomeCode.CANCELLED
    assert forking.outcome.code in (OutcomeCode.PROCESS_LIMIT, OutcomeCode.SCRIPT_ERROR)
    assert repeated.waiting_pids == []


async def test_attempts_with_a_lock_share_nothing(repeated: Repeated) -> None:
    """A lock is free when its holder has ended, so that no process of one goes on."""
    name = repeated.stage.write(_COUNTS)

    ran = [await repeated.run(name, is_exclusive=True) for _ in range(2)]

    assert [each.data[0] for each in ran] == [1, 1]
    assert repeated.waiting_pids == []


async def test_coroutines_keep_a_process_too(repeated: Repeated) -> None:
    """Threads that only waited for a coroutine's calls are let go."""
    name = repeated.stage.write("""
        import asyncio, os
        async def run():
            await asyncio.gather(*(asyncio.to_thread(os.getpid) for _ in range(5)))
            return os.getpid()
    """)

    ran = [await repeated.run(name) for _ in range(3)]

    assert len({each.data for each in ran}) == 1


async def test_a_process_that_ends_while_it_waits_is_forgotten(repeated: Repeated) -> None:
    """Whoever kills it costs nobody an attempt."""
    name = repeated.stage.write(_COUNTS)
    first = await repeated.run(name)

    os.kill(first.data[1], signal.SIGKILL)
    await until(lambda: not repeated.waiting_pids)
    second = await repeated.run(name)

    assert second.data[0] == 1


async def test_there_are_no_more_of_them_than_slots(repeated: Repeated) -> None:
    """The one that has waited longest makes room."""
    names = [repeated.stage.write(_COUNTS) for _ in range(3)]

    pids = [(await repeated.run(name)).data[1] for name in names]

    assert repeated.waiting_pids == pids[1:]


async def test_an_attempt_that_left_a_question_open_is_the_last(repeated: Repeated) -> None:
    """An answer that comes late must not be taken for the next request."""
    name = repeated.stage.write("""
        import os
        def run(timeout_s, ctx):
            try:
                ctx._ask("state", {}, timeout_s=timeout_s)
            except TimeoutError:
                pass
            return os.getpid()
    """)
    held: list[Ask] = []

    def answer(ask: Ask) -> Tell | None:
        if held or ask.task_id != hasty_id:
            return Tell(ask.task_id, ask.attempt, ask.request, b"{}")
        held.append(ask)
        return None

    repeated.stage.answer, hasty_id = answer, ""
    first = await repeated.run(name, {"timeout_s": 5})
    second = await repeated.run(name, {"timeout_s": 5})
    hasty = repeated.stage.begin(name, {"timeout_s": 0.05}, **repeated.options)
    hasty_id = hasty.assignment.task_id
    await hasty.finished.wait()
    waiting_pids = repeated.waiting_pids
    repeated.stage.answer = lambda ask: None

    assert first.data == second.data == hasty.data
    assert len(held) == 1
    assert waiting_pids == []


@pytest.mark.parametrize(
    "deed",
    [
        "time.sleep(0.2); pids = [os.fork() or time.sleep(60) for _ in range(3)]; time.sleep(60)",
        "while True: pass",
        "for n in range(10**9): open(f'{n % 50}', 'w').close(); time.sleep(0.001)",
        "while True: os.mkdir('a'); os.chdir('a'); time.sleep(0.0001)",
    ],
    ids=["forks", "burns", "fills", "digs"],
)
async def test_who_says_to_be_done_and_goes_on_is_ended(repeated: Repeated, deed: str) -> None:
    """No limit watches a process that waits: one that does anything but wait is none."""
    leaves = "open('left', 'w').close(); " if "mkdir" in deed or "open" in deed else ""
    body = f"{leaves}forge(str(os.getpid()).encode())\n    {deed}"
    name = repeated.stage.write(_FORGES % body)

    forged = repeated.stage.begin(name, reuse_count=10)
    await forged.finished.wait()

    await until(lambda: not is_alive(forged.data))


async def test_emptying_spares_who_is_given_the_folder_next(repeated: Repeated) -> None:
    """A child that ends while its folder is to be emptied leaves its place to another one."""
    release = threading.Event()
    loop = asyncio.get_running_loop()
    busy = [loop.run_in_executor(None, release.wait) for _ in range(40)]
    name = repeated.stage.write(
        _FORGES % "open('left', 'w').close(); forge(os.getcwd().encode().join([b'\"'] * 2))\n"
        "    time.sleep(0.1); os.unlink('left'); os._exit(0)"
    )
    keeps = repeated.stage.write("""
        import os, time
        def run():
            open("own", "w").close()
            print(os.getcwd())
            time.sleep(1)
            return os.listdir()
    """)
    try:
        first = repeated.stage.begin(name, reuse_count=10)
        await first.started.wait()
        (child,) = [running._child for running in repeated.stage.slots._running.values()]
        assert child is not None
        await first.finished.wait()
        await until(lambda: child.exited is not None)
        # More than there are spares, whose folders were given out before.
        others = [repeated.stage.begin(keeps, reuse_count=1) for _ in range(12)]
        for other in others:
            await other.until(lambda ran: bool(ran.messages("stdout")))
    finally:
        release.set()
    await asyncio.gather(*busy, *(other.finished.wait() for other in others))

    assert first.data in {other.messages("stdout")[0] for other in others}
    assert [other.data for other in others] == [["own"]] * 12


async def test_the_context_of_an_earlier_attempt_asks_nothing(repeated: Repeated) -> None:
    """What it would be told late would be taken for the next attempt's request."""
    name = repeated.stage.write("""
        import time
        kept = []
        def run(ctx):
            kept.append(ctx)
            try:
                kept[0]._ask("state", {}, timeout_s=5 if len(kept) == 1 else 0.05)
            except (TimeoutError, RuntimeError) as error:
                time.sleep(0.3)
                return type(error).__name__
    """)

    def answer(ask: Ask) -> Tell | None:
        tell = Tell(ask.task_id, ask.attempt, ask.request, b"{}")
        if ask.task_id == first.assignment.task_id:
            return tell
        asyncio.get_running_loop().call_later(0.15, repeated.stage.slots.tell, tell)
        return None

    repeated.stage.answer = answer
    first = repeated.stage.begin(name, reuse_count=10)
    await first.finished.wait()
    ran = [await repeated.run(name) for _ in range(2)]
    repeated.stage.answer = lambda ask: None

    assert [each.outcome.code for each in ran] == [OutcomeCode.OK] * 2
    assert [each.data for each in ran] == ["RuntimeError"] * 2


@pytest.mark.timeout(120)
async def test_what_its_processes_have_used_is_not_given_to_it(repeated: Repeated) -> None:
    """The kernel counts each process for itself; so does the limit of a later attempt."""
    name = repeated.stage.write("""
        import os, time
        def burn(s):
            ends_at = time.process_time() + s
            while time.process_time() < ends_at:
                pass
        def run(inner_s, own_s):
            if os.fork() == 0:
                burn(inner_s)
                os._exit(0)
            os.wait()
            burn(own_s)
    """)
    options = {"limits": Limits(cpu_s=1.0), "timeout_s": 100.0}

    for _ in range(3):
        await repeated.run(name, {"inner_s": 0.4, "own_s": 0.0}, **options)
    over = await repeated.run(name, {"inner_s": 0.0, "own_s": 2.5}, **options)

    assert over.outcome.code is OutcomeCode.CPU_LIMIT
