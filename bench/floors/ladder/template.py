"""The template of a rung, and its children: started without `site`.

Its arguments (`forks.command`) are [enter PROCS] [prepare] RUNG CONTROL_FD SCRATCH PLAN [RING].

Messages on the control socket are written by `marshal`. To the template: `("F", children, tells)`
with one descriptor for each, or three (channel, output, error), a child being its number and the
name of its private folder; `("K", number)` to kill its process group; `("W",)` to reap. From it,
from the rung `DEADLINE` on: what was forked, if that is to be told: number, process; and what has
ended: number, status, processor time (us), memory (KB).

A child hears a request (four bytes of size, then code, parameters, the script's folder, task,
attempt and time limit, and how many more attempts it may run) and answers by frames of four bytes
of size, one of kind, and the rest. It goes after its answer, unless that is of the kind `KEPT`.
From the rung `LAYERS` on it is confined by the product's own `zscrape.runtime.sandbox`; RING is
then the descriptor that `prepare` has made for `bench.floors.forks`.
"""

from __future__ import annotations

import _socket
import gc
import os
import resource
import sys
from _json import encode_basestring_ascii, make_encoder
from marshal import dumps, loads

from bench.floors import forks

TYPE_CHECKING = False  # `typing` itself would be part of every fork
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

# As `rungs.Rung` has them, which would bring `enum`.
DEADLINE, OUTPUT, FOLDER, LAYERS, CONTEXT = 10, 11, 12, 13, 14
ANSWER, KEPT, ERROR, LOG, PROGRESS, ITEM = b"r", b"k", b"e", b"l", b"p", b"i"
CHANNEL_FD, RULESET_FD = 3, 4
SIZE_BYTES, USAGE_BYTES = 4, 16  # of the answer's own: processor time in us, memory in KB
_READ_BYTES = 65_536
_NICE = 10  # as attempts of ours are
_FD_LIMIT_COUNT = 253
_REHEARSALS_COUNT = 60
_SIGKILL, _SIGTERM = 9, 15
_PROCESS_COUNT = 64
_CPU, _set_limit = resource.RLIMIT_CPU, resource.setrlimit
_LIMITS = (
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_AS, 2_048_000_000 + (32 << 20)),
    (resource.RLIMIT_DATA, 512_000_000 + (32 << 20)),
    (resource.RLIMIT_FSIZE, 64 << 20),
    (resource.RLIMIT_NOFILE, 256),
)
_GENERATOR = type(_ for _ in ())
_rusage, _SELF, _ENDED = resource.getrusage, resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN


def _refuse(value: object) -> NoReturn:
    raise TypeError(f"{type(value).__name__} is no JSON")


_chunks = make_encoder(
    None, _refuse, encode_basestring_ascii, None, ": ", ", ", False, False, False
)


def _to_json(value: object) -> bytes:
    return "".join(_chunks(value, 0)).encode()


# ---- a child -------------------------------------------------------------------------


def _send(fd: int, kind: bytes, *parts: bytes) -> None:
    size = sum(map(len, parts)) + 1
    head = size.to_bytes(SIZE_BYTES, "big") + kind
    sent = os.writev(fd, (head, *parts))
    if sent < size + SIZE_BYTES:
        rest = memoryview(b"".join(parts))[sent - len(head) :]
        while rest:
            rest = rest[os.write(fd, rest) :]


def _receive(fd: int) -> bytes:
    said = os.read(fd, _READ_BYTES)
    while len(said) < SIZE_BYTES or len(said) < SIZE_BYTES + int.from_bytes(
        said[:SIZE_BYTES], "big"
    ):
        more = os.read(fd, _READ_BYTES)
        if not more:
            os._exit(0)
        said += more
    return said[SIZE_BYTES:]


class Log:
    """`ctx.log`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def _say(self, level: str, message: str, fields: dict[str, Any]) -> None:
        _send(self._fd, LOG, _to_json({**fields, "level": level, "message": message}))

    def debug(self, message: str, **fields: Any) -> None:
        """Tell what is of interest to its author."""
        self._say("debug", message, fields)

    def info(self, message: str, **fields: Any) -> None:
        """Tell what happens."""
        self._say("info", message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        """Tell what is odd."""
        self._say("warning", message, fields)

    def error(self, message: str, **fields: Any) -> None:
        """Tell what is wrong."""
        self._say("error", message, fields)


class Ended(BaseException):
    """The attempt is over, by a code of the script's own."""


class Context:
    """`ctx`, without a kit."""

    def __init__(self, fd: int, parameters: dict[str, Any], facts: tuple[str, int, float]) -> None:
        import time

        self._clock = time.monotonic
        self._fd, self.params = fd, parameters
        self.task_id, self.attempt, timeout_s = facts
        self._ends_at = self._clock() + timeout_s
        self.cancelled = False
        self.log = Log(fd)
        self.items: list[Any] = []

    @property
    def deadline(self) -> float:
        """Seconds left."""
        return self._ends_at - self._clock()

    def progress(self, fraction: float, text: str = "") -> None:
        """Tell how far it is."""
        _send(self._fd, PROGRESS, _to_json({"fraction": fraction, "text": text}))

    def emit(self, item: Any) -> None:
        """Send an item."""
        _send(self._fd, ITEM, _to_json(item))
        self.items.append(item)

    def fail(self, code: str, message: str = "") -> NoReturn:
        """End the attempt by a code."""
        raise Ended(code, message)


class Child:
    """What a child does once it is forked; made in the template and inherited."""

    def __init__(self, rung: int) -> None:
        self._has_usage, self._has_output = rung >= DEADLINE, rung >= OUTPUT
        self._has_context = rung >= CONTEXT
        self._has_cpu_limit = rung >= LAYERS
        self.confine: Callable[[str], None] | None = None
        # Of a process that may run several attempts: how it was before, and what it has loaded.
        self._standing: Any = None
        self._loaded: Any = None
        self.asking = None  # for `reuse`: no attempt asks its worker for anything

    def answer(self, source_fd: int, fd: int) -> bool:
        """Run what is asked for; True iff another request may follow."""
        code, parameters, folder, facts, left_count = loads(_receive(source_fd))
        if self._loaded is None:
            if self.confine is not None:
                self.confine(folder)
            gc.enable()  # frozen and off in the template; the script makes its own garbage
        used_us, cpu_s = 0, int(facts[2] + 0.999)
        if left_count or self._standing is not None:
            used_us = self._stand(cpu_s, left_count)
        elif self._has_cpu_limit and cpu_s:
            _set_limit(_CPU, (cpu_s, cpu_s + 1))
        try:
            kind, told = ANSWER, self._run(code, parameters, fd, facts)
        except BaseException as error:  # noqa: BLE001 - whatever a script raises is its outcome
            kind, told = ERROR, _to_json(_words(error))
        if self._has_output:
            sys.stdout.flush()
            sys.stderr.flush()
        if self._has_usage:
            own, ended = _rusage(_SELF), _rusage(_ENDED)
            cpu_us = int((own[0] + own[1] + ended[0] + ended[1]) * 1e6)
            if left_count and kind is ANSWER and self._is_kept(own, cpu_us):
                kind = KEPT
            usage = (cpu_us - used_us) << 64 | max(own[2], ended[2])
            _send(fd, kind, usage.to_bytes(USAGE_BYTES, "big"), told)
        else:
            _send(fd, kind, told)
        return kind is KEPT

    def _stand(self, cpu_s: int, left_count: int) -> int:
        """Begin one of several attempts; return the processor time (us) that others have used."""
        if self._standing is not None:
            used_us: int = self._standing.go_on(cpu_s, left_count)
            return used_us
        from zscrape.runtime.reuse import Standing

        self._standing = Standing(cpu_s, left_count)
        return 0

    def _is_kept(self, own: Any, used_us: int) -> bool:
        try:
            return bool(self._standing.is_kept(self, own, used_us))
        except BaseException:  # noqa: BLE001 - a script may have replaced anything
            return False

    def _run(
        self, code: bytes, parameters: dict[str, Any], fd: int, facts: tuple[str, int, float]
    ) -> bytes:
        run = self._loaded
        if run is None:
            names: dict[str, Any] = {"__name__": "main"}
            exec(loads(code), names)
            run = names["run"]
            if self._standing is not None:
                self._loaded = run
        if not self._has_context:
            return _to_json(run(**parameters))
        return self._run_with_context(run, parameters, fd, facts)

    def _run_with_context(
        self, run: Any, parameters: dict[str, Any], fd: int, facts: tuple[str, int, float]
    ) -> bytes:
        context = None
        code = run.__code__
        if "ctx" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            context = Context(fd, parameters, facts)
            value = run(**parameters, ctx=context)
        else:
            value = run(**parameters)
        if value is None and context is None:
            return b"null"
        if hasattr(value, "__await__"):
            import asyncio

            value = asyncio.run(value)
        if type(value) is _GENERATOR:
            context = context or Context(fd, parameters, facts)
            for item in value:
                context.emit(item)
            value = None
        if value is None and context is not None and context.items:
            value = context.items
        return _to_json(value)


def _words(error: BaseException) -> dict[str, Any]:
    """Return what is told of an error, with the script's own frames."""
    if type(error) is Ended:
        code, message = error.args
        return {"code": code, "type": "", "message": message, "traceback": ""}
    frames = []
    at = error.__traceback__
    while at is not None:
        if at.tb_frame.f_code.co_filename != __file__:
            frames.append(f"line {at.tb_lineno}, in {at.tb_frame.f_code.co_name}")
        at = at.tb_next
    code = "memory_limit" if isinstance(error, MemoryError) else "script_error"
    name, told = type(error).__name__, "\n".join(frames)
    return {"code": code, "type": name, "message": str(error), "traceback": told}


def _live(steps: list[Any], child: Child, leave: Callable[[int], NoReturn]) -> NoReturn:
    try:
        for call, arguments in steps:
            call(*arguments)
        while child.answer(CHANNEL_FD, CHANNEL_FD):
            pass
        leave(0)
    finally:
        leave(1)


# ---- the template --------------------------------------------------------------------


class Template:
    """Forks, signals and reaps."""

    def __init__(self, rung: int, control_fd: int, scratch: str, plan: str) -> None:
        self._rung, self._scratch = rung, scratch.encode()
        null = os.open("/dev/null", os.O_RDWR)
        self._null, self._errors = forks.lift(null), forks.lift(2)
        self._control = _socket.socket(fileno=forks.lift(control_fd))
        for place in (CHANNEL_FD, RULESET_FD):
            os.dup2(self._null, place, False)  # places that nothing else takes
        self._children: dict[int, tuple[int, str]] = {}  # number and folder, by process
        self._fds_each_count = 3 if rung >= OUTPUT else 1
        self.child = Child(rung)
        self._sandbox: Any = None
        if rung >= LAYERS:
            self._confine(plan)

    def _confine(self, plan: str) -> None:
        with forks.Without():
            from zscrape.runtime import marker, sandbox, strays

        self._marker, self._strays = marker, strays
        self._owner = marker.owner_of(self._scratch.decode())
        told: Any = sandbox.Plan()  # type: ignore[call-arg] # no tuple, without `typing`
        vars(told).update(_plan_of(plan))
        self._sandbox = sandbox.Sandbox(told, is_forked=True)
        if self._sandbox.has_own_user:
            os.setgroups([])
        if self._sandbox.has_own_group:
            marker.put(self._owner, 0)
            self._sandbox.hold_limits()
        self.child.confine = self._sandbox.confine

    def _steps(self, number: int, folder: str) -> list[Any]:
        if self._sandbox is None:
            return self._steps_around([])
        group, steps = 0, []
        if self._sandbox.has_own_group:
            group = self._marker.group_of(self._owner, number)
        else:
            marked = self._marker.mark_of(self._owner, number)
            steps = [(resource.setrlimit, (self._marker.RLIMIT_LOCKS, (marked, marked)))]
        return self._steps_around(steps + self._sandbox.steps(folder, group))

    def _steps_around(self, own: list[Any]) -> list[Any]:
        """Return all that a child does before it hears; `own` is what makes it itself."""
        steps: list[Any] = [(os.setsid, ()), (os.nice, (_NICE,)), *own]
        if self._sandbox is not None and self._sandbox.has_own_user:
            most = (_PROCESS_COUNT, _PROCESS_COUNT)
            steps.append((resource.setrlimit, (resource.RLIMIT_NPROC, most)))
        steps.append((os.closerange, (RULESET_FD + 1, 65_536)))
        return steps

    def fork_sample(self, channel_fd: int, out_fd: int) -> int:
        """Fork a child that is nobody's, and does what every child does."""
        own: list[Any] = []
        ruleset_fd = -1
        if self._sandbox is not None:
            own = self._sandbox.steps_as(os.geteuid(), os.getegid())
            ruleset_fd = self._sandbox.make_ruleset("")
        home = self._scratch if self._rung >= FOLDER else b""
        ends = (channel_fd, out_fd, self._errors)
        births = [(ends, ruleset_fd, home, self._steps_around(own))]
        (pid,) = _fork_each(births, self.child, forks.stay)
        self._take_back([] if ruleset_fd < 0 else [ruleset_fd])
        return pid

    def rehearse(self) -> None:
        """Do what children will do, so that they need not change what is shared."""
        reader, writer = os.pipe()
        source = "def run(value):\n    return {'value': value}\n"
        said = _request(source, {"value": [1, None, "x"]}, 0.0)  # no limit to this process
        cpu = resource.getrlimit(_CPU)
        confine = self.child.confine
        if confine is not None:
            self.child.confine = self._sandbox.rehearse_confine
        for _ in range(_REHEARSALS_COUNT):
            os.write(writer, said)
            self.child.answer(reader, self._null)
            _set_limit(_CPU, cpu)
            for call, arguments in [(os.getppid, ())] * 8:
                call(*arguments)
            if self._sandbox is not None:
                for call, arguments in self._sandbox.steps_to_rehearse():
                    call(*arguments)
        self.child.confine = confine
        os.dup2(self._null, RULESET_FD, False)
        os.close(reader)
        os.close(writer)
        gc.disable()

    def serve(self) -> None:
        """Obey until the worker has gone, then leave nothing behind."""
        try:
            self._obey()
        except ConnectionError:  # it has gone while we spoke
            self._control.close()
        for pid in self._children:
            _kill_group(pid)
            _kill_one(pid)

    def _obey(self) -> None:
        control, room = self._control, _socket.CMSG_SPACE(4 * _FD_LIMIT_COUNT)
        control.send(b"ready")
        while True:
            message, ancillary, _flags, _address = control.recvmsg(_READ_BYTES, room)
            if not message:
                return
            word = loads(message)
            births: list[tuple[int, int]] = []
            if word[0] == "F":
                pids = self._fork_all(word[1], memoryview(ancillary[0][2]).cast("i").tolist())
                if word[2]:
                    births = [(each[0], pid) for each, pid in zip(word[1], pids, strict=True)]
            elif word[0] == "K":
                self._kill(word[1])
            if self._rung < DEADLINE:
                self._reap_alone()
            elif (ended := self._reap()) or births:
                control.send(dumps((births, ended)))

    def _fork_all(self, named: list[tuple[int, str]], fds: list[int]) -> list[int]:
        """Fork a batch; nothing is noted before the last is there: see `zscrape.runtime`."""
        births = []
        count, rulesets = self._fds_each_count, []
        for place, (number, folder) in enumerate(named):
            own = fds[place * count : place * count + count]
            ruleset_fd = -1 if self._sandbox is None else self._sandbox.make_ruleset(folder)
            if ruleset_fd >= 0:
                rulesets.append(ruleset_fd)
            home = self._scratch + b"/" + folder.encode() if folder else b""
            births.append((own, ruleset_fd, home, self._steps(number, folder)))
        pids = _fork_each(births, self.child)
        self._take_back(fds + rulesets)
        if self._rung >= DEADLINE:
            self._children.update(zip(pids, named, strict=True))
        return pids

    def _take_back(self, fds: list[int]) -> None:
        """Close what children have, and put what is ours in their places."""
        os.dup2(self._null, CHANNEL_FD, False)
        os.dup2(self._null, RULESET_FD, False)
        os.dup2(self._null, 1)
        os.dup2(self._errors, 2)
        for fd in fds:
            os.close(fd)

    def _kill(self, number: int) -> None:
        for pid, own in self._children.items():
            if own[0] == number:
                _kill_group(pid)
                _kill_one(pid)

    def _reap_alone(self) -> None:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return

    def _reap(self) -> list[tuple[int, int, int, int]]:
        """Reap what has ended, and end what it has left in its group, and elsewhere."""
        ended: list[tuple[int, int, int, int]] = []
        folders: list[str] = []
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                break
            if found is None:
                break
            pid = found.si_pid
            own = self._children.pop(pid, None)
            if own is not None:
                _kill_group(pid)  # before the wait: until then nobody can have its number
            _pid, status, used = os.wait4(pid, 0)
            if own is not None:
                cpu_us = int((used.ru_utime + used.ru_stime) * 1e6)
                ended.append((own[0], status, cpu_us, used.ru_maxrss))
                folders.append(own[1])
        if ended and self._sandbox is not None:
            self._end_strays()
            self._sandbox.tidy(folders)
        return ended

    def _end_strays(self) -> None:
        """Kill what children that have ended have started outside of their groups."""
        strangers = self._strays.children().difference(self._children)
        if strangers:
            living = {number for number, _folder in self._children.values()}
            for pid in strangers:
                owner, number = self._marker.read(pid)
                if owner == self._owner and number not in living:
                    _kill_group(pid)
                    _kill_one(pid)


def _plan_of(told: str) -> dict[str, Any]:
    """Return the fields of a plan (`zscrape.runtime.sandbox`)."""
    fields: dict[str, Any] = loads(bytes.fromhex(told))
    return fields


def _request(source: str, parameters: dict[str, Any], timeout_s: float) -> bytes:
    facts = ("task", 1, timeout_s)
    said = dumps((dumps(compile(source, "main", "exec")), parameters, "/", facts, 0))
    return len(said).to_bytes(SIZE_BYTES, "big") + said


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, _SIGKILL)
    except OSError:  # it ended before it had one, or is gone
        return


def _kill_one(pid: int) -> None:
    try:
        os.kill(pid, _SIGKILL)
    except OSError:
        return


def _fork_each(
    births: list[Any], child: Child, leave: Callable[[int], NoReturn] = os._exit
) -> list[int]:
    fork, place, enter, put, give_way = os.fork, os.dup2, os.chdir, os.putenv, os.sched_yield
    environ = os.environ._data  # type: ignore[attr-defined]  # noqa: SLF001
    pids = []
    for own, ruleset_fd, home, steps in births:
        place(own[0], CHANNEL_FD, False)
        if len(own) > 1:
            place(own[1], 1)
            place(own[2], 2)
        if home:
            enter(home)
            put(b"HOME", home)
            put(b"TMPDIR", home)
            environ[b"HOME"] = environ[b"TMPDIR"] = home
        if ruleset_fd >= 0:
            place(ruleset_fd, RULESET_FD, False)
        pid = fork()
        if pid == 0:
            _live(steps, child, leave)
        pids.append(pid)
        give_way()  # as ours does: a batch is long
    return pids


def _on_sigterm(_number: int, _frame: Any) -> NoReturn:
    raise Ended("cancelled", "")


def main(arguments: list[str]) -> None:
    """Warm up, rehearse, then fork until the other side has gone."""
    if arguments[0] == "enter":
        with open(arguments[1], "w", encoding="ascii") as file:  # noqa: PTH123 - without pathlib
            file.write("0")
        arguments = arguments[2:]
    is_to_prepare = arguments[0] == "prepare"
    arguments = arguments[1:] if is_to_prepare else arguments
    rung_text, control_text, scratch, plan, *ring = arguments
    rung, control_fd = int(rung_text), int(control_text)
    ring_fd = int(ring[0]) if ring else forks.make_ring()
    if is_to_prepare:
        from zscrape.runtime import sandbox

        sandbox.confine_template(sandbox.Plan(**_plan_of(plan)))
        os.execv(sys.executable, [*forks.command(__name__, "-S"), *arguments, str(ring_fd)])
    means = forks.Means(ring_fd)
    os.umask(0o077)
    os.environ.pop("LD_BIND_NOW", None)
    for kind, most in _LIMITS:
        resource.setrlimit(kind, (most, most))
    if rung >= LAYERS:
        with forks.Without():
            from zscrape.runtime import network

        network.learn()
        network.prepare()
    template = Template(rung, control_fd, scratch, plan)
    if rung >= OUTPUT:
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
    if rung >= CONTEXT:
        import _signal  # type: ignore[import-not-found] # `signal` without the enums around it

        _signal.signal(_SIGTERM, _on_sigterm)
    template.rehearse()
    means.freeze()
    means.pin(template.fork_sample, _request("def run():\n    pass\n", {}, 300.0))
    template.serve()
