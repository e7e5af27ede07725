"""`metadata.json` of a script: what it is called, how it is entered and what it may use.

The fields and their defaults are those of the contract, section 2. A manifest is read whole:
every fault is told at once, each with its JSON pointer. Unknown fields are `warnings`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from zscrape.errors.scripts import ManifestInvalid
from zscrape.model import (
    MIB,
    NETWORKS,
    NO_RETRY,
    Expect,
    Limits,
    Network,
    Pin,
    RetryPolicy,
    RunSpec,
    SiteBudget,
)
from zscrape.onuse import on_use
from zscrape.scripts.digest import PROBLEM_COUNT_LIMIT, path_fault
from zscrape.scripts.problems import Problem, pointer_to, problem
from zscrape.scripts.reading import ObjectReader, decode_json, json_type
from zscrape.scripts.schema import schema_problems
from zscrape.scripts.sections import (
    DAY_S,
    LockTemplate,
    note_missing,
    read_checksums,
    read_expect,
    read_limits,
    read_lock,
    read_retry,
    read_sites,
)
from zscrape.scripts.trust import is_signature
from zscrape.scripts.version import parse_version

if TYPE_CHECKING:
    from packaging import specifiers
else:
    specifiers = on_use("packaging.specifiers")

# 2,000 files with long paths have checksums of 600 KB.
MANIFEST_SIZE_LIMIT_BYTES: Final = MIB
DEFAULT_ENTRY_POINT: Final = "main.py"
DEFAULT_PYTHON_VERSION: Final = ">=3.8"
KITS: Final = frozenset({"http", "browser"})

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_ENTRY_POINT = re.compile(r"(?P<file>[^:]+\.py)(?::(?P<function>[^\W\d]\w{0,99}))?")
_MODULE = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")


class ManifestDefaults(Struct, frozen=True):
    """What a script gets that does not say otherwise (settings may change it)."""

    timeout_s: float = 300.0
    memory_bytes: int = 512_000_000


STANDARD: Final = ManifestDefaults()


class Manifest(Struct, frozen=True, kw_only=True):
    """A script's `metadata.json`, checked."""

    name: str
    version: str
    description: str = ""
    author: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    tags: tuple[str, ...] = ()
    system_requirements: tuple[str, ...] = ()
    python_version: str = DEFAULT_PYTHON_VERSION
    dependencies: tuple[str, ...] = ()
    entry_point: str = DEFAULT_ENTRY_POINT
    timeout_s: float = 300.0
    parameters: dict[str, Any] | None = None  # JSON Schema; None: drawn from the signature
    limits: Limits = Limits()
    requires: tuple[str, ...] = ()
    prefers: tuple[str, ...] = ()
    kit: tuple[str, ...] = ("http",)
    reuse_count: int = 1
    preload: tuple[str, ...] = ()
    retry: RetryPolicy = NO_RETRY
    lock: LockTemplate | None = None
    sites: dict[str, SiteBudget] = {}
    network: Network = "public"
    secrets: tuple[str, ...] = ()
    expect: Expect | None = None
    key_retention_days: float | None = None  # of `ctx.emit(key=)`; None: as the gateway is set
    checksums: dict[str, str] | None = None
    signature: str = ""
    warnings: tuple[Problem, ...] = ()  # what `scripts check` calls errors
    notices: tuple[Problem, ...] = ()  # what is right, and still worth knowing

    @property
    def entry_file(self) -> str:
        """The path of the entry point's file."""
        return self.entry_point.partition(":")[0]

    @property
    def entry_function(self) -> str:
        """The function that the entry point names, or an empty text."""
        return self.entry_point.partition(":")[2]

    @property
    def required_tags(self) -> frozenset[str]:
        """Worker tags that must be there; a program on the worker is the tag `program:NAME`."""
        return frozenset(self.requires) | {f"program:{each}" for each in self.system_requirements}


def is_script_name(value: str) -> bool:
    """True iff `value` may be the name of a script."""
    return _NAME.fullmatch(value) is not None


def run_spec(
    manifest: Manifest, pin: Pin, requirements: tuple[str, ...] = (), python: str = ""
) -> RunSpec:
    """Return what a worker must know of the script to run it."""
    kept_days = manifest.key_retention_days
    return RunSpec(
        pin=pin,
        entry_point=manifest.entry_point,
        kit=manifest.kit,
        preload=manifest.preload,
        timeout_s=manifest.timeout_s,
        limits=manifest.limits,
        requirements=requirements,
        python=python,
        network=manifest.network,
        secrets=tuple(dict.fromkeys(manifest.secrets)),
        sites=tuple(manifest.sites.items()),
        expect=manifest.expect,
        key_kept_s=None if kept_days is None else kept_days * DAY_S,
        # What a browser has been told by one page is not for the next attempt.
        reuse_count=1 if "browser" in manifest.kit else manifest.reuse_count,
    )


def parse_manifest(raw: bytes, folder_name: str, defaults: ManifestDefaults = STANDARD) -> Manifest:
    """Read `metadata.json` of the script in the folder `folder_name`.

    Raises:
        ManifestInvalid: It cannot be used; all faults at once.
    """
    source = _object(raw, folder_name)
    reader = ObjectReader(source, [])
    name, version, description = _name(reader, folder_name), _version(reader), _description(reader)
    running = _running(reader, defaults)
    manifest = Manifest(
        name=name,
        version=version,
        **description,
        **running,
        **_placing(reader),
        **_promises(reader),
        warnings=tuple(reader.unknown()),
        notices=tuple(_without_effect(running)),
    )
    if reader.problems:
        raise ManifestInvalid(name=folder_name, problems=reader.problems[:PROBLEM_COUNT_LIMIT])
    return manifest


def _without_effect(running: Mapping[str, Any]) -> Iterator[Problem]:
    """Tell of what is right by itself, and comes to nothing beside the rest."""
    if running["reuse_count"] != 1 and "browser" in running["kit"]:
        yield problem(pointer_to("reuse"), "no_reuse_with_browser")


def _object(raw: bytes, folder_name: str) -> dict[str, Any]:
    if len(raw) > MANIFEST_SIZE_LIMIT_BYTES:
        fault = problem("", "size", limit=MANIFEST_SIZE_LIMIT_BYTES)
        raise ManifestInvalid(name=folder_name, problems=[fault])
    try:
        document = decode_json(raw)
    except ValueError as error:
        fault = problem("", "not_json", detail=error)
        raise ManifestInvalid(name=folder_name, problems=[fault]) from error
    if not isinstance(document, dict):
        fault = problem("", "type", expected="object", actual=json_type(document))
        raise ManifestInvalid(name=folder_name, problems=[fault])
    return document


def _name(reader: ObjectReader, folder_name: str) -> str:
    value = reader.take("name", str)
    if value is None:
        note_missing(reader, "name")
    elif not is_script_name(value):
        reader.fault("name", "name", actual=value)
    elif value != folder_name:
        reader.fault("name", "name_differs", actual=value, expected=folder_name)
    return folder_name


def _version(reader: ObjectReader) -> str:
    value = reader.take("version", str)
    if value is None:
        note_missing(reader, "version")
    elif parse_version(value) is None:
        reader.fault("version", "version", actual=value)
    return value or ""


def _description(reader: ObjectReader) -> dict[str, Any]:
    return {
        "description": reader.text("description", limit=4096),
        "author": reader.text("author"),
        "created_at": reader.moment("created_at"),
        "updated_at": reader.moment("updated_at"),
        "tags": reader.texts("tags"),
    }


def _running(reader: ObjectReader, defaults: ManifestDefaults) -> dict[str, Any]:
    kit = reader.texts("kit", ("http",), choices=KITS)
    return {
        "python_version": reader.matched(
            "python_version", DEFAULT_PYTHON_VERSION, _python_version, "python_version"
        ),
        "dependencies": reader.texts("dependencies"),
        "entry_point": reader.matched(
            "entry_point", DEFAULT_ENTRY_POINT, _entry_point, "entry_point"
        ),
        "timeout_s": reader.number("timeout", defaults.timeout_s, minimum=0.001, maximum=DAY_S),
        "parameters": _parameters(reader),
        "limits": read_limits(reader, defaults.memory_bytes, has_browser="browser" in kit),
        # Sorted: the same parts are the same template, in whatever order they were named.
        "kit": tuple(sorted(kit)),
        "reuse_count": reader.whole("reuse", 1, minimum=1, maximum=10_000),
        "preload": _modules(reader),
    }


def _placing(reader: ObjectReader) -> dict[str, Any]:
    return {
        "system_requirements": reader.texts("system_requirements"),
        "requires": reader.texts("requires"),
        "prefers": reader.texts("prefers"),
        "retry": read_retry(reader),
        "lock": read_lock(reader),
        "sites": read_sites(reader),
        "network": reader.choice("network", "public", frozenset(NETWORKS)),
        "secrets": reader.texts("secrets"),
    }


def _promises(reader: ObjectReader) -> dict[str, Any]:
    return {
        "expect": read_expect(reader),
        "key_retention_days": reader.number("key_retention_days", None, minimum=0, maximum=3_650),
        "checksums": read_checksums(reader),
        "signature": reader.matched("signature", "", _signature, "signature"),
    }


def _signature(value: str) -> str | None:
    return value if is_signature(value) else None


def _python_version(value: str) -> str | None:
    try:
        specifiers.SpecifierSet(value)
    except specifiers.InvalidSpecifier:
        return None
    return value


def _entry_point(value: str) -> str | None:
    match = _ENTRY_POINT.fullmatch(value)
    if match is None or path_fault(match["file"]) is not None:
        return None
    return value


def _parameters(reader: ObjectReader) -> dict[str, Any] | None:
    """An empty object is the founding default and says nothing: the signature speaks then."""
    value: dict[str, Any] | None = reader.take("parameters", dict)
    if not value:
        return None
    reader.problems.extend(schema_problems(value, reader.pointer("parameters")))
    return value


def _modules(reader: ObjectReader) -> tuple[str, ...]:
    names = reader.texts("preload")
    for index, each in enumerate(names):
        if not _MODULE.fullmatch(each):
            fault = problem(
                reader.pointer("preload", index), "pattern", actual=each, expected="package.module"
            )
            reader.problems.append(fault)
    return names
