"""The template of a rung, and its children: a plain file, started without `site`.

    python -I -S -B template.py [enter PROCS] [prepare] RUNG CONTROL_FD ROOT SCRATCH PLAN

Messages on the control socket are written by `marshal`. To the template: `("F", children)` with
one descriptor for each, or three (channel, output, error), a child being its number and the name of
its private folder; `("K", number)` to kill its process group; `("W",)` to reap. From it, from
the rung `DEADLINE` on: a list of what has ended: number, status, processor time (us), memory (KB).

A child hears one request (four bytes of size, then code, parameters, the script's folder, task,
attempt and time limit) and answers by frames of four bytes of size, one of kind, and the rest.
From the rung `LAYERS` on it is confined by the product's own `zscrape.runtime.sandbox`.
"""

from __future__ import annotations

import _socket
import fcntl
import gc
import os
import resource
import sys
from _json import encode_basestring_ascii, make_encoder
from marshal import dumps, loads

TYPE_CHECKING = False  # `typing` itself would be part of every fork
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

# As `rungs.Rung` has them, which would bring `enum`.
DEADLINE, OUTPUT, FOLDER, LAYERS, CONTEXT = 10, 11, 12, 13, 14
ANSWER, ERROR, LOG, PROGRESS, ITEM = b"r", b"e", b"l", b"p", b"i"
CHANNEL_FD, RULESET_FD = 3, 4
SIZE_BYTES, USAGE_BYTES = 4, 16  # of the answer's own: processor time in us, memory in KB
_READ_BYTES = 65_536
_NICE = 10  # as attempts of ours are
_FD_LIMIT_COUNT = 253
_REHEARSALS_COUNT = 60
_SIGKILL, _SIGTERM = 9, 15
_PROCESS_COUNT = 64
_CPU_S = 300
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
        self.confine: Callable[[str], None] | None = None

    def answer(self, source_fd: int, fd: int) -> None:
        """Run what is asked for."""
        code, parameters, folder, facts = loads(_receive(source_fd))
        if self.confine is not None:
            self.confine(folder)
        gc.enable()  # frozen and off in the template; the script makes its own garbage
        try:
            kind, told = ANSWER, self._run(loads(code), parameters, fd, facts)
        except BaseException as error:  # noqa: BLE001 - whatever a script raises is its outcome
            kind, told = ERROR, _to_json(_words(error))
        if self._has_output:
            sys.stdout.flush()
            sys.stderr.flush()
        if self._has_usage:
            own, ended = _rusage(_SELF), _rusage(_ENDED)
            cpu_us = int((own[0] + own[1] + ended[0] + ended[1]) * 1e6)
            usage = cpu_us << 64 | max(own[2], ended[2])
            _send(fd, kind, usage.to_bytes(USAGE_BYTES, "big"), told)
        else:
            _send(fd, kind, told)

    def _run(
        self, code: Any, parameters: dict[str, Any], fd: int, facts: tuple[str, int, float]
    ) -> bytes:
        names: dict[str, Any] = {"__name__": "main"}
        exec(code, names)
        run = names["run"]
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


def _live(steps: list[Any], child: Child) -> NoReturn:
    try:
        for call, arguments in steps:
            call(*arguments)
        child.answer(CHANNEL_FD, CHANNEL_FD)
        os._exit(0)
    finally:
        os._exit(1)


# ---- the template --------------------------------------------------------------------


class Template:
    """Forks, signals and reaps."""

    def __init__(self, rung: int, control_fd: int, scratch: str, plan: str) -> None:
        self._rung, self._scratch = rung, scratch.encode()
        null = os.open("/dev/null", os.O_RDWR)
        lift = fcntl.F_DUPFD_CLOEXEC
        self._null = fcntl.fcntl(null, lift, RULESET_FD + 1)
        self._errors = fcntl.fcntl(2, lift, RULESET_FD + 1)
        self._control = _socket.socket(fileno=fcntl.fcntl(control_fd, lift, RULESET_FD + 1))
        for place in (CHANNEL_FD, RULESET_FD):
            os.dup2(self._null, place, False)  # places that nothing else takes
        self._numbers: dict[int, int] = {}  # by process
        self._fds_each_count = 3 if rung >= OUTPUT else 1
        self.child = Child(rung)
        self._sandbox: Any = None
        if rung >= LAYERS:
            self._confine(plan)

    def _confine(self, plan: str) -> None:
        from zscrape.runtime import marker, sandbox, strays

        self._marker, self._strays = marker, strays
        self._owner = marker.owner_of(self._scratch.decode())
        self._sandbox = sandbox.Sandbox(sandbox.read_plan(plan), is_forked=True)
        if self._sandbox.has_own_user:
            os.setgroups([])
        if self._sandbox.has_own_group:
            marker.put(self._owner, 0)
            self._sandbox.hold_limits()
        self.child.confine = self._sandbox.confine

    def _steps(self, number: int, folder: str) -> list[Any]:
        steps: list[Any] = [(os.setsid, ()), (os.nice, (_NICE,))]
        if self._sandbox is not None:
            group = 0
            if self._sandbox.has_own_group:
                group = self._marker.group_of(self._owner, number)
            else:
                marked = self._marker.mark_of(self._owner, number)
                steps.append((resource.setrlimit, (self._marker.RLIMIT_LOCKS, (marked, marked))))
            steps += self._sandbox.steps(folder, group)
            steps.append((resource.setrlimit, (resource.RLIMIT_CPU, (_CPU_S, _CPU_S + 1))))
            if self._sandbox.has_own_user:
                most = (_PROCESS_COUNT, _PROCESS_COUNT)
                steps.append((resource.setrlimit, (resource.RLIMIT_NPROC, most)))
        steps.append((os.closerange, (RULESET_FD + 1, 65_536)))
        return steps

    def rehearse(self) -> None:
        """Do what children will do, so that they need not change what is shared."""
        reader, writer = os.pipe()
        code = compile("def run(value):\n    return {'value': value}\n", "main", "exec")
        facts = ("task", 1, 300.0)
        said = dumps((dumps(code), {"value": [1, 2.5, None, "text"]}, "", facts))
        confine = self.child.confine
        if confine is not None:
            self.child.confine = self._sandbox.rehearse_confine
        for _ in range(_REHEARSALS_COUNT):
            os.write(writer, len(said).to_bytes(SIZE_BYTES, "big") + said)
            self.child.answer(reader, self._null)
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
        for pid in self._numbers:
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
            if word[0] == "F":
                self._fork_all(word[1], memoryview(ancillary[0][2]).cast("i").tolist())
            elif word[0] == "K":
                self._kill(word[1])
            if self._rung < DEADLINE:
                self._reap_alone()
            elif ended := self._reap():
                control.send(dumps(ended))

    def _fork_all(self, named: list[tuple[int, str]], fds: list[int]) -> None:
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
        os.dup2(self._null, CHANNEL_FD, False)
        if rulesets:
            os.dup2(self._null, RULESET_FD, False)
        if count > 1:
            os.dup2(self._null, 1)
            os.dup2(self._errors, 2)
        for fd in fds + rulesets:
            os.close(fd)
        if self._rung >= DEADLINE:
            for pid, (number, _folder) in zip(pids, named, strict=True):
                self._numbers[pid] = number

    def _kill(self, number: int) -> None:
        for pid, own in self._numbers.items():
            if own == number:
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
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                break
            if found is None:
                break
            pid = found.si_pid
            number = self._numbers.pop(pid, None)
            if number is not None:
                _kill_group(pid)  # before the wait: until then nobody can have its number
            _pid, status, used = os.wait4(pid, 0)
            if number is not None:
                cpu_us = int((used.ru_utime + used.ru_stime) * 1e6)
                ended.append((number, status, cpu_us, used.ru_maxrss))
        if ended and self._sandbox is not None:
            self._end_strays()
        return ended

    def _end_strays(self) -> None:
        """Kill what children that have ended have started outside of their groups."""
        strangers = self._strays.children().difference(self._numbers)
        if strangers:
            living = set(self._numbers.values())
            for pid in strangers:
                owner, number = self._marker.read(pid)
                if owner == self._owner and number not in living:
                    _kill_group(pid)
                    _kill_one(pid)


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


def _fork_each(births: list[Any], child: Child) -> list[int]:
    fork, place, enter, put = os.fork, os.dup2, os.chdir, os.putenv
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
            _live(steps, child)
        pids.append(pid)
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
    rung_text, control_text, root, scratch, plan = arguments[1:] if is_to_prepare else arguments
    rung, control_fd = int(rung_text), int(control_text)
    if rung >= LAYERS:
        sys.path.append(root)
    if is_to_prepare:
        from zscrape.runtime import sandbox

        sandbox.confine_template(sandbox.read_plan(plan))
        options = [sys.executable, "-I", "-S", "-B", __file__, *arguments[1:]]
        os.execv(sys.executable, options)
    os.umask(0o077)
    os.environ.pop("LD_BIND_NOW", None)
    for kind, most in _LIMITS:
        resource.setrlimit(kind, (most, most))
    if rung >= LAYERS:
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
    gc.collect()
    if rung >= LAYERS:
        from zscrape.runtime import room

        room.gather()
    gc.freeze()
    template.serve()


if __name__ == "__main__":
    main(sys.argv[1:])
