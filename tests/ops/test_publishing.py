"""Signing and publishing a script's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.scripts.folders import write_script
from zscrape.config import RepositorySettings, Settings
from zscrape.errors import ConfigError
from zscrape.errors.scripts import (
    EntryPointInvalid,
    IntegrityFailure,
    ManifestInvalid,
    PublishFailed,
    ScriptNotFound,
    VersionExists,
)
from zscrape.ops.publishing import publish_script, sign_folder
from zscrape.scripts.digest import tree_digest
from zscrape.scripts.signing import SigningKey, new_key_pair
from zscrape.scripts.tree import read_tree

WHOLE: dict[str, Any] = {"description": "d", "author": "a"}


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    """A new key."""
    return new_key_pair(tmp_path / "publisher.pem")[0]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Two folders of scripts."""
    return Settings(
        home=tmp_path,
        cache_dir=tmp_path / "cache",
        repositories=tuple(
            RepositorySettings(url=str(tmp_path / name), name=name) for name in ("first", "second")
        ),
    )


async def test_a_script_goes_to_the_first_repository_with_checksums(
    tmp_path: Path, settings: Settings
) -> None:
    """What is published is told with its digest; the folder itself is not changed."""
    folder = write_script(tmp_path / "sample", {"lib/a.py": ""}, **WHOLE)
    before = (folder / "metadata.json").read_bytes()

    published = await publish_script(folder, settings)

    place = tmp_path / "first" / "sample" / "1.0.0"
    files = read_tree(place, "sample").files
    assert (published.repository, published.place) == ("first", str(place))
    assert (published.digest, published.file_count) == (tree_digest(files), 3)
    assert set(json.loads((place / "metadata.json").read_bytes())["checksums"]) == {
        "lib/a.py",
        "main.py",
    }
    assert (folder / "metadata.json").read_bytes() == before


async def test_a_key_signs_what_is_published(
    tmp_path: Path, settings: Settings, key: SigningKey
) -> None:
    """The signature is in the repository, by the key's id."""
    folder = write_script(tmp_path / "sample", **WHOLE)

    published = await publish_script(folder, settings, to="second", key=key)

    manifest = json.loads((Path(published.place) / "metadata.json").read_bytes())
    assert published.key_id == key.id
    assert manifest["signature"].startswith(f"ed25519:{key.id}:")
    assert published.place.startswith(str(tmp_path / "second"))


async def test_a_signature_that_is_there_is_published_as_it_is(
    tmp_path: Path, settings: Settings, key: SigningKey
) -> None:
    """Without the key a signed folder goes byte by byte; edited since, it does not go at all."""
    folder = write_script(tmp_path / "sample", **WHOLE)
    signed = sign_folder(folder, key)

    published = await publish_script(folder, settings)
    (folder / "main.py").write_text("def run(): return 2\n")

    assert published.digest == signed.digest
    with pytest.raises(IntegrityFailure):
        await publish_script(folder, settings, to="second")


async def test_checksums_without_a_signature_are_made_anew(
    tmp_path: Path, settings: Settings
) -> None:
    """An edit after the last publishing needs no hand on the manifest but the version."""
    folder = write_script(tmp_path / "sample", checksums={"main.py": "sha256:" + "0" * 64}, **WHOLE)

    assert (await publish_script(folder, settings)).file_count == 2


async def test_a_dry_run_checks_everything_and_writes_nothing(
    tmp_path: Path, settings: Settings
) -> None:
    """It gives the digest that publishing would have, and sees a version that exists."""
    folder = write_script(tmp_path / "sample", **WHOLE)

    would = await publish_script(folder, settings, is_dry_run=True)
    is_written = (tmp_path / "first").exists()
    published = await publish_script(folder, settings)

    assert (would.place, would.is_dry_run, is_written) == ("", True, False)
    assert would.digest == published.digest
    with pytest.raises(VersionExists):
        await publish_script(folder, settings, is_dry_run=True)


async def test_what_the_check_finds_stops_publishing(tmp_path: Path, settings: Settings) -> None:
    """Missing fields and unknown ones are told together, each with its place."""
    folder = write_script(tmp_path / "sample", timeuot=3)

    with pytest.raises(ManifestInvalid) as caught:
        await publish_script(folder, settings)

    assert [each["pointer"] for each in caught.value.problems] == [
        "/timeuot",
        "/description",
        "/author",
    ]


async def test_a_missing_entry_point_a_bare_folder_and_nothing_are_refused(
    tmp_path: Path, settings: Settings
) -> None:
    """Each says what is missing."""
    lost = write_script(tmp_path / "lost", entry_point="other.py", **WHOLE)
    (tmp_path / "bare").mkdir()

    for path, error in (
        (lost, EntryPointInvalid),
        (tmp_path / "bare", EntryPointInvalid),
        (tmp_path / "nothing", ScriptNotFound),
    ):
        with pytest.raises(error):
            await publish_script(path, settings)


async def test_a_version_folder_is_published_as_its_script(
    tmp_path: Path, settings: Settings
) -> None:
    """`<name>/<version>/` elsewhere is a source, too."""
    folder = write_script(
        tmp_path / "work" / "many" / "1.2.0", name="many", version="1.2.0", **WHOLE
    )

    published = await publish_script(folder, settings)

    assert published.place == str(tmp_path / "first" / "many" / "1.2.0")


async def test_the_destination_may_be_a_folder_or_an_archive(
    tmp_path: Path, settings: Settings
) -> None:
    """What is neither a repository, a folder nor an archive is told with what there is."""
    folder = write_script(tmp_path / "sample", **WHOLE)
    (tmp_path / "third").mkdir()

    beside = await publish_script(folder, settings, to=str(tmp_path / "third"))
    packed = await publish_script(folder, settings, to=str(tmp_path / "sample.tar.gz"))

    assert beside.place == str(tmp_path / "third" / "sample" / "1.0.0")
    assert packed.place == str(tmp_path / "sample.tar.gz")
    assert (tmp_path / "sample.tar.gz").is_file()
    with pytest.raises(ConfigError, match="first, second"):
        await publish_script(folder, settings, to="fourth")


async def test_a_script_that_lives_in_the_repository_is_only_signed_there(
    tmp_path: Path, settings: Settings, key: SigningKey
) -> None:
    """Its folder is its only version; another folder of that name is refused."""
    living = write_script(tmp_path / "first" / "sample", **WHOLE)
    other = write_script(tmp_path / "work" / "sample", version="2.0.0", **WHOLE)

    published = await publish_script(living, settings, key=key)

    assert published.place == str(living)
    assert b"signature" in (living / "metadata.json").read_bytes()
    with pytest.raises(PublishFailed):
        await publish_script(other, settings)


def test_signing_a_folder_changes_only_its_manifest(tmp_path: Path, key: SigningKey) -> None:
    """The digest told is that of the folder as it is now."""
    folder = write_script(tmp_path / "sample")
    source = (folder / "main.py").read_bytes()

    signed = sign_folder(folder, key)

    assert signed.digest == tree_digest(read_tree(folder, "sample").files)
    assert (folder / "main.py").read_bytes() == source
    assert (signed.name, signed.version, signed.file_count) == ("sample", "1.0.0", 2)


def test_a_script_that_cannot_be_used_is_not_signed(tmp_path: Path, key: SigningKey) -> None:
    """Its manifest stays as it was."""
    folder = write_script(tmp_path / "sample", entry_point="other.py")
    before = (folder / "metadata.json").read_bytes()

    with pytest.raises(EntryPointInvalid):
        sign_folder(folder, key)

    assert (folder / "metadata.json").read_bytes() == before
