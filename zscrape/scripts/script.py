"""One exact version of a script, read and checked: everything that a request needs of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from zscrape.errors.requests import ParamsInvalid
from zscrape.errors.scripts import (
    EntryPointInvalid,
    FilesInvalid,
    ManifestInvalid,
    SignatureInvalid,
)
from zscrape.messages import text
from zscrape.model import LockRequest, Pin, RunSpec
from zscrape.scripts.checksums import require_checksums
from zscrape.scripts.digest import MANIFEST_FILE, ScriptFile, tree_digest
from zscrape.scripts.manifest import STANDARD, Manifest, ManifestDefaults, parse_manifest, run_spec
from zscrape.scripts.problems import Problem, pointer_to, problem
from zscrape.scripts.quickcheck import QuickCheck, quick_check, say_no
from zscrape.scripts.requirements import read_requirements
from zscrape.scripts.schema import ANY_PARAMETERS, Validator
from zscrape.scripts.signature import DEFAULT_FUNCTION, Signature, read_signature
from zscrape.scripts.trust import NOBODY, UNSIGNED, Trust, Verification

LOCK_KEY_LIMIT: Final = 200  # characters; it is kept, shown and compared for every task


class Script(Struct, frozen=True, eq=False):
    """A script ready to be asked for. `warnings` and `notices` are as in `Manifest`."""

    pin: Pin
    manifest: Manifest
    schema: dict[str, Any]
    validator: Validator
    is_plainly_good: QuickCheck  # says yes only to parameters without a fault
    run: RunSpec
    requires: frozenset[str]  # worker tags, `program:NAME` for programs
    prefers: frozenset[str]
    warnings: tuple[Problem, ...] = ()
    notices: tuple[Problem, ...] = ()
    verification: Verification = UNSIGNED
    is_special: bool = False  # a task of it needs secrets, or a lock by the manifest

    def with_defaults(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return parameters as a run sees them: with the schema's defaults."""
        properties = self.schema.get("properties", {})
        defaults = {
            name: each["default"]
            for name, each in properties.items()
            if isinstance(each, dict) and "default" in each  # `true` is a schema, too
        }
        return {**defaults, **params}

    def lock_for(self, params: Mapping[str, Any]) -> LockRequest | None:
        """Return the lock that a task with these parameters takes by the manifest, if any.

        A parameter that is not given counts with its default, as the script will see it. One
        that has none either makes no key: tasks of all kinds would share it.

        Raises:
            ParamsInvalid: They make no key, or one that is too long.
        """
        template = self.manifest.lock
        if template is None:
            return None
        seen = self.with_defaults(params)
        missing = template.missing(seen)
        if missing:
            fault = problem("/parameters", "lock_missing", actual=missing[0], key=template.key)
            raise ParamsInvalid(script_name=self.pin.name, problems=[fault])
        key = template.key_for(seen)
        if len(key) > LOCK_KEY_LIMIT:
            fault = problem("/parameters", "lock_key", limit=LOCK_KEY_LIMIT)
            raise ParamsInvalid(script_name=self.pin.name, problems=[fault])
        return LockRequest(key, template.overlap)


def build_script(
    repository: str,
    name: str,
    version: str | None,
    files: Sequence[ScriptFile],
    defaults: ManifestDefaults = STANDARD,
    trust: Trust = NOBODY,
) -> Script:
    """Read and check the files of a script.

    Args:
        repository: Name of where they come from.
        name: The script's name.
        version: The version that they were published as; None: the manifest's.
        files: All of its files.
        defaults: What the script gets that does not say otherwise.
        trust: Whose signatures count, and whether there must be one.

    Raises:
        ManifestInvalid: `metadata.json` cannot be used.
        FilesInvalid: There is none, or the requirements cannot be used.
        EntryPointInvalid: The entry point's file or function is missing.
        IntegrityFailure: A file does not match the manifest's `checksums`.
        SignatureInvalid: Its signature is a lie, or lacks where `trust` requires one.
    """
    by_path = {each.path: each.content for each in files}
    if MANIFEST_FILE not in by_path:
        fault = problem(pointer_to("files", MANIFEST_FILE), "missing_file")
        raise FilesInvalid(name=name, problems=[fault])
    manifest = parse_manifest(by_path[MANIFEST_FILE], name, defaults)
    signed_version = manifest.version
    if version is not None and version != manifest.version:
        manifest = msgspec.structs.replace(manifest, version=version)
    require_checksums(name, manifest.checksums, files)
    verification = _verified(manifest, signed_version, files, trust)
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
        is_plainly_good=quick_check(schema) or say_no,
        run=run_spec(manifest, pin, needs.lines, needs.python),
        requires=manifest.required_tags,
        prefers=frozenset(manifest.prefers),
        warnings=(*manifest.warnings, *_signature_warnings(manifest, signature)),
        notices=(*manifest.notices, *_verification_notices(verification)),
        verification=verification,
        is_special=bool(manifest.secrets or manifest.lock),
    )


def _verified(
    manifest: Manifest, signed_version: str, files: Sequence[ScriptFile], trust: Trust
) -> Verification:
    """Check who signed a script, where anybody did.

    Raises:
        SignatureInvalid: It is a lie; or it is not a trusted one and `trust` requires that.
    """
    verification = UNSIGNED
    if manifest.signature:
        from zscrape.scripts.signing import verify  # large; unsigned scripts do without

        verification = verify(files, trust.keys)
    fault: str = "" if verification.status == "valid" else verification.status
    if not trust.is_required and fault in {"unsigned", "unknown_key"}:
        fault = ""
    elif trust.is_required and not fault and signed_version != manifest.version:
        # A tag may call old bytes, truly signed, by a new number.
        fault = "version"
    if fault:
        raise SignatureInvalid(
            name=manifest.name,
            version=manifest.version,
            fault=fault,
            key_id=verification.key_id,
        )
    return verification


def _verification_notices(verification: Verification) -> list[Problem]:
    if verification.status != "unknown_key":
        return []
    return [problem("/signature", "signature_unknown", key_id=verification.key_id)]


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
