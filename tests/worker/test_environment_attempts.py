"""Scripts in environments of their own: side by side, each with what it asked for."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.wheels import KIT_WHEELS, make_wheel, repack
from tests.worker.conftest import Stage, is_alive, until
from tests.worker.test_environments import Stalled, policy_of, processes_in
from zscrape.model import Limits, OutcomeCode, Pin, RunSpec
from zscrape.worker import templates
from zscrape.worker.environments import Environments
from zscrape.worker.slots import SlotPolicy

ONE = ("thing==1.0",)
TWO = ("thing==2.0",)
TELL = "import thing\ndef run():\n    return thing.VERSION"


class Place:
    """A `Slots` with environments, and the wheels that they are made of."""

    def __init__(self, root: Path, environments: Environments) -> None:
        self.root = root
        self.environments = environments
        policy = SlotPolicy(
            slot_count=2,
            scratch_dir=root / "scratch",
            script_roots=(root / "scripts",),
            grace_s=0.2,
        )
        self.stage = Stage(root / "scripts", policy, environments)

    @property
    def template_names(self) -> list[str]:
        """The templates that run in environments."""
        return [name for name in self.stage.slots.template_pids if "@" in name]


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """A worker's slots of this test alone; at its end nothing of it is left."""
    for version in ("1.0", "2.0"):
        make_wheel(tmp_path / "links", "thing", version)
    environments = Environments(policy_of(tmp_path))
    await environments.open()
    made = Place(tmp_path, environments)
    await made.stage.slots.start()
    yield made
    pids = (*made.stage.slots.child_pids, *made.stage.slots.template_pids.values())
    await made.stage.slots.close()
    await environments.close()
    assert not [pid for pid in pids if is_alive(pid)]
    assert processes_in(tmp_path) == []


async def test_two_versions_of_one_library_run_side_by_side(place: Place) -> None:
    """Two scripts that exclude each other's library run at the same time on one worker."""
    source = """
        import pathlib, thing, time
        def run(go, ctx):
            ctx.log.info("up")
            while not pathlib.Path(go).exists():
                time.sleep(0.01)
            return thing.VERSION
    """
    name = place.stage.write(source)
    go = place.stage.root / name / "go"
    first = place.stage.begin(name, {"go": str(go)}, requirements=ONE, timeout_s=30.0)
    second = place.stage.begin(name, {"go": str(go)}, requirements=TWO, timeout_s=30.0)
    for each in (first, second):
        await each.until(lambda ran: "up" in ran.messages("log"))
    go.touch()
    await first.finished.wait()
    await second.finished.wait()

    assert (first.data, second.data) == ("1.0", "2.0")
    assert len(place.template_names) == 2


async def test_build_is_told_once_and_does_not_count_as_running(place: Place) -> None:
    """The first attempt says what was built in how long; the next one finds it warm."""
    first = await place.stage.run(TELL, requirements=ONE, timeout_s=2.0)
    second = await place.stage.run(TELL, requirements=ONE, timeout_s=2.0)
    told = first.messages("log")

    assert (first.data, second.data) == ("1.0", "1.0")
    assert len(told) == 1
    assert told[0].startswith("environment built in ")
    assert "thing==1.0" in told[0]
    assert first.outcome.prepare_s > 0.05 > second.outcome.prepare_s
    assert [ran.outcome.usage.has_built for ran in (first, second)] == [True, False]
    assert all(
        ran.outcome.prepare_s >= ran.outcome.usage.environment_s > 0 for ran in (first, second)
    )
    assert second.messages("log") == []


async def test_prefetched_script_has_its_environment_already(place: Place) -> None:
    """Getting a script ready builds what it needs: its first attempt waits for nothing."""
    name = place.stage.write(TELL)
    run = RunSpec(Pin("test", name, "1.0.0", "sha256:0"), kit=(), requirements=ONE)
    place.stage.slots.prepare(run)
    await until(lambda: not place.stage.slots._readying)
    ran = place.stage.begin(name, requirements=ONE)
    await ran.finished.wait()

    assert ran.data == "1.0"
    assert ran.messages("log") == []


async def test_script_sees_its_environment_and_nothing_of_zscrape(place: Place) -> None:
    """Its interpreter is the environment's; `Context` is there, zscrape's own libraries not."""
    source = """
        import importlib.util, sys
        from zscrape import Context
        def run(ctx: Context):
            names = ("msgspec", "httpx", "zmq", "thing")
            return [sys.executable, type(ctx) is Context, sys.version_info[:2],
                    [name for name in names if importlib.util.find_spec(name)]]
    """
    ran = await place.stage.run(source, requirements=ONE)
    executable, is_context, version, found = ran.data

    assert executable.startswith(str(place.root / "environments" / "ready"))
    assert is_context
    assert version == list(sys.version_info[:2])
    assert found == ["thing"]


async def test_kit_works_in_an_environment(place: Place) -> None:
    """`ctx.http` is there for a script that brings its own libraries besides."""
    names = KIT_WHEELS
    repack(place.root / "links", *names, "typing_extensions")
    source = """
        import thing
        def run(ctx):
            return [thing.VERSION, type(ctx.http).__name__]
    """
    ran = await place.stage.run(source, requirements=ONE, kit=("http",), timeout_s=30.0)

    assert ran.data == ["1.0", "Http"]


async def test_other_limits_hold_in_an_environment(place: Place) -> None:
    """A script with limits of its own gets them in its environment, too."""
    source = "import resource\ndef run():\n    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]"
    ran = await place.stage.run(source, requirements=ONE, limits=Limits(open_file_count=99))

    assert ran.data == 99


async def test_compiled_code_of_one_interpreter_is_not_anothers(place: Place) -> None:
    """The same script in the base environment and in another one is compiled for each."""
    name = place.stage.write("import sys\ndef run():\n    return sys.prefix")
    for requirements in ((), ONE, (), ONE):
        ran = place.stage.begin(name, requirements=requirements)
        await ran.finished.wait()
        await place.stage.until_quiet()
        assert ("/ready/" in ran.data) == bool(requirements)


async def test_conflict_is_the_outcome_with_the_log_as_records(place: Place) -> None:
    """An environment that cannot be made is `environment_error`, in the resolver's own words."""
    ran = await place.stage.run(TELL, requirements=(*ONE, *TWO))

    assert ran.outcome.code == OutcomeCode.ENVIRONMENT_ERROR
    assert "thing==1.0 and thing==2.0" in str(ran.outcome.fields["reason"])
    assert any("unsatisfiable" in message for message in ran.messages("log"))
    assert {body["level"] for body in ran.bodies("log")} == {"error"}


async def test_python_that_is_not_here_is_the_outcome(place: Place) -> None:
    """A range that no interpreter fits is told with the range."""
    ran = await place.stage.run("def run():\n    return 1", python=">=3.99")

    assert ran.outcome.code == OutcomeCode.ENVIRONMENT_ERROR
    assert ">=3.99" in str(ran.outcome.fields["reason"])


async def test_range_that_fits_runs_in_the_base_environment(place: Place) -> None:
    """A range that admits zscrape's own interpreter costs nothing."""
    ran = await place.stage.run("import sys\ndef run():\n    return sys.prefix", python=">=3.8")

    assert ran.data == sys.prefix
    assert place.template_names == []


async def test_worker_without_environments_says_so(tmp_path: Path) -> None:
    """Slots that were given none refuse what needs one, and run the rest."""
    stage = Stage(
        tmp_path,
        SlotPolicy(slot_count=1, scratch_dir=tmp_path / "scratch", script_roots=(tmp_path,)),
    )
    await stage.slots.start()
    refused = await stage.run(TELL, requirements=ONE)
    fine = await stage.run("def run():\n    return 1")
    await stage.slots.close()

    assert refused.outcome.code == OutcomeCode.ENVIRONMENT_ERROR
    assert fine.data == 1


async def test_written_environment_harms_neither_cache_nor_the_next(place: Place) -> None:
    """What a script writes into its environment is in no other one, nor in uv's cache."""
    vandal = """
        import os, pathlib, thing
        def run():
            path = pathlib.Path(thing.__file__)
            try:
                os.chmod(path, 0o644)
                path.write_text("VERSION = 'evil'")
            except OSError:  # it is read-only where the machine allows that
                pass
            return path.read_text()
    """
    make_wheel(place.root / "links", "other", "1.0")
    written = await place.stage.run(vandal, requirements=ONE)
    after = await place.stage.run(TELL, requirements=(*ONE, "other==1.0"))
    cached = [path.read_text() for path in (place.root / "environments" / "uv").rglob("thing.py")]

    is_shown_read_only = "view" in place.stage.slots.layers.active
    assert ("evil" in written.data) == (not is_shown_read_only)
    assert after.data == "1.0"
    assert cached
    assert not [text for text in cached if "evil" in text]


async def test_broken_environment_is_told(place: Place) -> None:
    """An environment in which nothing can be started ends attempts with the reason."""
    files = {"broken.pth": "import os; os._exit(7)\n"}
    make_wheel(place.root / "links", "broken", "1.0", files=files)
    ran = await place.stage.run(TELL, requirements=("broken==1.0",))
    fine = await place.stage.run("def run():\n    return 1")

    assert ran.outcome.code == OutcomeCode.ENVIRONMENT_ERROR
    assert "exit status 7" in str(ran.outcome.fields["reason"])
    assert fine.data == 1


# ---- ends ------------------------------------------------------------------------------


async def test_cancel_while_building_ends_the_build(tmp_path: Path) -> None:
    """An attempt that is cancelled while its environment is built ends at once, uv with it."""
    async with Stalled() as index:
        policy = policy_of(tmp_path, offline=False, find_links=(), index_url=index.url)
        environments = Environments(policy)
        await environments.open()
        place = Place(tmp_path, environments)
        await place.stage.slots.start()
        ran = place.stage.begin(place.stage.write(TELL), requirements=ONE)
        await index.asked.wait()
        place.stage.slots.stop(ran.assignment.task_id, 1, OutcomeCode.CANCELLED)
        await ran.finished.wait()
        staging = tmp_path / "environments" / "staging"
        await until(lambda: not processes_in(staging) and not list(staging.iterdir()))
        await place.stage.slots.close()
        await environments.close()

    assert ran.outcome.code == OutcomeCode.CANCELLED
    assert not ran.started.is_set()


async def test_deadline_of_the_task_holds_while_building(tmp_path: Path) -> None:
    """Preparing does not count towards the attempt's timeout, but the task's life is bounded."""
    async with Stalled() as index:
        policy = policy_of(tmp_path, offline=False, find_links=(), index_url=index.url)
        environments = Environments(policy)
        await environments.open()
        place = Place(tmp_path, environments)
        await place.stage.slots.start()
        ran = place.stage.begin(
            place.stage.write(TELL), requirements=ONE, timeout_s=0.01, deadline_s=1.0
        )
        await ran.finished.wait()
        await place.stage.slots.close()
        await environments.close()

    assert ran.outcome.code == OutcomeCode.TIMEOUT
    assert ran.outcome.prepare_s >= 0.9
    assert processes_in(tmp_path) == []


async def test_close_while_building_leaves_nothing(tmp_path: Path) -> None:
    """A worker that stops ends the attempt, the build and all of its processes."""
    async with Stalled() as index:
        policy = policy_of(tmp_path, offline=False, find_links=(), index_url=index.url)
        environments = Environments(policy)
        await environments.open()
        place = Place(tmp_path, environments)
        await place.stage.slots.start()
        ran = place.stage.begin(place.stage.write(TELL), requirements=ONE)
        await index.asked.wait()
        await place.stage.slots.close()
        await environments.close()

    assert ran.outcome.code == OutcomeCode.WORKER_LOST
    assert processes_in(tmp_path) == []


# ---- templates -------------------------------------------------------------------------


async def test_template_in_use_keeps_its_environment(place: Place) -> None:
    """An environment is not removed while a template runs in it, and is once that has gone."""
    await place.stage.run(TELL, requirements=ONE)
    await place.stage.until_quiet()
    await place.environments.settle()
    lock = next((place.root / "environments" / "locks").iterdir())
    os.utime(lock, (0, 0))
    while_used = await place.environments.evict()
    place.stage.slots._templates._close_idle(asyncio.get_running_loop().time() + 1000)
    await until(lambda: not place.environments._held)
    os.utime(lock, (0, 0))
    afterwards = await place.environments.evict()
    again = await place.stage.run(TELL, requirements=ONE)

    assert while_used == ()
    assert afterwards == (lock.name,)
    assert again.data == "1.0"


async def test_idle_templates_are_closed_and_started_again(place: Place) -> None:
    """A template of an environment that nobody uses ends; the base templates stay."""
    await place.stage.run(TELL, requirements=ONE)
    await place.stage.until_quiet()
    before = place.stage.slots.template_pids
    place.stage.slots._templates._close_idle(asyncio.get_running_loop().time() + 1000)
    gone = [pid for name, pid in before.items() if "@" in name]
    await until(lambda: not any(is_alive(pid) for pid in gone))
    left = place.stage.slots.template_pids
    again = await place.stage.run(TELL, requirements=ONE)

    assert len(gone) == 1
    assert left == {name: pid for name, pid in before.items() if "@" not in name}
    assert again.data == "1.0"


async def test_template_with_running_children_is_not_closed(place: Place) -> None:
    """However long an attempt takes, its template stays."""
    source = "import thing, time\ndef run():\n    print('up')\n    time.sleep(60)"
    ran = place.stage.begin(place.stage.write(source), requirements=ONE, timeout_s=60.0)
    await ran.until(lambda ran: ran.messages("stdout") == ["up"])
    place.stage.slots._templates._close_idle(asyncio.get_running_loop().time() + 1000)
    kept = place.template_names
    place.stage.slots.stop(ran.assignment.task_id, 1, OutcomeCode.CANCELLED)
    await ran.finished.wait()

    assert len(kept) == 1
    assert ran.outcome.code == OutcomeCode.CANCELLED


async def test_least_used_templates_are_closed_beyond_a_number(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More environments than are kept warm: the one used longest ago is closed."""
    monkeypatch.setattr(templates, "_RARE_COUNT", 1)
    first = await place.stage.run(TELL, requirements=ONE)
    await place.stage.until_quiet()
    before = place.template_names
    second = await place.stage.run(TELL, requirements=TWO)
    after = place.template_names

    assert (first.data, second.data) == ("1.0", "2.0")
    assert len(before) == len(after) == 1
    assert before != after


async def test_killed_template_of_an_environment_starts_at_the_next_use(place: Place) -> None:
    """One that dies is not started for nobody, and is for the next script."""
    await place.stage.run(TELL, requirements=ONE)
    await place.stage.until_quiet()
    pid = next(pid for name, pid in place.stage.slots.template_pids.items() if "@" in name)
    os.kill(pid, 9)
    await until(lambda: not place.template_names)
    again = await place.stage.run(TELL, requirements=ONE)

    assert again.data == "1.0"
