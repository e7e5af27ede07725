"""Putting versions where gateways find them."""

from __future__ import annotations

import asyncio
import shutil
import tarfile
from pathlib import Path

import pytest

from tests.scripts.folders import manifest, write_script
from tests.scripts.git_server import Upstream, git
from zscrape.config import RepositorySettings
from zscrape.errors import ConfigError
from zscrape.errors.scripts import PublishFailed, VersionExists
from zscrape.messages import text
from zscrape.scripts.cache import ScriptCache
from zscrape.scripts.catalogue import Catalogue
from zscrape.scripts.digest import ScriptFile, tree_digest
from zscrape.scripts.publish import ArchivePublisher, FolderPublisher, open_publisher
from zscrape.scripts.repository import open_repository
from zscrape.scripts.tree import read_tree

FILES = (
    ScriptFile("lib/tool.sh", True, b"#!/bin/sh\n"),
    ScriptFile("main.py", False, b"def run(): return 1\n"),
    ScriptFile("metadata.json", False, manifest(version="1.2.0")),
)


@pytest.fixture
def publisher(root: Path, tmp_path: Path) -> FolderPublisher:
    """A publisher to the folder of scripts, of a script from elsewhere."""
    return FolderPublisher(root, "scripts", origin=tmp_path / "elsewhere")


async def test_a_published_version_is_live_with_its_digest(
    root: Path, publisher: FolderPublisher, catalogue: Catalogue
) -> None:
    """What a gateway resolves is, byte for byte, what was published."""
    write_script(root / "sample" / "1.1.0", name="sample", version="1.1.0")
    await catalogue.resolve("sample")

    place = await publisher.publish(FILES, "sample", "1.2.0")
    script = await catalogue.resolve("sample")

    assert place == str(root / "sample" / "1.2.0")
    assert (script.pin.version, script.pin.digest) == ("1.2.0", tree_digest(FILES))


async def test_a_version_is_never_replaced(root: Path, publisher: FolderPublisher) -> None:
    """The second publisher of a version is refused, however close it follows the first."""
    await publisher.publish(FILES, "sample", "1.2.0")
    for attempt in (publisher.require_new("sample", "1.2.0"), _other(publisher)):
        with pytest.raises(VersionExists) as caught:
            await attempt

        assert (caught.value.http_status, caught.value.repository) == (409, "scripts")
    assert read_tree(root / "sample" / "1.2.0", "sample").files == FILES


async def _other(publisher: FolderPublisher) -> None:
    other = (*FILES[:2], ScriptFile("metadata.json", False, manifest(version="1.2.0", tags=["x"])))
    await publisher.publish(other, "sample", "1.2.0")


async def test_of_publishers_at_once_one_wins(root: Path, publisher: FolderPublisher) -> None:
    """The others are told that the version exists; its folder is one of them, whole."""
    results = await asyncio.gather(
        *(publisher.publish(FILES, "sample", "1.2.0") for _ in range(8)), return_exceptions=True
    )

    assert sum(isinstance(each, str) for each in results) == 1
    assert sum(isinstance(each, VersionExists) for each in results) == 7
    assert [each.name for each in (root / "sample").iterdir()] == ["1.2.0"]


async def test_a_script_with_a_single_folder_takes_no_second_version(
    root: Path, publisher: FolderPublisher
) -> None:
    """The layout is explained, with the folder and what to do; nothing is written."""
    folder = write_script(root / "sample")

    with pytest.raises(PublishFailed) as caught:
        await publisher.publish(FILES, "sample", "1.2.0")

    told = text(caught.value.text_key, "en", **caught.value.fields)
    assert str(folder) in told
    assert "sample/VERSION/" in told
    assert sorted(each.name for each in folder.iterdir()) == ["main.py", "metadata.json"]


async def test_the_folder_itself_may_get_its_checksums(root: Path) -> None:
    """Published from where it lives, only the manifest changes."""
    folder = write_script(root / "sample", version="1.2.0")
    publisher = FolderPublisher(root, "scripts", origin=folder)
    files = read_tree(folder, "sample").files
    summed = (files[0], ScriptFile("metadata.json", False, manifest(version="1.2.0", tags=["x"])))

    place = await publisher.publish(summed, "sample", "1.2.0")
    again = await publisher.publish(summed, "sample", "1.2.0")

    assert place == again == str(folder)
    assert read_tree(folder, "sample").files == summed


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """The error names the place, and nothing is left."""
    (tmp_path / "scripts").write_text("a file in the way")
    publisher = FolderPublisher(tmp_path / "scripts", "scripts", origin=tmp_path)

    with pytest.raises(PublishFailed) as caught:
        await publisher.publish(FILES, "sample", "1.2.0")

    assert str(tmp_path / "scripts") in caught.value.reason
    assert caught.value.text_key == "publish_failed"


async def test_an_archive_has_one_folder_and_is_never_written_over(tmp_path: Path) -> None:
    """A web server can serve it as it is."""
    publisher = ArchivePublisher(tmp_path / "sample.tar.gz")

    await publisher.require_new("sample", "1.2.0")
    place = await publisher.publish(FILES, "sample", "1.2.0")

    with tarfile.open(place) as archive:
        names = archive.getnames()
    assert names == [f"sample-1.2.0/{each.path}" for each in FILES]
    for refused in (
        publisher.require_new("sample", "1.2.0"),
        publisher.publish(FILES, "sample", "1.2.0"),
    ):
        with pytest.raises(VersionExists):
            await refused


async def test_an_archive_in_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The reason is the system's own."""
    publisher = ArchivePublisher(tmp_path / "none" / "sample.tar.gz")

    with pytest.raises(PublishFailed, match="No such file"):
        await publisher.publish(FILES, "sample", "1.2.0")


async def test_a_web_server_is_only_read(tmp_path: Path) -> None:
    """An HTTP repository says which archive to make and where to serve it."""
    settings = RepositorySettings(type="http", url="http://127.0.0.1:1/scripts/", name="web")
    publisher = open_publisher(settings, origin=tmp_path, scratch=tmp_path)

    with pytest.raises(PublishFailed) as caught:
        await publisher.publish(FILES, "sample", "1.2.0")
    await publisher.close()

    told = text(caught.value.text_key, "en", **caught.value.fields)
    assert "sample-1.2.0.tar.gz" in told
    assert "http://127.0.0.1:1/scripts/sample/1.2.0" in told


def test_the_type_of_a_repository_decides(root: Path, tmp_path: Path) -> None:
    """A folder is written directly; a type that nobody knows is refused."""
    folder = RepositorySettings(type="dir", url=str(root), name="mine")
    odd = RepositorySettings(type="ftp", url="ftp://127.0.0.1", name="odd")

    assert open_publisher(folder, origin=tmp_path, scratch=tmp_path).name == "mine"
    with pytest.raises(ConfigError):
        open_publisher(odd, origin=tmp_path, scratch=tmp_path)


# ---- repositories behind a network ---------------------------------------------------


@pytest.mark.system
@pytest.mark.skipif(shutil.which("git") is None, reason="needs the Debian package git")
async def test_a_git_repository_gets_a_commit_and_a_tag(tmp_path: Path, cache: ScriptCache) -> None:
    """Published there, a version has the same digest for a gateway, and is never replaced."""
    upstream = Upstream(tmp_path / "served")
    upstream.script("other")
    upstream.push()
    settings = RepositorySettings(type="git", url=upstream.bare.as_uri(), name="team")
    files = (
        *FILES[:2],
        ScriptFile("metadata.json", False, manifest(version="1.2.0", author="kim")),
    )
    publisher = open_publisher(settings, origin=tmp_path, scratch=tmp_path / "scratch")

    await publisher.require_new("sample", "1.2.0")
    place = await publisher.publish(files, "sample", "1.2.0")
    for refused in (
        publisher.require_new("sample", "1.2.0"),
        publisher.publish(files, "sample", "1.2.0"),
    ):
        with pytest.raises(VersionExists):
            await refused
    await publisher.close()

    repository = open_repository(settings, cache=cache, folder=tmp_path / "kept")
    catalogue = Catalogue([repository], cache)
    script = await catalogue.resolve("sample")
    await catalogue.close()
    assert place.endswith("sample/v1.2.0")
    assert script.pin.digest == tree_digest(files)
    assert git(upstream.bare, "log", "-1", "--format=%an", "main") == b"kim\n"
