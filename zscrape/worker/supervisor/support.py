"""Whether scripts can be supervised on this machine: tried out with real processes."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from zscrape.worker.addresses import AddressPolicy
from zscrape.worker.supervisor import kernel, probe, starting

_PROBE: Final = str(Path(probe.__file__))
_TIMEOUT_S: Final = 10.0


def is_supported() -> str:
    """Return nothing if the network of scripts can be supervised, else the reason why not.

    It connects to this machine's loopback addresses only.
    """
    try:
        with contextlib.ExitStack() as stack:
            return _try_out(stack)
    except TimeoutError:
        return "the self-test did not end in time"
    except OSError as error:
        return error.strerror or str(error)


def _try_out(stack: contextlib.ExitStack) -> str:
    policy = AddressPolicy([ip_network(probe.ALLOWED)])
    scratch = stack.enter_context(tempfile.TemporaryDirectory())
    ports = [
        str(stack.enter_context(socket.create_server((host, 0))).getsockname()[1])
        for host in (probe.ALLOWED, probe.DENIED)
    ]
    supervisor, listeners = starting.start_process(policy, scratch)
    stack.callback(_end, supervisor)
    stack.enter_context(listeners)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stack.enter_context(ours)
    done, answer = socket.socketpair()
    stack.enter_context(done)
    with theirs, answer:
        words = (str(theirs.fileno()), str(answer.fileno()), *ports)
        tried = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", _PROBE, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"LANG": "C.UTF-8"},
            pass_fds=(theirs.fileno(), answer.fileno()),
            text=True,
        )
    stack.callback(_end, tried)
    ours.settimeout(_TIMEOUT_S)
    told = ours.recv(64).split()
    if told[:1] == [b"L"]:
        listener_fd = kernel.take_listener(tried.pid, int(told[1]))
        try:
            socket.send_fds(listeners, [b"+"], [listener_fd])
        finally:
            os.close(listener_fd)
        done.send(b"+")
    try:
        _out, errors = tried.communicate(timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return "the self-test did not end in time"
    return errors.strip().rpartition("\n")[2] if tried.returncode else ""


def _end(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    if process.stderr is not None:
        process.stderr.close()
