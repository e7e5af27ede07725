"""Checksums of a manifest."""

from __future__ import annotations

import pytest

from tests.scripts.folders import manifest
from zscrape.errors.scripts import IntegrityFailure
from zscrape.scripts.checksums import checksums_of, require_checksums
from zscrape.scripts.digest import ScriptFile, file_digest

FILES = (
    ScriptFile("main.py", False, b"1"),
    ScriptFile("lib/a.py", False, b"2"),
    ScriptFile("metadata.json", False, manifest()),
)


def test_every_file_but_the_manifest_has_one() -> None:
    """Checksums are by path, sorted; the manifest cannot hold its own."""
    found = checksums_of(FILES)

    assert list(found) == ["lib/a.py", "main.py"]
    assert found["main.py"] == file_digest(b"1")


def test_files_that_match_pass_and_so_does_a_manifest_without_any() -> None:
    """Checksums are held where they are given."""
    require_checksums("sample", checksums_of(FILES), FILES)
    require_checksums("sample", None, FILES)


@pytest.mark.parametrize(
    ("path", "digest", "told"),
    [
        ("main.py", file_digest(b"other"), "sample/main.py"),
        ("gone.py", file_digest(b""), "sample/gone.py"),
        ("main.py", None, "sample/main.py"),
    ],
)
def test_a_file_that_differs_is_missing_or_extra_is_named(
    path: str, digest: str | None, told: str
) -> None:
    """The error names the file."""
    expected = checksums_of(FILES)
    if digest is None:
        del expected[path]
    else:
        expected[path] = digest

    with pytest.raises(IntegrityFailure) as caught:
        require_checksums("sample", expected, FILES)

    assert caught.value.name == told
