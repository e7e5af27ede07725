"""Workers of the rung `WORKERS` that answer at once, in one process.

    python -m bench.floors.ladder.instant ENDPOINT KEY COUNT SLOTS

It ends with its standard input.
"""

from __future__ import annotations

import select
import sys
import time

from bench.floors.ladder import words
from bench.workers import Wire
from zscrape.config.keyfiles import new_pair


class _Worker:
    """One of them."""

    def __init__(self, endpoint: str, key: bytes, number: int, slots: int) -> None:
        self.wire = Wire(endpoint, key, new_pair())
        self._slots, self._seq, name = slots, 0, f"instant-{number}"
        self.wire.write([words.encode(words.Hello(name, "1", slots, tags=("instant", name)))])

    def answer(self) -> None:
        """End every attempt that has come."""
        heard = [words.of_gateway.decode(each) for each in self.wire.receive()]
        done = [
            words.Done(each.task_id, each.attempt, "ok", b"null", 0.001)
            for each in heard
            if type(each) is words.Run
        ]
        if done:
            self.wire.write(map(words.encode, done))

    def beat(self) -> None:
        """Tell that it lives."""
        self._seq += 1
        self.wire.write([words.encode(words.Beat(self._seq, self._slots))])


def main(endpoint: str, key: bytes, count: int, slots: int) -> None:
    """Answer whatever is asked."""
    workers = [_Worker(endpoint, key, number, slots) for number in range(count)]
    by_descriptor = {worker.wire.socket.fileno(): worker for worker in workers}
    poller = select.epoll()
    for descriptor in (0, *by_descriptor):
        poller.register(descriptor, select.EPOLLIN)
    beat_at = time.monotonic()
    while True:
        for descriptor, _ in poller.poll(max(beat_at - time.monotonic(), 0.0)):
            if not descriptor:
                return
            by_descriptor[descriptor].answer()
        if time.monotonic() >= beat_at:
            beat_at = time.monotonic() + words.BEAT_S
            for worker in workers:
                worker.beat()


if __name__ == "__main__":
    main(sys.argv[1], bytes.fromhex(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
