"""The warm process that children are forked from.

It imports what its scripts will need, freezes the collector, then does three things for
its worker: fork spare children, signal them, and tell how they ended. It is the subreaper of
everything below it, so whatever a script starts ends up here and can be ended. When the
worker's end of the control socket closes, it ends all of that and itself.

Lean on purpose: every page that this loop writes to is copied again after each fork. That is
why it has no signal handler: it reaps when it is spoken to, and the worker, which sees
channels close, speaks to it when there is something to reap.

Control messages are short ASCII datagrams of lines, ids are the worker's:

    to the template                             from the template
    F processes limits id folder ...            R                         ready
      (three descriptors per child; limits      E text                    cannot be used
      are memory,files,size, or - for those     P id pid                  forked
      that the template itself has)             N id errno                not forked
    K id signal                                 X id status cpu_us kb     ended and reaped
    S ns  end what ended attempts have left,    S count                   strays still seen
                                                O count                   strays that were ended
      and shared memory older than that
    W  (nothing but reap)

Before all that, `launch.py prepare` may say `L number`: see `notify.hand_over`.
"""

from __future__ import annotations

import _socket
import errno
import gc
import os
import resource
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from zscrape.runtime import child, chromium, holes, hugepages, limits, marker, network, strays
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
# Enough for the interpreter to have specialised all that a child does.
_REHEARSALS_COUNT = 60


class _Birth(NamedTuple):
    """A child that is about to be forked, and how it becomes one."""

    child_id: bytes
    folder: str
    home: bytes
    steps: list[Step]  # the last of them never returns
    ruleset_fd: int
    error_number: int  # why it cannot be forked, or zero


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
    ) -> None:
        null = os.open("/dev/null", os.O_RDWR)
        self._null, self._errors = _lift(null), _lift(2)
        self._control = _socket.socket(fileno=_lift(control_fd))
        os.close(null)
        os.close(control_fd)
        os.dup2(self._null, child.CHANNEL_FD, False)
        os.dup2(self._null, RULESET_FD, False)  # a place that nothing else takes
        self._scratch = scratch.encode()
        self._is_exec = isolation == "exec"
        self._kit, self._preload = kit, preload
        self._has_browser = has_browser(kit)
        self._plan = plan
        self._sandbox = Sandbox(read_plan(plan), is_forked=not self._is_exec)
        # The kernel does not hold root to a process count.
        self._has_process_limit = os.geteuid() != 0 or self._sandbox.has_own_user
        # Another worker's mark stays: see `marker`.
        self._has_mark = resource.getrlimit(marker.RLIMIT_LOCKS)[1] == resource.RLIM_INFINITY
        self._first_steps: list[Step] = [(hooks.register, ())] if hooks.has_any else []
        self._first_steps += [(os.setsid, ()), (os.nice, (_NICE,))]
        self._confine = self._sandbox.confine
        if self._sandbox.has_own_user:
            os.setgroups([])
        self._ids: dict[int, bytes] = {}  # pid to id
        self._pids: dict[bytes, int] = {}
        self._folders: dict[int, str] = {}  # pid to the name of its private folder
        self._untidy: list[str] = []  # folders of children that have ended
        self._owner = marker.owner_of(scratch)
        self._strays: dict[int, int] = {}  # pid to the number of the child that started it
        self._told: list[bytes] = []

    def rehearse(self, times_count: int) -> None:
        """Do what children do before and when their attempts begin: see `child.rehearse`."""
        steps: list[Step] = [(os.getppid, ())] * 8
        for _ in range(times_count):
            _take(steps)
            self._sandbox.rehearse_steps()
        child.rehearse(self._scratch.decode(), times_count, self._sandbox.rehearse_confine)
        os.dup2(self._null, RULESET_FD, False)

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
                self._told.append(b"S %d" % self._end_strays({}))
                self._sandbox.tidy_older(int(words[1]))
            self._reap()
            if told:
                send(b"\n".join(told))
                told.clear()

    # ---- children --------------------------------------------------------------------

    def _fork_all(self, words: list[bytes], ancillary: list[Any]) -> None:
        """Fork a batch. All that a fork can inherit is set here first, where it costs less."""
        fds = memoryview(ancillary[0][2]).cast("i")
        # All of them before the first fork: after each, what is written to is copied anew.
        births = [self._birth(words, at) for at in range(3, len(words), 2)]
        at = 0
        for birth in births:
            os.dup2(fds[at], child.CHANNEL_FD, False)
            os.dup2(fds[at + 1], 1)
            os.dup2(fds[at + 2], 2)
            at += 3
            self._fork(birth)
        os.dup2(self._null, child.CHANNEL_FD, False)
        os.dup2(self._null, RULESET_FD, False)
        os.dup2(self._null, 1)
        os.dup2(self._errors, 2)
        for fd in fds:
            os.close(fd)

    def _birth(self, words: list[bytes], at: int) -> _Birth:
        child_id, name = words[at], words[at + 1]
        folder = name.decode()
        steps = [*self._first_steps]
        if self._has_mark:
            mark = marker.mark_of(self._owner, int(child_id))
            steps.append((resource.setrlimit, (marker.RLIMIT_LOCKS, (mark, mark))))
        steps += self._sandbox.steps(folder)
        steps.append((os.closerange, (RULESET_FD + 1, 65536)))
        if words[2] != b"-":
            asked = limits.Limits(*map(int, words[2].split(b",")))
            steps.append((partial(limits.apply, asked, has_browser=self._has_browser), ()))
        if self._has_process_limit:
            most = limits.possible(resource.RLIMIT_NPROC, int(words[1]))
            steps.append((resource.setrlimit, (resource.RLIMIT_NPROC, most)))
        ruleset_fd, error_number = -1, 0
        if not self._is_exec:
            try:
                ruleset_fd = self._sandbox.make_ruleset(folder)
            except OSError as error:
                error_number = error.errno or errno.EIO
        home = self._scratch + b"/" + name
        steps += self._last_steps(folder, home)
        return _Birth(child_id, folder, home, steps, ruleset_fd, error_number)

    def _last_steps(self, folder: str, home: bytes) -> list[Step]:
        """Return how a child that is limited begins to wait for its attempt."""
        if self._is_exec:
            return [(self._become_fresh, (folder,))]
        serve: Step = (child.serve, (self._confine,))
        if not self._has_browser:
            return [serve]
        return [(chromium.start_ahead, (home.decode(), self._sandbox.confine_ahead)), serve]

    def _fork(self, birth: _Birth) -> None:
        child_id, folder, home, steps, ruleset_fd, error_number = birth
        become, pid = _become, -1
        try:
            if ruleset_fd >= 0:
                os.dup2(ruleset_fd, RULESET_FD, False)
                os.close(ruleset_fd)
            os.chdir(home)
            # What `os.environ[...] = ...` does, at a third of the pages that it touches.
            known = os.environ._data  # type: ignore[attr-defined]  # noqa: SLF001
            for name in (b"HOME", b"TMPDIR"):
                os.putenv(name, home)
                known[name] = home
            if not error_number:
                pid = os.fork()
        except OSError as error:
            error_number = error.errno or errno.EIO
        if pid == 0:
            become(steps)
        if pid < 0:
            self._told.append(b"N %b %d" % (child_id, error_number))
            return
        self._folders[pid] = folder
        self._ids[pid] = child_id
        self._pids[child_id] = pid
        self._told.append(b"P %b %d" % (child_id, pid))

    def _become_fresh(self, folder: str) -> None:
        os.set_inheritable(child.CHANNEL_FD, True)
        launch = f"{os.path.dirname(__file__)}/launch.py"  # noqa: PTH120 - pathlib is not loaded here
        own = [self._kit, self._preload, folder, self._plan]
        arguments = [*_EXEC_ARGUMENTS, launch, "child", *own]
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - a fresh interpreter is what `exec` asks for

    def _kill(self, child_id: bytes, number: int) -> None:
        pid = self._pids.get(child_id)
        if pid is None:  # already reaped
            return
        try:
            os.killpg(pid, number)
        except ProcessLookupError:  # forked a moment ago: its session is not there yet
            os.kill(pid, number)

    # ---- their ends ------------------------------------------------------------------

    def _reap(self) -> None:
        """Tell of every child that has ended, once nothing that it started is left."""
        users: dict[int, int] = {}
        if self._collect(users):
            self._end_strays(users)
        while self._untidy:
            self._sandbox.tidy(self._untidy.pop())

    def _collect(self, users: dict[int, int]) -> bool:
        """Reap what has ended; note the users of children among it. True iff there was a child."""
        is_any = False
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return is_any
            if ended is None:
                return is_any
            pid = ended.si_pid
            child_id = self._ids.pop(pid, None)
            if child_id is not None:
                self._end_group(pid)  # before the wait: until then nobody can have its number
            _pid, status, used = os.wait4(pid, 0)
            if child_id is None:
                self._strays.pop(pid, None)
                continue
            is_any = True
            folder = self._folders.pop(pid)
            self._untidy.append(folder)
            del self._pids[child_id]
            if self._sandbox.has_own_user:
                users[int(child_id)] = self._sandbox.user_of(folder)
            cpu_us = int((used.ru_utime + used.ru_stime) * 1_000_000)
            self._told.append(b"X %b %d %d %d" % (child_id, status, cpu_us, used.ru_maxrss))

    def _end_group(self, pid: int) -> None:
        try:
            os.killpg(pid, 9)
        except OSError:  # it ended before it had a group of its own
            return

    # ---- strays: what lost its parent and became ours ----------------------------------

    def _end_strays(self, users: dict[int, int]) -> int:
        """End all that ended children have started; return how many were seen at last.

        It goes round until it sees nothing, or its time is up: what is killed leaves its own
        children to us, and one of a chain of forks may be gone before it is hit.

        Args:
            users: By child, the user that was its alone and is not yet given to another.
        """
        patience = strays.Patience()
        ended: set[int] = set()
        while True:
            found = self._abandoned()
            if not found:
                break
            ended.update(found)
            for uid in {users[self._strays[pid]] for pid in found if self._strays[pid] in users}:
                strays.end_user(uid)
            for pid in found:
                strays.end_group_of(pid)
            if not patience.wait(found):
                break
            self._collect(users)
        if ended:
            self._told.append(b"O %d" % len(ended))
        return len(found)

    def _abandoned(self) -> list[int]:
        """Return our children that are no child of the worker's, and whose child has ended."""
        found = []
        for pid in strays.children():
            if pid in self._ids:
                continue
            number = self._strays.get(pid)
            if number is None:
                owner, number = marker.read(pid)
                self._strays[pid] = number = number if owner == self._owner else 0
            if b"%d" % number not in self._pids:
                found.append(pid)
        return found

    def _end_all(self) -> None:
        """Kill until there is nobody left: what is killed leaves its own children to us."""
        for pid in list(self._ids):
            self._end_group(pid)
            strays.kill(pid)
        while True:
            for pid in strays.children():
                strays.end_group_of(pid)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return


def _become(steps: list[Step], leave: Callable[[int], NoReturn] = os._exit) -> None:
    """Turn this fork into a spare child: in its own session, limited, with nothing of ours.

    `leave` is bound here because a script may replace `os._exit`: a child that came back
    from this would go on as a second template, and end the children of the first.
    """
    try:
        _take(steps)
    except Exception as error:  # noqa: BLE001 - a child that cannot be set up must say why
        os.write(2, f"zscrape: {type(error).__name__}: {error}".encode("utf-8", "replace"))
    finally:
        leave(1)


def _take(steps: list[Step]) -> None:
    for call, arguments in steps:
        call(*arguments)


def _lift(fd: int) -> int:
    """Return a copy of `fd` above the places of a child's channel and ruleset."""
    low = []
    while (copy := os.dup(fd)) <= RULESET_FD:
        low.append(copy)
    for each in low:
        os.close(each)
    return copy


def has_browser(kit: str) -> bool:
    """True iff scripts with this kit start a browser."""
    return "browser" in kit.split(",")


def warm(kit: str, *, is_forked: bool = True) -> None:
    """Import and try out what scripts with this kit will use, so that no child has to.

    Where this process is itself the child (not `is_forked`), trying out would be no use.
    """
    if "http" in kit.split(",") or has_browser(kit):  # visits go by what `ctx.http` knows
        # Its command line brings rich and pygments: 9 MB more in every fork. None: not there.
        sys.modules["httpx._main"] = None  # type: ignore[assignment]
        from zscrape.runtime import warming

        del sys.modules["httpx._main"]
        if is_forked:
            warming.warm()
        else:
            warming.load()
    if has_browser(kit):
        from zscrape.runtime import ctx_browser

        chromium.is_in_kit = True
        ctx_browser.warm()


def import_ahead(preload: str) -> None:
    """Import the modules that a manifest's `preload` names, so that no child has to.

    Raises:
        Exception: Whatever one of them raises.
        RuntimeError: One of them has started a thread, which no child would have.
    """
    _import(preload)
    if preload and len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 - pathlib is not loaded here
        raise RuntimeError(
            f"preload: {preload} starts threads, which children forked from it would not have;"
            " import it in the script"
        )


def _import(preload: str) -> None:
    for name in preload.split(",") if preload else ():
        __import__(name)


def serve(arguments: list[str]) -> None:
    """Run as a template.

    Args:
        arguments: Control descriptor, scratch, isolation, kit, preload, limits or `-`, plan.
    """
    control_fd, scratch, isolation, kit, preload = int(arguments[0]), *arguments[1:5]
    own_limits, plan = arguments[5:7]
    os.set_inheritable(control_fd, False)
    os.umask(0o077)
    os.environ.pop("LD_BIND_NOW", None)  # it was for this process, not for what scripts start
    limits.forbid_core_dumps()
    hooks = Hooks()
    try:
        if isolation == "fork":
            network.watch()
            with hooks:
                warm(kit)
                import_ahead(preload)
            child.rehearse(scratch, 1)  # whatever it loads must be there before the sandbox is
            if kit:  # the lean one has too little to gain from it
                _enlarge(hugepages.enlarge_code)
    except Exception as error:
        refuse(control_fd, error)
        raise
    if own_limits != "-":
        asked = limits.Limits(*map(int, own_limits.split(",")))
        limits.apply(asked, has_browser=has_browser(kit))
    _prepare_interpreter()
    template = Template(control_fd, scratch, isolation, kit, preload, plan, hooks)
    if isolation == "fork":
        template.rehearse(_REHEARSALS_COUNT)
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page it visits
    if isolation == "fork" and kit:
        holes.fill()
        _enlarge(hugepages.enlarge_objects)
    template.serve()


def _enlarge(part: Callable[[], int]) -> None:
    try:
        part()
    except OSError:  # it costs its forks more, that is all
        return


def refuse(control_fd: int, error: Exception) -> None:
    """Tell the worker why there will be no template."""
    text = f"{type(error).__name__}: {error}"
    _socket.socket(fileno=control_fd).send(b"E " + text.encode("utf-8", "replace")[:4096])


def serve_child(arguments: list[str]) -> None:
    """Run as one child in a fresh interpreter: kit, preload, private folder, plan."""
    kit, preload, folder, plan = arguments[:4]
    os.set_inheritable(child.CHANNEL_FD, False)
    sandbox = Sandbox(read_plan(plan), is_forked=False)
    sandbox.prepare_ruleset(folder)
    os.closerange(RULESET_FD + 1, 65536)
    network.watch()
    warm(kit, is_forked=False)
    _import(preload)
    _prepare_interpreter()
    if has_browser(kit):
        chromium.start_ahead(chromium.home(), sandbox.confine_ahead)
    child.serve(sandbox.confine)


def _prepare_interpreter() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(  # type: ignore[union-attr]
            encoding="utf-8", errors="backslashreplace", line_buffering=True
        )
    child.install_sigterm()
    gc.collect()
    gc.freeze()
    gc.disable()
