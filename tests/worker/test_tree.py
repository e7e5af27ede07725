"""Everything that an attempt has started ends with it, on every path."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.worker.conftest import Stage, is_alive, until
from zscrape.model import Limits, OutcomeCode
from zscrape.runtime import marker
from zscrape.worker import strays, template
from zscrape.worker.children import Child
from zscrape.worker.slots import SlotPolicy
from zscrape.worker.template import Template

pytestmark = pytest.mark.asyncio(loop_scope="session")

ESCAPE = """
import os, signal, time

def escape():
    "Start a process that has left everything behind that it could be known by."
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.chdir("/")
            os.write(writer, b"%d" % os.getpid())
            os.closerange(0, 256)
            os.execve("/bin/sleep", ["sleep", "60"], {})
        os._exit(0)
    os.wait()
    return int(os.read(reader, 20))

"""
ENDS = {
    "returns": ("return 1", OutcomeCode.OK),
    "raises": ("1 / 0", OutcomeCode.SCRIPT_ERROR),
    "leaves": ("os._exit(3)", OutcomeCode.CRASHED),
    "is killed": ("os.kill(os.getpid(), 9)", OutcomeCode.CRASHED),
    "times out": ("time.sleep(60)", OutcomeCode.TIMEOUT),
    "ignores its end": (
        "signal.signal(15, signal.SIG_IGN)\n    time.sleep(60)",
        OutcomeCode.TIMEOUT,
    ),
}
SWARM = """
import os, time

def fork():
    while True:
        try:
            return os.fork()
        except BlockingIOError:  # zombies of its own count, until they are waited for
            pass

def run():
    swarm()
    time.sleep(0.2)

"""
# What would be a race for whoever ends processes one by one.
SWARMS = {
    "chain of forks": """
def swarm():
    if os.fork() == 0:
        os.setsid()
        while True:
            if fork():
                os._exit(0)
""",
    "chain of sessions": """
def swarm():
    if os.fork() == 0:
        while True:
            if fork():
                os._exit(0)
            os.setsid()
""",
    "subreapers": """
import ctypes
def swarm():
    if os.fork() == 0:
        for _ in range(4):
            os.setsid()
            ctypes.CDLL(None).prctl(36, 1)
            for _ in range(3):
                if os.fork() == 0:
                    os.setsid()
                    os.fork()
                    time.sleep(60)
            if os.fork():
                time.sleep(60)
        time.sleep(60)
""",
}


@pytest_asyncio.fixture(loop_scope="session")
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
    assert strays.marked(stage.slots._scratch.owner) == []


@pytest.fixture
def unswept(own: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A `Slots` of this test alone that looks only once for what an end has left behind.

    It is not the one that other tests go on with: a look an hour away keeps off those before.
    """
    monkeypatch.setattr(template, "_SWEEP_DELAYS_S", (3600.0,) * len(template._SWEEP_DELAYS_S))
    return own


@pytest.mark.parametrize("end", ENDS)
async def test_escaped_process_ends_with_its_attempt(unswept: Stage, end: str) -> None:
    """However an attempt ends, what it has hidden away ends with it: later looks are not needed."""
    body, code = ENDS[end]
    source = ESCAPE + f"def run(ctx):\n    ctx.emit(escape())\n    {body}\n"
    neighbour = unswept.begin(unswept.write("import time\ndef run():\n    time.sleep(60)"))
    ran = unswept.begin(unswept.write(source))
    await ran.until(lambda ran: bool(ran.bodies("item")))
    if code is OutcomeCode.TIMEOUT:
        unswept.slots.stop(ran.assignment.task_id, 1, code)
    await ran.finished.wait()
    (pid,) = ran.bodies("item")
    await until(lambda: not is_alive(pid))
    unswept.slots.stop(neighbour.assignment.task_id, 1, OutcomeCode.CANCELLED)
    await neighbour.finished.wait()

    assert ran.outcome.code == code


async def test_escaped_process_ends_when_its_attempt_is_cancelled(unswept: Stage) -> None:
    """Cancelling an attempt ends what it has hidden away."""
    source = ESCAPE + "def run(ctx):\n    ctx.emit(escape())\n    time.sleep(60)\n"
    ran = unswept.begin(unswept.write(source))
    await ran.until(lambda ran: bool(ran.bodies("item")))
    unswept.slots.stop(ran.assignment.task_id, 1, OutcomeCode.CANCELLED)
    await ran.finished.wait()
    (pid,) = ran.bodies("item")
    await until(lambda: not is_alive(pid))

    assert ran.outcome.code == OutcomeCode.CANCELLED


async def test_escaped_process_of_a_running_attempt_lives(stage: Stage) -> None:
    """The end of one attempt does not touch what another has started."""
    source = ESCAPE + "def run(ctx):\n    ctx.emit(escape())\n    time.sleep(60)\n"
    ran = stage.begin(stage.write(source))
    await ran.until(lambda ran: bool(ran.bodies("item")))
    (pid,) = ran.bodies("item")
    for _ in range(5):
        await stage.run(ESCAPE + "def run():\n    return escape()\n")
    is_left_alone = is_alive(pid)
    stage.slots.stop(ran.assignment.task_id, 1, OutcomeCode.CANCELLED)
    await ran.finished.wait()
    await until(lambda: not is_alive(pid))

    assert is_left_alone


@pytest.mark.parametrize("swarm", SWARMS)
async def test_swarm_ends_with_its_attempt(own: Stage, swarm: str) -> None:
    """Chains of forks and processes that adopt their own are ended like any other."""
    source = SWARM + SWARMS[swarm]
    ran = await own.run(source)
    await until(lambda: len(_marked(own)) <= len(own.slots.child_pids))

    assert ran.outcome.code == OutcomeCode.OK


async def test_what_was_left_behind_is_counted_once(own: Stage) -> None:
    """A process that escaped from its attempt is told of, and then no more."""
    await own.run("def run():\n    return 1\n")
    before = own.slots._scratch.leftovers.take()
    await own.run(ESCAPE + "def run():\n    return escape()\n")
    found = 0

    def is_counted() -> bool:
        nonlocal found
        found += own.slots._scratch.leftovers.take()
        return found > 0

    await until(is_counted)

    assert before == 0
    assert found == 1


async def test_escaped_process_ends_with_the_worker(own: Stage) -> None:
    """A worker that is closed ends what its attempts have hidden away."""
    ran = own.begin(own.write(ESCAPE + "def run(ctx):\n    ctx.emit(escape())\n    time.sleep(60)"))
    await ran.until(lambda ran: bool(ran.bodies("item")))
    (pid,) = ran.bodies("item")
    await own.slots.close()

    assert ran.outcome.code == OutcomeCode.WORKER_LOST
    assert not is_alive(pid)


async def test_escaped_process_ends_when_its_template_is_killed(own: Stage) -> None:
    """What a killed template leaves behind comes to the worker, which ends it."""
    ran = own.begin(own.write(ESCAPE + "def run(ctx):\n    ctx.emit(escape())\n    time.sleep(60)"))
    await ran.until(lambda ran: bool(ran.bodies("item")))
    (pid,) = ran.bodies("item")
    os.kill(own.slots.template_pids[""], signal.SIGKILL)
    await ran.finished.wait()
    await until(lambda: not is_alive(pid))

    assert ran.outcome.code == OutcomeCode.CRASHED


@pytest.mark.parametrize("swarm", SWARMS)
async def test_swarm_ends_when_its_template_is_killed(own: Stage, swarm: str) -> None:
    """A swarm that comes to the worker is ended as well."""
    source = SWARM.replace("0.2", "60") + SWARMS[swarm]
    ran = own.begin(own.write(source), timeout_s=60.0)
    await ran.started.wait()
    await until(lambda: _has_swarm(own))
    os.kill(own.slots.template_pids[""], signal.SIGKILL)
    await ran.finished.wait()
    await until(lambda: len(_marked(own)) <= len(own.slots.child_pids))

    assert ran.outcome.code == OutcomeCode.CRASHED


@pytest.mark.parametrize("swarm", SWARMS)
async def test_swarm_of_a_dead_worker_is_ended(tmp_path: Path, swarm: str) -> None:
    """What nobody of ours has adopted is found by its mark and ended."""
    owner = marker.owner_of(str(tmp_path))
    source = f"from zscrape.runtime import marker\nmarker.put({owner}, 1)\n" + SWARM + SWARMS[swarm]
    checkout = Path(__file__).parents[2]
    first = await asyncio.create_subprocess_exec(
        sys.executable, "-c", source + "\nrun()", cwd=checkout
    )
    await first.wait()
    was_there = bool(strays.marked(owner))
    left_count = await asyncio.to_thread(strays.end_marked, owner)
    strays.end_adopted(owner)  # zombies: this process may be their subreaper

    assert was_there
    assert left_count == 0
    assert strays.marked(owner) == []


@pytest.mark.parametrize("is_template_killed", [False, True])
async def test_escaped_process_does_not_outlive_a_killed_worker(
    tmp_path: Path, is_template_killed: bool
) -> None:
    """A killed worker's templates end everything; where they die too, the next worker does."""
    worker, pid, template_pids = await _start_worker(tmp_path)
    (folder,) = (tmp_path / "scratch").iterdir()
    if is_template_killed:
        for template_pid in template_pids:  # so that it cannot notice before it is killed
            os.kill(template_pid, signal.SIGSTOP)
    worker.kill()
    await worker.wait()
    if is_template_killed:
        for template_pid in template_pids:
            os.kill(template_pid, signal.SIGKILL)
        was_alive = is_alive(pid)
        after = Stage(
            tmp_path,
            SlotPolicy(slot_count=1, scratch_dir=tmp_path / "scratch", script_roots=(tmp_path,)),
        )
        await after.slots.start()
        left = strays.marked(marker.owner_of(str(folder)))
        await after.slots.close()
    else:
        await until(lambda: not strays.marked(marker.owner_of(str(folder))))
        was_alive, left = True, []
    strays.end_adopted(marker.owner_of(str(folder)))  # zombies: this process is their subreaper

    assert was_alive
    assert left == []
    assert not is_alive(pid)


def _marked(stage: Stage) -> list[int]:
    return strays.marked(stage.slots._scratch.owner)


def _has_swarm(stage: Stage) -> bool:
    """True iff some child has started others: a spare that was just forked is nobody's swarm."""
    ids = Counter(marker.read(pid)[1] for pid in _marked(stage))
    return any(count > 1 for child_id, count in ids.items() if child_id)


async def _start_worker(root: Path) -> tuple[asyncio.subprocess.Process, int, list[int]]:
    """Start a worker of its own with one attempt; return it, an escaped process, its templates."""
    source = f"""
import asyncio, sys
from pathlib import Path
from tests.worker.conftest import Stage
from zscrape.worker.slots import SlotPolicy
async def main():
    root = Path({str(root)!r})
    stage = Stage(root, SlotPolicy(2, root / "scratch", (root,)))
    await stage.slots.start()
    ran = stage.begin(stage.write({ESCAPE + "def run(ctx): ctx.emit(escape()); time.sleep(60)"!r}))
    await ran.until(lambda ran: bool(ran.bodies("item")))
    print(*ran.bodies("item"), *stage.slots.template_pids.values(), flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", source, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert worker.stdout is not None
    pid, *template_pids = map(int, (await worker.stdout.readline()).split())
    return worker, pid, template_pids


async def test_fresh_interpreters_are_marked_too(tmp_path: Path) -> None:
    """With isolation "exec" what an attempt has hidden away ends with it all the same."""
    policy = SlotPolicy(
        slot_count=1, scratch_dir=tmp_path / "scratch", script_roots=(tmp_path,), isolation="exec"
    )
    stage = Stage(tmp_path, policy)
    await stage.slots.start()
    ran = await stage.run(ESCAPE + "def run():\n    return escape()\n")
    await until(lambda: not is_alive(ran.data))
    await stage.slots.close()

    assert ran.outcome.code == OutcomeCode.OK


@pytest.mark.parametrize("change", [1, -1])
async def test_mark_tells_the_worker_and_cannot_be_exchanged(stage: Stage, change: int) -> None:
    """A process bears the mark of its worker, which it can read and neither raise nor lower."""
    if "seccomp" in stage.slots.layers.missing:
        pytest.skip(stage.slots.layers.missing["seccomp"])
    source = f"""
        import resource
        def run():
            before = resource.getrlimit(10)
            mark = before[1] + {change}
            try:
                resource.setrlimit(10, (mark, mark))
            except ValueError:
                return [before, resource.getrlimit(10)]
            return [before, "exchanged"]
    """
    ran = await stage.run(source)
    before, after = ran.data

    assert before == after
    assert before[0] == before[1]
    assert before[1] >> 32 == stage.slots._scratch.owner


async def test_mark_tells_children_from_each_other(stage: Stage) -> None:
    """Each of those that wait is told by its number, and all by their worker."""
    await stage.run("def run():\n    pass\n")
    owner = stage.slots._scratch.owner
    told: list[tuple[int, int]] = []
    given: list[tuple[int, int]] = []

    def are_told() -> bool:
        nonlocal told, given
        children = stage.slots._templates.children()
        told = [marker.read(child.pid) for child in children]
        given = [(owner, child.id) for child in children]
        return len(given) > 1 and told == given

    await until(are_told)

    assert told == given
    assert len(set(told)) == len(told)


class _Shown:
    """Shows processes as if they were a template's children."""

    def __init__(self, *pids: int) -> None:
        self._told = " ".join(map(str, pids)).encode()

    def children(self) -> bytes:
        """Return them."""
        return self._told


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_what_a_user_was_before_is_no_stray_of_who_it_is_now(
    own: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left of an earlier child belongs to none that runs, even one of the same user."""
    if not own.slots.layers.has_groups:
        pytest.skip("this machine has too few groups")
    ran = own.begin(own.write("import time\ndef run():\n    time.sleep(60)"))
    await ran.started.wait()
    (template,) = (each for each in own.slots._templates._templates.values() if each.active)
    child = template.children[next(iter(template.active))]
    owner, uid = own.slots._scratch.owner, own.slots.layers.first_uid + int(child.folder)
    source = f"""
import os, sys
from zscrape.runtime import marker
for child_id in ({child.id - 1}, {child.id}):  # children of no worker, which would end them
    reader, writer = os.pipe()
    if os.fork() == 0:
        marker.put({owner}, 0)
        os.setresgid(*[marker.group_of({owner}, child_id)] * 3)
        os.setresuid(*[{uid}] * 3)
        os.write(writer, b"%d" % os.getpid())
        sys.stdin.read()
        os._exit(0)
    print(int(os.read(reader, 20)), flush=True)
sys.stdin.read()
"""
    pipe = asyncio.subprocess.PIPE
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", source, stdin=pipe, stdout=pipe
    )
    assert parent.stdout is not None
    left, stray = [int(await parent.stdout.readline()) for _ in range(2)]
    with monkeypatch.context() as patch:
        patch.setattr(template, "_eye", _Shown(child.pid, left, stray))
        found = template.strays_of(child)
    await parent.communicate(b"")
    own.slots.stop(ran.assignment.task_id, 1, OutcomeCode.CANCELLED)
    await ran.finished.wait()

    assert found == [stray]


async def test_number_of_a_child_that_has_ended_may_be_a_strays(
    own: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is below a template is read anew once one of its children is over."""
    name = own.write("import time\ndef run():\n    time.sleep(60)")
    first, second = own.begin(name), own.begin(name)
    await asyncio.gather(first.started.wait(), second.started.wait())
    (template,) = (each for each in own.slots._templates._templates.values() if each.active)
    ending, going = (each._child for each in own.slots._running.values())
    assert ending is not None
    assert going is not None
    await until(lambda: bool(ending.pid and going.pid))
    with monkeypatch.context() as patch:
        patch.setattr(template, "_eye", _Shown(ending.pid, going.pid))
        patch.setattr(marker, "read", lambda _: (own.slots._scratch.owner, going.id))
        before = template.strays_of(going)
        own.slots.stop(first.assignment.task_id, 1, OutcomeCode.CANCELLED)
        await until(lambda: ending.exited is not None)
        after = template.strays_of(going)
    own.slots.stop(second.assignment.task_id, 1, OutcomeCode.CANCELLED)
    await second.finished.wait()

    assert before == []
    assert after == [ending.pid]


@pytest.mark.parametrize("is_template_killed", [False, True])
async def test_folder_of_what_still_dies_is_free_once_nothing_is_left(
    own: Stage, monkeypatch: pytest.MonkeyPatch, is_template_killed: bool
) -> None:
    """Its template says so, or is gone itself, and what was below it with it."""
    released: list[str] = []
    release = own.slots._scratch.release

    def note(name: str) -> None:
        released.append(name)
        release(name)

    monkeypatch.setattr(own.slots._scratch, "release", note)
    ran = own.begin(own.write("import time\ndef run():\n    time.sleep(60)"))
    await ran.started.wait()
    (template,) = (each for each in own.slots._templates._templates.values() if each.active)
    child = template.children[next(iter(template.active))]
    template._hear(b"H %d" % child.id)
    own.slots.stop(ran.assignment.task_id, 1, OutcomeCode.CANCELLED)
    await ran.finished.wait()
    await own.until_quiet()
    is_held = child.folder not in released
    if is_template_killed:
        template.process.kill()
        await template.gone
    else:
        template._hear(b"G %d" % child.id)

    assert is_held
    assert released.count(child.folder) == 1


# Processes whose memory is of so many pieces that the kernel takes long to take them apart.
SLOW_TO_DIE = """
import mmap, os, time

def run():
    held = mmap.mmap(-1, 40_000 * 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ)
    for number in range(0, 40_000, 2):
        held.madvise(mmap.MADV_DONTDUMP, number * 4096, 4096)
    for _ in range(5):
        if os.fork() == 0:
            os.setsid()
            time.sleep(60)
"""
INNOCENT = """
import os, time

def run(ctx):
    if os.fork() == 0:
        time.sleep(60)
    time.sleep(0.15)
    return "done"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="without root all attempts are one user")
async def test_nobody_is_charged_with_what_dies_slowly(own: Stage) -> None:
    """Attempts that follow one whose processes are still dying are counted without these."""
    innocents = []
    guilty, name = own.write(SLOW_TO_DIE), own.write(INNOCENT)
    for round_number in range(4):
        await own.begin(guilty).finished.wait()
        await own.until_quiet()  # its user is free
        # Limits that no spare has: forked now, as that user.
        limits = Limits(process_count=3, open_file_count=200 + round_number)
        both = [own.begin(name, limits=limits, is_exclusive=is_last) for is_last in (False, True)]
        for ran in both:
            await ran.finished.wait()
        innocents += both
    await until(lambda: len(_marked(own)) <= len(own.slots.child_pids))

    assert [ran.data for ran in innocents] == ["done"] * 8


@pytest.mark.asyncio(loop_scope="session")
async def test_exclusive_attempt_is_over_when_nothing_of_it_is_left(stage: Stage) -> None:
    """An attempt with a lock is told to be over when all that it has started has ended."""
    source = ESCAPE + "def run():\n    return escape()\n"
    ran = await stage.run(source, is_exclusive=True)
    was_alive = is_alive(ran.data)

    assert not was_alive


async def test_answer_that_is_read_after_the_exit_counts(stage: Stage) -> None:
    """Whichever is heard first: an attempt with a lock that has answered has not crashed."""
    name = stage.write("import time\ndef run():\n    time.sleep(0.1)\n    return 1\n")

    ran = stage.begin(name, is_exclusive=True)
    await ran.started.wait()
    (running,) = stage.slots._running.values()
    child = running._child
    assert child is not None
    stage.slots._pump.remove(child.channel_fd)
    await ran.finished.wait()

    assert ran.data == 1
    assert isinstance(child.template, Template)
    assert child.id not in child.template._leaving


async def test_no_limit_is_set_for_what_has_answered(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt with a lock waits for its process to end, which is not the script's time."""
    expect_exit, alarms = Template.expect_exit, stage.slots._alarms
    set_counts: list[int] = []

    def late(self: Template, child: Child, within_s: float) -> None:
        if child.attempt is not None:
            child.attempt.on_long(False)  # as if it had run for a while by now
            set_counts.append(len(alarms._moments))
        expect_exit(self, child, within_s)

    monkeypatch.setattr(Template, "expect_exit", late)
    ran = await stage.run("def run():\n    return 1\n", is_exclusive=True)

    assert ran.data == 1
    assert set(set_counts) == {0}


async def test_a_limit_is_set_once_for_what_runs_for_a_while(stage: Stage) -> None:
    """It is that of its begin, whether there is a process of it yet or not."""
    name = stage.write("import time\ndef run():\n    time.sleep(0.3)\n    return 1\n")
    alarms = stage.slots._alarms

    ran = stage.begin(name, timeout_s=40.0)
    (running,) = stage.slots._running.values()
    before = [*alarms._moments.values()]
    running.on_long(False)
    first = [*alarms._moments.values()]
    running.on_long(False)
    second = [*alarms._moments.values()]
    await ran.finished.wait()

    assert before == []
    assert first == second == [running._started_at + 40.0]
    assert not alarms._moments


async def test_who_cannot_follow_one_attempt_leaves_the_others_their_limits(stage: Stage) -> None:
    """An agent whose socket is gone raises when it hears of its attempt; its neighbours go on."""
    told: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: told.append(str(context["exception"]))
    )
    await stage.run("def run():\n    return 1\n")  # what is begun next finds spares

    def refuse(task_id: str, attempt: int) -> None:
        if task_id == first.assignment.task_id:
            raise OSError("closed")

    stage.on_long = refuse  # type: ignore[method-assign]
    name = stage.write("import time\ndef run():\n    time.sleep(60)\n")
    first, second = (stage.begin(name, timeout_s=0.6) for _ in range(2))
    await first.finished.wait()
    await second.finished.wait()

    assert told == ["closed"]
    for ran in (first, second):
        assert [outcome.code for outcome in ran.outcomes] == [OutcomeCode.TIMEOUT]


async def test_exit_is_awaited_no_more_once_only_strays_are(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happens until strays have gone is not held against a child that has ended."""
    name = stage.write("import os, time\ndef run():\n    time.sleep(0.2)\n    os._exit(1)\n")
    ran = stage.begin(name, is_exclusive=True)
    await ran.started.wait()
    (running,) = stage.slots._running.values()
    child = running._child
    assert child is not None
    template = child.template
    assert isinstance(template, Template)
    stage.slots._pump.remove(child.channel_fd)
    watched: list[bool] = []

    def stuck(_child: object) -> list[int]:
        if child.exited is None or len(watched) == 5:
            return []
        assert running._tree is not None
        assert running._folder is not None
        if not watched:  # as if a stray had held the channel until now
            stage.slots._pump.add(child.channel_fd, running._on_channel)
        tasks = running._tree._task, running._folder._task
        watched.append(not all(task.cancelling() for task in tasks))
        return [1]

    monkeypatch.setattr(template, "strays_of", stuck)  # no test can have one stuck in the kernel
    await ran.finished.wait()

    assert ran.outcome.code == OutcomeCode.CRASHED
    assert watched == [False] * 5
    assert child.id not in template._leaving
