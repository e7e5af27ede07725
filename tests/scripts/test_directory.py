"""Scripts in a folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.scripts.folders import manifest, wait_for_the_clock, write_script
from zscrape.config import RepositorySettings
from zscrape.errors import ConfigError
from zscrape.errors.scripts import FilesInvalid, ManifestInvalid, RepositoryUnavailable
from zscrape.scripts.cache import ScriptCache
from zscrape.scripts.directory import DirectoryRepository
from zscrape.scripts.repository import open_repository


async def test_both_layouts_are_read(root: Path) -> None:
    """A folder with a manifest is one version; folders named by versions are those versions."""
    write_script(root / "flat", version="1.4.2")
    for version in ("1.0.0", "1.10.0", "1.9.0-rc.1"):
        write_script(root / "many" / version, name="many", version=version)
    repository = DirectoryRepository(root)

    assert await repository.names() == ("flat", "many")
    assert await repository.versions("flat") == ("1.4.2",)
    assert await repository.versions("many") == ("1.10.0", "1.9.0-rc.1", "1.0.0")
    assert b'"1.10.0"' in await repository.manifest("many", "1.10.0")
    assert len(await repository.fetch("many", "1.0.0")) == 2


async def test_what_is_no_script_is_passed_over(root: Path) -> None:
    """Files, hidden folders, other names and folders without a manifest are no scripts."""
    (root / "conftest.py").touch()
    (root / "empty").mkdir()
    write_script(root / ".hidden", name="hidden")
    write_script(root / "Upper", name="upper")
    write_script(root / "real")
    repository = DirectoryRepository(root)

    assert await repository.names() == ("real",)
    assert await repository.versions("empty") == ()


@pytest.mark.parametrize("name", ["", "..", "../root", "a/b", "/etc", "real\x00", "x" * 1000])
async def test_a_name_never_becomes_another_path(root: Path, name: str) -> None:
    """A name outside the grammar is never looked up."""
    write_script(root / "real")

    assert await DirectoryRepository(root).versions(name) == ()


async def test_a_version_folder_holds_that_version(root: Path) -> None:
    """A manifest that says another version than its folder is refused."""
    write_script(root / "many" / "1.0.0", name="many", version="1.0.1")
    repository = DirectoryRepository(root)
    await repository.versions("many")

    with pytest.raises(ManifestInvalid) as caught:
        await repository.fetch("many", "1.0.0")

    assert caught.value.problems[0]["reason"] == "1.0.1, but its folder is 1.0.0"


async def test_folders_with_manifests_but_no_versions_are_told(root: Path) -> None:
    """Version folders that are not named by SemVer are faults, each by its name."""
    write_script(root / "many" / "v1", name="many")
    write_script(root / "many" / "newest", name="many")

    with pytest.raises(FilesInvalid) as caught:
        await DirectoryRepository(root).versions("many")

    assert [each["pointer"] for each in caught.value.problems] == ["/files/newest", "/files/v1"]


async def test_links_are_refused(root: Path, tmp_path: Path) -> None:
    """A script's folder, or its manifest, that is a link is refused."""
    write_script(tmp_path / "elsewhere", name="linked")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "half").mkdir()
    (root / "half" / "metadata.json").symlink_to(tmp_path / "elsewhere" / "metadata.json")
    repository = DirectoryRepository(root)

    for name in ("linked", "half"):
        with pytest.raises(FilesInvalid) as caught:
            await repository.versions(name)

        assert caught.value.problems[0]["code"] == "link"


async def test_a_missing_root_is_told(tmp_path: Path) -> None:
    """A folder that is not there makes the repository unavailable, with its path."""
    with pytest.raises(RepositoryUnavailable) as caught:
        await DirectoryRepository(tmp_path / "none", "mine").names()

    assert caught.value.repository == "mine"
    assert str(tmp_path / "none") in caught.value.reason


@pytest.mark.usefixtures("settled")
async def test_the_revision_follows_the_files(root: Path) -> None:
    """The mark stays while nothing changes, and is gone after an edit, an addition, a removal."""
    folder = write_script(root / "sample")
    repository = DirectoryRepository(root)

    assert repository.revision("sample", "1.0.0") is None
    for change in (
        lambda: (folder / "main.py").write_text("def run(): return 2\n"),
        (folder / "new.py").touch,
        (folder / "new.py").unlink,
        lambda: (folder / "metadata.json").write_bytes(manifest("sample", timeout=5)),
    ):
        await repository.versions("sample")
        await repository.fetch("sample", "1.0.0")
        first = repository.revision("sample", "1.0.0")
        wait_for_the_clock(root)
        change()

        assert first is not None
        assert repository.revision("sample", "1.0.0") is None


async def test_absence_has_a_revision(root: Path) -> None:
    """That a script is not there is an answer that holds until it appears."""
    repository = DirectoryRepository(root)
    before = repository.revision("sample", None)
    write_script(root / "sample")

    assert before is not None
    assert repository.revision("sample", None) is None


async def test_a_script_that_goes_away_is_gone(root: Path) -> None:
    """A removed folder has no versions any more."""
    repository = DirectoryRepository(root)
    write_script(root / "sample")
    before = await repository.versions("sample")
    shutil.rmtree(root / "sample")

    assert (before, await repository.versions("sample")) == (("1.0.0",), ())


async def test_a_repository_is_opened_by_its_settings(root: Path, tmp_path: Path) -> None:
    """The folder of the settings is opened, under the name that they give it."""
    write_script(root / "sample")
    settings = RepositorySettings(url=str(root), name="mine")

    repository = open_repository(settings, cache=ScriptCache(tmp_path / "cache"), folder=tmp_path)

    assert repository.name == "mine"
    assert await repository.names() == ("sample",)
    assert await repository.channels("sample") == {}
    assert not await repository.refresh()
    await repository.close()


def test_a_type_that_is_not_known_is_told(tmp_path: Path) -> None:
    """An unknown type is an error of the configuration."""
    with pytest.raises(ConfigError) as caught:
        open_repository(
            RepositorySettings(type="ftp", url="/x"),
            cache=ScriptCache(tmp_path / "cache"),
            folder=tmp_path,
        )

    assert caught.value.source.startswith("repositories.")


async def test_a_version_that_has_gone_meanwhile_is_a_clear_error(root: Path) -> None:
    """What was listed and removed before it was read is told as such."""
    write_script(root / "sample")
    repository = DirectoryRepository(root)
    await repository.versions("sample")
    shutil.rmtree(root / "sample")
    await repository.versions("sample")

    with pytest.raises(RepositoryUnavailable, match="changed while it was read"):
        await repository.fetch("sample", "1.0.0")


@pytest.mark.usefixtures("settled")
async def test_each_path_is_looked_at_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a script with one version, what its listing says its files say too: no second look."""
    write_script(root / "flat")
    repository = DirectoryRepository(root)
    await repository.versions("flat")
    await repository.fetch("flat", "1.0.0")
    looked: list[str] = []
    look = os.lstat

    def count(path: str) -> os.stat_result:
        looked.append(path)
        return look(path)

    monkeypatch.setattr("zscrape.scripts.fingerprint.os.lstat", count)
    mark = repository.revision("flat", "1.0.0")
    once = [*looked]
    await repository.versions("flat")  # listed anew: its mark is another one

    assert mark is not None
    assert len(once) == len(set(once)) == 3
    assert repository.revision("flat", "1.0.0") not in (mark, None)
