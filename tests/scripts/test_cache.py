"""The verified cache."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from pathlib import Path

import pytest

from tests.scripts.folders import manifest, wait_for_the_clock
from zscrape.errors.scripts import FilesInvalid, IntegrityFailure, VersionNotFound
from zscrape.model import Pin
from zscrape.scripts.bundle import pack
from zscrape.scripts.cache import Evicted, ScriptCache
from zscrape.scripts.digest import ScriptFile, tree_digest

FILES = (
    ScriptFile("lib/tool.sh", True, b"#!/bin/sh\n"),
    ScriptFile("main.py", False, b"def run(): return 1\n"),
    ScriptFile("metadata.json", False, manifest()),
)
DIGEST = tree_digest(FILES)
PIN = Pin("dir", "sample", "1.0.0", DIGEST)


class Source:
    """Gives bytes for pins, and counts how often it was asked."""

    def __init__(self, *bodies: bytes | None) -> None:
        self.bodies = list(bodies)
        self.count = 0
        self.is_asked = asyncio.Event()
        self.is_open = asyncio.Event()
        self.is_open.set()

    async def fetch(self, pin: Pin) -> bytes | None:
        """Answer with the next body; the last one again and again."""
        self.count += 1
        self.is_asked.set()
        await self.is_open.wait()
        return self.bodies.pop(0) if len(self.bodies) > 1 else self.bodies[0]


def entries(folder: Path) -> list[Path]:
    """Return what is in a folder."""
    return list(folder.iterdir())


def is_anywhere(folder: Path, name: str) -> bool:
    """Say whether a file of this name is somewhere below a folder."""
    return any(folder.rglob(name))


def use_at(cache: ScriptCache, digest: str, moment: float) -> None:
    """Let an entry have been used at this moment (Unix time), as far as the disk knows."""
    os.utime(cache._marks / digest[7:], (moment, moment))


def overwrite(place: Path, content: bytes) -> None:
    """Change a read-only file, as somebody with the right to would."""
    place.chmod(0o644)
    place.write_bytes(content)


async def test_what_is_stored_is_read_only_and_comes_back(cache: ScriptCache) -> None:
    """Files go in by digest, lie there without a right to write, and come out the same."""
    digest = await cache.store(reversed(FILES))
    folder = cache.path(digest)

    assert (digest, cache.has(digest)) == (DIGEST, True)
    assert await cache.files(digest) == FILES
    assert stat.S_IMODE((folder / "main.py").stat().st_mode) == 0o444
    assert stat.S_IMODE((folder / "lib/tool.sh").stat().st_mode) == 0o555
    assert {stat.S_IMODE(each.stat().st_mode) for each in (folder, folder / "lib")} == {0o555}


async def test_storing_twice_keeps_one(cache: ScriptCache, tmp_path: Path) -> None:
    """The same files again, even at the same time, are one entry and leave nothing behind."""
    digests = await asyncio.gather(*[cache.store(FILES) for _ in range(5)])

    assert set(digests) == {DIGEST} == set(cache.digests())
    assert entries(tmp_path / "cache" / "staging") == []


async def test_unusable_files_are_not_stored(cache: ScriptCache, tmp_path: Path) -> None:
    """A path that leaves the folder is refused, and nothing is written anywhere."""
    with pytest.raises(FilesInvalid):
        await cache.store([*FILES, ScriptFile("../../evil", False, b"x")], "sample")

    assert cache.digests() == ()
    assert not is_anywhere(tmp_path, "evil")


@pytest.mark.parametrize("digest", ["", "../..", "sha256:../../etc", "sha256:" + "A" * 64])
async def test_only_a_digest_becomes_a_path(cache: ScriptCache, digest: str) -> None:
    """What is not a digest is never looked up."""
    assert not cache.has(digest)
    assert await cache.pack(digest) is None
    with pytest.raises(ValueError, match="not a digest"):
        cache.path(digest)


async def test_a_missing_script_is_fetched_once_for_all(cache: ScriptCache) -> None:
    """Ten callers at the same time share one fetch; an eleventh later needs none."""
    source = Source(pack(FILES))
    paths = await asyncio.gather(*[cache.ensure(PIN, source.fetch) for _ in range(10)])
    paths.append(await cache.ensure(PIN, source.fetch))

    assert (set(paths), source.count) == ({cache.path(DIGEST)}, 1)
    assert (paths[0] / "main.py").read_bytes() == b"def run(): return 1\n"
    assert cache.warm() == (DIGEST,)


async def test_processes_share_one_fetch(tmp_path: Path) -> None:
    """Of several processes over one folder one fetches, and the others find what it got."""
    source = Source(pack(FILES))
    source.is_open.clear()
    caches = [ScriptCache(tmp_path / "shared") for _ in range(4)]
    calls = [asyncio.create_task(each.ensure(PIN, source.fetch)) for each in caches]
    await source.is_asked.wait()
    await asyncio.wait(calls, timeout=0.1)  # the others have their turn to look
    source.is_open.set()
    found = await asyncio.gather(*calls)

    assert source.count == 1
    assert len(set(found)) == 1


async def test_a_process_that_holds_its_turn_too_long_is_passed_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen process costs the others a wait and a fetch of their own."""
    monkeypatch.setattr("zscrape.scripts.fetchturns._LIMIT_S", 0.05)
    frozen, source = Source(None), Source(pack(FILES))
    frozen.is_open.clear()
    held = asyncio.create_task(ScriptCache(tmp_path / "shared").ensure(PIN, frozen.fetch))
    await frozen.is_asked.wait()

    found = await ScriptCache(tmp_path / "shared").ensure(PIN, source.fetch)

    assert (found.name, source.count) == (DIGEST[7:], 1)
    held.cancel()


async def test_a_caller_that_gives_up_ends_it_for_nobody_else(cache: ScriptCache) -> None:
    """Cancelling one of two waiting callers leaves the other its answer."""
    source = Source(pack(FILES))
    source.is_open.clear()
    one, other = (asyncio.create_task(cache.ensure(PIN, source.fetch)) for _ in range(2))
    await source.is_asked.wait()
    one.cancel()
    source.is_open.set()

    assert await other == cache.path(DIGEST)
    assert one.cancelled() or one.cancelling()
    assert source.count == 1
    with pytest.raises(asyncio.CancelledError):
        await one


async def test_a_damaged_transfer_is_fetched_again(cache: ScriptCache) -> None:
    """Bytes that do not match are asked for once more; then the script runs."""
    source = Source(b"garbage", pack(FILES))

    assert await cache.ensure(PIN, source.fetch) == cache.path(DIGEST)
    assert source.count == 2


@pytest.mark.parametrize(
    "body", [b"garbage", pack(FILES[:2]), pack([ScriptFile("../evil", False, b"x")])]
)
async def test_bytes_that_never_match_are_never_kept(
    cache: ScriptCache, tmp_path: Path, body: bytes
) -> None:
    """Two mismatches are an integrity failure that says both digests; nothing is kept."""
    source = Source(body)

    with pytest.raises(IntegrityFailure) as caught:
        await cache.ensure(PIN, source.fetch)

    assert (caught.value.expected, source.count) == (DIGEST, 2)
    assert caught.value.actual != DIGEST
    assert not cache.has(DIGEST)
    assert not is_anywhere(tmp_path, "evil")


async def test_what_nobody_has_is_told(cache: ScriptCache) -> None:
    """A pin whose bytes are gone everywhere is a version that cannot be had."""
    with pytest.raises(VersionNotFound) as caught:
        await cache.ensure(PIN, Source(None).fetch)

    assert DIGEST in caught.value.requested


@pytest.mark.parametrize(
    "change", ["edited", "edited_in_secret", "added", "removed", "linked", "executable"]
)
async def test_a_tampered_entry_is_never_run(
    cache: ScriptCache, tmp_path: Path, change: str
) -> None:
    """An entry that was changed on disk is moved away and fetched again before the next run."""
    source = Source(pack(FILES))
    folder = await cache.ensure(PIN, source.fetch)
    wait_for_the_clock(tmp_path)
    folder.chmod(0o755)
    match change:
        case "edited":
            overwrite(folder / "main.py", b"def run(): return 2\n")
        case "edited_in_secret":  # the same size, times and mode as before
            place, stat_before = folder / "main.py", (folder / "main.py").stat()
            overwrite(place, b"def run(): return 2\n")
            place.chmod(stat.S_IMODE(stat_before.st_mode))
            os.utime(place, ns=(stat_before.st_atime_ns, stat_before.st_mtime_ns))
            assert place.stat().st_mtime_ns == stat_before.st_mtime_ns
            assert place.stat().st_size == stat_before.st_size
        case "added":
            (folder / "json.py").write_text("evil = True\n")
        case "removed":
            (folder / "main.py").unlink()
        case "linked":
            (folder / "main.py").unlink()
            (folder / "main.py").symlink_to("/etc/passwd")
        case "executable":
            (folder / "main.py").chmod(0o555)

    again = await cache.ensure(PIN, source.fetch)

    assert source.count == 2
    assert await cache.files(DIGEST) == FILES
    assert (again / "main.py").read_bytes() == b"def run(): return 1\n"
    assert len(entries(tmp_path / "cache" / "quarantine")) == 1


async def test_an_entry_is_held_until_anything_of_it_changes(cache: ScriptCache) -> None:
    """What was verified can be had without a wait; what has changed since must be looked into."""
    await cache.store(FILES)
    folder = await cache.ensure(PIN, Source(None).fetch)
    before = await held(cache)
    again = cache.held(PIN)
    (folder / "main.py").chmod(0o644)

    assert before == folder
    assert again is before
    assert cache.held(PIN) is None
    assert cache.held(Pin("dir", "sample", "1.0.0", "sha256:" + "0" * 64)) is None


async def test_an_entry_that_was_verified_anew_is_told_from_the_one_before(
    cache: ScriptCache,
) -> None:
    """The same folder, and another object: what was found in its files may be no more."""
    await cache.store(FILES)
    before = await held(cache)
    (before / "main.py").chmod(0o644)
    await cache.ensure(PIN, Source(None).fetch)
    after = await held(cache)

    assert after == before
    assert after is not before


async def held(cache: ScriptCache) -> Path:
    """Return the folder once its times are old enough to be relied on."""
    while (folder := cache.held(PIN)) is None:
        await cache.ensure(PIN, Source(None).fetch)
    return folder


async def test_touching_an_entry_only_costs_a_new_look(cache: ScriptCache, tmp_path: Path) -> None:
    """Other times on the same bytes are verified by hash, and nothing is fetched."""
    source = Source(pack(FILES))
    folder = await cache.ensure(PIN, source.fetch)
    wait_for_the_clock(tmp_path)
    os.utime(folder / "main.py")

    assert await cache.ensure(PIN, source.fetch) == folder
    assert source.count == 1


async def test_another_process_finds_what_is_there(cache: ScriptCache, tmp_path: Path) -> None:
    """A cache opened on the same folder verifies an entry and fetches nothing."""
    await cache.store(FILES)
    other = ScriptCache(tmp_path / "cache")
    source = Source(None)

    assert await other.ensure(PIN, source.fetch) == cache.path(DIGEST)
    assert source.count == 0
    await other.close()


async def test_a_damaged_entry_is_not_given_to_others(cache: ScriptCache, tmp_path: Path) -> None:
    """What is packed for a worker is verified first; damaged bytes are not given."""
    await cache.store(FILES)
    wait_for_the_clock(tmp_path)
    overwrite(cache.path(DIGEST) / "main.py", b"evil")

    assert await cache.pack(DIGEST) is None
    assert not cache.has(DIGEST)


async def test_what_is_packed_can_be_fetched(cache: ScriptCache, tmp_path: Path) -> None:
    """One cache's pack is another's fetch."""
    await cache.store(FILES)
    other = ScriptCache(tmp_path / "other")

    await other.ensure(PIN, Source(await cache.pack(DIGEST)).fetch)

    assert await other.files(DIGEST) == FILES
    await other.close()


async def test_old_entries_are_evicted_but_not_kept_or_recent_ones(tmp_path: Path) -> None:
    """What was not used for the maximum age goes, unless it is kept or was just handed out."""
    cache = ScriptCache(tmp_path / "cache", max_age_h=1)
    stored = [await cache.store([ScriptFile("main.py", False, b"%d" % n)]) for n in range(3)]
    pin = Pin("dir", "sample", "1.0.0", stored[2])
    for digest in stored:
        use_at(cache, digest, 0)
    await cache.close()
    cache = ScriptCache(tmp_path / "cache", max_age_h=1)
    await cache.ensure(pin, Source(None).fetch)
    await cache.files(stored[0])

    removed = await cache.evict(keep=[stored[1]])

    assert removed == (Evicted(stored[0], 1),)
    assert set(cache.digests()) == {stored[1], stored[2]}
    assert stored[0] not in cache.warm()


async def test_what_another_process_uses_stays(tmp_path: Path) -> None:
    """What one process keeps or has just stored, another does not remove, whatever its limits."""
    ours = ScriptCache(tmp_path / "cache")
    stored = [await ours.store([ScriptFile("main.py", False, b"%d" % n)]) for n in range(3)]
    for digest in stored[:2]:
        use_at(ours, digest, 0)
    await ours.evict(keep=[stored[1]], is_dry_run=True)
    other = ScriptCache(tmp_path / "cache", max_age_h=0.001, max_size_bytes=1)

    removed = await other.evict()

    assert removed == (Evicted(stored[0], 1),)


async def test_an_age_can_be_asked_for_and_only_told(tmp_path: Path) -> None:
    """With another age than the cache's own, and as a dry run, nothing is removed but told."""
    cache = ScriptCache(tmp_path / "cache")
    stored = await cache.store([ScriptFile("main.py", False, b"12345")])
    other = ScriptCache(tmp_path / "cache")
    use_at(other, stored, time.time() - 3 * 3600)

    assert await other.evict() == ()
    assert await other.evict(max_age_h=2.5, is_dry_run=True) == (Evicted(stored, 5),)
    assert other.has(stored)
    assert await other.evict(max_age_h=2.5) == (Evicted(stored, 5),)
    assert not other.has(stored)


async def test_the_least_used_go_when_there_is_no_room(tmp_path: Path) -> None:
    """Beyond the size limit the entries used longest ago go first."""
    cache = ScriptCache(tmp_path / "cache", max_size_bytes=250)
    stored = [await cache.store([ScriptFile("a", False, b"%d" % n * 100)]) for n in range(4)]
    for number, digest in enumerate(stored):
        use_at(cache, digest, time.time() - 10_000 + number)
    cache = ScriptCache(tmp_path / "cache", max_size_bytes=250)

    removed = await cache.evict()

    assert [each.digest for each in removed] == stored[:2]


async def test_quarantine_does_not_grow_for_ever(cache: ScriptCache, tmp_path: Path) -> None:
    """Of many damaged entries only the last few are kept for a look."""
    for number in range(10):
        digest = await cache.store([ScriptFile("a", False, b"%d" % number)])
        wait_for_the_clock(tmp_path)
        overwrite(cache.path(digest) / "a", b"evil")
        await cache.files(digest)

    assert len(entries(tmp_path / "cache" / "quarantine")) == 8


def test_what_a_crash_left_half_written_is_cleared(tmp_path: Path) -> None:
    """An old staging folder goes at start; a young one may be another process's work."""
    staging = tmp_path / "cache" / "staging"
    for name in ("old", "young"):
        (staging / name).mkdir(parents=True)
    os.utime(staging / "old", (0, 0))

    ScriptCache(tmp_path / "cache")

    assert [each.name for each in staging.iterdir()] == ["young"]


@pytest.mark.usefixtures("settled")
async def test_a_warm_entry_costs_microseconds(cache: ScriptCache) -> None:
    """Making sure of an entry that has not changed costs far less than a millisecond."""
    source = Source(pack(FILES))
    await cache.ensure(PIN, source.fetch)

    best_s = min([await _ensure_s(cache, source) for _ in range(200)])

    assert best_s < 100e-6


async def _ensure_s(cache: ScriptCache, source: Source) -> float:
    start = time.perf_counter()
    await cache.ensure(PIN, source.fetch)
    return time.perf_counter() - start
