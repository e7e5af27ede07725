"""`checksums` of a manifest: the digest of every file but the manifest itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from zscrape.errors.scripts import IntegrityFailure
from zscrape.scripts.digest import MANIFEST_FILE, ScriptFile, file_digest


def checksums_of(files: Iterable[ScriptFile]) -> dict[str, str]:
    """Return the digest of every file but `metadata.json`, by path, sorted."""
    found = {each.path: file_digest(each.content) for each in files if each.path != MANIFEST_FILE}
    return dict(sorted(found.items()))


def require_checksums(
    name: str, expected: Mapping[str, str] | None, files: Iterable[ScriptFile]
) -> None:
    """Hold every file to its checksum, where there are any: none may differ, be missing or extra.

    Raises:
        IntegrityFailure: The first file, by path, that does not match.
    """
    if expected is None:
        return
    actual = checksums_of(files)
    for path in sorted({*actual, *expected}):
        expected_digest = expected.get(path, "not in checksums")
        actual_digest = actual.get(path, "missing")
        if expected_digest != actual_digest:
            raise IntegrityFailure(
                name=f"{name}/{path}", expected=expected_digest, actual=actual_digest
            )
