"""One attempt as its worker sees it: what its child says, checked, until it has an outcome.

Nothing that comes out of a child is trusted: frames are bounded, decoded strictly and
counted against the limits; whatever does not fit ends this attempt and nothing else.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from select import POLLIN
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from zscrape.core.effects import Assignment
from zscrape.log import hide
from zscrape.messages import text
from zscrape.model import Expect, Outcome, OutcomeCode, Record, Usage
from zscrape.runtime import channel as frames
from zscrape.wire import Ask, Tell
from zscrape.worker import verdict
from zscrape.worker.alarms import Alarms
from zscrape.worker.capture import Budget
from zscrape.worker.children import Child, Exit
from zscrape.worker.guard import Guard
from zscrape.worker.inquiry import Inquiry
from zscrape.worker.masking import Mask
from zscrape.worker.parking import PERSON, Clock
from zscrape.worker.pipes import Pipes, read
from zscrape.worker.pump import Pump
from zscrape.worker.quota import FolderWatch
from zscrape.worker.recordings import record_of
from zscrape.worker.requests import Form
from zscrape.worker.robotsfiles import RobotsFiles, RobotsOf
from zscrape.worker.speech import Answer, Speech, Violation, sole_answer
from zscrape.worker.watch import TreeWatch
from zscrape.worker.yields import Yields

# Most answers are short, and this much needs no mapping of its own; the rest of a frame that is
# longer is read with fewer calls.
_READ_BYTES = 65536
_LONG_READ_BYTES = 262_144
_replaced = msgspec.structs.replace
_COALESCE_S = 0.02
_LATE_EXIT_S = 1.0
# One that may take longer than this has its limit set when it has run for a while: see `on_long`.
_SOON_S = 0.5
# Which sites have a budget was told with the attempt. A child takes it for new, and asks again
# only in a while: after a longer wait for an environment or a browser it asks at once.
_BUDGETED_KEPT_S = 2.0
# What an attempt has started is killed with it, but ends only once it is given a processor.
_STRAYS_PAUSE_S = 0.01
_STRAYS_LIMIT_S = 5.0  # stuck in the kernel: others do not wait for it


class SlotListener(Protocol):
    """Hears what becomes of attempts, in the loop's thread."""

    def on_started(self, task_id: str, attempt: int) -> None:
        """The script begins to run: preparing is over."""

    def on_long(self, task_id: str, attempt: int) -> None:
        """It has been running for a while. Most attempts are over before."""

    def on_records(self, task_id: str, attempt: int, records: tuple[Record, ...]) -> None:
        """The attempt has said these, in order."""

    def on_ask(self, ask: Ask) -> None:
        """The attempt asks its gateway; the answer comes by `tell`."""

    def on_finished(self, task_id: str, attempt: int, outcome: Outcome) -> None:
        """The attempt is over. Called exactly once, after all of its records."""


class Running(Struct, eq=False):
    """An attempt from `begin` to its outcome; `begun` makes one.

    What most attempts never come to has a default here, which costs them nothing.
    """

    assignment: Assignment
    _loop: asyncio.AbstractEventLoop
    _alarms: Alarms
    _pump: Pump
    _grace_s: float
    listener: SlotListener
    _on_over: Callable[[Running], None]
    _begun_at: float
    _guard: Guard | None = None  # set iff it is to be ended, or has run for a while
    _budget: Budget | None = None  # set iff it has said more than an answer
    _mask: Mask | None = None
    _robots: RobotsOf | None = None
    _yields: Yields | None = None
    _child: Child | None = None
    _started_at: float = 0.0
    _limit_at: float = 0.0  # iff its time limit is yet to be set
    preparing: asyncio.Task[None] | None = None
    keep: Callable[[Child], None] | None = None  # takes a child that may run another
    fetch_s: float = 0.0  # until its script was there
    environment_s: float = 0.0  # until its environment was there
    has_built: bool = False
    has_fetched: bool = False
    _is_kept: bool = False
    _is_drained: bool = False  # both pipes were open and empty when last looked at
    _is_over: bool = False
    _is_deaf: bool = False  # the channel has closed, or carried what it may not
    _has_recording: bool = False  # of what sites have answered
    _answered: tuple[Outcome, float, int] | None = None  # its end is awaited
    _speech: Speech | None = None  # set iff it has said more than an answer
    _unsent: memoryview | None = None  # of what it is to be told
    _tree: TreeWatch | None = None  # both set iff it has run for a while
    _folder: FolderWatch | None = None
    _pending: list[Record] = []
    _flushing: asyncio.TimerHandle | None = None
    _pipes: Pipes | None = None  # set iff it has printed something, or run for a while
    _inquiry: Inquiry | None = None  # set iff something was asked
    _clock: Clock | None = None  # set iff a person was asked

    __repr__ = object.__repr__  # its fields hold secrets

    @property
    def guard(self) -> Guard:
        """What ends it."""
        if self._guard is None:
            self._guard = Guard(self._alarms, self._grace_s, attempt=self)
        return self._guard

    @property
    def _is_told_to_end(self) -> bool:
        return self._guard is not None and self._guard.code is not None

    # ---- its beginning ---------------------------------------------------------------

    def hide(self, secrets: dict[str, str]) -> None:
        """Blank these out of all that it says, and of this worker's own log."""
        self._mask = Mask(secrets)
        for value in secrets.values():
            hide(value)

    def expect(self, wanted: Expect) -> None:
        """Hold what it yields to its script's word."""
        self._yields = Yields(wanted)

    def go_by(self, robots: RobotsOf) -> None:
        """Answer from what is known of sites' wishes."""
        self._robots = robots

    def launch(self, child: Child, form: Form) -> None:
        """Give the attempt to `child`: one write, and the script runs.

        All that need not be there before it comes after it, while the child works.
        """
        assignment, template, channel_fd = self.assignment, child.template, child.channel_fd
        run, deadline_at = assignment.run, assignment.deadline_at
        self._child = child
        child.run_count += 1
        left_count = 0 if self.keep is None else run.reuse_count - child.run_count
        now = self._started_at = self._loop.time()
        timeout_s = run.timeout_s
        limit_at = now + timeout_s
        if deadline_at is not None and deadline_at < limit_at:
            timeout_s = deadline_at - now
        known = None
        if assignment.budgeted is not None or self._robots is not None:
            known = self._known(now)
        is_said = self._say(child, form.request(assignment, timeout_s, left_count, known))
        self._limit_at = limit_at
        if timeout_s < _SOON_S:
            self._limit()
        child.attempt = self
        self._pump.add(channel_fd, self._on_channel)
        if not is_said:
            self._pump.watch_writing(channel_fd, is_wanted=True)
        template.given(child, now)
        self.listener.on_started(assignment.task_id, assignment.attempt)

    def _known(self, now: float) -> dict[str, Any]:
        """Return what the attempt need not ask before it gets a page."""
        sites, robots = self.assignment.budgeted, self._robots
        is_fresh = now - self._begun_at <= _BUDGETED_KEPT_S
        known: dict[str, Any] = {} if sites is None or not is_fresh else {"sites": sites}
        files = None if robots is None else robots.known()
        if files:
            known["robots"] = files
        return known

    def _limit(self) -> None:
        """Have it end at its time limit. Most attempts are over before it pays to set one."""
        if self._limit_at:
            self.guard.limit(self._limit_at, self.assignment.run.timeout_s)
            self._limit_at = 0.0

    def _unlimit(self) -> None:
        self._limit_at = 0.0
        if self._guard is not None:
            self._guard.close()

    def on_long(self, has_process: bool) -> None:
        """Watch what it prints and starts. Most attempts are over before that pays."""
        self._limit()
        child = self._child
        if child is not None and has_process:
            self._watch(child)
            self._pipes_of(child).watch()
            self.listener.on_long(self.assignment.task_id, self.assignment.attempt)

    def _watch(self, child: Child) -> None:
        end = self.guard.kill
        tree = self._tree = TreeWatch(self._loop, self.assignment.run.limits, child, end)
        home = child.template.home_of(child)
        self._folder = FolderWatch(
            self._loop, self.assignment.run.limits, home, pids=lambda: tree.pids, end=end
        )

    def _unwatch(self) -> None:
        if self._tree is not None and self._folder is not None:
            self._tree.close()
            self._folder.close()

    def _say(self, child: Child, data: bytes | memoryview) -> bool:
        """Write to its channel; False: what is left is to be written once it reads."""
        try:
            sent = os.write(child.channel_fd, data)
        except BlockingIOError:
            sent = 0
        except OSError:  # it died while it waited: `on_exit` says how
            sent = len(data)
        if sent == len(data):
            self._unsent = None
            return True
        self._unsent = memoryview(data)[sent:]
        return False

    def note(self, level: str, message: str) -> None:
        """Tell the task something of its preparation, as a log record."""
        size = self.assignment.run.limits.line_length_bytes
        said = message.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")
        body = {"level": level, "stream": "log", "message": said}
        self._tell("log", msgspec.json.encode(body))

    # ---- what it says ----------------------------------------------------------------

    def _on_channel(self) -> None:
        child = self._child
        if child is None:
            return
        if self._unsent is not None and self._say(child, self._unsent):
            self._pump.watch_writing(child.channel_fd, is_wanted=False)
        speech = self._speech
        is_amid = speech is not None and speech.held
        data = read(child.channel_fd, _LONG_READ_BYTES if is_amid else _READ_BYTES)
        if data is None:
            return
        # What was printed before this was said is already in the pipes: keep the order.
        found = child.look_at_output(0)
        self._is_drained = not found  # which is so of most
        if found:
            self._drain_pipes(child, found)
        if data:
            self._hear(data)
        else:
            self._on_hang_up(child)

    def _hear(self, data: bytes) -> None:
        if self._is_deaf:
            return
        try:
            answer = sole_answer(data) if self._speech is None and self._mask is None else None
            if answer is None:
                self._hear_frames(data)
            else:
                self._on_answer(answer)
        except Violation as error:
            self._is_deaf = True
            self.guard.kill(error.code, error.fields)

    def _hear_frames(self, data: bytes) -> None:
        speech = self._speech
        if speech is None:
            limits = self.assignment.run.limits
            speech = self._speech = Speech(limits, self._output_budget(), self._mask)
        for kind, told in speech.split(data):
            if kind == frames.ANSWER:
                self._on_answer(speech.answer(told))
                return
            payload = bytes(told)
            if kind == frames.ASK:
                if self._inquiry is None:
                    self._inquiry = Inquiry(self._loop, self._mask, pass_on=self._ask)
                self._inquiry.hear(payload)
                continue
            if kind == frames.RECORDING:
                self._on_recording(payload)
                continue
            record = speech.record(kind, payload)
            if record is not None:
                if self._yields is not None and record[0] == "item":
                    self._yields.take(record[1])
                self._tell(record[0], record[1])

    def _ask(self, request: int, kind: str, body: bytes) -> None:
        if not self._is_over:
            if kind == PERSON:
                self._people().park(request)
            task = self.assignment
            ask = Ask(task.task_id, task.attempt, request, kind, body)
            told = None if self._robots is None else self._robots.answer(ask)
            if told is None:
                self.listener.on_ask(ask)
            else:
                self.tell(told)

    def _people(self) -> Clock:
        """Return the clock that stands while people are asked."""
        if self._clock is None:
            self._limit()
            limit_s = self.assignment.run.timeout_s
            ends_at = self._started_at + limit_s
            self._clock = Clock(self._loop, self.guard, ends_at=ends_at, limit_s=limit_s)
        return self._clock

    def tell(self, tell: Tell) -> None:
        """Give the script the answer to what it has asked."""
        child = self._child
        if child is None or self._inquiry is None:
            return
        if self._clock is not None:
            self._clock.unpark(tell.request)
        if self._robots is not None:
            self._robots.hear(tell)
        frame = self._inquiry.answer(tell)
        if self._unsent is None:
            if not self._say(child, frame):
                self._pump.watch_writing(child.channel_fd, is_wanted=True)
        else:  # it does not read: what it is owed is bounded by what it may ask
            self._unsent = memoryview(bytes(self._unsent) + frame)

    def _on_recording(self, payload: bytes) -> None:
        """Pass on what sites have answered; a second one is not a child's."""
        if self._has_recording:
            raise Violation(OutcomeCode.CRASHED, reason="its channel carried a second recording")
        self._has_recording = True
        self._tell("recording", record_of(payload, self._mask))

    def _on_answer(self, answer: Answer) -> None:
        outcome = verdict.of_answer(answer, self.assignment.run)
        if self._yields is not None and outcome.data is not None:
            fault = self._yields.fault(outcome.data, known_count=answer.known_count)
            if fault is not None:
                outcome = Outcome(OutcomeCode.EMPTY_RESULT, fields=fault)
        child = self._child
        self._is_kept = answer.is_kept and outcome.is_ok
        if self.assignment.is_exclusive and child is not None and child.exited is None:
            # It has answered, and its threads and processes may still be at work.
            self._answered = outcome, answer.cpu_us / 1e6, answer.memory_bytes
            self._is_deaf = True
            self._unlimit()
            child.template.expect_exit(child, _LATE_EXIT_S)
        else:
            self._finish(outcome, answer.cpu_us / 1e6, answer.memory_bytes)

    def _on_hang_up(self, child: Child) -> None:
        """The channel has closed without an answer: what is left of the child ends too."""
        self._is_deaf = True
        self._pump.remove(child.channel_fd)
        self.signal(signal.SIGKILL)
        child.template.expect_exit(child, _LATE_EXIT_S)

    def _drain_pipes(self, child: Child, found: list[tuple[int, int]]) -> None:
        """Take what has been printed until now, as a look at both pipes has found it."""
        told = (bool(events & POLLIN) and self._pipes_of(child).drain(fd) for fd, events in found)
        self._is_drained = all([*told])

    def _output_budget(self) -> Budget:
        if self._budget is None:
            self._budget = Budget(self.assignment.run.limits.output_size_bytes)
        return self._budget

    def _pipes_of(self, child: Child) -> Pipes:
        if self._pipes is None:
            line_limit_bytes = self.assignment.run.limits.line_length_bytes
            told = self._output_budget(), self._mask, line_limit_bytes, self._tell
            self._pipes = Pipes(self._loop, self._pump, child, *told)
        return self._pipes

    def _tell(self, kind: str, body: bytes) -> None:
        pending = self._pending
        record = Record(kind, time.time(), body)
        if kind == "progress" and pending and pending[-1].kind == "progress":
            pending[-1] = record  # nobody needs each step of a bar within one moment
            return
        pending.append(record)
        if self._flushing is None:
            self._flushing = self._loop.call_later(_COALESCE_S, self._flush)

    def _flush(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        if self._pending:
            records, self._pending = tuple(self._pending), []
            self.listener.on_records(self.assignment.task_id, self.assignment.attempt, records)

    # ---- its end ---------------------------------------------------------------------

    def stop(self, code: OutcomeCode) -> None:
        """End the attempt: softly, then by force. Before its script runs: at once."""
        fields = {"limit_s": self.assignment.run.timeout_s} if code is OutcomeCode.TIMEOUT else {}
        self.guard.stop(code, fields)

    def fail(self, outcome: Outcome) -> None:
        """End an attempt that has no child."""
        self._finish(outcome, 0.0, 0)

    def abandon(self, code: OutcomeCode) -> None:
        """End the attempt now, without waiting for its processes."""
        if self.preparing is not None:
            self.preparing.cancel()
        self._finish(Outcome(code), 0.0, 0)

    def signal(self, number: signal.Signals) -> None:
        """Signal its processes; before there are any, it ends at once."""
        child = self._child
        if child is not None:
            child.template.signal(child, number)
            return
        if self.preparing is not None:
            self.preparing.cancel()
        self.give_up()

    def give_up(self) -> None:
        """End it without waiting for its processes, by the code that it was told to end with."""
        if self._child is not None:
            self._drain_pipes(self._child, self._child.look_at_output(0))
        self._finish(self._told_outcome(), 0.0, 0)

    def on_exit(self, how: Exit) -> None:
        """End it, as its process has, unless it has answered before."""
        if self.assignment.is_exclusive:
            self._unwatch()  # its folder may be another's already, and so may its number
            self._await_strays(how, self._loop.time() + _STRAYS_LIMIT_S)
        else:
            self._end(how)

    def _await_strays(self, how: Exit, until: float) -> None:
        """End once nothing is left of what the child has started."""
        child = self._child
        if child is not None and self._loop.time() < until and child.template.strays_of(child):
            self._unlimit()
            child.template.reap()
            self._loop.call_later(_STRAYS_PAUSE_S, self._await_strays, how, until)
        else:
            self._end(how)

    def _end(self, how: Exit) -> None:
        """The child has ended: its answer may still be in the channel."""
        child = self._child
        if child is None:
            return
        how = _replaced(how, cpu_s=max(how.cpu_s - child.used_cpu_s, 0.0))
        self._drain_pipes(child, child.look_at_output(0))
        if self._answered is not None:
            self._finish(*self._answered)
        while not self._is_over and (data := read(child.channel_fd, _READ_BYTES)):
            self._hear(data)
        if not self._is_over:
            self._finish(verdict.of_exit(how, self.assignment.run), how.cpu_s, how.memory_bytes)

    def _finish(self, outcome: Outcome, cpu_s: float, memory_bytes: int) -> None:
        if self._is_over:
            return
        self._is_over = True
        now, child, guard, task = self._loop.time(), self._child, self._guard, self.assignment
        started_at = self._started_at or now
        item_count, output_bytes = 0, len(outcome.data or b"")
        if guard is not None or self._budget is not None or self._pending or outcome.data is None:
            # It has run for a while, said more than an answer, or may not have ended well.
            if self._tree is not None:
                self._unwatch()
                used_cpu_s = 0.0 if child is None else child.used_cpu_s
                cpu_s = self._tree.cpu_s(cpu_s + used_cpu_s) - used_cpu_s
                memory_bytes = self._tree.peak_bytes(memory_bytes)
            if self._pipes is not None:
                self._pipes.tell_last_lines()
            if self._budget is not None:
                output_bytes += self._budget.used_bytes
            if self._speech is not None:
                item_count = self._speech.item_count
                output_bytes += self._speech.size_bytes
                self._note_masked(self._speech.masked_count)
            if self._pending:
                self._flush()
            outcome = self._as_told(outcome, memory_bytes)
        outcome = _replaced(
            outcome,
            item_count=item_count,
            prepare_s=started_at - self._begun_at,
            run_s=now - started_at,
            usage=Usage(
                cpu_s,
                memory_bytes,
                output_bytes,
                self.fetch_s,
                self.environment_s,
                self.has_built,
                self.has_fetched,
            ),
        )
        try:
            self.listener.on_finished(task.task_id, task.attempt, outcome)
        finally:  # only now: who waits for the outcome need not wait for this
            if guard is not None:
                guard.close()
                guard.attempt = None  # a ring of both would be left to the collector
            self._inquiry = None
            self._on_over(self)
            if child is not None:
                self._let_go(child, cpu_s)

    def _as_told(self, outcome: Outcome, memory_bytes: int) -> Outcome:
        """Return the outcome by the code that it was told to end with, if it was."""
        if self._is_told_to_end:
            outcome = self._told_outcome()
        if outcome.code is OutcomeCode.MEMORY_LIMIT:
            outcome.fields["peak_bytes"] = memory_bytes
        return outcome

    def _told_outcome(self) -> Outcome:
        return Outcome(self.guard.code or OutcomeCode.CRASHED, fields=dict(self.guard.fields))

    def _note_masked(self, count: int) -> None:
        if count:
            self.note("warning", text("event.secrets_masked", "en", count=count))

    def _let_go(self, child: Child, cpu_s: float) -> None:
        child.attempt = self._child = None
        if self._pipes is not None:
            self._pipes.close()
            self._pipes = None  # which tells this attempt: see `guard` above
        keep, run = self.keep, self.assignment.run
        # What a pipe still holds would be taken for the next attempt's.
        is_fit = self._is_kept and self._is_drained and not self._is_told_to_end
        if is_fit and keep is not None and child.run_count < run.reuse_count:
            child.used_cpu_s += cpu_s
            keep(child)
            return
        self._pump.remove(child.channel_fd)
        # One that may run more waits to be told that it does not.
        child.template.part_with(child, _LATE_EXIT_S, is_waiting=keep is not None)


def begun(
    alarms: Alarms,
    pump: Pump,
    grace_s: float,
    assignment: Assignment,
    listener: SlotListener,
    on_over: Callable[[Running], None],
    robots: RobotsFiles | None = None,
) -> Running:
    """Return an attempt that begins now, and is yet to be launched."""
    run, loop = assignment.run, alarms.loop
    running = Running(assignment, loop, alarms, pump, grace_s, listener, on_over, loop.time())
    if assignment.secrets:
        running.hide(assignment.secrets)
    if run.expect is not None:
        running.expect(run.expect)
    if run.kit and robots is not None and run.network != "none":  # else no site is asked
        running.go_by(RobotsOf(robots, run.pin.digest))
    if assignment.deadline_at is not None:
        running.guard.bound(assignment.deadline_at)
    return running
