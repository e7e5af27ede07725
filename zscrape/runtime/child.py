"""One attempt, inside its own process: hear the request, run the script, answer, exit.

The process has been limited before it hears anything (`template.py`, `limits.py`). It
answers once and leaves by `os._exit`: threads, exit handlers and finalizers that a script
left behind have no say in when the attempt is over.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # `signal` without the enums around it
import gc
import os
import sys
import time
from json.decoder import JSONDecoder
from marshal import loads as _revive
from typing import TYPE_CHECKING, Any

from zscrape.runtime import channel as frames, coroutine, limits, network
from zscrape.runtime.channel import ANSWER, COMPILE, REPLAY, RUN_PLAIN, Channel
from zscrape.runtime.context import Context
from zscrape.runtime.convert import Mismatch, arguments
from zscrape.runtime.encode import NotJson, array_of, document_of, to_json
from zscrape.runtime.entry import (
    EntryPointError,
    compiled,
    is_success,
    load,
    run_plain,
    space_of,
)
from zscrape.runtime.limits import apply_cpu, usage, used
from zscrape.runtime.outcomes import ScrapeFailure, code_of
from zscrape.runtime.refusal import is_process_refused
from zscrape.runtime.said import Ended, Said
from zscrape.runtime.trace import describe, render, tell, type_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from zscrape.runtime.encode import Pieces
    from zscrape.runtime.reuse import Standing

_scan = JSONDecoder().scan_once  # type: ignore[attr-defined] # in C, without the regular expressions around it
_GENERATOR = type(_ for _ in ())

_NOTHING_TO_DRIVE = (dict, list, str, int, float, bool, tuple)

# A request: these fields, each ended by a NUL, then the parameters, what is known of sites (an
# object of `known_size` bytes, see `budget.Budget`), the secrets (another, of `secrets_size`) and
# the code (of `code_size` bytes; none: compile). Split by one call:
# reading JSON would touch as much of this process's memory as the rest of an attempt that
# does little.
FIELDS = (
    "task_id",
    "attempt",
    "folder",
    "entry_point",
    "script_name",
    "timeout_s",
    "cpu_s",
    "memory_bytes",
    "result_bytes",
    "mode",
    "code_size",
    "secrets_size",
    "trace_id",
    "left_count",
    "known_size",
)
_FIELDS_COUNT = len(FIELDS)
# `left_count`: how many more attempts this process may run after this one.

CHANNEL_FD = 3
# Made in the template and inherited: what a child need not make itself costs it nothing.
_channel = Channel(CHANNEL_FD)
inherited = Said(_channel, 0)  # of the first attempt
_set_traceback = vars(BaseException)["__traceback__"].__set__
# Each module that a child looks something up in is a page more that it copies.
_depth, _set_depth, _enable_collector = sys.getrecursionlimit, sys.setrecursionlimit, gc.enable
_DEPTH_LIMIT_COUNT = _depth()
_RESERVE_BYTES = 4 * 1024 * 1024
# Never written to, so it costs no memory (a `bytearray` would be filled with zeros, and its
# thousand pages be part of every fork); given back when a script has used all that it may, so
# that there is room to say so.
_reserve: bytes | None = bytes(_RESERVE_BYTES)
_running: Said | None = None  # set iff a script's code is running: where SIGTERM may strike
# Of a process that may run several attempts: how it was before the first, and what it has loaded.
_standing: Standing | None = None
_loaded: Callable[..., Any] | None = None
# Called before any code of a script: see `network.prepare`.
before_script: Callable[[], None] | None = None
ahead_us = 0  # of processor time that no attempt has used: see `rehearsal.rehearse_ahead`


def on_sigterm(_number: int, _frame: Any) -> None:
    """Tell a script that looks at `ctx.cancelled`; interrupt any other where it stands."""
    said = _running
    if said is None:
        return
    said.is_cancelled = True
    if not said.is_polling:
        said.end(Ended("cancelled"))


def serve(
    confine: Callable[[str], None] | None,
    rehearse: Callable[[], None] | None = None,
    leave: Callable[[int], NoReturn] = os._exit,
) -> None:
    """Wait for one request, run it, answer, exit. Never returns.

    Where the script asks for `reuse`, and all went well, it waits for the next one instead.

    Args:
        confine: Keeps this process to the folder of a script, from before it is loaded; None:
            nothing can.
        rehearse: Called when the worker says, before any request, that there is time for it.
        leave: Bound here because a script may replace `os._exit`.
    """
    status = 1
    try:
        payload = _channel.receive()
        while payload == b"" and rehearse is not None:
            rehearse()
            payload = _channel.receive()
        is_kept = payload is not None and answer(inherited, payload, confine)
        while is_kept:
            payload = _channel.receive()
            is_kept = payload is not None and answer(Said(_channel, 0), payload, None)
        status = 0
    except BrokenPipeError:  # the worker is gone: nobody is left to tell
        status = 0
    except MemoryError:  # amid an answer, which cannot be taken back
        status = limits.OUT_OF_MEMORY_STATUS
    finally:
        leave(status)


def answer(said: Said, payload: bytes, confine: Callable[[str], None] | None) -> bool:
    """Run what is asked for and answer; True iff another request may follow."""
    request = payload.split(b"\0", _FIELDS_COUNT)
    if request[14] != b"0":
        said.begun_at = time.monotonic()
    if confine is not None:
        confine(request[2].decode())
    cpu_s, left_count = int(request[6]), int(request[13])
    used_us = ahead_us
    if left_count or _standing is not None:
        used_us = _stand(cpu_s, left_count)
    elif cpu_s:
        apply_cpu(cpu_s)
    said.limit_bytes = int(request[8])
    if before_script is not None:
        before_script()
    _enable_collector()  # frozen and off in the template; the script makes its own garbage
    failure, data = _attempt(request, said)
    _flush()
    own, ended = used()
    cpu_us, memory_bytes = usage(own, ended)
    is_kept = left_count > 0 and failure is None and _is_kept(said, own, cpu_us)
    said.is_over = is_kept
    cpu_us -= used_us
    if is_kept:
        told = (cpu_us, memory_bytes, said.known_count)
        head = b'{"code":"ok","cpu_us":%d,"memory_bytes":%d,"known_count":%d,"is_kept":true}' % told
    elif failure is None:
        told = (cpu_us, memory_bytes, said.known_count)
        head = b'{"code":"ok","cpu_us":%d,"memory_bytes":%d,"known_count":%d}' % told
    else:
        head = _head({**failure, "cpu_us": cpu_us, "memory_bytes": memory_bytes})
        if failure["code"] != "parked":
            _tell_recording(said)
    head = len(head).to_bytes(4, "big") + head
    if isinstance(data, bytes):
        said.channel.send(ANSWER, head, data)
    else:
        _send_in_pieces(said.channel, head, data, is_kept=is_kept)
    return is_kept


def _send_in_pieces(channel: Channel, head: bytes, data: Pieces, *, is_kept: bool) -> None:
    """Send a long answer. Half of one cannot be taken back: its pieces have the reserve's room."""
    global _reserve  # noqa: PLW0603 - it is there to be given up
    _reserve = None
    channel.send(ANSWER, head, data)
    if is_kept:
        _reserve = bytes(_RESERVE_BYTES)


def _stand(cpu_s: int, left_count: int) -> int:
    """Begin one of several attempts; return the processor time (us) that earlier ones have used."""
    global _standing  # noqa: PLW0603 - it is this process's
    if _standing is not None:
        return _standing.go_on(cpu_s, left_count)
    from zscrape.runtime.reuse import Standing

    _standing = Standing(cpu_s, left_count)
    return ahead_us


def _is_kept(said: Said, own: Any, used_us: int) -> bool:
    """True iff this process may run another attempt; whatever keeps it from saying so: no."""
    try:
        if _loaded is None or _standing is None:
            return False
        return _standing.is_kept(said, own, used_us)
    except BaseException:  # noqa: BLE001 - a script may have replaced anything
        return False


def _tell_recording(said: Said) -> None:
    """Tell what sites have answered to an attempt that has failed."""
    if said.recording is None:
        return
    try:
        told = said.recording.packed()
    except Exception:  # noqa: BLE001 - no memory, or a script's own doing: the answer comes first
        return
    if told:
        said.channel.send(frames.RECORDING, told)


def _attempt(request: list[bytes], said: Said) -> tuple[dict[str, Any] | None, bytes | Pieces]:
    """Return how it failed (None: it did not), and the data."""
    global _running  # noqa: PLW0603 - a signal handler can reach nothing else
    try:
        _running = said
        value = _run(request, said)
        _running = None
        if _depth() != _DEPTH_LIMIT_COUNT:
            _set_depth(_DEPTH_LIMIT_COUNT)
        if said.ended is None:
            return None, _data(value, said)
        return _failure(said.ended, request, said)
    except BaseException as error:  # noqa: BLE001 - whatever a script raises is its outcome
        _running = None
        return _any_failure(said.ended or error, request, said)


def _any_failure(
    error: BaseException, request: list[bytes], said: Said
) -> tuple[dict[str, Any] | None, bytes | Pieces]:
    """Return what `_failure` does, or less when a script's classes keep even that from us."""
    try:
        _set_depth(_DEPTH_LIMIT_COUNT)  # too high a limit ends the process while encoding
        return _failure(error, request, said)
    except MemoryError as second:
        return _failure(second, request, said)
    except BaseException as second:  # noqa: BLE001 - as above
        told = f"<it cannot be told: {type_name(type(second))}>"
        name = type_name(type(error))
        return {"code": "script_error", "error_type": name, "error_message": told}, b""


def _head(failure: dict[str, Any]) -> bytes:
    try:
        return to_json(failure)
    except NotJson as error:  # a script has raised an `Ended` of its own making
        told = f"<it cannot be told: {error}>"
        return to_json({"code": "script_error", "error_type": "Ended", "error_message": told})


def _run(request: list[bytes], said: Said) -> Any:
    global _loaded  # noqa: PLW0603 - it is this process's
    rest, code_size = request[-1], int(request[10])
    params_raw = rest[: len(rest) - code_size - int(request[11]) - int(request[14])]
    if _loaded is not None:
        return _call(_loaded, params_raw, request, said)
    folder, entry_point, mode = request[2].decode(), request[3].decode(), request[9]
    if mode == COMPILE:
        return compiled(folder, entry_point)
    if code_size:  # compiling again costs twice the whole run
        # Our own, from `compiled` by way of the worker.
        code, is_plain = _revive(rest[len(rest) - code_size :]), mode == RUN_PLAIN  # noqa: S302
    else:
        code, is_plain = load(folder, entry_point)
    space, function_name = space_of(folder, entry_point, is_plain=is_plain)
    if is_plain:
        return run_plain(code, space, params_raw)
    exec(code, space)  # noqa: S102 - what this process is for
    function = space.get(function_name)
    if not callable(function):
        raise EntryPointError(f"it has no function {function_name}")
    if _standing is not None:
        _loaded = function
    return _call(function, params_raw, request, said)


def _context(params: dict[str, Any], request: list[bytes], said: Said) -> Context:
    return Context(
        said,
        params=params,
        task_id=request[0].decode(),
        attempt=int(request[1]),
        script_name=request[4].decode(),
        ends_at=time.monotonic() + float(request[5]),
        secrets=_secrets(request),
        is_replay=request[9] == REPLAY,
        trace_id=request[12].decode(),
        known=_known(request),
    )


def _secrets(request: list[bytes]) -> dict[str, str]:
    end = len(request[-1]) - int(request[10])
    return _object(request, end, int(request[11]))


def _known(request: list[bytes]) -> dict[str, Any]:
    end = len(request[-1]) - int(request[10]) - int(request[11])
    return _object(request, end, int(request[14]))


def _object(request: list[bytes], end: int, size: int) -> dict[str, Any]:
    """Return what stands before `end` in the last part of a request."""
    if not size:
        return {}
    found: dict[str, Any] = _scan(request[-1][end - size : end].decode(), 0)[0]
    return found


def _call(function: Callable[..., Any], params_raw: bytes, request: list[bytes], said: Said) -> Any:
    params = {} if params_raw == b"{}" else _scan(params_raw.decode(), 0)[0]
    value = function(**arguments(function, params, _context, params, request, said))
    if value is None:
        return None
    kind = type(value)
    if kind in _NOTHING_TO_DRIVE:
        return value
    if kind is _GENERATOR:
        return _drain(value, said)
    if hasattr(value, "__await__") or hasattr(value, "__anext__"):
        return coroutine.run(_drive(value, said), said)
    return value


def _drain(generator: Any, said: Said) -> Any:
    emit = said.item
    while True:
        try:
            item = next(generator)
        except StopIteration as stop:
            return stop.value
        emit(item)


async def _drive(value: Any, said: Said) -> Any:
    if hasattr(value, "__anext__"):
        async for item in value:
            said.item(item)
        return None
    result = await value
    if type(result) is _GENERATOR:  # `async def run(...): return rows()`
        return _drain(result, said)
    return result


def _data(value: Any, said: Said) -> bytes | Pieces:
    """Return the data as JSON: what was returned, else the items, else null."""
    if said.emitter is not None:
        said.emitter.settle()
    if value is None:
        return array_of(said.bodies) if said.bodies else b"null"
    try:
        data = document_of(value)
    except (NotJson, SystemExit) as error:  # leaving is for code that runs, not for values
        raise Ended("result_invalid", reason=tell(error)) from None
    if len(data) + said.size_bytes > said.limit_bytes:
        raise Ended(
            "result_invalid",
            reason=f"it has {len(data)} bytes; `limits.result_size` is {said.limit_bytes}",
        )
    return data


def _failure(
    error: BaseException, request: list[bytes], said: Said
) -> tuple[dict[str, Any] | None, bytes | Pieces]:
    kind = type(error)  # `isinstance` would ask the error for its class
    if issubclass(kind, MemoryError):
        _make_room(error)
        return {"code": "memory_limit", "fields": {"limit_bytes": int(request[7])}}, b""
    folder, entry_point, script_name = (part.decode() for part in request[2:5])
    if kind is Ended:
        ended: Any = error
        return {"code": ended.code, "fields": ended.fields, "error_message": ended.message}, b""
    if issubclass(kind, SystemExit) and is_success(error):  # type: ignore[arg-type] # it is one
        return None, _data(None, said)
    if kind is Mismatch:
        fields = {"script_name": script_name}
        return {"code": "params_invalid", "fields": fields, "error_message": tell(error)}, b""
    if kind is EntryPointError:
        fields = {"name": script_name, "entry_point": entry_point, "reason": tell(error)}
        return {"code": "entry_point_invalid", "fields": fields}, b""
    name, message = describe(error)
    refused = network.refused(error)
    return {
        "code": _code_of(error, kind, refused),
        "error_type": name,
        "error_message": refused or message,
        "traceback": render(error, folder),
    }, b""


def _code_of(error: BaseException, kind: type, refused: str) -> str:
    if refused:
        return "network_denied"
    if issubclass(kind, ScrapeFailure):
        return code_of(kind)
    return "process_limit" if is_process_refused(error) else "script_error"


def _make_room(error: BaseException) -> None:
    global _reserve  # noqa: PLW0603 - it is there to be given up
    _reserve = None
    _set_traceback(error, None)  # its frames hold what filled the memory
    limits.raise_memory_to_hard()


def _flush() -> None:
    """Push out what the script printed; it may have taken away even the names."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        is_all = sys.__stdout__ is sys.stdout
    except BaseException:  # noqa: BLE001 - as below
        is_all = False
    if is_all:
        return
    for name in ("stdout", "stderr", "__stdout__"):
        try:
            getattr(sys, name).flush()
        except BaseException:  # noqa: BLE001, S112 - whatever it is, there is nothing to save
            continue


def install_sigterm() -> None:
    """Let SIGTERM end an attempt softly; set once in the template and inherited."""
    _signal.signal(_signal.SIGTERM, on_sigterm)
