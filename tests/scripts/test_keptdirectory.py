"""A folder of scripts that goes away: what was read of it and is cached is answered."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.scripts.folders import write_script
from zscrape.errors.scripts import RepositoryUnavailable, ScriptNotFound
from zscrape.scripts.cache import ScriptCache
from zscrape.scripts.catalogue import Catalogue
from zscrape.scripts.keptdirectory import KeptDirectory

pytestmark = pytest.mark.usefixtures("settled")

Opener = Callable[[], tuple[KeptDirectory, Catalogue]]


@pytest.fixture
async def start(tmp_path: Path, root: Path, cache: ScriptCache) -> AsyncIterator[Opener]:
    """Open the folder and a catalogue over it, as a new process would."""
    opened: list[Catalogue] = []

    def start_one() -> tuple[KeptDirectory, Catalogue]:
        repository = KeptDirectory(root, "mine", folder=tmp_path / "kept", cache=cache)
        opened.append(Catalogue([repository], cache))
        return repository, opened[-1]

    yield start_one
    for each in opened:
        await each.close()


def away(root: Path) -> Path:
    """Move the folder away, as an unmounted disk; returns where it is."""
    return root.rename(root.with_name("away"))


async def test_what_was_read_outlives_the_folder_and_the_process(
    root: Path, cache: ScriptCache, start: Opener
) -> None:
    """By name, version, range and digest; what was never read is told as unreadable."""
    for version in ("1.0.0", "1.1.0", "2.0.0"):
        write_script(root / "watch" / version, name="watch", version=version)
    write_script(root / "other")
    _, catalogue = start()
    pin = (await catalogue.resolve("watch", "1.0.0")).pin
    newer = (await catalogue.resolve("watch", "1.1.0")).pin
    away(root)
    repository, again = start()

    assert (await again.resolve("watch", "1.0.0")).pin == pin
    assert (await again.resolve("watch", "^1")).pin == newer
    assert (await again.resolve("watch")).pin == newer  # 2.0.0 was never read
    assert (await again.resolve("watch", pin.digest)).pin.digest == pin.digest
    assert await again.known_digests("watch") == {"1.1.0": newer.digest, "1.0.0": pin.digest}
    assert [(each.name, each.version) for each in await again.scripts()] == [("watch", "1.1.0")]
    assert b"1.1.0" in await repository.manifest("watch", "1.1.0")
    assert list(again.faults()) == ["mine"]
    with pytest.raises(RepositoryUnavailable):
        await again.resolve("other")
    with pytest.raises(RepositoryUnavailable):
        await repository.fetch("watch", "2.0.0")


async def test_going_and_coming_back_are_logged_once(root: Path, start: Opener) -> None:
    """A warning when the folder is gone, a word when it is back; a refresh says the same."""
    write_script(root / "watch")
    repository, catalogue = start()
    first = await catalogue.resolve("watch")
    with capture_logs() as logs:
        elsewhere = away(root)
        gone = [await catalogue.resolve("watch") for _ in range(3)]
        with pytest.raises(RepositoryUnavailable, match="cannot be read"):
            await repository.refresh()
        write_script(elsewhere / "watch", {"main.py": "def run():\n    return 2\n"})
        elsewhere.rename(root)
        back = await catalogue.resolve("watch")

    assert gone == [first] * 3
    assert back.pin.digest != first.pin.digest
    assert [each["event"] for each in logs] == ["repository_stale", "repository_back"]
    assert str(root) in logs[0]["reason"]


async def test_while_it_is_gone_answers_come_from_memory(
    root: Path, cache: ScriptCache, start: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was answered once is not read again for every request."""
    write_script(root / "watch")
    await start()[1].resolve("watch")
    away(root)
    repository, again = start()
    first = await again.resolve("watch")
    monkeypatch.delattr(KeptDirectory, "fetch")

    assert await again.resolve("watch") is first
    assert repository.revision("watch", None) is None


async def test_what_a_folder_no_longer_has_is_forgotten(
    root: Path, tmp_path: Path, start: Opener
) -> None:
    """A removed version, a removed script: neither comes back when the folder goes."""
    for version in ("1.0.0", "1.1.0"):
        write_script(root / "watch" / version, name="watch", version=version)
        await start()[1].resolve("watch", version)
    write_script(root / "other")
    _, catalogue = start()
    await catalogue.resolve("other")
    shutil.rmtree(root / "watch" / "1.1.0")
    shutil.rmtree(root / "other")
    await catalogue.resolve("watch")
    with pytest.raises(ScriptNotFound):
        await catalogue.resolve("other")
    away(root)
    _, again = start()

    assert await again.versions("watch") == ["1.0.0"]
    with pytest.raises(RepositoryUnavailable):
        await again.resolve("other")


async def test_what_the_cache_has_lost_is_not_promised(
    root: Path, cache: ScriptCache, start: Opener
) -> None:
    """A note of bytes that are no longer here is no answer."""
    write_script(root / "watch")
    digest = (await start()[1].resolve("watch")).pin.digest
    shutil.rmtree(cache.path(digest))
    away(root)

    with pytest.raises(RepositoryUnavailable):
        await start()[1].resolve("watch")


async def test_an_edit_makes_a_digest_unknown(root: Path, start: Opener) -> None:
    """Of a folder that is there, only what has not changed since it was read is told."""
    folder = write_script(root / "watch")
    _, catalogue = start()
    digest = (await catalogue.resolve("watch")).pin.digest
    before = await catalogue.known_digests("watch")
    (folder / "main.py").write_text("def run():\n    return 'edited'\n")

    assert before == {"1.0.0": digest}
    assert await catalogue.known_digests("watch") == {"1.0.0": None}


@pytest.mark.parametrize("damage", ["torn", "other_folder"])
async def test_notes_that_do_not_count(
    root: Path, tmp_path: Path, start: Opener, damage: str
) -> None:
    """A damaged note, and one of another folder under the same name, are not believed."""
    write_script(root / "watch")
    await start()[1].resolve("watch")
    path = tmp_path / "kept" / "folder.json"
    if damage == "torn":
        path.write_bytes(path.read_bytes()[:-5])
    else:
        path.write_bytes(
            msgspec.json.encode({**msgspec.json.decode(path.read_bytes()), "root": "/x"})
        )
    away(root)

    with pytest.raises(RepositoryUnavailable):
        await start()[1].resolve("watch")


async def test_two_processes_note_side_by_side(root: Path, start: Opener) -> None:
    """One writes its scripts and leaves the other's."""
    write_script(root / "watch")
    write_script(root / "other")
    (_, one), (_, two) = start(), start()
    await one.versions("watch")
    await two.versions("other")
    await one.resolve("watch")
    await two.resolve("other")
    away(root)
    _, again = start()

    assert [each.name for each in await again.scripts()] == ["other", "watch"]


async def test_a_disk_that_takes_no_note_stops_nothing(
    root: Path, tmp_path: Path, start: Opener
) -> None:
    """The script is answered all the same."""
    write_script(root / "watch")
    (tmp_path / "kept").write_text("in the way")

    assert (await start()[1].resolve("watch")).pin.version == "1.0.0"
