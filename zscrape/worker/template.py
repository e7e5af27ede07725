"""One template process: its control socket, its spare children, how each of them ended."""

from __future__ import annotations

import asyncio
import functools
import itertools
import math
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Callable

from zscrape.log import get_logger
from zscrape.runtime import marker
from zscrape.runtime.limits import Limits
from zscrape.worker import processes, strays
from zscrape.worker.children import BATCH_LIMIT_COUNT, Child, Exit, Holder, Spares
from zscrape.worker.kinds import Kind, TemplateFailed, TemplatePolicy
from zscrape.worker.pump import Pump
from zscrape.worker.scratch import Scratch
from zscrape.worker.starting import begin
from zscrape.worker.supervisor.handover import Handover
from zscrape.worker.supervisor.keeper import Supervisor

_EXIT_TIMEOUT_S = 10.0
_CONTROL_READ_BYTES = 65536
_RETRY_SEND_S = 0.005
_IDLE_AFTER_S = 60.0  # a kind of spare that nobody has asked for this long shrinks to one
# A browser that starts takes two processors for a second: not those of the attempt that has
# just taken the one before.
_BROWSER_REFILL_DELAY_S = 0.5
_KIND_LIMIT_COUNT = 32
_TOP_UP_DELAY_S = 0.02
_VISIT_LIMIT_S = 0.01  # longer than a rehearsed visit takes
_NO_ROOM_DELAY_S = 0.5
# The kernel's list of children may leave one out while others end: only after a few sweeps in
# a row that found nothing is there nothing.
_SWEEP_DELAYS_S = (1.0, 0.5, 0.2)
_SWEEPS_COUNT, _SWEEP_FIRST_S = len(_SWEEP_DELAYS_S), _SWEEP_DELAYS_S[-1]
# Files are stamped by a clock that is milliseconds behind, and that may be set.
_CLOCK_SLACK_S = 1.0
# A child that ends is reaped with the next fork; when none comes, the template is asked, ever
# later. It is asked soon besides where an attempt waits for that end.
_REAP_FIRST_S = 0.01
_REAP_CAP_S = 0.1
_REAP_AWAITED_S = 0.003
# A child that runs longer than this has what it prints watched, and gets a descriptor of its
# own that tells its end, should something else keep its channel open. Most are over by then.
# Several are looked at together: it is watched after this time or twice as much.
_WATCH_DELAY_S = 0.025
# A template that has answered nothing from one look to the next is stopped or stuck. A fork
# takes milliseconds, a start with many modules seconds.
_STALL_LOOK_S = 5.0
_START_LIMIT_S = 120.0
_HELPER_LIMIT_S = 2.0  # twice what a sample may take

_given = itertools.count()  # numbers of children, different in all templates: groups go by them


class Template:
    """One template process and its children."""

    def __init__(
        self,
        kind: Kind,
        policy: TemplatePolicy,
        pump: Pump,
        scratch: Scratch,
        supervisor: Supervisor | None = None,
    ) -> None:
        self.kind = kind
        self._policy = policy
        self._pump = pump
        self._scratch = scratch
        self._loop = asyncio.get_running_loop()
        # Each of its spares starts a browser.
        self._is_dear = policy.browser_ahead > 0 and "browser" in kind.kit.split(",")
        self._spares: dict[Limits, Spares] = {}
        self._taken: Spares | None = None  # those that a child was last taken from
        self._unsent: deque[tuple[bytes, list[int]]] = deque()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._is_closing = False
        self._leaving: dict[int, Child] = {}  # have answered or hung up; their end is due
        self._unwatched: list[Child] = []
        self._parted: list[Child] = []  # still open to them: see `part_with`
        self._forked_at = 0.0
        self._reap_delay_s = _REAP_FIRST_S
        self._sweeps_left = 0
        self._held: dict[int, str] = {}  # folders of ended children of which something still dies
        self._family: bytes | None = None  # all processes below it, when all were known children's
        self._awaited_id = 0  # the child that a look found without a process
        self._last_word = ""  # why it was ended from here
        self._handover = Handover(supervisor) if supervisor else None
        self.children: dict[int, Child] = {}
        self.active: set[int] = set()  # ids of children that run an attempt
        self.failure = ""
        self.is_open = False  # it has started, and is not gone
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self.started_at = self.used_at = self._loop.time()
        self._start()

    def _start(self) -> None:
        begun = begin(self.kind, self._policy, self._scratch.root, self._handover)
        self.process, self._control = begun.process, begun.control
        self._errors_fd, self._pidfd, self._eye = begun.errors_fd, begun.pidfd, begun.eye
        self._pump.add(self._control.fileno(), self._on_control)
        self._pump.add(self._pidfd, self._on_gone)

    @property
    def is_idle(self) -> bool:
        """True iff it has started and no child of it runs an attempt."""
        return self.ready.done() and not self.active

    # ---- spares ----------------------------------------------------------------------

    def take(self, wanted: Limits) -> Child:
        """Return a child under these limits for an attempt."""
        spares = self._taken = self._spares.get(wanted) or self._add_kind(wanted)
        now = self.used_at = spares.used_at = self._loop.time()
        if spares.target_count != spares.full_count:
            spares.aim(spares.full_count)
        waiting = spares.waiting
        if not waiting:
            self._fork(spares, 1)
        elif waiting[0].rehearses_until > now:  # it would be waited for
            waiting.rotate(-1)
        child = waiting.popleft()
        self.active.add(child.id)
        return child

    def _full_count(self, wanted: Limits) -> int:
        if self._is_dear:
            return self._policy.browser_ahead
        beside_count = self._policy.beside_count if wanted == self.kind.own_limits else 0
        return self._policy.spare_count + beside_count

    def given(self, child: Child, now: float) -> None:
        """Watch a child that was given an attempt `now`, its first or another."""
        child.taken_at = time.time()  # what others have left before may be tidied
        child.watch_at = now + _WATCH_DELAY_S
        if child.run_count == 1 or child not in self._unwatched:
            self._unwatched.append(child)
        if "watch" not in self._timers:
            self._in(_WATCH_DELAY_S, "watch", self._watch)

    def refill_soon(self) -> None:
        """Fork what has been taken once an attempt is over, or shortly; if none is left, now."""
        if self._is_dear:
            self._in(_BROWSER_REFILL_DELAY_S, "top_up", self._top_up)
            return
        if "top_up" not in self._timers:
            self._in(_TOP_UP_DELAY_S, "top_up", self._top_up)
        taken = self._taken
        if taken is not None and not taken.waiting:
            self._fork_ahead(taken, taken.batch_count)

    def rehearse_next(self) -> bool:
        """Have the spare that is taken next rehearse; True iff there is more for it to do.

        Only one, and where nothing else is to be done: the first time takes it as long as a third
        of a task and half a megabyte; with a kit the second, a visit, several times that.
        """
        waiting = self._taken.waiting if self._taken is not None else None
        if not waiting or self._is_closing or self._policy.isolation == "exec":
            return False
        child = waiting[0]
        # What others' modules have made of sockets is nothing to find out here.
        most_count = 2 if self.kind.kit and not self.kind.preload else 1
        if not child.pid or child.rehearsed_count == most_count:
            return not child.pid
        # Should it end of it, nobody may be given it.
        self._pump.add(child.channel_fd, functools.partial(self._on_spare_over, child))
        if child.rehearsed_count:
            child.rehearses_until = self._loop.time() + _VISIT_LIMIT_S
        try:
            child.rehearse()
        except OSError:  # it has ended before
            self._on_spare_over(child)
            return False
        return child.rehearsed_count < most_count

    def _on_spare_over(self, child: Child) -> None:
        """Let go of a spare that has ended; a spare that lives says nothing."""
        self._pump.remove(child.channel_fd)
        if child.exited is None and not self._is_closing:
            get_logger().warning("spare_lost", process=child.pid)
            self._forget_spare(child)
            self.expect_exit(child, _EXIT_TIMEOUT_S)

    def keep(self, wanted: Limits) -> None:
        """Have at least one spare of this kind."""
        if wanted not in self._spares:
            self._fork(self._add_kind(wanted), 1)

    def rest(self) -> None:
        """Have no more than one spare of a kind forked until the next is asked for."""
        for spares in self._spares.values():
            spares.aim(min(spares.target_count, 1))

    def shrink(self, now: float) -> None:
        """Let go of spares that nobody has asked for in a while."""
        for spares in self._spares.values():
            if now - spares.used_at > _IDLE_AFTER_S:
                spares.aim(0 if self._is_dear else 1)
                while len(spares.waiting) > spares.target_count:
                    self._let_go(spares.waiting.popleft())

    def _top_up(self) -> None:
        if (
            self._loop.time() - self._forked_at < _TOP_UP_DELAY_S
        ):  # batches come along, and cost less
            self._in(_TOP_UP_DELAY_S, "top_up", self._top_up)
            return
        for spares in self._spares.values():
            if spares.missing_count > 0:
                self._fork_ahead(spares, min(spares.missing_count, BATCH_LIMIT_COUNT))
            if spares.missing_count > 0:
                self._in(_TOP_UP_DELAY_S, "top_up", self._top_up)

    def _fork_ahead(self, spares: Spares, count: int) -> None:
        try:
            self._fork(spares, count)
        except OSError:  # no descriptors now; some attempt will give its own back
            self._in(_NO_ROOM_DELAY_S, "top_up", self._top_up)

    def _add_kind(self, wanted: Limits) -> Spares:
        if len(self._spares) >= _KIND_LIMIT_COUNT:
            oldest = min(self._spares, key=lambda kind: self._spares[kind].used_at)
            for child in self._spares.pop(oldest).waiting:
                self._let_go(child)
        spares = self._spares[wanted] = Spares(wanted, self._full_count(wanted))
        return spares

    def _let_go(self, child: Child) -> None:
        self._pump.remove(child.channel_fd)
        child.hang_up()
        self.expect_exit(child, _EXIT_TIMEOUT_S)

    def _fork(self, spares: Spares, count: int) -> None:
        self._close_parted()
        self._forked_at = self._loop.time()
        wanted, waiting = spares.limits, spares.waiting
        told = "-" if wanted == self.kind.own_limits else ",".join(map(str, wanted))
        words = [f"F {wanted.process_count + processes.user_process_count()} {told}"]
        theirs: list[int] = []
        for _ in range(count):
            child_id = next(_given) % (marker.CHILD_COUNT - 1) + 1
            folder = ""
            try:
                folder = self._scratch.take()
                child = Child(child_id, self, folder)
                theirs += child.connect()
            except OSError:
                if folder:
                    self._scratch.release(folder)
                if not theirs:
                    raise
                break
            self.children[child_id] = child
            waiting.append(child)
            words.append(f"{child_id} {folder}")
        self._send(" ".join(words).encode(), theirs)
        self._in(_STALL_LOOK_S, "stall", self._look_for_stall)

    def _look_for_stall(self) -> None:
        """End the template if it does not fork: what waits for it must not wait for ever."""
        self._drain_control()  # this process may have stood still itself
        awaited = (child.id for child in self.children.values() if not child.pid)
        first_id = next(awaited, 0)
        if not first_id:
            self._awaited_id = 0
            return
        is_starting = not self.ready.done()
        is_late = self._loop.time() - self.started_at > _START_LIMIT_S
        if is_late if is_starting else first_id == self._awaited_id:
            self._last_word = "it did not answer and was ended"
            self.process.kill()
            return
        self._awaited_id = 0 if is_starting else first_id  # it has from one look to the next
        self._in(_STALL_LOOK_S, "stall", self._look_for_stall)

    # ---- ends ------------------------------------------------------------------------

    def signal(self, child: Child, number: signal.Signals) -> None:
        """Signal a child's whole process group."""
        if child.exited is None:
            self._send(b"K %d %d" % (child.id, number), [])

    def part_with(self, child: Child, within_s: float, *, is_waiting: bool) -> None:
        """Let go of a child whose attempt is over and that is to end; fork what has been taken.

        Forked is most of it at once, the last few when there is time. Not before an attempt is
        over: what forks takes a processor from what runs. Other kinds than the one that was taken
        last are seen to when there is time.

        Who waits for the outcome may be behind us on this processor: what was open to the child
        is closed for several at once, before anything new is opened or after a moment. Not where
        that ends a child which `is_waiting` for another request.
        """
        if child.pidfd >= 0:
            self.unwatch(child)
        if child.exited is None and not is_waiting:
            self._parted.append(child)
        else:
            child.hang_up()
        self.expect_exit(child, within_s)
        taken = self._taken
        if taken is None or len(taken.waiting) > taken.low_count:
            return
        if not self._is_dear and not self._is_closing:
            self._fork_ahead(taken, taken.batch_count)

    def _close_parted(self) -> None:
        parted, self._parted = self._parted, []
        for child in parted:
            child.hang_up()

    def expect_exit(self, child: Child, within_s: float) -> None:
        """See that a child ends, and kill it when it does not in time."""
        if child.exited is not None:  # what it has left behind may hold its channel for longer
            return
        child.kill_at = self._loop.time() + within_s
        self._leaving[child.id] = child
        if child.attempt is not None:
            self._in(_REAP_AWAITED_S, "awaited", self.reap)
        if "reap" not in self._timers:
            self._reap_delay_s = _REAP_FIRST_S
            self._in(_REAP_FIRST_S, "reap", self._reap)

    def _reap(self) -> None:
        self._close_parted()
        if not self._leaving:
            return
        now = self._loop.time()
        for child in self._leaving.values():
            if now >= child.kill_at:
                child.kill_at = now + _EXIT_TIMEOUT_S
                self.signal(child, signal.SIGKILL)
        self._send(b"W", [])
        self._reap_delay_s = min(self._reap_delay_s * 2, _REAP_CAP_S)
        self._in(self._reap_delay_s, "reap", self._reap)

    def _watch(self) -> None:
        """Learn of the end of every child that has been running for a while."""
        now = self._loop.time()
        unwatched, self._unwatched = self._unwatched, []
        for child in unwatched:
            if child.attempt is None or child.exited is not None:
                continue
            if child.watch_at <= now:
                self._tell_long(child.attempt, has_process=child.pid != 0)
            if not child.pid:
                child.watch_at = max(child.watch_at, now + _WATCH_DELAY_S)
            if child.watch_at > now:
                self._unwatched.append(child)
                continue
            if child.pidfd >= 0:  # since an attempt that it has run before
                continue
            try:
                child.pidfd = os.pidfd_open(child.pid)
            except OSError:  # it has ended, or there are no descriptors left: ask until it ends
                self.expect_exit(child, math.inf)
                continue
            self._pump.add(child.pidfd, functools.partial(self._on_end_seen, child))
        if self._unwatched:
            self._in(_WATCH_DELAY_S, "watch", self._watch)

    def _tell_long(self, attempt: Holder, *, has_process: bool) -> None:
        """Tell who follows an attempt that it runs for long; the others have their limits yet."""
        try:
            attempt.on_long(has_process)
        except Exception as error:  # noqa: BLE001 - told as what a callback of the loop raises
            told = {"message": "an attempt cannot be followed", "exception": error}
            self._loop.call_exception_handler(told)

    def _on_end_seen(self, child: Child) -> None:
        self.unwatch(child)
        self.expect_exit(child, _EXIT_TIMEOUT_S)
        self._send(b"W", [])

    def unwatch(self, child: Child) -> None:
        """Close the descriptor that tells a child's end, if it has one."""
        if child.pidfd >= 0:
            self._pump.remove(child.pidfd)
            os.close(child.pidfd)
            child.pidfd = -1

    def _ended(self, child_id: int, used: Exit) -> None:
        child = self.children.pop(child_id)
        child.exited = used
        self._family = None  # its number may be another's by now
        self._leaving.pop(child_id, None)
        if child.pidfd >= 0:
            self.unwatch(child)
        if child_id not in self._held:
            self._scratch.release(child.folder)
        if child_id in self.active:
            self.active.remove(child_id)
            self._sweep_soon()
        else:
            self._forget_spare(child)
            if child_id in self._held:  # a sweep tells when its folder is free
                self._sweep_soon()
        if child.attempt is not None:
            child.attempt.on_exit(used)

    def _forget_spare(self, child: Child) -> None:
        """Close a spare that ended by itself: somebody has killed it."""
        for spares in self._spares.values():
            if child in spares.waiting:
                spares.waiting.remove(child)
                self._pump.remove(child.channel_fd)
                child.hang_up()

    def _sweep_soon(self) -> None:
        self._sweeps_left = _SWEEPS_COUNT
        if "sweep" not in self._timers:
            self._in(_SWEEP_FIRST_S, "sweep", self._sweep)

    def _on_swept(self, strays_count: int) -> None:
        if strays_count:
            self._sweep_soon()
            return
        self._sweeps_left -= 1
        if self._sweeps_left > 0:
            self._in(_SWEEP_DELAYS_S[self._sweeps_left - 1], "sweep", self._sweep)

    def _sweep(self) -> None:
        """Have the template end what attempts have left behind outside their sessions."""
        began_at = (child.taken_at for child in self.children.values() if child.id in self.active)
        oldest_s = min(began_at, default=time.time()) - _CLOCK_SLACK_S
        self._send(b"S %d" % int(oldest_s * 1e9), [])

    def strays_of(self, child: Child) -> list[int]:
        """Return what the child has started that has lost its parent, zombies included."""
        told = self._eye.children()
        if told == self._family:
            return []
        known = {each.pid for each in self.children.values()}
        others = [pid for pid in map(int, told.split()) if pid not in known]
        if not others:
            self._family = told
        mark = (self._scratch.owner, child.id)
        return [pid for pid in others if marker.read(pid) == mark]

    def home_of(self, child: Child) -> str:
        """Return the path of the child's private folder."""
        return f"{self._scratch.root}/{child.folder}"

    def is_home_untouched(self, child: Child) -> bool:
        """True iff nothing has ever been changed in that folder, which one look tells."""
        return self._scratch.is_untouched(child.folder)

    def reap(self) -> None:
        """Have what has ended waited for, strays too: nothing else may speak to it for long."""
        self._send(b"W", [])

    # ---- control ---------------------------------------------------------------------

    def _in(self, delay_s: float, name: str, call: Callable[[], None]) -> None:
        """Call once after a delay, unless that call is due already."""
        if name not in self._timers and not self._is_closing:
            self._timers[name] = self._loop.call_later(delay_s, self._due, name, call)

    def _due(self, name: str, call: Callable[[], None]) -> None:
        del self._timers[name]
        call()

    def _send(self, message: bytes, fds: list[int]) -> None:
        self._unsent.append((message, fds))
        if len(self._unsent) == 1:
            self._flush()

    def _flush(self) -> None:
        while self._unsent:
            message, fds = self._unsent[0]
            try:
                if fds:
                    socket.send_fds(self._control, [message], fds)
                else:
                    self._control.send(message)
            except BlockingIOError:  # it is busy forking; there is no hurry
                self._loop.call_later(_RETRY_SEND_S, self._flush)
                return
            except OSError:  # it is gone: `_on_gone` tells the children
                pass
            self._unsent.popleft()
            for fd in fds:
                os.close(fd)

    def _on_control(self) -> None:
        try:
            message = self._control.recv(_CONTROL_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._pump.remove(self._control.fileno())
            return
        if message[:2] == b"E ":  # said alone, and of several lines if somebody's error is
            self.failure = message[2:].partition(b"\n")[0].decode("utf-8", "replace")
            return
        for line in message.split(b"\n"):
            word = line[:1]
            if word == b"P":
                self._hear_forked(line)
            elif word == b"X":
                self._hear_ended(line)
            else:
                self._hear(line)

    def _hear_forked(self, line: bytes) -> None:
        children, numbers = self.children, map(int, line.split()[1:])
        for child_id, pid in zip(numbers, numbers, strict=True):
            if child_id in children:
                children[child_id].pid = pid

    def _hear_ended(self, line: bytes) -> None:
        numbers = map(int, line.split()[1:])
        for child_id, status, cpu_us, size_kb in zip(*[numbers] * 4, strict=True):
            self._ended(child_id, Exit(status, cpu_us / 1e6, size_kb * 1024))

    def _hear(self, line: bytes) -> None:
        """Hear what is rarely said."""
        match line.split():
            case [b"N", child_id, number]:
                reason = f"no process: {os.strerror(int(number))}"
                self._ended(int(child_id), Exit(None, reason=reason))
            case [b"H", child_id]:
                self._held[int(child_id)] = self.children[int(child_id)].folder
            case [b"G", child_id]:
                self._scratch.release(self._held.pop(int(child_id)))
            case [b"S", strays_count]:
                self._on_swept(int(strays_count))
            case [b"O", count]:
                self._scratch.leftovers.add(int(count))
            case [b"L", listener_fd]:
                self._supervise(int(listener_fd))
            case _:
                if not self.ready.done():
                    self.ready.set_result(None)
                    self.is_open = True

    def _supervise(self, listener_fd: int) -> None:
        """Have the network of this template and its children supervised."""
        if self._handover is not None and self.process.returncode is None:
            self._last_word = self._handover.take(self._pidfd, listener_fd)

    # ---- its own end -----------------------------------------------------------------

    def close(self) -> None:
        """Hang up: the template ends everything below it and then itself."""
        self._stop_timers()
        if not self.gone.done():
            self._control.shutdown(socket.SHUT_RDWR)

    async def wait_gone(self) -> None:
        """Return when the process has ended, by force if it takes too long."""
        done, _ = await asyncio.wait([self.gone], timeout=_EXIT_TIMEOUT_S)
        if not done:
            self.process.kill()
            await self.gone

    def _stop_timers(self) -> None:
        self._is_closing = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _on_gone(self) -> None:
        if self.process.poll() is None:
            return
        self._pump.remove(self._pidfd)
        os.close(self._pidfd)
        self._eye.close()
        self._drain_control()
        self._pump.remove(self._control.fileno())
        self._control.close()
        if self._handover:
            self._handover.close()
        self.is_open = False
        is_lost = not self._is_closing  # it was not asked to end
        self._stop_timers()
        self._close_parted()
        words = self._last_word or self._last_words()
        os.close(self._errors_fd)
        if not self.failure and not self.ready.done():
            self.failure = words
        self._scratch.leftovers.add(strays.end_adopted(self._scratch.owner))
        self._reap_helper()
        reason = self.failure or f"its template process ended: {words}"
        for child_id in list(self.children):
            self._ended(child_id, Exit(None, reason=reason, is_template_lost=is_lost))
        for folder in self._held.values():
            self._scratch.release(folder)
        self._held.clear()
        if not self.ready.done():
            self.ready.set_exception(TemplateFailed(reason))
            self.ready.exception()  # told to whoever waits; nobody may
        self.gone.set_result(None)

    def _reap_helper(self) -> None:
        """Reap what it has forked for itself, which ends soon after it: see `runtime.pinning`."""
        if not processes.reap_group(self.process.pid):
            self._loop.call_later(_HELPER_LIMIT_S, processes.reap_group, self.process.pid)

    def _drain_control(self) -> None:
        """Hear what it said last: how its children ended."""
        while True:
            try:
                if not self._control.recv(1, socket.MSG_PEEK):
                    return
            except OSError:
                return
            self._on_control()

    def _last_words(self) -> str:
        told = os.pread(self._errors_fd, 4096, 0).decode("utf-8", "replace").strip()
        return told.rpartition("\n")[2] or f"exit status {self.process.returncode}"
