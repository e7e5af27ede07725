"""Processes of a peer, its broker, and what they use."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from bench.peers.environments import Unavailable

APPS = Path(__file__).parent / "apps"
_END_S = 10


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def process(
    command: list[str],
    environ: Mapping[str, str] = {},
    folder: Path = APPS,
    *,
    is_talking: bool = False,
) -> Iterator[subprocess.Popen[str]]:
    """Run a program in a session of its own; at the end nothing of it is left."""
    pipe = subprocess.PIPE if is_talking else subprocess.DEVNULL
    started = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environ},
        stdin=pipe,
        stdout=pipe,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield started
    finally:
        started.terminate()
        with suppress(subprocess.TimeoutExpired):
            started.wait(_END_S)
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


@contextmanager
def redis(folder: Path) -> Iterator[tuple[str, int]]:
    """Run a Redis without persistence; gives its address and its process.

    Raises:
        Unavailable: There is none.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise Unavailable("no redis-server: apt-get install redis-server")
    port = free_port()
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with process([program, *arguments, "--dir", str(folder)]) as started:
        _wait_for(port)
        yield f"redis://127.0.0.1:{port}/0", started.pid


@contextmanager
def workers(python: Path, app: str, redis_url: str) -> Iterator[list[int]]:
    """Run the workers that an application names; gives their processes."""
    environ = {"REDIS": redis_url, "PATH": f"{python.parent}:{os.environ['PATH']}"}
    code = f"import {app}; print('\\n'.join({app}.WORKERS))"
    told = subprocess.run(
        [python, "-c", code],
        cwd=APPS,
        env={**os.environ, **environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode:
        raise Unavailable(told.stderr.strip().rpartition("\n")[2])
    with ExitStack() as stack:
        commands = [shlex.split(line) for line in told.stdout.splitlines()]
        yield [stack.enter_context(process(each, environ)).pid for each in commands]


def used_s(pids: list[int]) -> float:
    """Return the processor time of processes, of all below them and of what those waited for."""
    total_s = 0.0
    for each in _with_children(pids):
        with suppress(psutil.NoSuchProcess):
            told = each.cpu_times()
            total_s += told.user + told.system + told.children_user + told.children_system
    return total_s


def proportional_bytes(pids: list[int]) -> int:
    """Return the memory of processes and of all below them, shared pages counted by their share."""
    total_bytes = 0
    for each in _with_children(pids):
        with suppress(psutil.Error):
            total_bytes += each.memory_full_info().pss
    return total_bytes


def _with_children(pids: list[int]) -> Iterator[psutil.Process]:
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            yield from (root, *root.children(recursive=True))


def _wait_for(port: int) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except ConnectionRefusedError:
            continue
        return
