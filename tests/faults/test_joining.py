"""Two machines, each a network namespace: the printed line is all that the second one gets."""

from __future__ import annotations

import os
import shlex
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.faults.cables import Cable, cable, needs_cables
from tests.faults.services import Cluster, Service, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

_EVERY_PROTOCOL = 0x0003  # ETH_P_ALL
_WORD = "MARKED-WORD-OF-THE-TEST"


class Capture:
    """Every packet that passes one end of a cable."""

    def __init__(self, interface: str) -> None:
        self._socket = socket.socket(
            socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERY_PROTOCOL)
        )
        self._socket.bind((interface, 0))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        self._socket.settimeout(0.2)
        self._is_over = threading.Event()
        self.seen = bytearray()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while not self._is_over.is_set():
            try:
                self.seen += self._socket.recv(1 << 17)
            except TimeoutError:
                continue

    def close(self) -> None:
        """Look no longer."""
        self._is_over.set()
        self._thread.join()
        self._socket.close()


@pytest.fixture
def wired(tmp_path: Path) -> Iterator[tuple[Cluster, Cable]]:
    """A gateway that listens at the near end of a cable, without a word about insecurity."""
    with cable() as laid:
        cluster = Cluster(tmp_path, link=f"tcp://{laid.near}:0")
        yield cluster, laid
        cluster.close()


def printed_line(cluster: Cluster) -> str:
    """Return what `zscrape token create` prints on the gateway's machine."""
    told = subprocess.run(
        [sys.executable, "-m", "zscrape", "token", "create", "--home", str(cluster.home)],
        check=True,
        capture_output=True,
        text=True,
    )
    return told.stdout.strip()


@pytest.mark.system
@needs_cables
def test_printed_line_is_all_that_a_machine_needs(
    wired: tuple[Cluster, Cable], tmp_path: Path
) -> None:
    """A worker joins by it, runs a task, comes back without it; no packet has clear text."""
    cluster, laid = wired
    capture = Capture(f"{laid.name}h")
    program, *arguments = shlex.split(printed_line(cluster))
    environ = {"ZSCRAPE_ISOLATION_SKIP": "user,view,landlock"}  # its script bears witness

    def start(*told: str) -> Service:
        worker = Service(
            *(*told, "--home", str(tmp_path / "far"), "--slots", "1"),
            log=tmp_path / "far.log",
            environ=environ,
            launcher=laid.launcher,
        )
        cluster.workers["far"] = worker
        assert worker.is_ready, worker.words()
        return worker

    worker = start(*arguments)
    first = cluster.scrape(cluster.task(1) | {"timeout": 30})
    assert worker.end() == 0
    again = start("worker", "--join", worker.ready["link"])
    second = cluster.scrape(cluster.task(2) | {"timeout": 30})
    capture.close()

    assert program == "zscrape"
    assert [each["status"] for each in (first, second)] == ["completed"] * 2
    assert {each["worker_id"] for each in (first, second)} == {again.ready["worker_id"]}
    seen = bytes(capture.seen)
    assert len(seen) > 10_000  # it has looked at the right place
    clear = (b"Hello", b"Welcome", b"Heartbeat", b"Done", b"metadata.json", b"def run", b"sha256:")
    named = (again.ready["worker_id"].encode(), first["request_id"].encode(), b"number")
    assert [word for word in (*clear, *named) if word in seen] == []
    assert b"CURVE" in seen


@pytest.mark.system
@needs_cables
def test_revoked_machine_is_cut_off(wired: tuple[Cluster, Cable], tmp_path: Path) -> None:
    """Revoking ends the far worker at once, its task runs elsewhere, and it cannot come back."""
    cluster, laid = wired
    _, *arguments = shlex.split(printed_line(cluster))
    far = Service(
        *(*arguments, "--home", str(tmp_path / "far"), "--slots", "1"),
        log=tmp_path / "far.log",
        environ={"ZSCRAPE_ISOLATION_SKIP": "user,view,landlock"},
        launcher=laid.launcher,
    )
    task = cluster.task(1, hold="go") | {"retry": {}}
    running = cluster.accept(task)
    cluster.wait_for(running, "running")

    answer = cluster.http.post(f"/v1/workers/{far.ready['worker_id']}/revoke")
    code = far.wait()
    near = cluster.start_worker("near", slots=1)
    cluster.let_go("go")
    ended = cluster.look(running, wait_s=60)
    back = Service(
        *(*arguments, "--home", str(tmp_path / "far"), "--slots", "1"),
        log=tmp_path / "far.log",
        launcher=laid.launcher,
    )

    assert answer.status_code == 200
    assert code == 3
    assert far.events("worker_revoked")
    assert (ended["status"], ended["worker_id"]) == ("completed", near.ready["worker_id"])
    assert back.refusal()[0] == 3


def test_flood_of_strangers_costs_nothing_lasting(cluster: Cluster) -> None:
    """Hundreds of strangers that say nothing or noise leave no memory, no line each, no harm."""
    cluster.start_worker("near", slots=1)
    cluster.scrape(cluster.task(0))
    before_bytes = cluster.gateway.memory_bytes()
    host, _, port = cluster.gateway.ready["link"].removeprefix("tcp://").rpartition(":")
    greeting = b"\xff" + b"\x00" * 8 + b"\x7f\x03\x01CURVE" + b"\x00" * 48
    length = struct.pack(">Q", 64 << 20)

    strangers = []
    for number in range(300):
        stranger = socket.create_connection((host, int(port)), 5)
        stranger.sendall((b"", greeting, os.urandom(64), greeting + b"\x02" + length)[number % 4])
        strangers.append(stranger)
    during = cluster.scrape(cluster.task(1))
    for stranger in strangers:
        stranger.settimeout(20)
        until(partial(_is_closed, stranger), within_s=20)
        stranger.close()

    assert during["status"] == "completed"
    assert cluster.gateway.memory_bytes() - before_bytes < 64_000_000
    assert len(cluster.gateway.events("message_ignored")) < 20
    assert cluster.scrape(cluster.task(2))["status"] == "completed"


def _is_closed(stranger: socket.socket) -> bool:
    """Read what the gateway has greeted with; True once it has hung up."""
    try:
        return not stranger.recv(4096)
    except OSError as error:
        return not isinstance(error, TimeoutError)
