"""One exact version of a script, read and checked: everything that a request needs of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from zscrape.errors import EntryPointInvalid, FilesInvalid, IntegrityFailure, ManifestInvalid
from zscrape.messages import text
from zscrape.model import LockRequest, Pin, RunSpec
from zscrape.scripts.digest import MANIFEST_FILE, ScriptFile, file_digest, tree_digest
from zscrape.scripts.manifest import STANDARD, Manifest, ManifestDefaults, parse_manifest, run_spec
from zscrape.scripts.problems import Problem, pointer_to, problem
from zscrape.scripts.requirements import read_requirements
from zscrape.scripts.schema import ANY_PARAMETERS, Validator
from zscrape.scripts.signature import DEFAULT_FUNCTION, Signature, read_signature


class Script(Struct, frozen=True, eq=False):
    """A script ready to be asked for. `warnings` are what `scripts check` calls errors."""

    pin: Pin
    manifest: Manifest
    schema: dict[str, Any]
    validator: Validator
    run: RunSpec
    requires: frozenset[str]  # worker tags, `program:NAME` for programs
    prefers: frozenset[str]
    warnings: tuple[Problem, ...] = ()

    def lock_for(self, params: Mapping[str, Any]) -> LockRequest | None:
        """Return the lock that a task with these parameters takes by the manifest, if any."""
        template = self.manifest.lock
        if template is None:
            return None
        properties = self.schema.get("properties", {})
        defaults = {
            name: each["default"]
            for name, each in properties.items()
            if isinstance(each, dict) and "default" in each  # `true` is a schema, too
        }
        return LockRequest(template.key_for({**defaults, **params}), template.overlap)


def build_script(
    repository: str,
    name: str,
    version: str | None,
    files: Sequence[ScriptFile],
    defaults: ManifestDefaults = STANDARD,
) -> Script:
    """Read and check the files of a script.

    Args:
        repository: Name of where they come from.
        name: The script's name.
        version: The version that they were published as; None: the manifest's.
        files: All of its files.
        defaults: What the script gets that does not say otherwise.

    Raises:
        ManifestInvalid: `metadata.json` cannot be used.
        FilesInvalid: There is none, or the requirements cannot be used.
        EntryPointInvalid: The entry point's file or function is missing.
        IntegrityFailure: A file does not match the manifest's `checksums`.
    """
    by_path = {each.path: each.content for each in files}
    if MANIFEST_FILE not in by_path:
        fault = problem(pointer_to("files", MANIFEST_FILE), "missing_file")
        raise FilesInvalid(name=name, problems=[fault])
    manifest = parse_manifest(by_path[MANIFEST_FILE], name, defaults)
    if version is not None and version != manifest.version:
        manifest = msgspec.structs.replace(manifest, version=version)
    _require_checksums(manifest, by_path)
    needs = read_requirements(manifest, by_path)
    signature = _signature(manifest, by_path)
    schema = manifest.parameters or signature.schema
    _require_lock_parameters(manifest, schema)
    pin = Pin(repository, name, manifest.version, tree_digest(files))
    return Script(
        pin=pin,
        manifest=manifest,
        schema=schema,
        validator=Validator(schema),
        run=run_spec(manifest, pin, needs.lines, needs.python),
        requires=manifest.required_tags,
        prefers=frozenset(manifest.prefers),
        warnings=(*manifest.warnings, *_signature_warnings(manifest, signature)),
    )


def _signature(manifest: Manifest, by_path: Mapping[str, bytes]) -> Signature:
    """Read how the script is entered; without a function named it may be a plain script."""
    source = by_path.get(manifest.entry_file)
    if source is None:
        raise _entry_fault(manifest, "missing_file")
    function = manifest.entry_function or DEFAULT_FUNCTION
    signature = read_signature(source, function)
    if signature.positional:
        raise _entry_fault(manifest, "positional", parameter=signature.positional[0])
    if not signature.is_bound and manifest.entry_function:
        raise _entry_fault(manifest, "missing_function", function=function)
    return signature if signature.is_bound else Signature(ANY_PARAMETERS)


def _entry_fault(manifest: Manifest, reason: str, **fields: str) -> EntryPointInvalid:
    return EntryPointInvalid(
        name=manifest.name,
        entry_point=manifest.entry_point,
        reason=text(f"entry.{reason}", "en", **fields),
    )


def _signature_warnings(manifest: Manifest, signature: Signature) -> list[Problem]:
    if not signature.fault:
        return []
    return [problem(pointer_to("files", manifest.entry_file), "unparsed", detail=signature.fault)]


def _require_lock_parameters(manifest: Manifest, schema: Mapping[str, Any]) -> None:
    """Hold the lock's placeholders to the parameters, where these are all known."""
    if manifest.lock is None or schema.get("additionalProperties", True) is not False:
        return
    problems = [
        problem("/lock/key", "lock_field", actual=each)
        for each in manifest.lock.parameters
        if each not in schema.get("properties", {})
    ]
    if problems:
        raise ManifestInvalid(name=manifest.name, problems=problems)


def _require_checksums(manifest: Manifest, by_path: Mapping[str, bytes]) -> None:
    """Hold every file but the manifest to its checksum: none may differ, be missing or extra."""
    if manifest.checksums is None:
        return
    actual = {
        path: file_digest(content) for path, content in by_path.items() if path != MANIFEST_FILE
    }
    for path in sorted({*actual, *manifest.checksums}):
        expected_digest = manifest.checksums.get(path, "not in checksums")
        actual_digest = actual.get(path, "missing")
        if expected_digest != actual_digest:
            raise IntegrityFailure(
                name=f"{manifest.name}/{path}", expected=expected_digest, actual=actual_digest
            )
