"""Environments on disk, with real uv and real wheels: built once, shared, bounded, cleaned."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import pytest_asyncio

from tests.wheels import KIT_WHEELS, make_wheel, repack
from tests.worker.conftest import until
from zscrape.errors.scripts import EnvironmentFailed
from zscrape.model import Pin, RunSpec
from zscrape.worker import interpreters
from zscrape.worker.environments import (
    Environment,
    EnvironmentBuilt,
    EnvironmentFact,
    EnvironmentPolicy,
    EnvironmentRefused,
    Environments,
)
from zscrape.worker.recipe import needs_environment
from zscrape.worker.shelf import Shelf

CHECKOUT = Path(__file__).parents[2]


def needs(*requirements: str, python: str = "", kit: tuple[str, ...] = ()) -> RunSpec:
    """Return what a worker is told of a script with these requirements."""
    pin = Pin("test", "needs", "1.0.0", "sha256:0")
    return RunSpec(pin, kit=kit, requirements=requirements, python=python)


def policy_of(tmp_path: Path, **changes: object) -> EnvironmentPolicy:
    """Return a policy that finds nothing but the wheels of this test."""
    settings: dict[str, object] = {
        "root": tmp_path / "environments",
        "find_links": (str(tmp_path / "links"),),
        "offline": True,
        **changes,
    }
    return EnvironmentPolicy(**settings)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def opened(tmp_path: Path, **changes: object) -> AsyncIterator[Environments]:
    """Open the environments of this test's folder, and close them."""
    environments = Environments(policy_of(tmp_path, **changes))
    await environments.open()
    try:
        yield environments
    finally:
        await environments.close()


@pytest_asyncio.fixture
async def own(tmp_path: Path) -> AsyncIterator[Environments]:
    """Environments with two versions of one package to choose from."""
    make_wheel(tmp_path / "links", "thing", "1.0")
    make_wheel(tmp_path / "links", "thing", "2.0")
    async with opened(tmp_path) as environments:
        yield environments


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder of packages as an index whose pages may not be kept; gives its address."""

    class Handler(SimpleHTTPRequestHandler):
        def end_headers(self) -> None:
            self.send_header("Cache-Control", "max-age=0, must-revalidate")
            super().end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Stalled:
    """An index that takes every connection and never answers."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self._open: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Stalled:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.url = f"http://user:secret-0@127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        return self

    async def _take(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.append(writer)
        self.asked.set()

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._open:
            writer.close()
        await self._server.wait_closed()


def asks(environment: Environment, source: str) -> str:
    """Return what a line of Python prints in an environment."""
    command = [environment.python, "-I", "-c", source]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def processes_in(folder: Path) -> list[int]:
    """Return the processes that work below a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and str((entry / "cwd").readlink()).startswith(str(folder)):
                found.append(int(entry.name))
    return found


def names(folder: Path) -> list[str]:
    """Return what is in a folder."""
    return sorted(path.name for path in folder.iterdir())


# ---- building --------------------------------------------------------------------------


async def test_environment_holds_what_was_asked_for(own: Environments) -> None:
    """The package is there in the version asked for, and nothing of zscrape's own."""
    environment = await own.ensure(needs("thing==1.0"))

    assert environment.is_new
    assert "thing==1.0" in environment.log
    assert environment.built_s > 0
    assert asks(environment, "import thing; print(thing.VERSION)") == "1.0"
    assert asks(environment, "import importlib.util as u; print(u.find_spec('msgspec'))") == "None"


async def test_owner_is_told_of_builds(tmp_path: Path) -> None:
    """What was built and what could not be is told once each, and nothing of what is reused."""
    make_wheel(tmp_path / "links", "thing", "1.0")
    facts: list[EnvironmentFact] = []
    environments = Environments(policy_of(tmp_path), facts.append)
    await environments.open()
    environment = await environments.ensure(needs("thing"))
    await environments.ensure(needs("thing"))
    with pytest.raises(EnvironmentFailed):
        await environments.ensure(needs("nowhere"))
    await environments.close()
    built, refused = facts

    assert isinstance(built, EnvironmentBuilt)
    assert built.digest == environment.digest
    assert isinstance(refused, EnvironmentRefused)
    assert "nowhere" in refused.reason


async def test_equal_needs_are_one_environment(own: Environments) -> None:
    """The second caller gets what the first one had built, whatever the order of the lines."""
    first = await own.ensure(needs("thing==1.0", "thing<3"))
    second = await own.ensure(needs("thing<3", "thing==1.0"))
    other = await own.ensure(needs("thing==2.0"))

    assert (second.python, second.is_new) == (first.python, False)
    assert other.python != first.python


async def test_many_callers_share_one_build(own: Environments, tmp_path: Path) -> None:
    """Ten at once wait for one build, and all of them hold the environment."""
    environments = await asyncio.gather(*(own.ensure(needs("thing==1.0")) for _ in range(10)))

    assert len({each.python for each in environments}) == 1
    assert all(each.is_new for each in environments)
    assert names(tmp_path / "environments" / "ready") == [environments[0].digest]


async def test_environment_outlives_its_worker(own: Environments, tmp_path: Path) -> None:
    """The next worker with that folder finds it there, with what was said while it was built."""
    first = await own.ensure(needs("thing==1.0"))
    await own.close()
    async with opened(tmp_path, find_links=()) as again:
        second = await again.ensure(needs("thing==1.0"))

    assert (second.python, second.is_new) == (first.python, False)
    assert "thing==1.0" in Shelf(tmp_path / "environments").log(first.digest)


async def test_environment_is_compiled_and_closed_afterwards(
    own: Environments, tmp_path: Path
) -> None:
    """Beside the first attempt its files are compiled, then made read-only."""
    environment = await own.ensure(needs("thing==1.0"))
    place = Path(environment.python).parents[1]
    await own.settle()
    packages = next(place.glob("lib/python*/site-packages"))

    assert list(packages.glob("__pycache__/thing.*.pyc"))
    assert (packages / "thing.py").stat().st_mode & 0o222 == 0
    assert packages.stat().st_mode & 0o222 == 0
    assert names(tmp_path / "environments" / "staging") == []


async def test_kit_is_installed_in_the_versions_of_zscrape(tmp_path: Path) -> None:
    """What `ctx.http` needs comes along, in the versions that zscrape itself has."""
    repack(tmp_path / "links", *KIT_WHEELS, "typing_extensions")
    make_wheel(tmp_path / "links", "thing", "1.0")
    async with opened(tmp_path) as environments:
        environment = await environments.ensure(needs("thing", kit=("http",)))
        told = asks(environment, "import httpx, selectolax, thing; print(httpx.__version__)")

    import httpx

    assert told == httpx.__version__


# ---- what cannot be built --------------------------------------------------------------


async def test_conflict_is_told_in_uvs_words(own: Environments, tmp_path: Path) -> None:
    """Requirements that exclude each other fail at the build, with the resolver's reason."""
    make_wheel(tmp_path / "links", "user", "1.0", requires=["thing<2"])
    with pytest.raises(EnvironmentFailed) as caught:
        await own.ensure(needs("thing>=2", "user"))

    assert "versions of user depend on thing<2" in caught.value.reason
    assert "unsatisfiable" in caught.value.reason
    assert str(tmp_path / "environments") not in caught.value.log
    assert names(tmp_path / "environments" / "ready") == []
    assert names(tmp_path / "environments" / "staging") == []


async def test_conflict_with_the_kit_is_told(own: Environments) -> None:
    """A requirement that zscrape's own client cannot live with fails at the build."""
    with pytest.raises(EnvironmentFailed, match="httpx"):
        await own.ensure(needs("httpx==0.1", kit=("http",)))


async def test_missing_package_is_told(own: Environments, tmp_path: Path) -> None:
    """A package that is nowhere is named, and the build's log is kept."""
    with pytest.raises(EnvironmentFailed, match="nowhere was not found"):
        await own.ensure(needs("nowhere==1.0"))
    logs = list((tmp_path / "environments" / "logs").iterdir())

    assert "nowhere" in logs[0].read_text()


async def test_failure_is_remembered_for_a_while(own: Environments, tmp_path: Path) -> None:
    """The same needs fail the same way without another try, until the time is up."""
    with pytest.raises(EnvironmentFailed) as first:
        await own.ensure(needs("late==1.0"))
    make_wheel(tmp_path / "links", "late", "1.0")
    with pytest.raises(EnvironmentFailed) as second:
        await own.ensure(needs("late==1.0"))
    async with opened(tmp_path, failure_kept_s=0.0) as forgetful:
        environment = await forgetful.ensure(needs("late==1.0"))

    assert (second.value.reason, second.value.log) == (first.value.reason, first.value.log)
    assert environment.is_new


async def test_hash_is_enforced(own: Environments, tmp_path: Path) -> None:
    """A file that is not the one whose hash was given is not installed."""
    digest = make_wheel(tmp_path / "links", "thing", "1.0")
    with pytest.raises(EnvironmentFailed, match="Hash mismatch"):
        await own.ensure(needs(f"thing==1.0 --hash=sha256:{'0' * 64}"))
    environment = await own.ensure(needs(f"thing==1.0 --hash=sha256:{digest}"))

    assert asks(environment, "import thing; print(thing.VERSION)") == "1.0"


async def test_unhashed_dependency_of_a_hashed_one_is_refused(
    own: Environments, tmp_path: Path
) -> None:
    """With hashes nothing comes in that has none, be it a dependency of a dependency."""
    digest = make_wheel(tmp_path / "links", "user", "1.0", requires=["thing"])
    with pytest.raises(EnvironmentFailed, match="thing"):
        await own.ensure(needs(f"user==1.0 --hash=sha256:{digest}"))


async def test_kit_fits_beside_hashed_requirements(tmp_path: Path) -> None:
    """The kit joins hashed requirements by version, and must not change any of them."""
    repack(tmp_path / "links", *KIT_WHEELS, "typing_extensions")
    digest = make_wheel(tmp_path / "links", "thing", "1.0")
    old = make_wheel(tmp_path / "links", "httpx", "0.1")
    async with opened(tmp_path) as environments:
        fine = needs(f"thing==1.0 --hash=sha256:{digest}", kit=("http",))
        environment = await environments.ensure(fine)
        with pytest.raises(EnvironmentFailed, match=r"httpx==0\.1"):
            await environments.ensure(
                needs(f"httpx==0.1 --hash=sha256:{old}", kit=("http",)),
            )
        told = asks(environment, "import httpx, thing; print(thing.VERSION)")

    assert told == "1.0"


async def test_source_is_not_built_unless_allowed(own: Environments, tmp_path: Path) -> None:
    """A package without a wheel is refused, naming the setting that would allow it."""
    with tarfile.open(tmp_path / "links" / "raw-1.0.tar.gz", "w:gz") as archive:
        for name, text in {
            "raw-1.0/PKG-INFO": "Metadata-Version: 2.1\nName: raw\nVersion: 1.0\n",
            "raw-1.0/pyproject.toml": "[project]\nname = 'raw'\nversion = '1.0'\n",
        }.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    with pytest.raises(EnvironmentFailed, match=r"worker\.allow_builds"):
        await own.ensure(needs("raw==1.0"))


async def test_python_that_is_not_here_is_told(own: Environments) -> None:
    """The error names the range and the interpreters that were found."""
    with pytest.raises(EnvironmentFailed) as caught:
        await own.ensure(needs(python=">=3.99"))

    assert ">=3.99" in caught.value.reason
    assert "python_version" in caught.value.reason
    assert any(version in caught.value.reason for version, _ in interpreters.installed())


async def test_other_python_is_found_and_used(own: Environments) -> None:
    """A range that excludes zscrape's own interpreter gets another one that is installed."""
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    others = [version for version, _ in interpreters.installed() if not version.startswith(ours)]
    if not others:
        pytest.skip("only one Python here; another Debian release's python3.X would do")
    environment = await own.ensure(needs("thing", python=f"=={others[0]}"))

    assert asks(environment, "import platform; print(platform.python_version())") == others[0]


async def test_python_is_downloaded_only_when_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without leave nothing is fetched; with it the failure to fetch is what is told."""
    missing = "==3.8.*"
    if any(version.startswith("3.8.") for version, _ in interpreters.installed()):
        pytest.skip("Python 3.8 is installed")
    for name in ("HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with opened(tmp_path) as environments:
        with pytest.raises(EnvironmentFailed) as forbidden:
            await environments.ensure(needs(python=missing))
    async with opened(tmp_path, allow_python_downloads=True) as environments:
        with pytest.raises(EnvironmentFailed) as failed:
            await environments.ensure(needs(python=missing))

    assert "no interpreter for Python ==3.8.*" in forbidden.value.reason
    assert "no interpreter" not in failed.value.reason
    assert "Failed to install" in failed.value.reason or "download" in failed.value.reason


async def test_cache_of_packages_is_emptied_beyond_the_size(
    own: Environments, tmp_path: Path
) -> None:
    """What uv keeps is bounded too; environments are copies and do not miss it."""
    environment = await own.ensure(needs("thing==1.0"))
    cache = tmp_path / "environments" / "uv"
    before = list(cache.rglob("thing.py"))
    async with opened(tmp_path, total_limit_bytes=1) as small:
        await small.evict()

    assert before
    assert not list(cache.rglob("thing.py"))
    assert asks(environment, "import thing; print(thing.VERSION)") == "1.0"


def test_own_interpreter_needs_no_environment() -> None:
    """Without requirements, and with a range that fits, a script runs where zscrape runs."""
    assert not needs_environment(needs())
    assert not needs_environment(needs(python=">=3.8"))
    assert needs_environment(needs(python="<3.8"))
    assert needs_environment(needs("thing"))
    with pytest.raises(EnvironmentFailed):
        needs_environment(needs(python="three"))


# ---- limits ----------------------------------------------------------------------------


async def test_build_that_hangs_is_ended(tmp_path: Path) -> None:
    """An index that never answers costs the time limit, and nothing of the build is left."""
    async with Stalled() as index:
        changes = {"offline": False, "find_links": (), "build_timeout_s": 1.0}
        async with opened(tmp_path, index_url=index.url, **changes) as environments:
            with pytest.raises(EnvironmentFailed) as caught:
                await environments.ensure(needs("thing"))

    assert "worker.build_timeout_s" in caught.value.reason
    assert processes_in(tmp_path) == []
    assert names(tmp_path / "environments" / "staging") == []
    assert "secret-0" not in caught.value.log + caught.value.reason


async def test_cancelled_callers_end_the_build(tmp_path: Path) -> None:
    """The build goes on while one caller waits, and is ended with the last."""
    async with Stalled() as index:
        changes = {"offline": False, "find_links": ()}
        async with opened(tmp_path, index_url=index.url, **changes) as environments:
            first, second = (
                asyncio.create_task(environments.ensure(needs("thing"))) for _ in range(2)
            )
            await index.asked.wait()
            first.cancel()
            await asyncio.wait((first,))
            is_going_on = bool(processes_in(tmp_path))
            second.cancel()
            await asyncio.wait((second,))
            await until(lambda: not processes_in(tmp_path))
            await until(lambda: not names(tmp_path / "environments" / "staging"))

    assert is_going_on


async def test_credentials_of_the_index_are_told_nobody(tmp_path: Path) -> None:
    """What uv says of an index that refuses is told without the owner's password."""
    changes = {"offline": False, "find_links": ()}
    url = "http://user:secret-0@127.0.0.1:1/packages/"
    async with opened(tmp_path, index_url=url, **changes) as environments:
        with pytest.raises(EnvironmentFailed) as caught:
            await environments.ensure(needs("thing"))

    assert "127.0.0.1:1" in caught.value.log
    assert "secret-0" not in caught.value.log + caught.value.reason


async def test_environment_beyond_its_size_is_refused(tmp_path: Path) -> None:
    """Many files or a large one: an environment larger than the limit is not kept."""
    many = {f"many/{number}.txt": "x" * 10_000 for number in range(100)}
    make_wheel(tmp_path / "links", "many", "1.0", files=many)
    make_wheel(tmp_path / "links", "large", "1.0", files={"large.txt": "x" * 1_000_000})
    async with opened(tmp_path, limit_bytes=500_000) as environments:
        with pytest.raises(EnvironmentFailed, match="environment_size_limit"):
            await environments.ensure(needs("many"))
        with pytest.raises(EnvironmentFailed):
            await environments.ensure(needs("large"))

    assert names(tmp_path / "environments" / "ready") == []


# ---- several processes -----------------------------------------------------------------

BUILDER = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {checkout!r})
from tests.worker.test_environments import needs, policy_of
from zscrape.worker.environments import Environments
async def main():
    environments = Environments(policy_of(Path({root!r}), **{changes!r}))
    await environments.open()
    print("up", flush=True)
    environment = await environments.ensure(needs("thing==1.0"))
    print(environment.is_new, flush=True)
    {then}
    await environments.close()
asyncio.run(main())
"""


async def builder(
    tmp_path: Path, *, then: str = "pass", changes: dict[str, object] | None = None
) -> asyncio.subprocess.Process:
    """Start another worker process that builds the same environment."""
    source = BUILDER.format(
        checkout=str(CHECKOUT), root=str(tmp_path), changes=changes or {}, then=then
    )
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", source, stdout=subprocess.PIPE, cwd=CHECKOUT
    )


async def line_of(process: asyncio.subprocess.Process) -> str:
    """Return the next line that another worker prints."""
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def test_two_processes_build_once(own: Environments, tmp_path: Path) -> None:
    """Of two workers that need the same at the same time one builds, the other waits for it."""
    other = await builder(tmp_path)
    assert await line_of(other) == "up"
    environment = await own.ensure(needs("thing==1.0"))
    was_new = await line_of(other)
    await other.wait()

    assert {str(environment.is_new), was_new} == {"True", "False"}
    assert asks(environment, "import thing; print(thing.VERSION)") == "1.0"


async def test_killed_build_is_no_burden(own: Environments, tmp_path: Path) -> None:
    """After `kill -9` in the middle of a build the next worker clears and builds, by itself."""
    staging = tmp_path / "environments" / "staging"
    async with Stalled() as index:
        changes: dict[str, object] = {"offline": False, "find_links": (), "index_url": index.url}
        killed = await builder(tmp_path, changes=changes)
        await index.asked.wait()
        left = names(staging)
        orphans = processes_in(staging)
        os.kill(killed.pid, signal.SIGKILL)
        await killed.wait()
        environment = await own.ensure(needs("thing==1.0"))
        await own.settle()

    assert len(left) == 1
    assert orphans
    assert environment.is_new
    assert not set(orphans) & set(processes_in(staging))
    assert not set(left) & set(names(staging))


async def test_start_clears_what_a_killed_worker_left(tmp_path: Path) -> None:
    """Opening removes half-built environments whose builder is gone, and only those."""
    staging = tmp_path / "environments" / "staging"
    (staging / "dead.1-1" / "env").mkdir(parents=True)
    (staging / "live.1-1" / "env").mkdir(parents=True)
    shelf = Shelf(tmp_path / "environments")
    shelf.open()
    (staging / "live.1-1" / "env").mkdir(parents=True)
    (staging / "dead.1-1" / "env").mkdir(parents=True)
    held = shelf.lock("live", is_shared=False)
    shelf.open()

    assert held is not None
    os.close(held)
    assert names(staging) == ["live.1-1"]


@pytest.mark.timeout(90)  # uv itself tries for a dozen seconds before it gives an index up
async def test_index_that_is_down_is_not_needed_for_what_is_cached(tmp_path: Path) -> None:
    """An environment that was removed is built again from what uv's cache holds."""
    place = tmp_path / "web" / "thing"
    place.mkdir(parents=True)
    make_wheel(place, "thing", "1.0")
    with served(tmp_path / "web") as url:
        changes = {"offline": False, "find_links": (), "index_url": url}
        async with opened(tmp_path, **changes) as environments:
            await idle(environments, needs("thing"), 0.0, tmp_path)
            removed = await environments.evict()
    async with opened(tmp_path, **changes) as environments:
        again = await environments.ensure(needs("thing"))

    assert len(removed) == 1
    assert again.is_new
    assert asks(again, "import thing; print(thing.VERSION)") == "1.0"


async def test_damaged_environment_is_built_again(own: Environments, tmp_path: Path) -> None:
    """One whose record is gone is not used but replaced."""
    first = await own.ensure(needs("thing==1.0"))
    await own.settle()
    own.release(first.python)
    (Path(first.python).parents[1] / "environment.json").unlink()
    second = await own.ensure(needs("thing==1.0"))

    assert second.is_new
    assert asks(second, "import thing; print(thing.VERSION)") == "1.0"


# ---- eviction --------------------------------------------------------------------------


async def idle(environments: Environments, run: RunSpec, used_at: float, root: Path) -> str:
    """Have an environment that nobody uses and that was used last at a moment."""
    environment = await environments.ensure(run)
    await environments.settle()
    environments.release(environment.python)
    os.utime(root / "environments" / "locks" / environment.digest, (used_at, used_at))
    return environment.digest


async def test_old_environments_are_removed(own: Environments, tmp_path: Path) -> None:
    """What was not used for too long goes; what was used lately or is in use stays."""
    old_at = time.time() - 1_000_000
    old = await idle(own, needs("thing==1.0"), old_at, tmp_path)
    young = await idle(own, needs("thing==2.0"), time.time(), tmp_path)
    used = await own.ensure(needs("thing"))
    os.utime(tmp_path / "environments" / "locks" / used.digest, (old_at, old_at))
    removed = await own.evict()

    assert removed == (old,)
    assert names(tmp_path / "environments" / "ready") == sorted((young, used.digest))


async def test_least_used_go_first_beyond_the_size(tmp_path: Path) -> None:
    """Beyond the size limit the one that was used longest ago goes, until the rest fits."""
    make_wheel(tmp_path / "links", "thing", "1.0", files={"thing.txt": "x" * 200_000})
    make_wheel(tmp_path / "links", "thing", "2.0", files={"thing.txt": "x" * 200_000})
    async with opened(tmp_path, total_limit_bytes=300_000) as environments:
        now = time.time()
        lately = await idle(environments, needs("thing==1.0"), now - 10, tmp_path)
        before = await idle(environments, needs("thing==2.0"), now - 20, tmp_path)
        removed = await environments.evict()

    assert removed == (before,)
    assert names(tmp_path / "environments" / "ready") == [lately]


async def test_environment_of_another_process_stays(own: Environments, tmp_path: Path) -> None:
    """What another worker uses is not removed, however old; once it is gone, it is."""
    stays = (
        "await environments.settle(); print('settled', flush=True); await asyncio.Event().wait()"
    )
    other = await builder(tmp_path, then=stays)
    told = [await line_of(other) for _ in range(3)]
    digest = names(tmp_path / "environments" / "ready")[0]
    os.utime(tmp_path / "environments" / "locks" / digest, (0, 0))
    while_used = await own.evict()
    other.kill()
    await other.wait()
    afterwards = await own.evict()

    assert told == ["up", "True", "settled"]
    assert while_used == ()
    assert afterwards == (digest,)


async def test_evicted_environment_is_built_again(own: Environments, tmp_path: Path) -> None:
    """Nothing of a removed environment is in the way of the next."""
    digest = await idle(own, needs("thing==1.0"), 0.0, tmp_path)
    removed = await own.evict()
    environment = await own.ensure(needs("thing==1.0"))

    assert removed == (digest,)
    assert environment.is_new
