"""Fenced snippets of a Markdown document, and the commands in them.

What a reader has to know of them the documents say themselves: a line of a `console` snippet
that begins with a prompt (`$`, `worker$`) is a command, what follows it is what it prints.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FENCE: Final = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
_PROMPT: Final = re.compile(r"^\w*\$ +(?P<command>.*)$")
_LINK: Final = re.compile(r"\]\((?!https?:)(?P<target>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")


@dataclass(frozen=True)
class Snippet:
    """One fenced snippet, and where it stands."""

    document: str
    heading: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


@dataclass(frozen=True)
class Command:
    """One command, and what the document says that it prints."""

    text: str
    shown: str


def snippets_of(path: Path, name: str) -> list[Snippet]:
    """Return the snippets of a document in their order."""
    text = path.read_text(encoding="utf-8")
    found = []
    for fence in _FENCE.finditer(text):
        before = text[: fence.start()]
        headings = _HEADING.findall(_FENCE.sub("", before))
        line = before.count("\n") + 1
        found.append(Snippet(name, (headings or [""])[-1], line, fence["language"], fence["text"]))
    return found


def commands_of(snippet: Snippet) -> list[Command]:
    """Return the commands of a `console` snippet; lines joined by a backslash are one."""
    found: list[Command] = []
    lines = iter(snippet.text.splitlines())
    for line in lines:
        prompt = _PROMPT.match(line)
        if prompt is None:
            last = found.pop()
            found.append(Command(last.text, f"{last.shown}{line}\n"))
            continue
        command = prompt["command"]
        while command.endswith("\\"):
            command = f"{command[:-1]}{next(lines).strip()}"
        found.append(Command(command, ""))
    return found


def links_of(path: Path) -> list[tuple[str, str]]:
    """Return the files and anchors that a document links to, but for other hosts'."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    return [(found["target"], found["anchor"] or "") for found in _LINK.finditer(text)]


def anchors_of(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as Git hosts make them."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(text))
    return {each.strip().replace(" ", "-") for each in plain}
