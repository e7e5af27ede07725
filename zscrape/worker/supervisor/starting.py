"""How the supervisor's process is started."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from pathlib import Path

from zscrape.worker.addresses import AddressPolicy
from zscrape.worker.supervisor.judge import tell_policy

_MAIN = str(Path(__file__).with_name("__main__.py"))


def start_process(
    policy: AddressPolicy, scratch_root: str
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Execute a supervisor; return it and the socket over which it takes listeners.

    It ends when that socket is closed, or the thread that has called this ends.

    Raises:
        OSError: It cannot be started.
    """
    settings = json.dumps({"rules": tell_policy(policy), "scratch_root": scratch_root}).encode()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", _MAIN, str(theirs.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                env={"LANG": "C.UTF-8"},
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
    except OSError:
        ours.close()
        raise
    # If it has ended already, that will be seen.
    with contextlib.suppress(BrokenPipeError), process.stdin as stdin:  # type: ignore[union-attr]
        stdin.write(settings)
    return process, ours
