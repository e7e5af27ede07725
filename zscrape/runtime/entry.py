"""A script's file and function: found, compiled, run.

`file.py:function`, or `file.py` for the function `run`. A file that binds no `run` is a
plain script: it runs as `__main__`, with the parameters as JSON on standard input, and what
it writes to standard output is its answer if that is one JSON document.
"""

from __future__ import annotations

import marshal
import os
import sys
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_FUNCTION = "run"
_CAPTURE_LIMIT_BYTES = 64 * 1024 * 1024
_exit_code_of: Callable[[SystemExit], Any] = vars(SystemExit)["code"].__get__


class EntryPointError(Exception):
    """Raised when the entry point's file or function is not there."""


def load(folder: str, entry_point: str) -> tuple[CodeType, bool]:
    """Compile the entry point of the script in `folder`; tell whether it is a plain script.

    Raises:
        EntryPointError: The file is not there.
        SyntaxError: The file is not Python.
    """
    file_name, _, function_name = entry_point.partition(":")
    path = f"{folder}/{file_name}"
    if ".." in file_name.split("/") or file_name.startswith("/"):
        raise EntryPointError(f"{file_name} is outside the script's folder")
    try:
        source = _read(path)
    except OSError as error:
        raise EntryPointError(f"{file_name} cannot be read: {error.strerror}") from None
    code = compile(source, path, "exec", dont_inherit=True)
    return code, not function_name and not _binds(code, DEFAULT_FUNCTION)


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, os.fstat(fd).st_size + 1)
    finally:
        os.close(fd)


def compiled(folder: str, entry_point: str) -> tuple[bool, str]:
    """Return whether the script is a plain one, and its code as text.

    Asked of a child that runs nothing: what later attempts start from has been made by the
    compiler alone, and no attempt can change it for the next.
    """
    code, is_plain = load(folder, entry_point)
    return is_plain, marshal.dumps(code).hex()


def space_of(folder: str, entry_point: str, *, is_plain: bool) -> tuple[dict[str, Any], str]:
    """Return the names of the module that a script is, and the name of its function."""
    file_name, _, function_name = entry_point.partition(":")
    path = f"{folder}/{file_name}"
    sys.path.insert(0, folder)
    sys.argv = [path]
    name = "__main__" if is_plain else file_name.rpartition("/")[2].partition(".")[0]
    sys.modules[name] = module = ModuleType(name)
    space = module.__dict__
    space["__file__"] = path
    return space, function_name or DEFAULT_FUNCTION


def _binds(code: CodeType, name: str) -> bool:
    """True iff the module's top level gives `name` a value, or may: a star import does."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType) and constant.co_name == name:
            return True
    if name not in code.co_names:
        return False
    import dis

    return any(
        each.opname == "STORE_NAME" and each.argval == name for each in dis.get_instructions(code)
    )


def flush(stream: Any) -> None:
    """Push out what a script printed; it may have closed, replaced or taken away the stream."""
    try:
        stream.flush()
    except BaseException:  # noqa: BLE001 - whatever it is, there is nothing to save
        return


def is_success(error: SystemExit) -> bool:
    """True iff a script that left with this has left as one does that is done."""
    code = _exit_code_of(error)
    return code is None or (issubclass(type(code), int) and int.__eq__(code, 0))


def _unnamed_file() -> int:
    """Return the descriptor of a file of ours without a name, or with one that is gone."""
    try:
        return os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600)
    except OSError:  # this file system does not have it
        fd = os.open(".stdin", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.unlink(".stdin")  # noqa: PTH108 - pathlib is not loaded here
        return fd


def run_plain(code: CodeType, space: dict[str, Any], params_raw: bytes) -> Any:
    """Run a plain script; return what it printed if that is one JSON document, else None."""
    import io
    from json import loads

    stdin = _unnamed_file()
    os.write(stdin, params_raw)
    os.lseek(stdin, 0, os.SEEK_SET)
    os.dup2(stdin, 0)
    os.close(stdin)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), encoding="utf-8")
    copy = bytearray()

    class Tee(io.RawIOBase):
        """Standard output, with a copy kept."""

        def writable(self) -> bool:
            return True

        def fileno(self) -> int:
            return 1

        def write(self, data: Any) -> int:
            sent = os.write(1, data)
            if len(copy) <= _CAPTURE_LIMIT_BYTES:
                copy.extend(data[:sent])
            return sent

    out = sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(Tee()), encoding="utf-8", errors="backslashreplace", line_buffering=True
    )
    try:
        exec(code, space)  # noqa: S102 - what this process is for
    except SystemExit as error:
        if not is_success(error):
            raise
    for stream in (sys.stdout, out):  # one may wrap the other
        flush(stream)
    try:
        return loads(copy) if copy else None
    except (ValueError, RecursionError):
        return None
