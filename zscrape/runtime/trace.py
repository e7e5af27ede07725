"""What a script raised, told with its own frames only.

The standard `traceback` module is not used: importing it costs a child several
milliseconds, and its output names our frames and the folders of this machine.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any

_FRAME_LIMIT_COUNT = 60
_CHAIN_LIMIT_COUNT = 5
_MESSAGE_LIMIT_CHARACTERS = 10_000


def describe(error: BaseException) -> tuple[str, str]:
    """Return the type's name and the message of `error`, whatever its `__str__` does."""
    kind = type(error)
    module = kind.__module__
    name = (
        kind.__qualname__
        if module in ("builtins", "main", "__main__")
        else f"{module}.{kind.__qualname__}"
    )
    try:
        message = str(error)
    except Exception as second:  # noqa: BLE001 - a script's own __str__ may raise anything
        message = f"<its message cannot be told: {type(second).__name__}>"
    return name, clean(message)[:_MESSAGE_LIMIT_CHARACTERS]


def clean(text: str) -> str:
    """Return `text` without lone surrogates, which no encoder takes."""
    return text.encode("utf-8", "backslashreplace").decode()


def render(error: BaseException, folder: str) -> str:
    """Return a traceback of `error` and its causes: frames under `folder`, paths relative to it."""
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    link = ""
    while current is not None and id(current) not in seen and len(parts) < _CHAIN_LIMIT_COUNT:
        seen.add(id(current))
        parts.append(_render_one(current, folder) + link)
        if current.__cause__ is not None:
            link = "\n\nThe above exception was the direct cause of the following exception:\n"
            current = current.__cause__
        elif current.__context__ is not None and not current.__suppress_context__:
            link = "\n\nDuring handling of the above exception, another exception occurred:\n"
            current = current.__context__
        else:
            current = None
    return "\n".join(reversed(parts))


def _render_one(error: BaseException, folder: str) -> str:
    lines = _frames(error.__traceback__, folder)
    if lines:
        lines.insert(0, "Traceback (most recent call last):")
    if isinstance(error, SyntaxError) and error.filename:
        lines.extend(_syntax(error, folder))
    name, message = describe(error)
    if isinstance(error, SyntaxError):
        message = clean(str(error.msg))
    lines.append(f"{name}: {message}" if message else name)
    for note in getattr(error, "__notes__", ()) or ():
        lines.append(clean(str(note)))
    for inner in _inner(error):
        lines.append("  with: " + ": ".join(describe(inner)))
    return "\n".join(lines)


def _inner(error: BaseException) -> tuple[BaseException, ...]:
    """Return what an exception group holds; older interpreters have no such class."""
    held: Any = getattr(error, "exceptions", ())
    return held[:_CHAIN_LIMIT_COUNT] if isinstance(held, tuple) else ()


def _frames(trace: TracebackType | None, folder: str) -> list[str]:
    frames: list[tuple[str, int, str]] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename.startswith(folder + "/"):
            frames.append((code.co_filename, trace.tb_lineno, code.co_name))
        trace = trace.tb_next
    if len(frames) > _FRAME_LIMIT_COUNT:  # endless recursion: both ends tell the story
        half = _FRAME_LIMIT_COUNT // 2
        frames = frames[:half] + frames[-half:]
    lines: list[str] = []
    for path, number, name in frames:
        lines.append(f'  File "{path[len(folder) + 1 :]}", line {number}, in {name}')
        source = _source_line(path, number)
        if source:
            lines.append(f"    {source}")
    return lines


def _syntax(error: SyntaxError, folder: str) -> list[str]:
    path = str(error.filename)
    shown = path[len(folder) + 1 :] if path.startswith(folder + "/") else os.path.basename(path)  # noqa: PTH119 - pathlib is not loaded in a child
    lines = [f'  File "{shown}", line {error.lineno}']
    if error.text:
        text = clean(error.text.rstrip())
        indent = len(text) - len(text.lstrip())
        lines.append(f"    {text.lstrip()}")
        lines.append("    " + " " * max((error.offset or 1) - 1 - indent, 0) + "^")
    return lines


def _source_line(path: str, number: int) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - as above
            for index, line in enumerate(file, 1):
                if index == number:
                    return line.strip()
    except OSError:
        return ""
    return ""
