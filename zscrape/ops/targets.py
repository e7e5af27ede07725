"""Targets of a batch: read from JSONL, CSV or JSON, and made into parameters of tasks."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from zscrape.errors import ConfigError
from zscrape.messages import text

# The name under which a target that is no object is put into templates.
VALUE: Final = "value"

_PLACE: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_NAMES: Final = ("name", "id", "url", "target", VALUE)
_NAME_LIMIT: Final = 200
_SUFFIXES: Final = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".json": "json"}

# What makes parameters of `name=text` pieces: JSON where the schema does not want text.
ReadPieces = Callable[[Sequence[str]], dict[str, Any]]


class Target(Struct, frozen=True):
    """One target: what it is called, and the parameters of its task."""

    key: str  # stands for the parameters: the same ones are the same target
    name: str
    group: str
    parameters: dict[str, Any]


class Source(Struct, frozen=True):
    """Fields of targets as they were read. `is_text`: a table, whose cells have no types."""

    place: str
    rows: list[tuple[int, dict[str, Any]]]  # with the line of each, or its number
    is_text: bool = False


class Template(Struct, frozen=True):
    """How parameters are made of a target's fields.

    Without any placeholder the fields are the parameters, and `pieces` come on top; with one
    the fields are only what placeholders stand for.
    """

    pieces: tuple[str, ...] = ()
    name_by: str | None = None
    group_by: str = "group"

    @property
    def has_places(self) -> bool:
        """True iff a piece has a placeholder."""
        return any(found[1] for piece in self.pieces for found in _PLACE.finditer(piece))


def read_source(content: bytes, place: str, form: str | None, lang: str) -> Source:
    """Read targets.

    Args:
        content: The file.
        place: Its name; its ending says what it is, where `form` does not.
        form: `jsonl`, `csv` or `json`; None: as the ending, or the first character, says.
        lang: Language of faults.

    Raises:
        ConfigError: It cannot be read, or has no targets.
    """
    form = form or _SUFFIXES.get(Path(place).suffix.lower()) or _form_of(content)
    try:
        told = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(source=place, reason=str(error)) from error
    read = {"csv": _read_csv, "json": _read_json, "jsonl": _read_jsonl}[form]
    rows = read(told, place, lang)
    if not rows:
        raise ConfigError(source=place, reason=text("cli.batch.no_targets", lang))
    return Source(place, rows, is_text=form == "csv")


def _form_of(content: bytes) -> str:
    first = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    return "json" if first == b"[" else "jsonl" if first in (b"{", b'"') else "csv"


def _read_jsonl(told: str, place: str, lang: str) -> list[tuple[int, dict[str, Any]]]:
    rows = []
    # Not `splitlines`: JSON strings may have separators of lines that are none to JSONL.
    for number, line in enumerate(told.split("\n"), 1):
        if line.strip():
            rows.append((number, _fields(_decoded(line, f"{place}:{number}"))))
    return rows


def _read_json(told: str, place: str, lang: str) -> list[tuple[int, dict[str, Any]]]:
    document = _decoded(told, place)
    if isinstance(document, dict) and isinstance(document.get("targets"), list):
        document = document["targets"]
    if not isinstance(document, list):
        raise ConfigError(source=place, reason=text("cli.batch.no_array", lang))
    return [(number, _fields(each)) for number, each in enumerate(document, 1)]


def _read_csv(told: str, place: str, lang: str) -> list[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(told, newline=""), strict=True)
    rows: list[tuple[int, dict[str, Any]]] = []
    try:
        for row in reader:
            if None in row or None in row.values():
                reason = text("cli.batch.columns", lang, count=len(reader.fieldnames or ()))
                raise ConfigError(source=f"{place}:{reader.line_num}", reason=reason)
            rows.append((reader.line_num, dict(row)))
    except csv.Error as error:
        raise ConfigError(source=f"{place}:{reader.line_num}", reason=str(error)) from error
    return rows


def _decoded(told: str, place: str) -> Any:
    try:
        return msgspec.json.decode(told)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ConfigError(source=place, reason=str(error)) from error


def _fields(document: Any) -> dict[str, Any]:
    return document if isinstance(document, dict) else {VALUE: document}


def make_targets(
    source: Source, template: Template, read: ReadPieces, *, names: Iterable[str], lang: str
) -> list[Target]:
    """Make targets of what was read.

    Args:
        source: The fields.
        template: How parameters are made of them.
        read: Gives text its type.
        names: The script's parameters.
        lang: Language of faults.

    Raises:
        ConfigError: A placeholder names no field of a target; all of them are told.
    """
    known = frozenset(names)
    constants = {} if template.has_places else read(template.pieces)
    targets: list[Target] = []
    faults: list[str] = []
    for number, fields in source.rows:
        try:
            if template.has_places:
                parameters = _filled(template.pieces, fields, source, read)
            else:
                parameters = _taken(fields, source, template, read, known) | constants
        except _NoField as fault:
            told = text(
                "cli.batch.no_field", lang, name=fault.name, fields=", ".join(fields) or "-"
            )
            faults.append(f"{source.place}:{number}: {told}")
            continue
        name = _name_of(fields, template.name_by) or f"{source.place}:{number}"
        group = fields.get(template.group_by)
        key = hashlib.sha256(msgspec.json.encode(parameters, order="sorted")).hexdigest()[:16]
        targets.append(Target(key, name, "" if group is None else str(group), parameters))
    if faults:
        more = "" if len(faults) <= 5 else f" (+{len(faults) - 5})"
        raise ConfigError(source=source.place, reason="; ".join(faults[:5]) + more)
    return targets


class _NoField(Exception):
    """Raised when a placeholder names no field of a target."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _filled(
    pieces: Sequence[str], fields: Mapping[str, Any], source: Source, read: ReadPieces
) -> dict[str, Any]:
    """Return parameters from templates; one that is nothing but a placeholder keeps its type."""
    found: dict[str, Any] = {}
    for piece in pieces:
        name, _, value = piece.partition("=")
        only = _PLACE.fullmatch(value)
        if only is not None and only[1] and not source.is_text and not piece.startswith("@"):
            found[name] = _field(fields, only[1])
            continue
        found |= read([f"{name}={_fill(value, fields)}" if "=" in piece else piece])
    return found


def _fill(value: str, fields: Mapping[str, Any]) -> str:
    def put(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0][0]
        field = _field(fields, found[1])
        return field if isinstance(field, str) else msgspec.json.encode(field).decode()

    return _PLACE.sub(put, value)


def _field(fields: Mapping[str, Any], name: str) -> Any:
    if name not in fields:
        raise _NoField(name)
    return fields[name]


def _taken(
    fields: Mapping[str, Any],
    source: Source,
    template: Template,
    read: ReadPieces,
    known: frozenset[str],
) -> dict[str, Any]:
    """Return the fields as parameters, without what only groups them."""
    if VALUE in fields and len(fields) == 1 and VALUE not in known:
        # A bare value goes to the one parameter there is; of several nobody can tell which.
        if len(known) != 1:
            raise _NoField(next(iter(sorted(known)), VALUE))
        fields = {next(iter(known)): fields[VALUE]}
    own = {
        name: value for name, value in fields.items() if name in known or name != template.group_by
    }
    if not source.is_text:
        return own
    # An empty cell is no value: the script's default holds.
    return read([f"{name}={value}" for name, value in own.items() if value != ""])


def _name_of(fields: Mapping[str, Any], name_by: str | None) -> str:
    names = (name_by,) if name_by else _NAMES
    found = next((fields[name] for name in names if fields.get(name) not in (None, "")), "")
    told = found if isinstance(found, str) else msgspec.json.encode(found).decode()
    return told if len(told) <= _NAME_LIMIT else told[: _NAME_LIMIT - 1] + "…"
