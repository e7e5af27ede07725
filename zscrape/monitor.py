"""What a socket's monitor tells: the event, and a number that belongs to it.

`zmq.utils.monitor` tells the same, with the futures of `zmq.asyncio`, which an idle gateway and
its worker would hold for nothing.

Source: zmq_socket_monitor(3).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

_EVENT: Final = struct.Struct("=Hi")


def event_of(frames: Sequence[bytes]) -> tuple[int, int]:
    """Return one of `zmq.EVENT_...` and its value: a descriptor, an error's or a code's number.

    Args:
        frames: The two of a message; the second one is an address.
    """
    event, value = _EVENT.unpack(frames[0])
    return event, value
