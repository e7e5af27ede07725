"""Proves from inside that a cgroup refuses what it should: run as a program of its own.

    python -I -S egress_probe.py PROCS KIND:PORT:ADDRESS ...

First everything is tried, to learn that it can be reached; then again from inside the cgroup.
What was not refused is written to standard output; nothing written means that all was.
"""

from __future__ import annotations

import _socket
import sys

_TIMEOUT_S = 1.0
_FAMILIES = {"4": _socket.AF_INET, "6": _socket.AF_INET6}
_KINDS = {"tcp": _socket.SOCK_STREAM, "udp": _socket.SOCK_DGRAM, "send": _socket.SOCK_DGRAM}
_EPERM = 1


def attempt(kind: str, port: int, address: str) -> int:
    """Return the number of the error, 0 if there is none."""
    family = _FAMILIES["6" if ":" in address else "4"]
    try:
        tried = _socket.socket(family, _KINDS[kind])
        tried.settimeout(_TIMEOUT_S)
        if kind == "send":
            tried.sendto(b"", (address, port))
        else:
            tried.connect((address, port))
    except OSError as error:
        return error.errno or -1
    return 0


def main(procs: str, targets: list[str]) -> list[str]:
    """Return what is wrong."""
    wanted = []
    for target in targets:
        kind, port, address = target.split(":", 2)
        wanted.append((kind, int(port), address))
    wrong = [f"{each} cannot be reached" for each in wanted if attempt(*each) != 0]
    with open(procs, "w") as file:  # noqa: PTH123 - pathlib costs as much as all of this
        file.write("0")
    return wrong + [f"{each} was not refused" for each in wanted if attempt(*each) != _EPERM]


if __name__ == "__main__":
    sys.stdout.write("; ".join(main(sys.argv[1], sys.argv[2:])))
