"""A repository behind a network as the catalogue sees it: from memory, renewed beside, kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from zscrape.errors.scripts import FilesInvalid, RepositoryUnavailable, ScriptNotFound
from zscrape.scripts.cache import ScriptCache
from zscrape.scripts.catalogue import Catalogue
from zscrape.scripts.digest import ScriptFile, tree_digest
from zscrape.scripts.remote import RemoteRepository
from zscrape.scripts.source import Listing


class Shelf:
    """A source in memory: what a server far away has, and whether it can be reached."""

    def __init__(self) -> None:
        self.versions: dict[tuple[str, str], bytes] = {}
        self.ignored: tuple[str, ...] = ()
        self.is_down = False
        self.scan_count = self.fetch_count = 0
        self.gate: asyncio.Event | None = None
        self.is_closed = False

    def put(self, name: str, version: str, source: str = "def run():\n    return 1\n") -> None:
        """Publish a version, or change what it holds."""
        self.versions[name, version] = source.encode()

    async def scan(self, known: Listing | None) -> Listing:
        """Return what is there."""
        self.scan_count += 1
        if self.gate is not None:
            await self.gate.wait()
        self._reach()
        scripts: dict[str, dict[str, str]] = {}
        for (name, version), body in self.versions.items():
            scripts.setdefault(name, {})[version] = str(hash(body))
        found = Listing(scripts, ignored=self.ignored)
        return known if known is not None and known.scripts == scripts else found

    async def manifest(self, script_name: str, version: str, mark: str) -> bytes:
        """Return the manifest alone."""
        self._reach()
        return json.dumps({"name": script_name, "version": version}).encode()

    async def fetch(self, script_name: str, version: str, mark: str) -> tuple[ScriptFile, ...]:
        """Return the files."""
        self._reach()
        self.fetch_count += 1
        return (
            ScriptFile("metadata.json", False, await self.manifest(script_name, version, mark)),
            ScriptFile("main.py", False, self.versions[script_name, version]),
        )

    async def close(self) -> None:
        """Note it."""
        self.is_closed = True

    def _reach(self) -> None:
        if self.is_down:
            raise RepositoryUnavailable(repository="shelf", reason="connection refused")


class Setting:
    """A repository over a shelf, a clock that is a number, and what outlives them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.shelf = Shelf()
        self.now = 0.0
        self.opened: list[RemoteRepository] = []
        self.cache = ScriptCache(root / "cache")

    def open(self, origin: str = "") -> RemoteRepository:
        """Open it, as a new process would."""
        repository = RemoteRepository(
            self.shelf,
            name="shelf",
            origin=origin,
            folder=self.root / "shelf",
            cache=self.cache,
            refresh_interval_s=60.0,
            clock=lambda: self.now,
        )
        self.opened.append(repository)
        return repository


async def settle() -> None:
    """Let work that was started beside a call come to its end."""
    while len(asyncio.all_tasks()) > 1:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait(others)


@pytest.fixture
async def setting(tmp_path: Path) -> AsyncIterator[Setting]:
    """One shelf for a test; what was opened is closed."""
    made = Setting(tmp_path)
    yield made
    for repository in made.opened:
        await repository.close()
    await made.cache.close()


async def test_the_first_answer_waits_for_the_source(setting: Setting) -> None:
    """Names, versions newest first, channels and files come from one look at the source."""
    setting.shelf.put("watch", "1.0.0")
    setting.shelf.put("watch", "1.10.0")
    setting.shelf.put("watch", "1.9.0")
    repository = setting.open()

    assert await repository.names() == ("watch",)
    assert await repository.versions("watch") == ("1.10.0", "1.9.0", "1.0.0")
    assert await repository.versions("other") == ()
    assert await repository.channels("watch") == {}
    assert json.loads(await repository.manifest("watch", "1.9.0"))["version"] == "1.9.0"
    assert len(await repository.fetch("watch", "1.9.0")) == 2
    assert setting.shelf.scan_count == 1


async def test_an_old_listing_is_answered_and_renewed_beside(setting: Setting) -> None:
    """After the interval the old answer is given at once, and the next one is new."""
    setting.shelf.put("watch", "1.0.0")
    repository = setting.open()
    await repository.versions("watch")
    setting.shelf.put("watch", "1.1.0")
    before = await repository.versions("watch")

    setting.now = 61.0
    setting.shelf.gate = asyncio.Event()  # the server takes its time
    stale = await repository.versions("watch")
    setting.shelf.gate.set()
    await settle()

    assert before == stale == ("1.0.0",)
    assert await repository.versions("watch") == ("1.1.0", "1.0.0")
    assert setting.shelf.scan_count == 2


async def test_revision_is_a_look_at_memory(setting: Setting) -> None:
    """A revision holds until versions, marks or channels of that script change; asking renews."""
    setting.shelf.put("watch", "1.0.0")
    repository = setting.open()
    first = repository.revision("watch", "1.0.0")
    await repository.versions("watch")
    held = repository.revision("watch", "1.0.0")
    absent = repository.revision("other", None)
    setting.shelf.put("other", "1.0.0")
    await repository.refresh()
    same = repository.revision("watch", "1.0.0")
    setting.shelf.put("watch", "1.0.0", "def run():\n    return 2\n")
    await repository.refresh()

    assert first is None
    assert held == same
    assert absent == "absent"
    assert repository.revision("other", None) is None
    assert repository.revision("watch", "1.0.0") not in (None, held)
    assert repository.revision("watch", "3.0.0") is None
    setting.now = 61.0
    repository.revision("watch", "1.0.0")
    await settle()
    assert setting.shelf.scan_count == 4


async def test_refresh_says_whether_anything_has_changed(setting: Setting) -> None:
    """A refresh is true for the first look, a new version and changed bytes, else false."""
    setting.shelf.put("watch", "1.0.0")
    repository = setting.open()
    told = [await repository.refresh(), await repository.refresh()]
    setting.shelf.put("watch", "1.0.1")
    told += [await repository.refresh(), await repository.refresh()]
    setting.shelf.put("watch", "1.0.1", "def run():\n    return 3\n")
    told.append(await repository.refresh())

    assert told == [True, False, True, False, True]


async def test_source_that_is_down(setting: Setting) -> None:
    """Without anything known it is an error; with a listing that is what is answered."""
    setting.shelf.put("watch", "1.0.0")
    setting.shelf.is_down = True
    repository = setting.open()
    with pytest.raises(RepositoryUnavailable):
        await repository.names()
    setting.shelf.is_down = False
    names = await repository.names()
    setting.shelf.is_down = True
    with pytest.raises(RepositoryUnavailable, match="refused"):
        await repository.refresh()
    fault = repository.fault
    setting.now = 61.0
    still = await repository.names()
    await settle()
    setting.shelf.is_down = False
    await repository.refresh()

    assert names == still == ("watch",)
    assert fault == "connection refused"
    assert repository.fault == ""


async def test_what_was_known_and_fetched_outlives_the_process(setting: Setting) -> None:
    """A new process answers with the repository down, from the listing and the cache."""
    setting.shelf.put("watch", "1.0.0")
    setting.shelf.put("watch", "1.1.0")
    first = setting.open()
    files = await first.fetch("watch", "1.0.0")
    setting.shelf.is_down = True
    second = setting.open()

    assert await second.versions("watch") == ("1.1.0", "1.0.0")
    assert {each.path for each in await second.fetch("watch", "1.0.0")} == {
        each.path for each in files
    }
    assert json.loads(await second.manifest("watch", "1.0.0"))["version"] == "1.0.0"
    with pytest.raises(RepositoryUnavailable):  # never fetched
        await second.fetch("watch", "1.1.0")
    assert setting.shelf.fetch_count == 1


async def test_digests_are_known_of_what_was_fetched(setting: Setting) -> None:
    """Without a look at the source: those of versions fetched as listed, after a restart, too."""
    setting.shelf.put("watch", "1.0.0")
    setting.shelf.put("watch", "1.1.0")
    first = setting.open()
    before = first.digests("watch")
    digest = tree_digest(await first.fetch("watch", "1.0.0"))
    setting.shelf.is_down = True
    second = setting.open()
    catalogue = Catalogue([second], setting.cache)

    assert before == {}
    assert await catalogue.known_digests("watch") == {"1.1.0": None, "1.0.0": digest}
    with pytest.raises(ScriptNotFound):
        await catalogue.known_digests("other")
    setting.shelf.is_down = False
    setting.shelf.put("watch", "1.0.0", "def run():\n    return 'moved'\n")
    await second.refresh()
    assert await catalogue.known_digests("watch") == {"1.1.0": None, "1.0.0": None}


async def test_what_was_kept_of_another_address_is_not_used(setting: Setting) -> None:
    """A name that the settings give another address begins anew."""
    setting.shelf.put("watch", "1.0.0")
    await setting.open("https://one").fetch("watch", "1.0.0")
    setting.shelf.versions.clear()
    setting.shelf.put("other", "2.0.0")

    assert await setting.open("https://one").names() == ("watch",)
    assert await setting.open("https://two").names() == ("other",)


async def test_damaged_listing_is_fetched_anew(setting: Setting) -> None:
    """A listing on disk that cannot be read costs one look at the source."""
    setting.shelf.put("watch", "1.0.0")
    await setting.open().names()
    (setting.root / "shelf" / "listing.json").write_bytes(b'{"listing": [')

    assert await setting.open().names() == ("watch",)
    assert setting.shelf.scan_count == 2


async def test_names_and_versions_that_are_none_are_left_out(setting: Setting) -> None:
    """Whatever a source lists, only script names and SemVer versions are ever answered."""
    setting.shelf.put("watch", "1.0.0")
    setting.shelf.put("watch", "one")
    setting.shelf.put("../etc", "1.0.0")
    setting.shelf.put("empty", "x")
    repository = setting.open()

    assert await repository.names() == ("watch",)
    assert await repository.versions("watch") == ("1.0.0",)


async def test_what_is_no_version_is_told_once_by_name(setting: Setting) -> None:
    """A warning lists what was ignored; the same list is not told at every look."""
    setting.shelf.put("watch", "1.0.0")
    setting.shelf.ignored = ("tag nightly", "tag release-7")
    repository = setting.open()
    with capture_logs() as logs:
        await repository.names()
        setting.shelf.put("watch", "1.1.0")
        await repository.refresh()
        setting.shelf.ignored = ("tag nightly",)
        setting.shelf.put("watch", "1.2.0")
        await repository.refresh()

    assert [(each["event"], each["log_level"], each["names"]) for each in logs] == [
        ("versions_ignored", "warning", "tag nightly, tag release-7"),
        ("versions_ignored", "warning", "tag nightly"),
    ]


async def test_version_that_is_gone_is_told(setting: Setting) -> None:
    """Asking for a version that is no longer listed is a clear error."""
    setting.shelf.put("watch", "1.0.0")
    repository = setting.open()

    with pytest.raises(RepositoryUnavailable, match="no longer there"):
        await repository.fetch("watch", "2.0.0")


async def test_disk_that_takes_no_listing_stops_nothing(setting: Setting) -> None:
    """What is known is answered even where it cannot be kept."""
    (setting.root / "shelf").write_text("a file where the folder should be")
    setting.shelf.put("watch", "1.0.0")

    assert await setting.open().names() == ("watch",)


async def test_files_are_refused_as_they_are_stored(setting: Setting) -> None:
    """A source that gives what no script may hold is refused with its problems."""
    setting.shelf.put("watch", "1.0.0")

    async def evil(script_name: str, version: str, mark: str) -> tuple[ScriptFile, ...]:
        return (ScriptFile("../../x", False, b""),)

    setting.shelf.fetch = evil  # type: ignore[method-assign]
    with pytest.raises(FilesInvalid):
        await setting.open().fetch("watch", "1.0.0")


async def test_catalogue_over_it_is_live_after_a_refresh(setting: Setting) -> None:
    """A new version answers the same range after a refresh, and costs nothing while it holds."""
    setting.shelf.put("watch", "1.0.0")
    repository = setting.open()
    catalogue = Catalogue([repository], setting.cache)
    first = await catalogue.resolve("watch", "^1.0")
    again = await catalogue.resolve("watch", "^1.0")
    setting.shelf.put("watch", "1.2.0", "def run():\n    return 2\n")
    await repository.refresh()
    later = await catalogue.resolve("watch", "^1.0")
    setting.shelf.is_down = True
    old = await catalogue.resolve("watch", "1.0.0")

    assert again is first
    assert (first.pin.version, later.pin.version) == ("1.0.0", "1.2.0")
    assert old.pin.digest == first.pin.digest
    assert setting.shelf.fetch_count == 2


async def test_close_ends_a_look_under_way(setting: Setting) -> None:
    """Closing does not wait for a server that does not answer."""
    setting.shelf.put("watch", "1.0.0")
    repository = setting.open()
    await repository.names()
    setting.shelf.gate = asyncio.Event()
    setting.now = 61.0
    await repository.names()

    await repository.close()

    assert setting.shelf.is_closed
    await settle()
