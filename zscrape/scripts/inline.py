"""Metadata in a comment of a script's entry file (PEP 723): what it needs, and which Python.

    # /// script
    # requires-python = ">=3.11"
    # dependencies = ["lxml>=5"]
    # ///

Only these two keys are read; tables of other tools are theirs.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from zscrape.scripts.problems import Problem, problem
from zscrape.scripts.reading import json_type

# Not `splitlines`: no Python source line ends at U+2028.
LINE_END: Final = re.compile(r"\r\n|\r|\n")

_BLOCK_START = "# /// script"
_BLOCK_END = "# ///"


class Inline(Struct, frozen=True):
    """What the metadata says; None where it says nothing."""

    dependencies: list[Any] | None = None
    requires_python: str | None = None


def read_inline(source: bytes, at: str, problems: list[Problem]) -> Inline:
    """Read the block of type `script` of a source file; what cannot be used is noted below `at`."""
    blocks = list(_blocks(source.decode("utf-8", "replace")))
    if not blocks:
        return Inline()
    if len(blocks) > 1:
        problems.append(problem(at, "inline_twice"))
        return Inline()
    try:
        table = tomllib.loads(blocks[0])
    except tomllib.TOMLDecodeError as error:
        problems.append(problem(at, "inline_toml", detail=error))
        return Inline()
    return Inline(
        dependencies=_typed(table, "dependencies", list, at, problems),
        requires_python=_typed(table, "requires-python", str, at, problems),
    )


def _typed(
    table: dict[str, Any], name: str, kind: type, at: str, problems: list[Problem]
) -> Any | None:
    value = table.get(name)
    if value is None or isinstance(value, kind):
        return value
    expected = "array" if kind is list else "string"
    problems.append(problem(f"{at}/{name}", "type", expected=expected, actual=json_type(value)))
    return None


def _blocks(source: str) -> Iterator[str]:
    """Yield the content of each `script` block: up to the last end line of its comment.

    By hand and in one pass: the expression of the standard takes quadratic time on a file of
    nothing but start lines. A block without an end is none (PEP 723).
    """
    block: list[str] | None = None
    end = 0
    for line in (*LINE_END.split(source), ""):
        if block is not None:
            if line == "#" or line.startswith("# "):
                if line.rstrip() == _BLOCK_END:
                    end = len(block)
                block.append(line[2:])
                continue
            if end:
                yield "\n".join(block[:end]) + "\n"
            block, end = None, 0
        elif line.rstrip() == _BLOCK_START:
            block = []
