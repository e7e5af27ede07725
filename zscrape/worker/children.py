"""Children as the worker holds them: descriptors, a folder, and how they ended."""

from __future__ import annotations

import _socket
import os
import select
import signal
from collections import deque
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from zscrape.runtime import channel as frames
from zscrape.runtime.limits import Limits
from zscrape.worker.tree import Eye

BATCH_LIMIT_COUNT = 8  # spares per fork command: what the template touches is shared by them


class Exit(Struct, frozen=True):
    """How a child ended. `status` is None when it was lost with its template or never forked.

    `is_template_lost`: it ran when its template ended, which it may have brought about.
    """

    status: int | None
    cpu_s: float = 0.0
    memory_bytes: int = 0
    reason: str = ""
    is_template_lost: bool = False


class Keeper(Protocol):
    """What an attempt asks of the template that its child was forked from."""

    def signal(self, child: Child, number: signal.Signals) -> None:
        """Signal the child's whole process group."""

    def expect_exit(self, child: Child, within_s: float) -> None:
        """See that the child ends, and kill it when it does not in time."""

    def part_with(self, child: Child, within_s: float, *, is_waiting: bool) -> None:
        """Let go of a child whose attempt is over and that is to end; fork what has been taken."""

    def unwatch(self, child: Child) -> None:
        """Close the descriptor that tells the child's end, if it has one."""

    def refill_soon(self) -> None:
        """Fork what has been taken once an attempt is over, or shortly; if none is left, now."""

    def rehearse_next(self) -> bool:
        """Have the spare that is taken next rehearse; True iff there is more for it to do."""

    def rest(self) -> None:
        """Have no more than one spare of a kind forked until the next is asked for."""

    def given(self, child: Child, now: float) -> None:
        """Watch a child that was given an attempt `now`, its first or another."""

    def strays_of(self, child: Child) -> list[int]:
        """Return what the child has started that has lost its parent, zombies included."""

    def home_of(self, child: Child) -> str:
        """Return the path of the child's private folder."""

    def is_home_untouched(self, child: Child) -> bool:
        """True iff nothing has ever been changed in that folder, which one look tells."""

    def reap(self) -> None:
        """Wait for what has ended."""


class Holder(Protocol):
    """The attempt that has a child."""

    def on_exit(self, how: Exit) -> None:
        """Its process has ended."""

    def on_long(self, has_process: bool) -> None:
        """It has been running for a while; once more if it had no process by then."""


class Child(Struct, eq=False):
    """One forked process, waiting or running, and the worker's ends of its descriptors.

    It is a channel first and a process second: a request may be written before the process
    is forked, so that an attempt never waits for one by anything but time.
    """

    id: int
    template: Keeper
    folder: str
    pid: int = 0  # until the template has told it
    pidfd: int = -1  # open iff its end is watched for
    channel_fd: int = -1  # these three are set by `connect`
    out_fd: int = -1
    err_fd: int = -1
    # Given 0, tells at once which of output and error hold something (POLLIN), or have nobody left
    # to write. One look at both of them costs less than to read one in vain.
    look_at_output: Callable[[int], list[tuple[int, int]]] = lambda _: []
    taken_at: float = 0.0  # when an attempt took it, by the clock
    watch_at: float = 0.0  # when its attempt is to be watched, by the loop's clock
    kill_at: float = 0.0  # when its end is overdue, by the loop's clock
    rehearsed_count: int = 0  # how often it was told to: see `rehearse`
    rehearses_until: float = 0.0  # by the loop's clock; set where that may take long
    exited: Exit | None = None
    attempt: Holder | None = None  # set iff one has it
    run_count: int = 0  # attempts that it was given
    eye: Eye | None = None  # on its process, since it was first looked at
    used_cpu_s: float = 0.0  # by those that are over

    __repr__ = object.__repr__

    def connect(self) -> tuple[int, int, int]:
        """Make its channel, output and error; return the ends that are to be its own.

        To read its output and error blocks while they are empty, which those of most always are.

        Raises:
            OSError: There are no descriptors left; none that was made stays open.
        """
        # Not by `socket`, which asks the kernel what each of the two is.
        ours, theirs = _socket.socketpair()
        made = [ours.detach(), theirs.detach()]
        try:
            made += os.pipe2(os.O_CLOEXEC)
            made += os.pipe2(os.O_CLOEXEC)
        except OSError:
            for fd in made:
                os.close(fd)
            raise
        self.channel_fd, channel, self.out_fd, out, self.err_fd, err = made
        os.set_blocking(self.channel_fd, False)
        output = select.poll()
        output.register(self.out_fd, select.POLLIN)
        output.register(self.err_fd, select.POLLIN)
        self.look_at_output = output.poll
        return channel, out, err

    def rehearse(self) -> None:
        """Have it do on made-up data, while it waits, what it would have to do in an attempt.

        Raises:
            OSError: It has ended.
        """
        self.rehearsed_count += 1
        os.write(self.channel_fd, frames.AT_REST)

    def hang_up(self) -> None:
        """Close our ends. A spare takes that as its end."""
        os.close(self.channel_fd)
        os.close(self.out_fd)
        os.close(self.err_fd)
        if self.eye is not None:
            self.eye.close()
            self.eye = None


class Spares:
    """The waiting children of one template under one set of limits."""

    __slots__ = (
        "batch_count",
        "full_count",
        "limits",
        "low_count",
        "target_count",
        "used_at",
        "waiting",
    )

    def __init__(self, limits: Limits, full_count: int) -> None:
        self.limits = limits
        self.full_count = full_count  # how many there should be while they are asked for
        self.waiting: deque[Child] = deque()
        self.used_at = 0.0
        self.aim(1)

    def aim(self, count: int) -> None:
        """Have so many from here on."""
        self.target_count = count
        # Of six at once each costs a tenth less than of three at once; some are left meanwhile.
        self.batch_count = min(max(count * 3 // 4, 1), BATCH_LIMIT_COUNT)
        self.low_count = count - self.batch_count  # with so few left, a batch is missing

    @property
    def missing_count(self) -> int:
        """How many more there should be."""
        return self.target_count - len(self.waiting)
