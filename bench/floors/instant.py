"""Workers of the floors that answer at once, in one process that ends with its standard input.

python -m bench.floors.instant ENDPOINT KEY COUNT
"""

from __future__ import annotations

import select
import sys

from bench.floors.gateway import NUMBER_BYTES
from bench.workers import Wire
from zscrape.config.keyfiles import new_pair

_DATA = b"null"


def main(endpoint: str, key: bytes, count: int) -> None:
    """Answer whatever is asked."""
    wires = [Wire(endpoint, key, new_pair()) for _ in range(count)]
    by_descriptor = {wire.socket.fileno(): wire for wire in wires}
    poller = select.epoll()
    poller.register(0, select.EPOLLHUP)
    for descriptor, wire in by_descriptor.items():
        poller.register(descriptor, select.EPOLLIN)
        wire.write([b"here"])
    while True:
        for descriptor, _ in poller.poll():
            if not descriptor:
                return
            wire = by_descriptor[descriptor]
            wire.write([asked[:NUMBER_BYTES] + _DATA for asked in wire.receive()])


if __name__ == "__main__":
    main(sys.argv[1], bytes.fromhex(sys.argv[2]), int(sys.argv[3]))
