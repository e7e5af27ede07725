"""What a batch keeps so that it can be taken up again: its targets, and what became of each.

    runs/<run id>/run.json        what was asked
    runs/<run id>/targets.jsonl   the targets, one a line
    runs/<run id>/journal.jsonl   one line for each end of a target
    runs/<run id>/items.jsonl     what the tasks have brought, one target a line

Lines are appended and a last one that is torn is left out: whatever ends the process, what
was written before holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from zscrape.errors import ConfigError
from zscrape.ops.targets import Target

_RUN: Final = "run.json"
_TARGETS: Final = "targets.jsonl"
_JOURNAL: Final = "journal.jsonl"
_ITEMS: Final = "items.jsonl"
State: TypeAlias = Literal["succeeded", "failed", "cancelled"]
_LINES: Final = msgspec.json.Encoder().encode_lines


class Plan(Struct, frozen=True):
    """What was asked: fields of every task of the run."""

    script_name: str
    targets_digest: str
    version: str | None = None
    timeout: float | None = None
    priority: int | None = None
    tags: tuple[str, ...] = ()
    has_items: bool = False  # what the tasks bring is kept


class Entry(Struct, frozen=True, omit_defaults=True):
    """One end of a target. `cancelled`: by us, when the run was stopped."""

    key: str
    state: State
    task: str = ""


class _Brought(Struct, frozen=True):
    key: str
    rows: list[Any]


class Journal:
    """The files of one run. Use it in a `with`.

    Raises:
        ConfigError: They cannot be read or written.
    """

    def __init__(self, folder: Path, plan: Plan, targets: Sequence[Target]) -> None:
        self.plan = plan
        self.targets = list(targets)
        self.tries: dict[str, int] = {}  # ends that another try may follow, by key
        self.done: set[str] = set()
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._items: IO[bytes] | None = None

    @classmethod
    def create(cls, folder: Path, plan: Plan, targets: Sequence[Target]) -> Journal:
        """Write down a new run."""
        journal = cls(folder, plan, targets)
        try:
            _write(folder / _TARGETS, _LINES(targets))
            _write(folder / _RUN, msgspec.json.encode(plan))  # the last: with it a run can go on
        except OSError as error:
            raise ConfigError(source=str(folder), reason=error.strerror or str(error)) from error
        return journal

    @classmethod
    def load(cls, folder: Path) -> Journal:
        """Read an earlier run."""
        try:
            plan = msgspec.json.decode((folder / _RUN).read_bytes(), type=Plan)
            targets = list(_lines(folder / _TARGETS, Target))
        except (OSError, msgspec.MsgspecError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigError(source=str(folder), reason=reason) from error
        journal = cls(folder, plan, targets)
        for entry in _lines(folder / _JOURNAL, Entry):
            journal._count(entry)
        return journal

    def __enter__(self) -> Journal:
        try:
            self._file = _append(self._folder / _JOURNAL)
            if self.plan.has_items:
                self._items = _append(self._folder / _ITEMS)
        except OSError as error:
            raise ConfigError(
                source=str(self._folder), reason=error.strerror or str(error)
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self._file, self._items):
            if file is not None:
                file.close()

    def note(self, *entries: Entry) -> None:
        """Write down ends, all of them at once, after what their tasks have brought."""
        for entry in entries:
            self._count(entry)
        if self._items is not None:
            self._items.flush()
        if self._file is not None:
            self._file.write(_LINES(entries))
            self._file.flush()

    def _count(self, entry: Entry) -> None:
        if entry.state == "succeeded":
            self.done.add(entry.key)
        else:
            self.tries[entry.key] = self.tries.get(entry.key, 0) + 1

    def bring(self, key: str, rows: list[Any]) -> None:
        """Keep what a target's task has brought; before its end is noted."""
        if self._items is not None:
            self._items.write(_LINES((_Brought(key, rows),)))

    def brought(self) -> Iterator[tuple[str, list[Any]]]:
        """Yield what the tasks have brought, in the order of their ends, each target once."""
        path = self._folder / _ITEMS
        # A run that was killed between two lines may have taken one target's rows twice.
        last = {each.key: number for number, each in enumerate(_lines(path, _Brought))}
        for number, each in enumerate(_lines(path, _Brought)):
            if last[each.key] == number and each.key in self.done:
                yield each.key, each.rows


def _lines(path: Path, kind: Any) -> Iterator[Any]:
    if not path.exists():
        return
    decode = msgspec.json.Decoder(kind).decode
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):  # else it is torn: nothing was told of it
                yield decode(line)


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)  # parameters may be nobody else's business
    path.write_bytes(content)


def _append(path: Path) -> IO[bytes]:
    """Open a file for further lines; a last one that is torn is cut off."""
    path.touch(mode=0o600)
    file = path.open("ab")
    with path.open("rb") as reader:
        reader.seek(max(0, file.tell() - 1))
        if reader.read(1) not in (b"", b"\n"):
            reader.seek(0)
            file.truncate(reader.read().rfind(b"\n") + 1)
    return file
