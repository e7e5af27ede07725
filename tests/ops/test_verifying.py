"""Verifying folders and repositories."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scripts.folders import write_script
from zscrape.config import RepositorySettings, Settings
from zscrape.errors.scripts import ScriptNotFound, VersionNotFound
from zscrape.ops.publishing import sign_folder
from zscrape.ops.verifying import Verdict, verify_folder, verify_repositories
from zscrape.scripts.signing import SigningKey, new_key_pair
from zscrape.scripts.trust import NOBODY, Trust


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    """A new key."""
    return new_key_pair(tmp_path / "publisher.pem")[0]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Two folders of scripts: a name in both, one version damaged, one signed by nobody."""
    for name in ("first", "second"):
        write_script(tmp_path / name / "twice")
    for version in ("1.0.0", "1.1.0"):
        write_script(tmp_path / "first" / "many" / version, name="many", version=version)
    write_script(tmp_path / "second" / "damaged", checksums={"main.py": "sha256:" + "0" * 64})
    return Settings(
        home=tmp_path,
        cache_dir=tmp_path / "cache",
        repositories=tuple(
            RepositorySettings(url=str(tmp_path / name), name=name) for name in ("first", "second")
        ),
    )


async def verified(settings: Settings, *targets: str, trust: Trust = NOBODY) -> list[Verdict]:
    """Return all verdicts."""
    asked = verify_repositories(settings, targets, trust, lang="en")
    return [each async for each in asked]


def names(verdicts: list[Verdict]) -> list[tuple[str, str, str, bool]]:
    """Return what a list of verdicts is about."""
    return [(each.repository, each.name, each.version, each.is_valid) for each in verdicts]


async def test_everything_in_every_repository_is_verified(settings: Settings) -> None:
    """Names that an earlier repository hides are verified, too; a bad one stops no other."""
    found = await verified(settings)

    assert names(found) == [
        ("first", "many", "1.1.0", True),
        ("first", "many", "1.0.0", True),
        ("first", "twice", "1.0.0", True),
        ("second", "damaged", "1.0.0", False),
        ("second", "twice", "1.0.0", True),
    ]
    assert found[3].code == "integrity_error"
    assert "damaged/main.py" in found[3].reason


async def test_a_target_is_a_name_or_one_version_of_it(settings: Settings) -> None:
    """A request means what it means to a gateway, digests included."""
    (newest,) = await verified(settings, "many@latest")
    (ranged,) = await verified(settings, "many@<1.1")
    (pinned,) = await verified(settings, f"many@{ranged.digest}")

    assert names(await verified(settings, "twice")) == [
        ("first", "twice", "1.0.0", True),
        ("second", "twice", "1.0.0", True),
    ]
    assert (newest.version, ranged.version, pinned.version) == ("1.1.0", "1.0.0", "1.0.0")


async def test_a_target_that_is_not_there_is_bad_input(settings: Settings) -> None:
    """Unknown names and versions are errors, not verdicts."""
    with pytest.raises(ScriptNotFound):
        await verified(settings, "nobody")
    with pytest.raises(VersionNotFound):
        await verified(settings, "many@^9")


async def test_signatures_are_told_and_strict_mode_wants_them(
    settings: Settings, key: SigningKey, tmp_path: Path
) -> None:
    """Signed and trusted, signed by a stranger, and unsigned are told apart."""
    sign_folder(tmp_path / "first" / "twice", key)
    trusting = Trust({key.id: key.public})
    strict = Trust({key.id: key.public}, is_required=True)

    (valid, unsigned) = await verified(settings, "twice", trust=trusting)
    (unknown, _) = await verified(settings, "twice")
    (signed, refused) = await verified(settings, "twice", trust=strict)

    assert (valid.signature, valid.key_name, valid.has_checksums) == ("valid", "publisher", True)
    assert (unsigned.signature, unsigned.has_checksums) == ("unsigned", False)
    assert (unknown.signature, unknown.is_valid) == ("unknown_key", True)
    assert (signed.is_valid, refused.code) == (True, "signature_invalid")


async def test_a_repository_that_cannot_be_read_is_one_verdict(
    settings: Settings, tmp_path: Path
) -> None:
    """The others are verified all the same."""
    (tmp_path / "first").rename(tmp_path / "gone")

    found = await verified(settings)

    assert (found[0].repository, found[0].code) == ("first", "repository_unavailable")
    assert names(found[1:]) == [
        ("second", "damaged", "1.0.0", False),
        ("second", "twice", "1.0.0", True),
    ]


async def test_a_folder_is_verified_where_it_is(tmp_path: Path, key: SigningKey) -> None:
    """An edit after signing is seen, and a folder that cannot be used is told why."""
    folder = write_script(tmp_path / "sample")
    sign_folder(folder, key)
    trust = Trust({key.id: key.public}, is_required=True)

    before = await verify_folder(folder, trust, lang="en")
    (folder / "main.py").write_text("def run(): return 2\n")
    after = await verify_folder(folder, trust, lang="ko")
    (folder / "metadata.json").write_text("{}")
    broken = await verify_folder(folder, trust, lang="en")

    assert (before.is_valid, before.signature) == (True, "valid")
    assert (after.code, after.name) == ("integrity_error", "sample")
    assert [each["pointer"] for each in broken.problems] == ["/name", "/version"]
    with pytest.raises(ScriptNotFound):
        await verify_folder(tmp_path / "nothing", trust, lang="en")
