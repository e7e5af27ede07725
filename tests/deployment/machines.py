"""Machines: network namespaces on one switch, each with a unit of ours that is started as it says.

What systemd would do is done here by hand: the environment, `ExecStart=`, waiting for `READY=1`.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from tests.faults.cables import _run, claim_network

CONFIGS = Path(__file__).parents[2] / "configs"
_NUMBERS = count()
_LIMIT_S = 60.0


class Switch:
    """What the machines are plugged into; this machine is, too."""

    def __init__(self) -> None:
        self.network, self._claim = claim_network()
        self.name = f"zsd{os.getpid() % 100_000}s{next(_NUMBERS) % 10}"
        self._hosts = self.network.hosts()
        _run("ip", "link", "add", self.name, "type", "bridge")
        _run("ip", "addr", "add", self.next_address(), "dev", self.name)
        _run("ip", "link", "set", self.name, "up")

    def next_address(self) -> str:
        """Return an address that nobody has, with the network's length."""
        return f"{next(self._hosts)}/{self.network.prefixlen}"

    def close(self) -> None:
        """Take it away."""
        _run("ip", "link", "delete", self.name)
        self._claim.close()


class Machine:
    """One machine: its address, its disk, and the unit that is enabled on it."""

    def __init__(self, switch: Switch, folder: Path, unit: str) -> None:
        self.address = switch.next_address()
        self.host = self.address.partition("/")[0]
        self.folder = folder
        self.environ: dict[str, str] = {}
        self._unit = (CONFIGS / "systemd" / unit).read_text("utf-8")
        self._name = f"{switch.name}m{next(_NUMBERS) % 100}"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir()
        _run("ip", "netns", "add", self._name)
        _run(
            *("ip", "link", "add", f"{self._name}h", "type", "veth"),
            *("peer", "name", "eth0", "netns", self._name),
        )
        _run("ip", "link", "set", f"{self._name}h", "master", switch.name, "up")
        for words in (f"addr add {self.address} dev eth0", "link set eth0 up", "link set lo up"):
            _run("ip", "-netns", self._name, *words.split())

    def start(self) -> None:
        """Plug it in and start the unit; returns when the unit says that it is ready."""
        _run("ip", "link", "set", f"{self._name}h", "up")
        path = self.folder / "notify"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(path))
            notify.settimeout(_LIMIT_S)
            with (self.folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    ["ip", "netns", "exec", self._name, *self._command()],
                    env={**self._environ(), "NOTIFY_SOCKET": str(path)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            while not notify.recv(4096).startswith(b"READY=1"):
                pass

    def _command(self) -> list[str]:
        found = re.search(r"^ExecStart=(.*)$", self._unit, re.MULTILINE)
        assert found is not None
        told = found[1].replace("/etc/zscrape/", f"{CONFIGS}/")
        program = str(Path(sys.executable).with_name("zscrape"))
        return shlex.split(told.replace("/opt/zscrape/bin/zscrape", program))

    def _environ(self) -> Mapping[str, str]:
        told = re.findall(r"^Environment=(\w+)=(.*)$", self._unit, re.MULTILINE)
        assert dict(told).keys() == {"ZSCRAPE_HOME"}
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            **self.environ,
            "ZSCRAPE_HOME": str(self.folder / "home"),
        }

    def lose(self) -> None:
        """Pull the plug: nobody hears of it, and nothing is left but the disk."""
        _run("ip", "link", "set", f"{self._name}h", "down")
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(_LIMIT_S)
            self._process = None

    def close(self) -> None:
        """Take it away."""
        self.lose()
        # By itself it would stay as long as the namespace has connections that wait for answers.
        _run("ip", "link", "delete", f"{self._name}h")
        _run("ip", "netns", "delete", self._name)
