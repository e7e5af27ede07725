"""The shipped units, and what a serving verb tells the systemd that has started it."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.faults.services import Service
from zscrape.cli import main
from zscrape.config import JoinToken
from zscrape.config.keyfiles import new_pair
from zscrape.ops.systemd import Systemd

UNITS = Path(__file__).parents[2] / "configs" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
LIMIT_S = 30.0


class Listener:
    """systemd's end of the socket."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.settimeout(LIMIT_S)

    @property
    def environ(self) -> dict[str, str]:
        """What systemd puts into a unit's environment, with `WatchdogSec=0.9`."""
        return {"NOTIFY_SOCKET": str(self.path), "WATCHDOG_USEC": "900000"}

    def next(self) -> str:
        """Return what is told next."""
        return self._socket.recv(4096).decode()

    def until(self, start: str) -> str:
        """Return the next message that begins like this."""
        while not (told := self.next()).startswith(start):
            pass
        return told

    def pending(self) -> list[str]:
        """Return what has been told already."""
        found = []
        self._socket.setblocking(False)
        try:
            while True:
                found.append(self.next())
        except BlockingIOError:
            return found
        finally:
            self._socket.settimeout(LIMIT_S)

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A socket on a path that is short enough for one."""
    with tempfile.TemporaryDirectory(prefix="zs-") as folder:
        made = Listener(Path(folder))
        yield made
        made.close()


def test_gateway_tells_its_life(listener: Listener, tmp_path: Path) -> None:
    """It is ready when it answers, beats while it serves, and tells when it drains."""
    gateway = Service(
        *("gateway", "--home", str(tmp_path / "home")),
        *("--http", "127.0.0.1:0", "--link", "tcp://127.0.0.1:0"),
        log=tmp_path / "log",
        environ=listener.environ,
    )
    ready = listener.until("READY=1")
    beats = [listener.until("WATCHDOG=1") for _ in range(3)]
    gateway.signal(signal.SIGTERM)
    stopping = listener.until("STOPPING=1")
    code = gateway.wait()

    assert f"STATUS=http={gateway.ready['http']}" in ready
    assert len(beats) == 3
    assert "STATUS=draining" in stopping
    assert code == 0


def test_worker_is_ready_before_its_gateway(listener: Listener, tmp_path: Path) -> None:
    """A worker whose gateway is late has started: systemd need not start it again and again."""
    pair = new_pair()
    with socket.socket() as closed:  # bound, and nobody listens
        closed.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{closed.getsockname()[1]}"
        token = JoinToken.of((address,), (pair.public,), pair.secret).text()
        worker = subprocess.Popen(
            [sys.executable, "-m", "zscrape", "worker", "--home", str(tmp_path), "--json"],
            env={**listener.environ, "ZSCRAPE_JOIN": token, "ZSCRAPE_SLOTS": "1"},
            stderr=subprocess.DEVNULL,
        )
        ready = listener.until("READY=1")
        listener.until("WATCHDOG=1")
        worker.send_signal(signal.SIGTERM)
        listener.until("STOPPING=1")
        code = worker.wait(LIMIT_S)

    assert "STATUS=dialling" in ready
    assert code == 0


async def test_a_loop_that_hangs_falls_silent(listener: Listener) -> None:
    """The beats come from the loop itself: while it does nothing else, none comes."""
    systemd = Systemd.take(listener.environ)

    async def serving() -> list[str]:
        await asyncio.to_thread(listener.until, "WATCHDOG=1")
        await asyncio.to_thread(listener.until, "WATCHDOG=1")
        listener.pending()
        threading.Event().wait(systemd.watchdog_s)  # the loop hangs
        return listener.pending()

    told = await systemd.watch(serving())

    assert systemd.watchdog_s == 0.9
    assert told == []


def test_children_are_told_nothing_of_systemd(listener: Listener) -> None:
    """No script can speak in the service's name; a watchdog of another process is not ours."""
    environ = {**listener.environ, "WATCHDOG_PID": "1", "HOME": "/"}

    systemd = Systemd.take(environ)

    assert environ == {"HOME": "/"}
    assert systemd.watchdog_s == 0.0


def test_without_systemd_nothing_is_told(listener: Listener) -> None:
    """On a terminal there is nobody to tell, and a socket of another kind is left alone."""
    Systemd.take({}).ready("here")
    Systemd.take({"NOTIFY_SOCKET": "vsock:2:1234"}).ready("here")

    assert listener.pending() == []


def test_abstract_socket() -> None:
    """Systemd may listen on a name that is no path."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as near:
        near.bind(b"")  # the kernel chooses an abstract name
        name = "@" + near.getsockname()[1:].decode()
        near.settimeout(LIMIT_S)
        Systemd.take({"NOTIFY_SOCKET": name}).stopping()

        assert near.recv(100) == b"STOPPING=1\nSTATUS=draining"


def test_systemd_that_has_gone_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody hears: the service goes on, and its log says so once."""
    systemd = Systemd.take({"NOTIFY_SOCKET": str(tmp_path / "gone")})

    systemd.ready("here")
    systemd.stopping()

    told = caplog.text + "".join(capsys.readouterr())
    assert told.count("systemd_unreachable") == 1


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_units_start_what_there_is(unit: Path) -> None:
    """`ExecStart=` names a verb and options that exist, and it is watched."""
    settings = dict(re.findall(r"^(\w+)=(.*)$", unit.read_text("utf-8"), re.MULTILINE))
    _, verb, *arguments = settings["ExecStart"].split()
    context = click.Context(main)
    command = main.get_command(context, verb)

    assert command is not None
    assert command.make_context(verb, arguments, parent=context).params["config_file"]
    assert (settings["Type"], settings["Restart"]) == ("notify", "always")
    assert int(settings["WatchdogSec"]) >= 10
    assert settings["NoNewPrivileges"] == "yes"


def test_worker_s_unit_leaves_scripts_their_layers() -> None:
    """What would take layers of isolation from attempts is not in the worker's unit."""
    text = (UNITS / "zscrape-worker.service").read_text("utf-8")
    settings = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))

    assert set(settings["RestrictNamespaces"].split()) >= {"user", "mnt", "pid", "net"}
    assert settings["KillMode"] == "mixed"
    assert settings["OOMPolicy"] == "continue"
    assert not settings.keys() & {
        *("ProtectKernelTunables", "ProtectKernelLogs", "ProtectHostname", "ProtectProc"),
        *("PrivateUsers", "MemoryDenyWriteExecute", "ProcSubset", "PrivateNetwork"),
    }


@pytest.mark.system
@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_systemd_takes_the_units(unit: Path, tmp_path: Path) -> None:
    """`systemd-analyze verify` finds nothing to say about a unit, nor about its drop-in."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs the Debian package systemd")
    program = str(Path(sys.executable).with_name("zscrape"))
    text = unit.read_text("utf-8").replace("/opt/zscrape/bin/zscrape", program)
    copied = tmp_path / unit.name
    copied.write_text(text)
    drop_in = UNITS / f"{unit.stem}-root.conf"
    if drop_in.exists():
        (tmp_path / f"{unit.name}.d").mkdir()
        shutil.copy(drop_in, tmp_path / f"{unit.name}.d")

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", copied],
        check=False,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")
