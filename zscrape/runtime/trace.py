"""What a script raised, told with its own frames only.

The standard `traceback` module is not used: importing it costs a child several
milliseconds, and its output names our frames and the folders of this machine.

A script's classes may lie or raise wherever they are asked, so nothing here asks them: what
the interpreter itself knows is read through the descriptors of the built-in types, and the
rest (`__str__`, notes) is taken only if it can be had.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

CUT_MARK = " [cut]"
MESSAGE_LIMIT_CHARACTERS = 10_000
_FRAME_LIMIT_COUNT = 60
_CHAIN_LIMIT_COUNT = 5
_MEMBER_LIMIT_COUNT = 10
_NAME_LIMIT_CHARACTERS = 200
_LINE_LIMIT_CHARACTERS = 400
# Escaped in JSON, a character takes six bytes at most: with the rest of an answer's head this
# stays below what the worker takes (1 MiB).
_TRACEBACK_LIMIT_CHARACTERS = 100_000

_TYPE, _ERROR, _SYNTAX_ERROR = vars(type), vars(BaseException), vars(SyntaxError)
_qualname_of: Callable[[type], str] = _TYPE["__qualname__"].__get__
_module_of: Callable[[type], Any] = _TYPE["__module__"].__get__
_cause_of: Callable[[BaseException], Any] = _ERROR["__cause__"].__get__
_context_of: Callable[[BaseException], Any] = _ERROR["__context__"].__get__
_is_context_hidden: Callable[[BaseException], Any] = _ERROR["__suppress_context__"].__get__
_traceback_of: Callable[[BaseException], Any] = _ERROR["__traceback__"].__get__


def describe(error: object) -> tuple[str, str]:
    """Return the type's name and the message of `error`, whatever its `__str__` does."""
    return type_name(type(error)), tell(error, caught=BaseException)


def type_name(kind: type) -> str:
    """Return the name of a type, with its module where that says something."""
    name = _qualname_of(kind)
    try:
        module = _module_of(kind)
    except AttributeError:  # made where there is no `__name__`
        module = None
    told = cut(name, _NAME_LIMIT_CHARACTERS)
    where = cut(module, _NAME_LIMIT_CHARACTERS) if issubclass(type(module), str) else ""
    return told if where in ("", "builtins", "main", "__main__") else f"{where}.{told}"


def tell(
    value: object,
    limit_characters: int = MESSAGE_LIMIT_CHARACTERS,
    *,
    form: Callable[[object], str] = str,
    caught: type[BaseException] = Exception,
) -> str:
    """Return `form(value)`, cut; what that raises is told in its place if it is a `caught`."""
    try:
        return cut(form(value), limit_characters)
    except caught as second:
        return f"<its message cannot be told: {type_name(type(second))}>"


def clean(text: str) -> str:
    """Return `text` without lone surrogates, which no encoder takes."""
    return text.encode("utf-8", "backslashreplace").decode()


def cut(text: str, limit_characters: int) -> str:
    """Return `text` clean and at most so long; the mark of a cut comes on top."""
    exact = str.__str__(text)  # a subclass may answer anything
    told = clean(exact[:limit_characters])
    if len(exact) <= limit_characters and len(told) <= limit_characters:
        return told
    return told[:limit_characters] + CUT_MARK


def render(error: BaseException, folder: str) -> str:
    """Return a traceback of `error` and its causes: frames under `folder`, paths relative to it."""
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    link = ""
    while current is not None and id(current) not in seen and len(parts) < _CHAIN_LIMIT_COUNT:
        seen.add(id(current))
        parts.append(_render_one(current, folder) + link)
        if _cause_of(current) is not None:
            link = "\n\nThe above exception was the direct cause of the following exception:\n"
            current = _cause_of(current)
        elif _context_of(current) is not None and not _is_context_hidden(current):
            link = "\n\nDuring handling of the above exception, another exception occurred:\n"
            current = _context_of(current)
        else:
            current = None
    told = "\n".join(reversed(parts))
    if len(told) <= _TRACEBACK_LIMIT_CHARACTERS:
        return told
    half = _TRACEBACK_LIMIT_CHARACTERS // 2  # where it began and what it came to
    return f"{told[:half]}{CUT_MARK}\n{told[-half:]}"


def _render_one(error: BaseException, folder: str) -> str:
    lines = _frames(_traceback_of(error), folder)
    if lines:
        lines.insert(0, "Traceback (most recent call last):")
    name, message = describe(error)
    if issubclass(type(error), SyntaxError):
        lines.extend(_syntax(error, folder))
        message = _syntax_text(error, "msg")
    lines.append(f"{name}: {message}" if message else name)
    lines.extend(tell(note, caught=BaseException) for note in _members(error, "__notes__", list))
    for inner in _members(error, "exceptions", tuple):
        lines.append("  with: " + ": ".join(describe(inner)))
    return "\n".join(lines)


def _members(error: BaseException, name: str, wanted: type) -> Any:
    """Return the first notes of an exception, or of what a group holds."""
    try:
        held = getattr(error, name, None)
    except BaseException:  # noqa: BLE001 - a script's own attribute; then there is none to tell
        return ()
    if not issubclass(type(held), wanted):  # no exception group: the name is anyone's
        return ()
    return vars(wanted)["__getitem__"](held, slice(_MEMBER_LIMIT_COUNT))


def _frames(trace: TracebackType | None, folder: str) -> list[str]:
    frames: list[tuple[str, int, str]] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        path = str.__str__(code.co_filename)
        if path.startswith(folder + "/"):
            frames.append((path, trace.tb_lineno, code.co_name))
        trace = trace.tb_next
    if len(frames) > _FRAME_LIMIT_COUNT:  # endless recursion: both ends tell the story
        half = _FRAME_LIMIT_COUNT // 2
        frames = frames[:half] + frames[-half:]
    lines: list[str] = []
    for path, number, name in frames:
        shown = cut(path[len(folder) + 1 :], _LINE_LIMIT_CHARACTERS)
        lines.append(f'  File "{shown}", line {number}, in {cut(name, _NAME_LIMIT_CHARACTERS)}')
        source = _source_line(path, number)
        if source:
            lines.append(f"    {source}")
    return lines


def _syntax(error: BaseException, folder: str) -> list[str]:
    path = _syntax_text(error, "filename")
    if not path:
        return []
    shown = path[len(folder) + 1 :] if path.startswith(folder + "/") else os.path.basename(path)  # noqa: PTH119 - pathlib is not loaded in a child
    lines = [f'  File "{shown}", line {_syntax_text(error, "lineno")}']
    text = _syntax_text(error, "text").rstrip()
    if text:
        offset = _syntax_part(error, "offset")
        column = offset if type(offset) is int and 0 < offset <= len(text) + 1 else 1
        indent = len(text) - len(text.lstrip())
        lines.append(f"    {text.lstrip()}")
        lines.append("    " + " " * max(column - 1 - indent, 0) + "^")
    return lines


def _syntax_part(error: BaseException, name: str) -> Any:
    return _SYNTAX_ERROR[name].__get__(error)


def _syntax_text(error: BaseException, name: str) -> str:
    part = _syntax_part(error, name)
    return "" if part is None else tell(part, _LINE_LIMIT_CHARACTERS, caught=BaseException)


def _source_line(path: str, number: int) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - as above
            for index, line in enumerate(file, 1):
                if index == number:
                    return cut(line.strip(), _LINE_LIMIT_CHARACTERS)
    except (OSError, ValueError):  # gone, or a path that is none
        return ""
    return ""
