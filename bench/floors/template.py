"""The template of the floors, and its children: started without `site`.

Its arguments (`forks.command`) are CONTROL_FD LIVES [FOLDER]. The `warm.py` of FOLDER is imported
first. Each descriptor that comes by the control socket becomes the channel of a fork, which waits
there for a task: four bytes of size, then code and parameters as `marshal` has written them. It
answers by four bytes of size and JSON, and is over after LIVES tasks. It has a session of its own,
and limits that the template has set once; it loads the code of a task once.

Everything that a child does the template has done itself before its first fork, then its objects
are frozen: what a child need not change it need not copy. For the rest see `forks`.
"""

from __future__ import annotations

import _socket
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

_CHANNEL_FD = 3
_SIZE_BYTES = 4
_READ_BYTES = 65_536
_NICE = 10  # as attempts of ours are: on a machine that others use, too, the two wait alike
_FD_LIMIT_COUNT = 253
_REHEARSALS_COUNT = 60
_LIMITS = (
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_AS, 4 << 30),
    (resource.RLIMIT_FSIZE, 1 << 30),
    (resource.RLIMIT_NOFILE, 256),
    (resource.RLIMIT_CPU, 300),
)


def _refuse(value: object) -> NoReturn:
    raise TypeError(f"{type(value).__name__} is no JSON")


_chunks = make_encoder(None, _refuse, encode_basestring_ascii, None, ": ", ", ", False, False, True)
_known: dict[bytes, Any] = {}


def _receive(fd: int, said: bytes) -> tuple[bytes, bytes]:
    """Return a message and what has come behind it; `said` is what had come of it before."""
    while len(said) < _SIZE_BYTES:
        more = os.read(fd, _READ_BYTES)
        if not more:
            os._exit(0)
        said += more
    size = int.from_bytes(said[:_SIZE_BYTES], "big") + _SIZE_BYTES
    while len(said) < size:
        said += os.read(fd, _READ_BYTES)
    return said[_SIZE_BYTES:size], said[size:]


def _answer(said: bytes) -> tuple[bytes, bytes]:
    code, parameters = loads(said)
    run = _known.get(code)
    if run is None:
        names: dict[str, Any] = {"__name__": "main"}
        exec(loads(code), names)
        run = _known[code] = names["run"]
    data = "".join(_chunks(run(**parameters), 0)).encode()
    return len(data).to_bytes(_SIZE_BYTES, "big"), data


def _send(fd: int, answer: tuple[bytes, bytes]) -> None:
    sent = os.writev(fd, answer) - _SIZE_BYTES  # together they would be another copy
    if sent < len(answer[1]):
        rest = memoryview(answer[1])
        while sent < len(rest):
            sent += os.write(fd, rest[sent:])


def _live(lives: int, leave: Callable[[int], NoReturn] = os._exit) -> NoReturn:
    try:
        os.setsid()
        os.nice(_NICE)
        os.closerange(_CHANNEL_FD + 1, 65_536)
        left = b""
        for _ in range(lives):
            said, left = _receive(_CHANNEL_FD, left)
            _send(_CHANNEL_FD, _answer(said))
        leave(0)
    finally:
        leave(1)


def _sample(channel_fd: int, out_fd: int) -> int:
    os.dup2(channel_fd, _CHANNEL_FD, False)
    os.dup2(out_fd, 1)
    pid = os.fork()
    if pid == 0:
        _live(1, forks.stay)
    os.dup2(0, 1)
    return pid


def _request(source: str, parameters: dict[str, Any]) -> bytes:
    said = dumps((dumps(compile(source, "main", "exec")), parameters))
    return len(said).to_bytes(_SIZE_BYTES, "big") + said


def _rehearse() -> None:
    reader, writer = os.pipe()
    said = _request("def run(value):\n    return {'value': value}\n", {"value": [1, None, "x"]})
    for _ in range(_REHEARSALS_COUNT):
        os.write(writer, said)
        _send(writer, _answer(_receive(reader, b"")[0]))
        _receive(reader, b"")
        _known.clear()
    os.close(reader)
    os.close(writer)


def _serve(control: _socket.socket, lives: int) -> None:
    room = _socket.CMSG_SPACE(4 * _FD_LIMIT_COUNT)
    fork, copy, close, wait = os.fork, os.dup2, os.close, os.waitpid
    give_way = os.sched_yield
    control.send(b"ready")
    while True:
        message, ancillary, _flags, _address = control.recvmsg(1, room)
        if not message:
            return
        fds = memoryview(ancillary[0][2]).cast("i").tolist()
        for fd in fds:
            copy(fd, _CHANNEL_FD, False)
            if fork() == 0:
                _live(lives)
            close(fd)
            give_way()  # as ours does: a batch is long
        try:
            while wait(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            continue


def main(arguments: list[str]) -> None:
    """Warm up, rehearse, then fork until the other side has gone."""
    control_fd, lives, *folder = arguments
    lifted_fd = forks.lift(int(control_fd))
    os.dup2(0, _CHANNEL_FD)  # a place that nothing else takes
    if folder:
        sys.path.append(folder[0])
        __import__("warm")
        sys.path.pop()
    means = forks.Means(forks.make_ring())
    for kind, most in _LIMITS:
        resource.setrlimit(kind, (most, most))
    _rehearse()
    means.freeze()
    means.pin(_sample, _request("def run():\n    pass\n", {}))
    _serve(_socket.socket(fileno=lifted_fd), int(lives))
