"""Layers of isolation: tried, told, required, left out, and what each of them takes away."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.worker.conftest import Stage
from zscrape.cli.verbs import exit_code
from zscrape.config.values import SettingError
from zscrape.errors import WorkerNotStarted
from zscrape.messages import text
from zscrape.model import LAYERS
from zscrape.runtime.landlock import FONT_CACHE
from zscrape.worker import canary, isolation
from zscrape.worker.canary import require_layers, send_canary
from zscrape.worker.isolation import SKIPPED, STAGING, Isolation, examine, first_uid
from zscrape.worker.slots import SlotPolicy

in_one_loop = pytest.mark.asyncio(loop_scope="session")
is_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def needs(stage: Stage, *layers: str) -> None:
    """Skip where this machine lacks one of these layers."""
    missing = stage.slots.layers.missing
    for layer in layers:
        if layer in missing:
            pytest.skip(f"{layer}: {missing[layer]}")


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder."""
    return [path.name for path in folder.iterdir()]


@asynccontextmanager
async def staged(root: Path, *, skip: frozenset[str]) -> AsyncIterator[Stage]:
    """Run a stage without some layers."""
    policy = SlotPolicy(1, root / "scratch", (root / "scripts",), skip_layers=skip)
    stage = Stage(root / "scripts", policy)
    await stage.slots.start()
    try:
        yield stage
    finally:
        await stage.slots.close()


# ---- which there are ---------------------------------------------------------------------


@in_one_loop
async def test_each_layer_is_in_force_or_has_a_reason(stage: Stage) -> None:
    """Every layer is told: it is active, or somebody can read why it is not."""
    layers = stage.slots.layers

    assert set(layers.active) | set(layers.missing) == set(LAYERS)
    assert not set(layers.active) & set(layers.missing)
    assert all(layers.missing.values())


@in_one_loop
@is_root
async def test_root_has_every_layer_here(stage: Stage) -> None:
    """As root on a kernel that has them, nothing is missing."""
    assert stage.slots.layers.missing == {}


async def test_skipped_layers_are_left_out_and_told(tmp_path: Path) -> None:
    """What the settings leave out is not applied, and is told to be missing for that reason."""
    skip = frozenset({"user", "view", "landlock", "seccomp"})
    async with staged(tmp_path, skip=skip) as stage:
        ran = await stage.run(
            "import os\ndef run():\n    return [os.getuid(), os.path.exists('/home')]"
        )
        missing = stage.slots.layers.missing

    assert ran.data == [os.getuid(), True]
    assert missing == dict.fromkeys(skip, SKIPPED)


@is_root
async def test_groups_are_given_where_they_tell(tmp_path: Path) -> None:
    """They are not without users."""
    (tmp_path / STAGING).mkdir()
    found = await examine(sys.executable, str(tmp_path), ())
    without = await examine(sys.executable, str(tmp_path), (), skip=frozenset({"user"}))

    assert found.has_groups
    assert not without.has_groups


@is_root
@pytest.mark.parametrize("before", ["marker.put(7, 7)", "os.setgid(1_000_650_000)"])
def test_groups_tell_nothing_where_others_would_be_taken_for_children(
    tmp_path: Path, before: str
) -> None:
    """Under another worker's mark, or where the worker is of such a group; users are given."""
    (tmp_path / STAGING).mkdir()
    source = (
        "import asyncio, os, sys\nfrom zscrape.runtime import marker\n"
        f"from zscrape.worker.isolation import examine\n{before}\n"
        f"found = asyncio.run(examine(sys.executable, {str(tmp_path)!r}, ()))\n"
        "print(found.has_own_users, found.has_groups)"
    )
    told = subprocess.run([sys.executable, "-c", source], check=True, capture_output=True).stdout

    assert told == b"True False\n"


@is_root
async def test_user_needs_an_interpreter_that_it_can_read(tmp_path: Path) -> None:
    """Without a view, another user cannot read an interpreter in a closed folder: told so."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    scratch = tmp_path / "scratch"
    (scratch / STAGING).mkdir(parents=True)
    found = await examine(sys.executable, str(scratch), (closed,), skip=frozenset({"view"}))

    assert "Permission denied" in found.missing["user"]


async def test_trial_of_an_odd_interpreter_finds_nothing(tmp_path: Path) -> None:
    """An interpreter that tells nothing has no layers; its last words are the reason."""
    odd = tmp_path / "bin" / "python"
    odd.parent.mkdir()
    odd.write_text("#!/bin/sh\necho lost >&2\n")
    odd.chmod(0o755)
    (tmp_path / STAGING).mkdir()
    found = await examine(str(odd), str(tmp_path), ())

    assert {found.missing[name] for name in ("user", "view", "landlock", "seccomp")} == {"lost"}


def test_required_layer_that_is_missing_is_refused() -> None:
    """A required layer that is not in force is an error that names it and the reason."""
    layers = Isolation((), {"landlock": "the kernel is old"}, 1)
    require_layers(layers, ("seccomp",))
    with pytest.raises(SettingError) as caught:
        require_layers(layers, ("seccomp", "landlock"))
    told = text(
        caught.value.text_key,
        "en",
        source=caught.value.source,
        value=caught.value.value,
        expected=caught.value.expected,
    )

    assert "isolation.require: the layer landlock" in told
    assert "the kernel is old" in told


@in_one_loop
async def test_canary_does_well(stage: Stage) -> None:
    """An ordinary script does all that ordinary scripts do, through every layer."""
    await send_canary(stage.slots)


async def test_start_that_fails_may_be_tried_again(tmp_path: Path) -> None:
    """What keeps templates from starting may pass: no setting is blamed, and services restart."""
    odd = tmp_path / "python"
    odd.write_text("#!/bin/sh\necho 'Killed' >&2\nexit 137\n")
    odd.chmod(0o755)
    policy = SlotPolicy(1, tmp_path / "scratch", (tmp_path,), python=str(odd))
    with pytest.raises(WorkerNotStarted, match="Killed") as caught:
        await canary.start(Stage(tmp_path, policy).slots)

    assert exit_code(caught.value) == 1


@in_one_loop
async def test_canary_that_does_not_do_well_blames_the_layers(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that fails here would fail at every start: the settings have to change."""
    name = stage.write("def run():\n    raise LookupError('idna')\n")
    monkeypatch.setattr(canary, "_FOLDER", stage.root / name)
    with pytest.raises(SettingError, match="LookupError: idna") as caught:
        await send_canary(stage.slots)

    assert exit_code(caught.value) == 3


def test_workers_have_blocks_of_users_of_their_own() -> None:
    """They are far above those of people, and no other slots have any of them."""
    if isolation._mapped_count() < 2**32 - 2:
        pytest.skip("this user namespace has few users")
    blocks = {range(first, first + 512) for first in (first_uid() for _ in range(20))}
    users = set[int]().union(*blocks)

    assert min(users) > 10_000
    assert max(users) < 2**32 - 2
    assert len(users) == 20 * 512


# ---- what they take away -----------------------------------------------------------------


@in_one_loop
async def test_attempts_at_once_are_different_users(stage: Stage) -> None:
    """Two attempts that run at once share no user and no group, and none is the worker's."""
    needs(stage, "user")
    source = """
        import os, time
        def run(ctx):
            ctx.log.info("up")
            while not os.path.exists(os.path.join(os.path.dirname(__file__), "go")):
                time.sleep(0.005)
            return [os.getuid(), os.getgid(), os.getgroups()]
    """
    name = stage.write(source)
    both = [stage.begin(name) for _ in range(2)]
    for ran in both:
        await ran.until(lambda ran: "up" in ran.messages("log"))
    (stage.root / name / "go").touch()
    for ran in both:
        await ran.finished.wait()
    (first, second) = (ran.data for ran in both)

    assert first[0] != second[0]
    assert os.getuid() not in (first[0], second[0])
    assert first[1] != second[1]
    assert os.getgid() not in (first[1], second[1])
    assert (first[2], second[2]) == ([], [])


@in_one_loop
async def test_script_reads_its_own_code_and_no_other(stage: Stage) -> None:
    """A script's folder is readable to it and not writable; another script's is not there."""
    needs(stage, "landlock")
    other = stage.write("SECRET = 1")
    source = """
        import pathlib
        def attempt(action):
            try:
                action()
            except OSError:
                return "refused"
            return "done"
        def run(other):
            here = pathlib.Path(__file__)
            there = pathlib.Path(other)
            return [
                attempt(here.read_text), attempt(lambda: here.write_text("x")),
                attempt(lambda: (here.parent / "new").touch()), attempt(there.read_text),
                attempt(lambda: list(there.parent.iterdir())),
                attempt(lambda: pathlib.Path("mine").write_text("x")),
            ]
    """
    ran = await stage.run(source, {"other": str(stage.root / other / "main.py")})

    assert ran.data == ["done", "refused", "refused", "refused", "refused", "done"]


@in_one_loop
async def test_calls_that_attacks_begin_with_are_refused(stage: Stage) -> None:
    """Namespaces, tracing, keyrings, io_uring and odd sockets are refused with their errors."""
    needs(stage, "seccomp")
    source = """
        import ctypes, errno, os, socket
        libc = ctypes.CDLL(None, use_errno=True)
        def call(function, *arguments):
            ctypes.set_errno(0)
            return errno.errorcode.get(ctypes.get_errno()) if function(*arguments) < 0 else "done"
        def open_socket(family):
            try:
                socket.socket(family, socket.SOCK_STREAM).close()
            except OSError as error:
                return errno.errorcode[error.errno]
            return "done"
        def run():
            return {
                "unshare": call(libc.unshare, 0x10000000),
                "ptrace": call(libc.ptrace, 0, 0, 0, 0),
                "memfd": call(libc.memfd_create, b"x", 0),
                "subreaper": call(libc.prctl, 36, 1, 0, 0, 0),
                "personality": call(libc.personality, 0x0040000),
                "asking": call(libc.personality, 0xFFFFFFFF),
                "ring": call(libc.syscall, 425, 1, ctypes.create_string_buffer(120)),
                "enter": call(libc.syscall, 426, 0, 0, 0, 0, 0),
                "holding": call(libc.syscall, 427, 0, 0, 0, 0),
                "telling": call(libc.syscall, 427, -1, 31, 0, 1),
                "rings": [fd for fd in os.listdir("/proc/self/fd")
                          if "io_uring" in os.path.realpath(f"/proc/self/fd/{fd}")],
                "vsock": open_socket(40), "netlink": open_socket(16), "packet": open_socket(17),
                "unix": open_socket(1), "inet": open_socket(2), "inet6": open_socket(10),
            }
    """
    told = (await stage.run(source)).data

    assert {told[name] for name in ("unshare", "ptrace", "subreaper", "personality")} == {"EPERM"}
    assert {told[name] for name in ("ring", "enter", "telling")} <= {"EPERM", "ENOSYS"}
    assert told["holding"] in ("EBADF", "ENOTSUP", "ENOSYS")  # it takes a ring to hold anything
    assert told["rings"] == []
    assert told["memfd"] == "ENOSYS"
    assert {told[name] for name in ("vsock", "netlink", "packet")} == {"EAFNOSUPPORT"}
    assert {told[name] for name in ("asking", "unix", "inet", "inet6")} == {"done"}


@in_one_loop
async def test_what_goes_with_the_attempt_is_not_forced_onto_a_disk(stage: Stage) -> None:
    """Asking the kernel to is answered as if it were done, and not even looked at."""
    needs(stage, "seccomp")
    source = """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        def run():
            nowhere = 9999
            os.sync()
            os.fsync(nowhere)
            os.fdatasync(nowhere)
            return [libc.syncfs(nowhere), libc.sync_file_range(nowhere, 0, 0, 0)]
    """
    ran = await stage.run(source)

    assert ran.data == [0, 0]


@in_one_loop
async def test_view_shows_what_is_needed_and_nothing_else(stage: Stage) -> None:
    """Home folders, sockets of services and other users' processes are not there."""
    needs(stage, "view")
    source = """
        import os
        def run():
            return {
                "there": [os.path.exists(p) for p in ("/home", "/run", "/var/log", "/srv")],
                "system": [os.path.exists(p) for p in ("/usr/bin", "/etc/passwd", "/dev/null")],
                "writable": os.access("/usr", os.W_OK) or os.access("/", os.W_OK),
            }
    """
    told = (await stage.run(source)).data

    assert told == {"there": [False] * 4, "system": [True] * 3, "writable": False}


@in_one_loop
@pytest.mark.skipif(not Path(FONT_CACHE).is_dir(), reason="needs Debian's package fontconfig")
async def test_what_the_system_knows_of_its_fonts_can_be_read_alone(stage: Stage) -> None:
    """The font cache is open to read, so that browsers parse no fonts; nothing lies beside it."""
    needs(stage, "view", "landlock")
    source = """
        import os
        def run(folder):
            for name in os.listdir(folder):
                open(f"{folder}/{name}", "rb").close()
            beside = [os.path.exists(f"/var/{name}") for name in ("log", "lib", "cache/apt")]
            return {"beside": beside, "writable": os.access(folder, os.W_OK)}
    """
    ran = await stage.run(source, {"folder": FONT_CACHE})

    assert ran.data == {"beside": [False] * 3, "writable": False}


@in_one_loop
@is_root
async def test_processes_of_others_are_hidden(stage: Stage) -> None:
    """In `/proc` an attempt finds itself and what it has started."""
    needs(stage, "view", "user")
    source = """
        import os
        def run():
            pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
            return [pids, os.getpid()]
    """
    pids, own = (await stage.run(source)).data

    assert pids == [own]


@in_one_loop
@is_root
async def test_shared_memory_of_an_attempt_ends_with_it(stage: Stage) -> None:
    """What an attempt leaves in `/dev/shm` is gone for the next one."""
    needs(stage, "view", "user")
    ran = await stage.run("""
        from multiprocessing import Lock, shared_memory
        def run():
            Lock()
            open("/dev/shm/left", "w").write("x" * 1000)
            return 1
    """)
    listing = await stage.run("import os\ndef run():\n    return os.listdir('/dev/shm')")
    shm = Path(f"/proc/{stage.slots.template_pids['']}/root/dev/shm")
    for _ in range(100):  # each attempt has the template look for children that have ended
        if not names_in(shm):
            break
        await stage.run("def run():\n    return 1")

    assert ran.data == 1
    assert listing.outcome.error_type == "PermissionError"
    assert names_in(shm) == []
