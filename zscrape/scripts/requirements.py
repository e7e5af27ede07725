"""What a script needs to be installed: requirement lines, read and refused by an explicit rule.

The first of these that exists is read: `requirements.txt`, the `dependencies` of PEP 723 inline
metadata in the entry file, the manifest's `dependencies`. The inline `requires-python` counts
beside the manifest's `python_version`, whichever of them is read.

A line is a PEP 508 requirement: a name with extras, versions and a marker, and any number of
`--hash=sha256:...`. Comments, blank lines and lines continued by a backslash are fine.
Everything that would take the choice of where packages come from away from the worker's owner,
or read the worker's files, is refused:

    -e, -r, -c and every other option      the file stands for itself; indexes are the owner's
    paths, file: addresses                 they would be read from the worker's disk
    other schemes than https, no hash      what is downloaded must be known beforehand
    credentials in an address              they would be in the repository and in every log

With a hash on one line every line needs one, and an exact version: anything less would be
refused when the environment is built.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

from zscrape.errors.scripts import FilesInvalid, ManifestInvalid
from zscrape.model import KIB
from zscrape.onuse import on_use
from zscrape.scripts.inline import LINE_END, Inline, read_inline
from zscrape.scripts.manifest import DEFAULT_PYTHON_VERSION, Manifest
from zscrape.scripts.problems import Problem, pointer_to, problem
from zscrape.scripts.reading import json_type

if TYPE_CHECKING:
    from packaging import requirements, specifiers
else:
    requirements = on_use("packaging.requirements")
    specifiers = on_use("packaging.specifiers")

REQUIREMENTS_FILE: Final = "requirements.txt"
REQUIREMENTS_SIZE_LIMIT_BYTES: Final = 256 * KIB
LINE_COUNT_LIMIT: Final = 1000

_COMMENT = re.compile(r"(^|\s)#.*$")  # a `#` inside an address is none
_HASH = re.compile(r"\s--hash(?:=|\s+)(?P<hash>\S+)")
_SHA256 = re.compile(r"sha256:(?P<digits>[0-9a-f]{64})")
_FRAGMENT = re.compile(r"sha256=[0-9a-f]{64}")
# Installers take a bare name like these for a file, though PEP 508 takes it for a name.
_ARCHIVE = re.compile(r".*\.(whl|zip|egg|tar|tgz|tbz|txz|tlz|tar\.[a-z0-9]+)", re.IGNORECASE)
_NAMED = re.compile(r"\s*[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[^\]]*\]\s*)?@")
_PATH = re.compile(r"[.~/\\]|[A-Za-z]:\\|[^\s;<>=!~\[]*(/|\.whl\b|\.zip\b|\.tar\.)")


class Requirements(Struct, frozen=True):
    """What an environment must hold, and the Python range of its interpreter.

    `lines` are canonical, sorted and each there once; both are empty for a script that needs
    nothing but what every worker has.
    """

    lines: tuple[str, ...] = ()
    python: str = ""


class _Line(Struct, frozen=True):
    """One requirement, checked."""

    text: str
    pointer: str
    is_hashed: bool
    is_exact: bool
    has_option: bool  # a `--hash`, which asks for one on every other line


def read_requirements(manifest: Manifest, by_path: Mapping[str, bytes]) -> Requirements:
    """Return what the script with these files needs.

    Raises:
        FilesInvalid: A file's lines cannot be used; all faults at once, each with its line.
        ManifestInvalid: The manifest's `dependencies` cannot be used.
    """
    problems: list[Problem] = []
    source = by_path.get(manifest.entry_file, b"")
    inline = read_inline(source, pointer_to("files", manifest.entry_file), problems)
    python = _python(manifest, inline, problems)
    listed = by_path.get(REQUIREMENTS_FILE)
    is_of_manifest = listed is None and inline.dependencies is None
    if listed is not None:
        lines = _of_file(listed, problems)
    elif inline.dependencies is not None:
        at = pointer_to("files", manifest.entry_file, "dependencies")
        lines = _of_list(inline.dependencies, at, problems)
    else:
        lines = _of_list(list(manifest.dependencies), "/dependencies", problems)
    problems.extend(_hash_problems(lines))
    if problems:
        kind = ManifestInvalid if is_of_manifest and not _is_of_file(problems) else FilesInvalid
        raise kind(name=manifest.name, problems=problems)
    return Requirements(tuple(sorted({line.text for line in lines})), python)


def _is_of_file(problems: list[Problem]) -> bool:
    return any(each["pointer"].startswith("/files/") for each in problems)


def _of_file(raw: bytes, problems: list[Problem]) -> list[_Line]:
    at = pointer_to("files", REQUIREMENTS_FILE)
    if len(raw) > REQUIREMENTS_SIZE_LIMIT_BYTES:
        problems.append(problem(at, "size", limit=REQUIREMENTS_SIZE_LIMIT_BYTES))
        return []
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problems.append(problem(at, "unreadable", detail=error))
        return []
    numbered = list(_logical_lines(text))
    if len(numbered) > LINE_COUNT_LIMIT:
        problems.append(problem(at, "count", limit=LINE_COUNT_LIMIT))
        return []
    return [
        found
        for number, line in numbered
        if (found := _read_line(line, f"{at}/{number}", problems)) is not None
    ]


def _of_list(values: list[Any], at: str, problems: list[Problem]) -> list[_Line]:
    if len(values) > LINE_COUNT_LIMIT:
        problems.append(problem(at, "count", limit=LINE_COUNT_LIMIT))
        return []
    lines = []
    for index, value in enumerate(values):
        pointer = f"{at}/{index}"
        if not isinstance(value, str):
            fault = problem(pointer, "type", expected="string", actual=json_type(value))
            problems.append(fault)
            continue
        found = _read_line(value.strip(), pointer, problems)
        if found is not None:
            lines.append(found)
    return lines


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line that says something, joined where a backslash continues it.

    The number is that of its first line. A comment ends a continued line, as in pip.
    """
    joined, begun_at = "", 0
    for number, raw in enumerate(LINE_END.split(text), 1):
        begun_at = begun_at or number
        is_comment = raw.lstrip().startswith("#")
        if raw.endswith("\\") and not is_comment:
            joined += raw[:-1] + " "
            continue
        line = _COMMENT.sub("", joined + ("" if is_comment else raw)).strip()
        if line:
            yield begun_at, line
        joined, begun_at = "", 0
    if joined.strip():
        yield begun_at, _COMMENT.sub("", joined).strip()


# ---- one line ------------------------------------------------------------------------


def _read_line(line: str, pointer: str, problems: list[Problem]) -> _Line | None:
    """Return the requirement on a line; what cannot be used is noted."""
    hashes = [match["hash"] for match in _HASH.finditer(line)]
    stated = _HASH.sub("", line).strip()
    fault = _option_fault(stated, pointer) or _hash_fault(hashes, pointer)
    if fault is not None:
        problems.append(fault)
        return None
    try:
        requirement = requirements.Requirement(stated)
    except requirements.InvalidRequirement as error:
        problems.append(_unreadable(stated, str(error), pointer))
        return None
    fault = _source_fault(requirement, hashes, pointer)
    if fault is not None:
        problems.append(fault)
        return None
    if requirement.url is not None and hashes:
        requirement.url = requirement.url.partition("#")[0]  # the options say it
    told = [str(requirement), *(f"--hash={each}" for each in sorted(set(hashes)))]
    return _Line(
        text=" ".join(told),
        pointer=pointer,
        is_hashed=bool(hashes) or requirement.url is not None,
        is_exact=requirement.url is not None or _is_exact(requirement.specifier),
        has_option=bool(hashes),
    )


def _option_fault(stated: str, pointer: str) -> Problem | None:
    option = stated if stated.startswith("-") else ""
    if not option and " -" in stated:
        option = stated[stated.index(" -") + 1 :]
    if not option:
        return None
    return problem(pointer, "requirement_option", actual=re.split(r"[\s=]", option, maxsplit=1)[0])


def _hash_fault(hashes: list[str], pointer: str) -> Problem | None:
    for each in hashes:
        if not _SHA256.fullmatch(each):
            return problem(pointer, "digest", actual=each)
    return None


def _unreadable(stated: str, detail: str, pointer: str) -> Problem:
    """Say why a line is no requirement: most that are none are a place instead of a name."""
    place = _NAMED.sub("", stated).strip()
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", place):
        if place[:5].lower() == "file:":
            return problem(pointer, "requirement_path", actual=stated)
        return problem(pointer, "requirement_url", actual=stated)
    if _PATH.match(place):
        return problem(pointer, "requirement_path", actual=stated)
    return problem(pointer, "requirement", actual=stated, detail=detail.splitlines()[0])


def _source_fault(
    requirement: requirements.Requirement, hashes: list[str], pointer: str
) -> Problem | None:
    if _ARCHIVE.fullmatch(requirement.name):
        return problem(pointer, "requirement_path", actual=requirement.name)
    if requirement.url is not None:
        return _url_fault(requirement.url, hashes, pointer)
    return None


def _url_fault(url: str, hashes: list[str], pointer: str) -> Problem | None:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return problem(pointer, "requirement_url", actual=url)
    if parts.scheme.lower() in ("file", ""):
        return problem(pointer, "requirement_path", actual=url)
    if parts.scheme.lower() != "https" or not host or "$" in url:
        return problem(pointer, "requirement_url", actual=url)
    if "@" in parts.netloc:
        return problem(pointer, "requirement_credentials", actual=host)
    if not hashes and not _FRAGMENT.fullmatch(parts.fragment):
        return problem(pointer, "requirement_url_hash", actual=url)
    return None


def _is_exact(specifier: specifiers.SpecifierSet) -> bool:
    return any(
        each.operator == "===" or (each.operator == "==" and not each.version.endswith(".*"))
        for each in specifier
    )


def _hash_problems(lines: list[_Line]) -> Iterator[Problem]:
    """One line with a hash means that what is installed is meant to be known: all of it."""
    if not any(line.has_option for line in lines):
        return
    for line in lines:
        if not line.is_hashed:
            yield problem(line.pointer, "requirement_hash", actual=line.text)
        elif not line.is_exact:
            yield problem(line.pointer, "requirement_exact", actual=line.text.partition(" --")[0])


def _python(manifest: Manifest, inline: Inline, problems: list[Problem]) -> str:
    """Return the range that the interpreter must fit, empty when any will do."""
    stated = "" if manifest.python_version == DEFAULT_PYTHON_VERSION else manifest.python_version
    if inline.requires_python is None:
        return str(specifiers.SpecifierSet(stated))
    try:
        both = specifiers.SpecifierSet(stated) & specifiers.SpecifierSet(inline.requires_python)
    except (specifiers.InvalidSpecifier, ValueError):
        at = pointer_to("files", manifest.entry_file, "requires-python")
        problems.append(problem(at, "python_version", actual=inline.requires_python))
        return ""
    return str(both)
