"""The sample scripts as a repository."""

from __future__ import annotations

from pathlib import Path

import pytest

import zscrape
from zscrape.messages.dashboardstart import DASHBOARD_START
from zscrape.ops.samples import samples_folder
from zscrape.scripts.cache import ScriptCache
from zscrape.scripts.catalogue import Catalogue
from zscrape.scripts.directory import DirectoryRepository


async def test_every_sample_is_exemplary(tmp_path: Path) -> None:
    """Each sample resolves without a warning, is described, and has a test beside it."""
    folder = samples_folder()
    catalogue = Catalogue([DirectoryRepository(folder)], ScriptCache(tmp_path))
    names = [each.name for each in await catalogue.scripts()]

    for name in names:
        script = await catalogue.resolve(name)
        properties = script.schema["properties"].values()

        assert script.warnings == ()
        assert script.manifest.description
        assert all("description" in each for each in properties)
        assert (folder / name / f"test_{name}.py").is_file()
    assert {"page_text", "table_rows", "paginated_items", "sitemap_crawl"} <= set(names)
    assert {"feed_entries", "price_watch", "file_download", "noop"} <= set(names)


def test_an_installed_package_brings_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside a package with `_samples`, these are the samples."""
    (tmp_path / "zscrape" / "_samples").mkdir(parents=True)
    monkeypatch.setattr(zscrape, "__file__", str(tmp_path / "zscrape" / "__init__.py"))

    assert samples_folder() == tmp_path / "zscrape" / "_samples"


async def test_the_dashboard_knows_every_sample_in_korean(tmp_path: Path) -> None:
    """What a sample says of itself stands in the catalogue, letter for letter."""
    catalogue = Catalogue([DirectoryRepository(samples_folder())], ScriptCache(tmp_path))
    told = {each.name: each.description for each in await catalogue.scripts()}

    assert {name: DASHBOARD_START[f"ui.sample.{name}"].en for name in told} == told
