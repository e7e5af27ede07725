"""The warm process that children are forked from.

`starting` has made it ready. It does three things for its worker: fork spare children, signal
them, and tell how they ended. It is the subreaper of everything below it, so whatever a script
starts ends up here and can be ended. When the worker's end of the control socket closes, it ends
all of that and itself.

Lean on purpose: every page that this loop writes to is copied again after each fork. That is
why it has no signal handler: it reaps when it is spoken to, and the worker, which sees
channels close, speaks to it when there is something to reap.

Control messages are short ASCII datagrams of lines, ids are the worker's:

    to the template                             from the template
    F processes limits id folder ...            R                         ready
      (three descriptors per child; limits      E text                    cannot be used
      are memory,files,size, or - for those     P id pid ...              forked
      that the template itself has)             N id errno                not forked
    K id signal                                 X id status cpu_us kb ... ended and reaped
    S ns  end what ended attempts have left,    S count                   strays still seen
                                                O count                   strays that were ended
      and shared memory older than that
    W  (nothing but reap)                       H id      what it has started still dies: its
                                                          folder and user are not free yet
                                                G id      now they are

Who was forked and who has ended is told in one line for all of them.

Before all that, `launch.py prepare` may say `L number`: see `notify.hand_over`.
"""

from __future__ import annotations

import _socket
import errno
import os
import resource
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from zscrape.runtime import (
    child,
    folios,
    hugepages,
    libraries,
    limits,
    marker,
    pinning,
    rehearsal,
    strays,
)
from zscrape.runtime.atfork import Hooks
from zscrape.runtime.landlock import RULESET_FD
from zscrape.runtime.sandbox import Sandbox, Step, read_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

_MESSAGE_LIMIT_BYTES = 65536
_FD_LIMIT_COUNT = 253  # SCM_MAX_FD of the kernel
_EXEC_ARGUMENTS = ("-I", "-B")
# Scripts come after the worker, its templates and everybody else on the machine.
_NICE = 10
_MANY_PROCESSES_COUNT = 4096
_MESSAGES = _socket.AF_UNIX, _socket.SOCK_SEQPACKET
_SAMPLE_LIMIT_S = 1.0  # a thousand times what it takes
# A worker has 512 users for the children of all of its templates.
_HELD_LIMIT_COUNT = 32
# A template that has forked so often is in use: from then on it is worth some milliseconds, and a
# lean one 4 MB more.
_IN_USE_COUNT = 100


# What the worker calls a child, and its private folder.
_Named: TypeAlias = "tuple[bytes, str]"
# What a child is to have at its birth: channel, output, error, ruleset, home, and how it becomes
# one (the last step never returns).
_Birth: TypeAlias = "tuple[int, int, int, int, bytes, list[Step]]"


class Template:
    """The loop and what it knows: the children that it has not yet reaped."""

    def __init__(
        self,
        control_fd: int,
        scratch: str,
        isolation: str,
        kit: str,
        preload: str,
        plan: str,
        hooks: Hooks,
        ring_fd: int = -1,
        memory_fd: int = -1,
    ) -> None:
        null = os.open("/dev/null", os.O_RDWR)
        self._null, self._errors = _lift(null), _lift(2)
        self._control = _socket.socket(fileno=_lift(control_fd))
        self._ring_fd = -1 if ring_fd < 0 else _lift(ring_fd)
        self._memory_fd = -1 if memory_fd < 0 else _lift(memory_fd)
        for fd in (null, control_fd, ring_fd, memory_fd):
            if fd >= 0:
                os.close(fd)
        os.dup2(self._null, child.CHANNEL_FD, False)
        os.dup2(self._null, RULESET_FD, False)  # a place that nothing else takes
        self._scratch = scratch.encode()
        self._is_exec = isolation == "exec"
        self._kit, self._preload = kit, preload
        self._has_browser = limits.has_browser(kit)
        self._plan = plan
        self._sandbox = Sandbox(read_plan(plan), is_forked=not self._is_exec)
        # The kernel does not hold root to a process count.
        self._has_process_limit = os.geteuid() != 0 or self._sandbox.has_own_user
        self._owner = marker.owner_of(scratch)
        if self._sandbox.has_own_group:
            marker.put(self._owner, 0)
            self._sandbox.hold_limits()
        # Another worker's mark stays: see `marker`.
        self._has_mark = resource.getrlimit(marker.RLIMIT_LOCKS)[1] == resource.RLIM_INFINITY
        self._hooks = hooks
        if self._sandbox.has_own_user:
            os.setgroups([])
        self._children: dict[int, _Named] = {}  # by pid
        self._strays: dict[int, int] = {}  # pid to the number of the child that started it
        self._held: dict[int, str] = {}  # folders of ended children of which some process is left
        self._told: list[bytes] = []
        self._enlarge: Callable[[], None] | None = None
        self._forked_count = 0

    def rehearse(self, times_count: int) -> None:
        """Do what children do before and when their attempts begin: see `rehearsal`."""
        steps: list[Step] = [(os.getppid, ()), *self._sandbox.steps_to_rehearse()] * 4
        for _ in range(times_count):
            for call, arguments in steps:
                call(*arguments)
        rehearsal.rehearse(self._scratch.decode(), times_count, self._sandbox.rehearse_confine)
        os.dup2(self._null, RULESET_FD, False)

    def enlarge_in_use(self, code: tuple[int, int]) -> None:
        """Put code and objects into large pieces, but only once this has forked often.

        Args:
            code: Where what is not yet in huge pages begins and ends: see `hugepages`.
        """

        def enlarge() -> None:
            hugepages.enlarge_code(*code)
            self._join_libraries()
            folios.gather()
            self.pin()

        if not self._has_browser:  # which costs a thousand times what a fork does
            self._enlarge = enlarge

    def _join_libraries(self) -> None:
        fd, self._memory_fd = self._memory_fd, -1
        if fd < 0:
            return
        try:
            libraries.join(fd)
        finally:
            os.close(fd)

    def pin(self) -> None:
        """Have forks copy at once what nearly every child writes to: see `pinning`.

        Called after what moves memory: it cannot be moved any more. A fork of this process looks
        at the sample: see `_look_at_sample`.
        """
        if self._ring_fd < 0:
            return
        ends = [*_socket.socketpair(), *_socket.socketpair(), *_socket.socketpair(*_MESSAGES)]
        channel, its_channel, output, its_output, ours, theirs = ends
        output.settimeout(_SAMPLE_LIMIT_S)
        looker, ruleset_fd = -1, self._make_ruleset("")
        steps = [
            *self._first_steps(),
            *self._sandbox.steps_as(os.geteuid(), os.getegid()),  # nobody else's
            *self._common_steps(_MANY_PROCESSES_COUNT, b"-"),
            (child.serve, (self._sandbox.confine, None, pinning.stay)),
        ]
        fds = its_channel.fileno(), its_output.fileno(), self._errors, ruleset_fd
        births: list[_Birth] = [(*fds, self._scratch, steps)]
        try:
            channel.send(rehearsal.sample_request())
            looker = os.fork()
            if looker == 0:
                _look_at_sample(births, output, theirs, ours)
            for end in (theirs, its_channel, its_output):
                end.close()
            pinning.pin(self._ring_fd, ours.recv(_MESSAGE_LIMIT_BYTES))
        finally:
            if looker > 0:
                os.kill(looker, 9)
                os.waitpid(looker, 0)
            os.close(ruleset_fd)
            for end in ends:
                end.close()

    def serve(self) -> None:
        """Obey the worker until it is gone, then leave nothing behind."""
        try:
            self._control.send(b"R")
            self._obey()
        except OSError:  # it has gone while we spoke
            pass
        self._end_all()

    def _obey(self) -> None:
        receive, send, told = self._control.recvmsg, self._control.send, self._told
        room = _socket.CMSG_SPACE(4 * _FD_LIMIT_COUNT)
        while True:
            message, ancillary, _flags, _address = receive(_MESSAGE_LIMIT_BYTES, room)
            if not message:
                return
            words = message.split()
            word = words[0]
            if word == b"F":
                self._fork_all(words, ancillary)
            elif word == b"K":
                self._kill(words[1], int(words[2]))
            elif word == b"S":
                self._sweep(int(words[1]))
            self._reap()
            if told:
                send(b"\n".join(told))
                told.clear()
            if self._enlarge is not None and self._forked_count >= _IN_USE_COUNT:
                enlarge, self._enlarge = self._enlarge, None
                try:
                    enlarge()
                except (OSError, MemoryError):  # forks go on to cost what they do
                    continue

    # ---- children --------------------------------------------------------------------

    def _fork_all(self, words: list[bytes], ancillary: list[Any]) -> None:
        """Fork a batch. All that a fork can inherit is set here first, where it costs less."""
        fds = memoryview(ancillary[0][2]).cast("i").tolist()
        named: list[_Named] = []
        births: list[_Birth] = []
        common = self._common_steps(int(words[1]), words[2])
        # All of them before the first fork: after each, what is written to is copied anew.
        told = zip(words[3::2], words[4::2], fds[::3], fds[1::3], fds[2::3], strict=True)
        for child_id, name, channel_fd, out_fd, error_fd in told:
            folder = name.decode()
            try:
                ruleset_fd = self._make_ruleset(folder)
            except OSError as error:
                self._tell_unborn(child_id, error.errno or errno.EIO)
                continue
            fds.append(ruleset_fd)
            home = self._scratch + b"/" + name
            own = self._own_steps(child_id, folder)
            steps = [*own, *common, *self._last_steps(folder, home)]
            named.append((child_id, folder))
            births.append((channel_fd, out_fd, error_fd, ruleset_fd, home, steps))
        pids = _fork_each(births)
        self._take_back()
        for fd in fds:
            os.close(fd)
        born = [b"P"]
        for each, pid in zip(named, pids, strict=True):
            if pid < 0:
                self._tell_unborn(each[0], -pid)
            else:
                self._children[pid] = each
                born.append(b"%b %d" % (each[0], pid))
        self._told.append(b" ".join(born))
        if self._enlarge is not None:
            self._forked_count += len(pids)

    def _take_back(self) -> None:
        """Put what is ours in the places of what was there for a child to inherit."""
        os.dup2(self._null, child.CHANNEL_FD, False)
        os.dup2(self._null, RULESET_FD, False)
        os.dup2(self._null, 1)
        os.dup2(self._errors, 2)

    def _tell_unborn(self, child_id: bytes, error_number: int) -> None:
        self._told.append(b"N %b %d" % (child_id, error_number))

    def _make_ruleset(self, folder: str) -> int:
        ruleset_fd = -1 if self._is_exec else self._sandbox.make_ruleset(folder)
        return ruleset_fd if ruleset_fd >= 0 else os.dup(self._null)

    def _common_steps(self, process_count: int, told: bytes) -> list[Step]:
        """Return how a child of a batch is limited, which is the same for each of them."""
        steps: list[Step] = [(os.closerange, (RULESET_FD + 1, 65536))]
        if told != b"-":
            asked = limits.Limits(*map(int, told.split(b",")))
            steps.append((partial(limits.apply, asked, has_browser=self._has_browser), ()))
        if self._has_process_limit:
            most = limits.possible(resource.RLIMIT_NPROC, process_count)
            steps.append((resource.setrlimit, (resource.RLIMIT_NPROC, most)))
        return steps

    def _first_steps(self) -> list[Step]:
        # Made anew with each batch, all steps lie together, where a fork copies few pages.
        steps: list[Step] = [(os.setsid, ()), (os.nice, (_NICE,))]
        return [(self._hooks.register, ()), *steps] if self._hooks.has_any else steps

    def _own_steps(self, child_id: bytes, folder: str) -> list[Step]:
        """Return how a child becomes itself, before it is limited."""
        steps, number = self._first_steps(), int(child_id)
        if self._sandbox.has_own_group:
            return steps + self._sandbox.steps(folder, marker.group_of(self._owner, number))
        if self._has_mark:
            mark = marker.mark_of(self._owner, number)
            steps.append((resource.setrlimit, (marker.RLIMIT_LOCKS, (mark, mark))))
        return steps + self._sandbox.steps(folder)

    def _last_steps(self, folder: str, home: bytes) -> list[Step]:
        """Return how a child that is limited begins to wait for its attempt."""
        if self._is_exec:
            return [(self._become_fresh, (folder,))]
        serve: Step = (child.serve, (self._sandbox.confine, rehearsal.rehearse_ahead))
        if not self._has_browser:
            return [serve]
        from zscrape.runtime import chromium

        return [(chromium.start_ahead, (home.decode(), self._sandbox.confine_ahead)), serve]

    def _become_fresh(self, folder: str) -> None:
        os.set_inheritable(child.CHANNEL_FD, True)
        launch = f"{os.path.dirname(__file__)}/launch.py"  # noqa: PTH120 - pathlib is not loaded here
        own = [self._kit, self._preload, folder, self._plan]
        arguments = [*_EXEC_ARGUMENTS, launch, "child", *own]
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - a fresh interpreter is what `exec` asks for

    def _kill(self, child_id: bytes, number: int) -> None:
        pid = next((pid for pid, own in self._children.items() if own[0] == child_id), None)
        if pid is None:  # already reaped
            return
        try:
            os.killpg(pid, number)
        except ProcessLookupError:  # forked a moment ago: its session is not there yet
            os.kill(pid, number)

    # ---- their ends ------------------------------------------------------------------

    def _reap(self) -> None:
        """Tell of every child that has ended, once nothing that it started is left."""
        ended: dict[int, str] = {}
        self._collect(ended)
        if ended:
            self._end_strays(ended)
            self._sandbox.tidy(ended.values())

    def _sweep(self, before_ns: int) -> None:
        """End and remove what ended children have left, and shared memory older than that."""
        ended: dict[int, str] = {}
        self._told.append(b"S %d" % self._end_strays(ended))
        self._sandbox.tidy(ended.values())
        self._sandbox.tidy_older(before_ns)

    def _collect(self, ended: dict[int, str]) -> None:
        """Reap what has ended; note the children among it: number to private folder."""
        children, told = self._children, [b"X"]
        while pid := _next_ended():
            own = children.pop(pid, None)
            if own is not None:
                self._end_group(pid)  # before the wait: until then nobody can have its number
            _pid, status, used = os.wait4(pid, 0)
            if own is None:
                self._strays.pop(pid, None)
                continue
            child_id, folder = own
            ended[int(child_id)] = folder
            cpu_us = int((used.ru_utime + used.ru_stime) * 1_000_000)
            told.append(b"%b %d %d %d" % (child_id, status, cpu_us, used.ru_maxrss))
        if len(told) > 1:
            self._told.append(b" ".join(told))

    def _end_group(self, pid: int) -> None:
        try:
            os.killpg(pid, 9)
        except OSError:  # it ended before it had a group of its own
            return

    # ---- strays: what lost its parent and became ours ----------------------------------

    def _end_strays(self, ended: dict[int, str]) -> int:
        """End all that ended children have started; return how many were seen at last.

        It goes round until it sees nothing, or its time is up: what is killed leaves its own
        children to us, and one of a chain of forks may be gone before it is hit.

        Args:
            ended: Children whose private folders, and users, are not yet given to others, by
                number. Those that end meanwhile are added.
        """
        found = self._abandoned()
        if not found:
            self._free({*self._held})
            return 0
        patience = strays.Patience()
        seen: set[int] = set()
        while found:
            seen.update(found)
            if self._sandbox.has_own_user:
                numbers = {self._strays[pid] for pid in found}
                own = {**self._held, **ended}
                for number in numbers.intersection(own):
                    strays.end_user(self._sandbox.user_of(own[number]))
            for pid in found:
                strays.end_group_of(pid)
            if not patience.wait(found):
                break
            self._collect(ended)
            found = self._abandoned()
        self._told.append(b"O %d" % len(seen))
        left = {self._strays[pid] for pid in found}
        self._free(self._held.keys() - left)
        self._hold({number: ended[number] for number in left.intersection(ended)})
        return len(found)

    def _hold(self, folders: dict[int, str]) -> None:
        """Tell that nobody may be given the users of these children, before their ends are told.

        The kernel counts what still dies of a user, and holds it to its limit of processes.
        """
        for number, folder in folders.items():
            if len(self._held) < _HELD_LIMIT_COUNT:
                self._told.insert(0, b"H %d" % number)
                self._held = {**self._held, number: folder}

    def _free(self, numbers: set[int]) -> None:
        """Tell that nothing is left of these children any more."""
        if numbers:  # which is rare, and what is written to is copied
            self._told.extend(b"G %d" % number for number in numbers)
            self._held = {n: folder for n, folder in self._held.items() if n not in numbers}

    def _abandoned(self) -> list[int]:
        """Return our children that are no child of the worker's, and whose child has ended."""
        strangers = strays.children().difference(self._children)
        if not strangers:
            return []
        for pid in strangers.difference(self._strays):
            owner, number = marker.read(pid)
            self._strays[pid] = number if owner == self._owner else 0
        living = {int(child_id) for child_id, _folder in self._children.values()}
        return [pid for pid in strangers if self._strays[pid] not in living]

    def _end_all(self) -> None:
        """Kill until there is nobody left: what is killed leaves its own children to us."""
        for pid in self._children:
            self._end_group(pid)
            strays.kill(pid)
        while True:
            for pid in strays.children():
                strays.end_group_of(pid)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return


def _next_ended() -> int:
    """Return the number of a child that has ended, which is still its own; 0 if none has."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return 0
    return 0 if found is None else found.si_pid


def _fork_each(births: list[_Birth]) -> list[int]:
    """Fork children one after the other; return the pid of each, or why there is none: -errno.

    Only local names, and nothing is noted before the last is there: each page that is written to
    between two forks is copied once more.
    """
    fork, become, place, enter, put = os.fork, _become, os.dup2, os.chdir, os.putenv
    give_way = os.sched_yield
    channel_at, ruleset_at = child.CHANNEL_FD, RULESET_FD
    environ = os.environ._data  # type: ignore[attr-defined]  # noqa: SLF001
    pids = []
    for channel_fd, out_fd, error_fd, ruleset_fd, home, steps in births:
        try:
            place(channel_fd, channel_at, False)
            place(ruleset_fd, ruleset_at, False)
            place(out_fd, 1)
            place(error_fd, 2)
            enter(home)
            # What `os.environ[...] = ...` does, at a third of the pages that it touches.
            put(b"HOME", home)
            put(b"TMPDIR", home)
            environ[b"HOME"] = environ[b"TMPDIR"] = home
            pid = fork()
        except OSError as error:
            pid = -(error.errno or errno.EIO)
        if pid == 0:
            become(steps)
        pids.append(pid)
        give_way()  # a batch is long: who runs an attempt, or waits for its end, goes before
    return pids


def _look_at_sample(
    births: list[_Birth],
    output: _socket.socket,
    answer: _socket.socket,
    others: _socket.socket,
) -> NoReturn:
    """Tell what a child writes to that runs a small function. In a fork of the template.

    What a parent writes to is copied for the parent, and what is then left to its child looks
    like the child's own. So this takes the parent's place, and the template, which does nothing
    meanwhile, goes on holding what both have begun with.

    Args:
        births: The child's.
        output: Where it says that it has run.
        answer: Where to tell it; nothing if it cannot be seen, or does not end in time.
        others: The other end of that, which is the template's.
    """
    pid, told = -1, b""
    try:
        (pid,) = _fork_each(births)
        _channel_fd, output_fd, error_fd, *_ = births[0]
        os.close(output_fd)  # which this has twice: else the child's end would not be heard
        os.dup2(error_fd, 1)
        if pid > 0 and output.recv(1):  # else it has ended before
            told = pinning.written_by(pid)
    finally:
        try:
            if pid > 0:
                os.kill(pid, 9)
                os.waitpid(pid, 0)
            others.close()
            answer.send(told)
            answer.recv(1)  # until the end: only what is shared is copied in order to be pinned
        finally:  # whatever happens: there is one template
            os._exit(0)


def _become(steps: list[Step], leave: Callable[[int], NoReturn] = os._exit) -> None:
    """Turn this fork into a spare child: in its own session, limited, with nothing of ours.

    `leave` is bound here because a script may replace `os._exit`: a child that came back
    from this would go on as a second template, and end the children of the first.
    """
    try:
        for call, arguments in steps:
            call(*arguments)
    except Exception as error:  # noqa: BLE001 - a child that cannot be set up must say why
        os.write(2, f"zscrape: {type(error).__name__}: {error}".encode("utf-8", "replace"))
    finally:
        leave(1)


def _lift(fd: int) -> int:
    """Return a copy of `fd` above the places of a child's channel and ruleset."""
    low = []
    while (copy := os.dup(fd)) <= RULESET_FD:
        low.append(copy)
    for each in low:
        os.close(each)
    return copy
