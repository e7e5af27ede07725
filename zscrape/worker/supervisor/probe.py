"""A process that looks whether the network filter does what it is for: run as a plain file.

    python -I -S probe.py CONTROL ANSWER ALLOWED_PORT DENIED_PORT

It hands over its listener as a template does, becomes an ordinary user where it can, as a
script does, and ends with 0 if the allowed address was reached and the other one refused.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import sys

ALLOWED, DENIED = "127.0.0.1", "127.0.0.2"
NOBODY = 65534
_PR_SET_NO_NEW_PRIVS = 38
_TIMEOUT_S = 5.0


def main() -> str:
    """Return what is wrong, or nothing."""
    sys.path.append(os.path.abspath(f"{__file__}/../../../.."))  # noqa: PTH100 - pathlib is slow to load
    from zscrape.runtime import notify

    control_fd, answer_fd, allowed_port, denied_port = map(int, sys.argv[1:])
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    notify.hand_over(control_fd, answer_fd)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    if number := _connect(ALLOWED, allowed_port):
        return f"an allowed connection failed: {os.strerror(number)}"
    number = _connect(DENIED, denied_port)
    return "" if number == errno.EACCES else "a connection that is not allowed was not refused"


def _connect(host: str, port: int) -> int:
    with socket.socket() as client:
        client.settimeout(_TIMEOUT_S)
        try:
            client.connect((host, port))
        except OSError as error:
            return error.errno or errno.ETIMEDOUT
    return 0


if __name__ == "__main__":
    try:
        problem = main()
    except OSError as error:
        problem = str(error)
    if problem:
        sys.exit(problem)
