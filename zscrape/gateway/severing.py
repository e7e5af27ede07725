"""Cutting one connection of the link: libzmq has no call for it, the kernel has.

A message's metadata tell the descriptor of the connection that it came over. By the time it
is used libzmq may have closed that one and another may have taken its number, so both ends of
the connection are compared first.
"""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from typing import Final

Remote = tuple[str, int]

# `struct linger`: closing resets the connection. Without it a peer whose window was full when it
# was cut would wait for a minute, until the kernel forgets the half that it holds (measured).
_RESET: Final = struct.pack("ii", 1, 0)


def remote_of(descriptor: int) -> Remote | None:
    """Return the other end of a TCP connection; None when there is none any more."""
    try:
        with socket.socket(fileno=os.dup(descriptor)) as connection:
            return _address(connection.getpeername())
    except OSError:
        return None


def sever(descriptor: int, remote: Remote | None, port: int) -> bool:
    """Cut the connection from `remote` to our `port`; False if this is not it any more."""
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
        is_it = _address(connection.getpeername()) == remote
        if remote is not None and is_it and connection.getsockname()[1] == port:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            connection.shutdown(socket.SHUT_RDWR)  # of the connection, not of this copy
            return True
    return False


def _address(name: tuple[str, int] | tuple[str, int, int, int]) -> Remote:
    return str(name[0]), int(name[1])
