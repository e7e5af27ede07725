"""How a worker's slots begin, break and end: nothing that was started is ever left behind."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import pytest_asyncio

from tests.worker.conftest import Stage, is_alive, until
from zscrape.model import Limits, OutcomeCode
from zscrape.worker import template as template_module
from zscrape.worker.attempt import Running
from zscrape.worker.canary import send_canary
from zscrape.worker.slots import SlotPolicy, TemplateFailed

SLEEPER = "import time\ndef run():\n    print('up')\n    time.sleep(60)"


@pytest_asyncio.fixture
async def own(tmp_path: Path) -> AsyncIterator[Stage]:
    """A `Slots` of this test alone, closed at its end."""
    stage = Stage(
        tmp_path,
        SlotPolicy(
            slot_count=2, scratch_dir=tmp_path / "scratch", script_roots=(tmp_path,), grace_s=0.2
        ),
    )
    await stage.slots.start()
    yield stage
    await stage.slots.close()


async def test_killed_template_is_started_again(own: Stage) -> None:
    """Attempts of a template that dies are `crashed`; the next one finds a new template."""
    ran = own.begin(own.write(SLEEPER))
    await ran.until(lambda ran: ran.messages("stdout") == ["up"])
    before = own.slots.template_pids[""]
    child_pids = own.slots.child_pids
    os.kill(before, signal.SIGKILL)
    await ran.finished.wait()
    after = await own.run("def run():\n    return 1")

    assert ran.outcome.code == OutcomeCode.CRASHED
    assert "template" in str(ran.outcome.fields["reason"])
    assert ran.outcome.fields["lost_with"] == "template"
    assert after.data == 1
    assert own.slots.template_pids[""] != before
    await until(lambda: sum(map(is_alive, child_pids)) <= 1)  # the spare of the other kit


async def test_what_an_attempt_was_is_gone_without_the_collector(own: Stage) -> None:
    """Nothing of an attempt that is over refers to itself, whatever it did and however it ended."""
    asks = own.write("def run(ctx):\n    return ctx._ask('state', {})")
    await own.run("def run():\n    return 1")  # also compiles
    gc.collect()
    gc.disable()

    def running_count() -> int:
        return sum(isinstance(each, Running) for each in gc.get_objects())

    others_count = running_count()  # of other tests' workers
    try:
        await own.run("def run():\n    return 1")
        asked = own.begin(asks)
        await asked.until(lambda ran: len(ran.asks) == 1)
        stopped = own.begin(own.write(SLEEPER))
        await stopped.until(lambda ran: ran.messages("stdout") == ["up"])
        own.slots.stop(stopped.assignment.task_id, 1, OutcomeCode.CANCELLED)
        own.slots.stop(asked.assignment.task_id, 1, OutcomeCode.CANCELLED)
        await stopped.finished.wait()
        await asked.finished.wait()

        await until(lambda: running_count() <= others_count)
    finally:
        gc.enable()


async def test_an_attempt_that_needs_nothing_is_launched_at_once(own: Stage) -> None:
    """The script runs when `begin` returns; what has to be made first is waited for beside it."""
    at_once = own.begin(own.write("def run():\n    return 1"))
    is_started_at_once = at_once.started.is_set()
    later = own.begin(own.write("def run():\n    return 2"), preload=("json",))
    is_later_started_at_once = later.started.is_set()
    await asyncio.gather(at_once.finished.wait(), later.finished.wait())

    assert is_started_at_once
    assert not is_later_started_at_once
    assert (at_once.data, later.data) == (1, 2)


async def test_killed_template_leaves_no_zombie(own: Stage) -> None:
    """What a script had started is ended and reaped when its template dies, not only killed."""
    source = (
        "import subprocess, time\n"
        "def run():\n"
        "    print(subprocess.Popen(['sleep', '60']).pid)\n"
        "    time.sleep(60)"
    )
    ran = own.begin(own.write(source))
    await ran.until(lambda ran: bool(ran.messages("stdout")))
    pid = int(ran.messages("stdout")[0])

    os.kill(own.slots.template_pids[""], signal.SIGKILL)
    await ran.finished.wait()

    await until(lambda: not psutil.pid_exists(pid))


async def test_frozen_template_is_ended_and_started_again(
    own: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A template that is stopped delays attempts by seconds; they do not wait for their limit."""
    monkeypatch.setattr(template_module, "_STALL_LOOK_S", 0.3)
    frozen = own.slots.template_pids[""]
    os.kill(frozen, signal.SIGSTOP)
    name = own.write("def run():\n    return 1")
    waiting = [own.begin(name, timeout_s=60.0) for _ in range(4)]  # more than it has spares
    for ran in waiting:
        await ran.finished.wait()
    after = await own.run("def run():\n    return 2")

    codes = [ran.outcome.code for ran in waiting]
    assert set(codes) == {OutcomeCode.OK, OutcomeCode.CRASHED}
    told = [ran.outcome for ran in waiting if not ran.outcome.is_ok]
    assert all("did not answer" in str(outcome.fields["reason"]) for outcome in told)
    assert after.data == 2
    assert own.slots.template_pids[""] != frozen
    assert not is_alive(frozen)


async def test_template_that_starts_slowly_has_time_for_its_first_fork(
    own: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stuck when it answers nothing between two looks, and not before it can answer."""
    monkeypatch.setattr(template_module, "_STALL_LOOK_S", 3_600.0)
    template = next(iter(own.slots._templates._templates.values()))
    started, ended = template.ready, []
    awaited = SimpleNamespace(id=-1, pid=0)
    with monkeypatch.context() as patch:
        patch.setattr(template, "ready", asyncio.get_running_loop().create_future())
        patch.setattr(template, "children", {awaited.id: awaited})
        patch.setattr(template, "process", SimpleNamespace(kill=lambda: ended.append(True)))
        template._look_for_stall()
        template._look_for_stall()
        patch.setattr(template, "ready", started)
        template._look_for_stall()
        is_spared = not ended
        template._look_for_stall()

    assert is_spared
    assert ended == [True]


async def test_busy_template_is_left_alone(own: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking often at a template that forks all the while ends nothing."""
    monkeypatch.setattr(template_module, "_STALL_LOOK_S", 0.2)
    before = own.slots.template_pids[""]
    name = own.write("def run():\n    return 1")
    running = [own.begin(name) for _ in range(60)]
    for ran in running:
        await ran.finished.wait()

    assert {ran.outcome.code for ran in running} == {OutcomeCode.OK}
    assert own.slots.template_pids[""] == before


async def test_spares_are_replaced_while_attempts_go_on(own: Stage) -> None:
    """What long attempts have taken is there again before any of them is over."""
    name = own.write(SLEEPER)
    long = [own.begin(name, timeout_s=60.0) for _ in range(2)]
    await asyncio.gather(*(ran.until(lambda ran: bool(ran.records)) for ran in long))
    await until(lambda: len(own.slots.child_pids) >= len(long) + own.policy.slot_count + 1)
    is_over = [ran.finished.is_set() for ran in long]

    assert is_over == [False, False]


async def test_a_kit_that_nobody_has_asked_for_has_one_spare(own: Stage) -> None:
    """What is run before any task comes does not fill up spares; the first task does."""
    [template] = [
        each for each in own.slots._templates._templates.values() if each.kind.kit == "http"
    ]
    [spares] = template._spares.values()

    await send_canary(own.slots)
    await own.until_quiet()
    tried_count, tried_target_count = len(spares.waiting), spares.target_count
    await own.run("def run():\n    return 1", kit=("http",))
    await until(lambda: len(spares.waiting) > own.policy.slot_count)

    assert tried_count == tried_target_count == 1


async def test_killed_spare_is_replaced(own: Stage) -> None:
    """A spare that somebody kills costs at most its own place."""
    for pid in own.slots.child_pids:
        os.kill(pid, signal.SIGKILL)
    ran = await own.run("def run():\n    return 1")
    again = await own.run("def run():\n    return 2")

    assert ran.outcome.code in (OutcomeCode.OK, OutcomeCode.CRASHED)
    assert again.data == 2


async def test_killed_worker_leaves_no_process(tmp_path: Path) -> None:
    """When a worker is killed, its templates end all of its children and themselves."""
    source = f"""
import asyncio, sys
from pathlib import Path
from tests.worker.conftest import Stage, is_alive, until
from zscrape.worker.slots import SlotPolicy
async def main():
    root = Path({str(tmp_path)!r})
    stage = Stage(root, SlotPolicy(2, root / "scratch", (root,)))
    await stage.slots.start()
    deaf = (
        "import os, signal, time\\ndef run():\\n    os.fork() or os.setsid()\\n"
        "    signal.signal(15, 1)\\n    print('up')\\n    time.sleep(60)"
    )
    ran = stage.begin(stage.write(deaf))
    await ran.until(lambda ran: len(ran.messages("stdout")) == 2)
    print("up", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    checkout = Path(__file__).parents[2]
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", source, stdout=subprocess.PIPE, cwd=checkout
    )
    assert worker.stdout is not None
    assert await worker.stdout.readline() == b"up\n"
    inside = _processes_in(tmp_path)
    worker.kill()
    await worker.wait()
    await until(lambda: not _processes_in(tmp_path))

    assert len(inside) >= 3


async def test_start_clears_what_a_dead_worker_left(tmp_path: Path) -> None:
    """Folders of dead workers are removed at start and processes in them ended; others stay."""
    scratch = tmp_path / "scratch"
    dead = scratch / "999999-1" / "7"
    dead.mkdir(parents=True)
    (scratch / "not ours").mkdir()
    lingering = await asyncio.create_subprocess_exec("sleep", "60", cwd=dead)
    stage = Stage(tmp_path, SlotPolicy(slot_count=1, scratch_dir=scratch, script_roots=(tmp_path,)))
    await stage.slots.start()
    left = _names(scratch)
    await stage.slots.close()

    assert await lingering.wait() == -signal.SIGKILL
    assert len(left) == 2
    assert "not ours" in left
    assert _names(scratch) == ["not ours"]


async def test_close_ends_running_attempts(tmp_path: Path) -> None:
    """Closing tells every attempt's end and leaves no process, descriptor or folder."""
    fds = _fds_count()
    stage = Stage(
        tmp_path,
        SlotPolicy(slot_count=2, scratch_dir=tmp_path / "scratch", script_roots=(tmp_path,)),
    )
    await stage.slots.start()
    ran = stage.begin(stage.write(SLEEPER))
    await ran.until(lambda ran: ran.messages("stdout") == ["up"])
    waiting = stage.begin(stage.write(SLEEPER))
    pids = (*stage.slots.child_pids, *stage.slots.template_pids.values())
    await stage.slots.close()

    assert ran.outcome.code == waiting.outcome.code == OutcomeCode.WORKER_LOST
    assert not [pid for pid in pids if is_alive(pid)]
    assert _names(tmp_path / "scratch") == []
    assert _fds_count() == fds


async def test_interpreter_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A template that cannot be started is a clear error, and nothing is left of the attempt."""
    policy = SlotPolicy(
        slot_count=1,
        scratch_dir=tmp_path / "scratch",
        script_roots=(tmp_path,),
        python="/nowhere/python",
    )
    stage = Stage(tmp_path, policy)

    with pytest.raises(TemplateFailed, match="/nowhere/python"):
        await stage.slots.start()
    assert _names(tmp_path / "scratch") == []


async def test_interpreter_that_fails_is_told(tmp_path: Path) -> None:
    """An interpreter that ends at once is told with its last words."""
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho 'no such library' >&2\nexit 3\n")
    fake.chmod(0o755)
    stage = Stage(
        tmp_path,
        SlotPolicy(
            slot_count=1,
            scratch_dir=tmp_path / "scratch",
            script_roots=(tmp_path,),
            python=str(fake),
        ),
    )

    with pytest.raises(TemplateFailed, match="no such library"):
        await stage.slots.start()


async def test_kit_that_is_not_known_yet_is_started_when_asked_for(own: Stage) -> None:
    """A script under other limits gets its own template at need."""
    first = await own.run("def run():\n    return 1", limits=Limits(open_file_count=64))
    second = await own.run("def run():\n    return 2", limits=Limits(open_file_count=32))

    assert (first.data, second.data) == (1, 2)


async def test_fresh_interpreters_run_scripts_too(tmp_path: Path) -> None:
    """With isolation "exec" every attempt has an interpreter of its own; all else is the same."""
    policy = SlotPolicy(
        slot_count=1, scratch_dir=tmp_path / "scratch", script_roots=(tmp_path,), isolation="exec"
    )
    stage = Stage(tmp_path, policy)
    await stage.slots.start()
    source = """
        import os, sys
        def run(ctx):
            print("hi")
            is_leader = os.getsid(0) == os.getpid()
            return [is_leader, "httpx" in sys.modules, os.getcwd() == os.environ["HOME"]]
    """
    bare = await stage.run(source)
    kit = await stage.run(source, kit=("http",))
    broken = await stage.run("import os\ndef run():\n    os.abort()")
    slow = await stage.run("def run():\n    while True:\n        pass", timeout_s=0.3)
    await stage.slots.close()

    assert bare.data == [True, False, True]
    assert kit.data == [True, True, True]
    assert bare.messages("stdout") == ["hi"]
    assert (broken.outcome.code, slow.outcome.code) == (OutcomeCode.CRASHED, OutcomeCode.TIMEOUT)


async def test_more_attempts_than_spares_all_run(own: Stage) -> None:
    """A burst far beyond the spares is forked on demand, none is lost."""
    name = own.write("def run(n):\n    return n")
    attempts = [own.begin(name, {"n": number}) for number in range(40)]
    for ran in attempts:
        await ran.finished.wait()

    assert [ran.data for ran in attempts] == list(range(40))


async def test_what_was_open_to_ended_children_does_not_pile_up(own: Stage) -> None:
    """It is closed for a few at once, whether others follow or not."""
    name = own.write("def run(n):\n    return n")
    await own.begin(name, {"n": -1}).finished.wait()
    before = _fds_count()
    counts = []
    for number in range(40):
        await own.begin(name, {"n": number}).finished.wait()
        counts.append(_fds_count())

    spare_count = own.policy.slot_count + 4  # each with three descriptors here, and what is over
    assert max(counts) <= before + 2 * 3 * spare_count
    templates = own.slots._templates._templates
    await until(lambda: not any(each._parted for each in templates.values()))


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _fds_count() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _processes_in(folder: Path) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str((entry / "cwd").readlink()).startswith(str(folder)):
                found.append(entry.name)
        except OSError:
            continue
    return found


async def test_no_room_for_a_folder_costs_nothing_but_that_spare(
    own: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk is full in the middle of a batch, those before it are forked, and no other."""
    [template] = [each for each in own.slots._templates._templates.values() if not each.kind.name]
    take = template._scratch.take
    taken: list[str] = []

    def full() -> str:
        if taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken.append(take())
        return taken[0]

    monkeypatch.setattr(template._scratch, "take", full)
    spares = next(iter(template._spares.values()))
    template._fork(spares, 3)
    monkeypatch.undo()
    await until(lambda: all(child.pid for child in template.children.values()))

    assert (await own.run("def run():\n    return 1")).data == 1


async def test_a_child_that_cannot_be_forked_costs_nothing_but_itself(
    own: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a private folder is gone in the middle of a batch, those before and after are forked."""
    [template] = [each for each in own.slots._templates._templates.values() if not each.kind.name]
    take = template._scratch.take
    taken: list[str] = []

    def take_and_lose() -> str:
        taken.append(take())
        if len(taken) == 2:
            Path(template._scratch.root, taken[1]).rmdir()
        return taken[-1]

    monkeypatch.setattr(template._scratch, "take", take_and_lose)
    template._fork(next(iter(template._spares.values())), 3)
    monkeypatch.undo()
    children = template.children.values()
    await until(lambda: all(child.pid for child in children))

    assert {child.folder for child in children} & set(taken) == {taken[0], taken[2]}
    assert (await own.run("def run():\n    return 1")).data == 1


async def test_a_fault_of_ours_at_a_launch_frees_the_slot(
    own: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What should not happen is told, and the attempt ends as `internal`."""
    told: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: told.append(context))

    def fail(*_arguments: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(own.slots._pump, "add", fail)
    ran = own.begin(own.write("def run():\n    return 1"))
    monkeypatch.undo()
    loop.set_exception_handler(None)
    await ran.finished.wait()
    await own.until_quiet()

    assert ran.outcome.code == OutcomeCode.INTERNAL
    assert [str(each["exception"]) for each in told] == ["broken"]
