"""From a request to a pin."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path

import pytest

from tests.scripts.folders import manifest, write_script
from zscrape.errors.requests import ParamsInvalid
from zscrape.errors.scripts import (
    EntryPointInvalid,
    FilesInvalid,
    IntegrityFailure,
    ManifestInvalid,
    RepositoryUnavailable,
    ScriptNotFound,
    SignatureInvalid,
    VersionInvalid,
    VersionNotFound,
)
from zscrape.model import LockRequest, Overlap
from zscrape.scripts.cache import ScriptCache
from zscrape.scripts.catalogue import Catalogue
from zscrape.scripts.digest import ScriptFile, file_digest, tree_digest
from zscrape.scripts.directory import DirectoryRepository
from zscrape.scripts.manifest import ManifestDefaults
from zscrape.scripts.signing import new_key_pair, sign
from zscrape.scripts.tree import read_tree
from zscrape.scripts.trust import Trust, Verification


async def test_a_script_is_resolved_with_all_that_a_request_needs(
    root: Path, catalogue: Catalogue, cache: ScriptCache
) -> None:
    """The answer has pin, manifest, schema, checks and run; the bytes are in the cache."""
    write_script(root / "sample", requires=["kr"], system_requirements=["ffmpeg"], prefers=["fast"])
    script = await catalogue.resolve("sample")

    assert (script.pin.repository, script.pin.name) == ("dir", "sample")
    assert script.run.pin == script.pin
    assert cache.has(script.pin.digest)
    assert script.schema["required"] == ["url"]
    assert script.validator.problems({"url": "x"}) == []
    assert script.requires == {"kr", "program:ffmpeg"}
    assert script.prefers == {"fast"}


async def test_versions_are_chosen(root: Path, catalogue: Catalogue) -> None:
    """Latest, exact, ranges and digests lead to the version they mean."""
    for version in ("1.0.0", "1.4.2", "1.10.0", "2.0.0-rc.1"):
        write_script(root / "many" / version, {"v": version}, name="many", version=version)
    requests = {None: "1.10.0", "latest": "1.10.0", "1.4.2": "1.4.2", "~1.4": "1.4.2"}
    requests |= {">=1,<1.5": "1.4.2", "^1": "1.10.0", "2.0.0-rc.1": "2.0.0-rc.1"}

    chosen = {each: (await catalogue.resolve("many", each)).pin.version for each in requests}

    assert chosen == requests
    old = (await catalogue.resolve("many", "1.0.0")).pin
    assert (await catalogue.resolve("many", old.digest)).pin == old
    assert await catalogue.versions("many") == ["2.0.0-rc.1", "1.10.0", "1.4.2", "1.0.0"]


async def test_what_is_not_there_is_told_with_what_is(root: Path, catalogue: Catalogue) -> None:
    """Unknown names, versions, channels, digests and nonsense are different clear errors."""
    write_script(root / "price_watch")

    with pytest.raises(ScriptNotFound) as unknown:
        await catalogue.resolve("price_wach")
    with pytest.raises(VersionNotFound) as missing:
        await catalogue.resolve("price_watch", "^2")
    with pytest.raises(VersionNotFound):
        await catalogue.resolve("price_watch", "canary")
    with pytest.raises(VersionNotFound):
        await catalogue.resolve("price_watch", "sha256:" + "0" * 64)
    with pytest.raises(VersionInvalid):
        await catalogue.resolve("price_watch", "1.0.0.0")
    with pytest.raises(ScriptNotFound):
        await catalogue.versions("../price_watch")

    assert unknown.value.nearest == "price_watch"
    assert missing.value.available == "1.0.0"


async def test_an_edit_is_live_at_the_next_request(root: Path, catalogue: Catalogue) -> None:
    """Every edit, however quick after the last, is seen; old pins can still be served."""
    folder = write_script(root / "sample")
    digests = []
    for number in range(20):
        (folder / "main.py").write_text(f"def run(a{number:02}): pass\n")
        script = await catalogue.resolve("sample")
        digests.append(script.pin.digest)

        assert script.schema["required"] == [f"a{number:02}"]

    assert len(set(digests)) == 20
    assert (await catalogue.resolve("sample", digests[0])).schema["required"] == ["a00"]


@pytest.mark.usefixtures("settled")
async def test_an_unchanged_script_is_answered_from_memory(
    root: Path, catalogue: Catalogue
) -> None:
    """The same script object comes back, within microseconds."""
    write_script(root / "sample")
    first = await catalogue.resolve("sample")
    times: list[float] = []
    for _ in range(200):
        start = time.perf_counter()
        again = await catalogue.resolve("sample")
        times.append(time.perf_counter() - start)

        assert again is first

    assert min(times) < 100e-6


@pytest.mark.usefixtures("settled")
async def test_a_pin_whose_bytes_were_evicted_is_made_good(
    root: Path, catalogue: Catalogue, cache: ScriptCache
) -> None:
    """When the cache has lost the bytes, the next request reads them again."""
    write_script(root / "sample")
    pin = (await catalogue.resolve("sample")).pin
    folder = cache.path(pin.digest)
    folder.rename(folder.with_name("gone"))

    again = await catalogue.resolve("sample")

    assert again.pin == pin
    assert cache.has(pin.digest)


async def test_a_pin_outlives_its_folder(
    root: Path, catalogue: Catalogue, cache: ScriptCache
) -> None:
    """With the script removed, its digest is still answered, by another process, too."""
    write_script(root / "sample")
    pin = (await catalogue.resolve("sample")).pin
    shutil.rmtree(root / "sample")
    fresh = Catalogue([DirectoryRepository(root)], cache)

    script = await fresh.resolve("sample", pin.digest)

    assert (script.pin.digest, script.pin.version) == (pin.digest, "1.0.0")
    with pytest.raises(ScriptNotFound):
        await fresh.resolve("other", pin.digest)


async def test_the_first_repository_that_has_a_name_wins(
    root: Path, tmp_path: Path, cache: ScriptCache
) -> None:
    """Names are looked up in order, and a script that appears earlier takes over."""
    write_script(tmp_path / "second" / "sample", version="9.0.0")
    (tmp_path / "second" / "broken").mkdir()
    repositories = [
        DirectoryRepository(root, "one"),
        DirectoryRepository(tmp_path / "second", "two"),
    ]
    catalogue = Catalogue(repositories, cache)

    before = [(await catalogue.resolve("sample")).pin for _ in range(2)]
    write_script(root / "sample", version="1.0.0")
    after = (await catalogue.resolve("sample")).pin

    assert [each.repository for each in (*before, after)] == ["two", "two", "one"]
    assert [(each.name, each.repository) for each in await catalogue.scripts()] == [
        ("sample", "one")
    ]


async def test_many_first_requests_read_once(root: Path, catalogue: Catalogue) -> None:
    """Requests for one script at the same time share the reading."""
    write_script(root / "sample")

    scripts = await asyncio.gather(*[catalogue.resolve("sample") for _ in range(20)])

    assert len({id(each) for each in scripts}) == 1


async def test_the_list_shows_broken_scripts_with_their_problems(
    root: Path, catalogue: Catalogue
) -> None:
    """A list has every script by its newest release; one that cannot be used says why."""
    write_script(root / "good", description="좋은 스크립트", tags=["a"], timout=1)
    for version in ("1.0.0", "2.0.0-rc.1"):
        write_script(root / "many" / version, name="many", version=version)
    write_script(root / "bad", version="one")

    bad, good, many = await catalogue.scripts()

    assert (bad.version, bad.problems[0]["pointer"]) == ("", "/version")
    assert (good.description, good.tags, good.version_count) == ("좋은 스크립트", ("a",), 1)
    assert good.problems[0]["pointer"] == "/timout"
    assert (many.version, many.version_count) == ("1.0.0", 2)


async def test_a_repository_that_cannot_be_read_hides_no_other(
    root: Path, tmp_path: Path, cache: ScriptCache
) -> None:
    """The list has what the others have; with none left, that is the error."""
    write_script(root / "sample")
    gone = DirectoryRepository(tmp_path / "gone", "gone")
    both = Catalogue([gone, DirectoryRepository(root, "here")], cache)
    none = Catalogue([gone], cache)

    assert [each.name for each in await both.scripts()] == ["sample"]
    assert both.faults() == {"gone": "the folder cannot be read"}
    with pytest.raises(RepositoryUnavailable):
        await none.scripts()


async def test_entry_points_are_looked_at(root: Path, catalogue: Catalogue) -> None:
    """A missing file, a missing function and a positional-only parameter are told at once."""
    write_script(root / "file", entry_point="gone.py")
    write_script(root / "function", entry_point="main.py:start")
    write_script(root / "position", {"main.py": "def run(a, /): pass"})

    for name, word in (
        ("file", "no such file"),
        ("function", "start"),
        ("position", "by position"),
    ):
        with pytest.raises(EntryPointInvalid) as caught:
            await catalogue.resolve(name)

        assert word in caught.value.reason


async def test_a_plain_script_takes_any_parameters(root: Path, catalogue: Catalogue) -> None:
    """A file without a `run` is accepted; so is one that only the child can parse."""
    write_script(root / "plain", {"main.py": "print('{}')"})
    write_script(root / "future", {"main.py": "def run(: broken"})

    plain, future = await catalogue.resolve("plain"), await catalogue.resolve("future")

    assert plain.validator.problems({"a": 1}) == future.validator.problems({"a": 1}) == []
    assert (plain.warnings, future.warnings[0]["pointer"]) == ((), "/files/main.py")


async def test_a_manifests_schema_stands_before_the_signature(
    root: Path, catalogue: Catalogue
) -> None:
    """Parameters written in the manifest are the schema."""
    schema = {"type": "object", "properties": {"n": {"minimum": 1}}}
    write_script(root / "sample", parameters=schema)

    assert (await catalogue.resolve("sample")).schema == schema


async def test_broken_scripts_are_refused(root: Path, catalogue: Catalogue) -> None:
    """A manifest or files that cannot be used are errors, and can be mended in place."""
    folder = write_script(root / "sample", timeout=-1)
    (folder / "link").symlink_to("main.py")
    with pytest.raises(ManifestInvalid) as first:
        await catalogue.resolve("sample")
    (folder / "metadata.json").write_bytes(manifest())
    with pytest.raises(FilesInvalid) as second:
        await catalogue.resolve("sample")
    (folder / "link").unlink()

    assert first.value.problems[0]["pointer"] == "/timeout"
    assert second.value.problems[0]["pointer"] == "/files/link"
    assert (await catalogue.resolve("sample")).pin.version == "1.0.0"


@pytest.mark.parametrize("fault", ["differs", "missing", "extra"])
async def test_checksums_hold_every_file(root: Path, catalogue: Catalogue, fault: str) -> None:
    """With checksums, a file that differs, is missing or is extra is an integrity failure."""
    source = b"def run(): pass\n"
    sums = {"main.py": file_digest(source), "data.txt": file_digest(b"1")}
    files: dict[str, str | bytes] = {"main.py": source, "data.txt": b"1"}
    write_script(root / "good", files, checksums=sums)
    match fault:
        case "differs":
            files["data.txt"] = b"2"
        case "missing":
            del files["data.txt"]
        case _:
            files["more.txt"] = b""
    write_script(root / "bad", files, checksums=sums)

    assert (await catalogue.resolve("good")).pin.name == "good"
    with pytest.raises(IntegrityFailure):
        await catalogue.resolve("bad")


async def test_a_lock_is_made_of_the_parameters(root: Path, catalogue: Catalogue) -> None:
    """The key takes given values and the signature's defaults; unknown names are refused."""
    write_script(root / "sample", lock={"key": "{url}#{pages}", "overlap": "replace"})
    write_script(root / "wrong", lock={"key": "{link}"})
    write_script(root / "free")

    script = await catalogue.resolve("sample")

    assert script.lock_for({"url": "x"}) == LockRequest("x#1", Overlap.REPLACE)
    assert (await catalogue.resolve("free")).lock_for({}) is None
    with pytest.raises(ManifestInvalid) as caught:
        await catalogue.resolve("wrong")
    assert caught.value.problems[0]["reason"] == "{link} is not a parameter of the script"


async def test_settings_change_what_a_script_does_not_say(root: Path, cache: ScriptCache) -> None:
    """Time and memory come from the settings where the manifest is silent."""
    write_script(root / "sample")
    defaults = ManifestDefaults(timeout_s=7, memory_bytes=100_000_000)
    catalogue = Catalogue([DirectoryRepository(root)], cache, defaults)

    run = (await catalogue.resolve("sample")).run

    assert (run.timeout_s, run.limits.memory_bytes) == (7, 100_000_000)
    assert catalogue.digests() <= {run.pin.digest}


async def test_a_lock_bears_a_schema_that_says_nothing(root: Path, catalogue: Catalogue) -> None:
    """A property whose schema is `true` has no default, and that is no fault."""
    schema = {"type": "object", "properties": {"url": True}, "required": ["url"]}
    write_script(root / "sample", lock={"key": "{url}"}, parameters=schema)

    script = await catalogue.resolve("sample")

    assert script.lock_for({"url": "x"}) == LockRequest("x", Overlap.SKIP)


async def test_a_lock_key_lacks_no_parameter(root: Path, catalogue: Catalogue) -> None:
    """What is neither given nor has a default is told, not `null`; a null that is given is one."""
    schema = {"type": "object", "properties": {"url": {}, "page": {"default": 1}}}
    write_script(root / "sample", lock={"key": "{url}:{page}"}, parameters=schema)
    script = await catalogue.resolve("sample")

    with pytest.raises(ParamsInvalid) as caught:
        script.lock_for({"page": 2})

    assert caught.value.problems == [
        {
            "pointer": "/parameters",
            "reason": "have no url, which the lock key {url}:{page} is made of; give it,"
            " or give it a default in the script",
            "code": "lock_missing",
            "actual": "url",
            "key": "{url}:{page}",
        }
    ]
    assert script.lock_for({"url": None}) == LockRequest("null:1", Overlap.SKIP)


async def test_a_lock_key_that_parameters_make_too_long_is_refused(
    root: Path, catalogue: Catalogue
) -> None:
    """200 characters are a key, 201 are a fault of the parameters."""
    write_script(root / "sample", lock={"key": "{url}"})
    script = await catalogue.resolve("sample")
    lock = script.lock_for({"url": "x" * 200})

    with pytest.raises(ParamsInvalid) as caught:
        script.lock_for({"url": "x" * 201})

    assert lock is not None
    assert caught.value.problems[0]["code"] == "lock_key"


async def test_a_digest_that_nobody_has_is_not_looked_for_again_at_once(
    root: Path, cache: ScriptCache
) -> None:
    """The second request costs no look at every version; a refresh forgets the answer."""
    write_script(root / "sample")
    repository = CountingRepository(root)
    catalogue = Catalogue([repository], cache)
    wanted = "sha256:" + "0" * 64
    for _ in range(3):
        with pytest.raises(VersionNotFound):
            await catalogue.resolve("sample", wanted)

        assert repository.fetch_count == 1

    await catalogue.refresh()
    with pytest.raises(VersionNotFound):
        await catalogue.resolve("sample", wanted)

    assert repository.fetch_count == 2
    await catalogue.close()


async def test_a_version_that_cannot_be_used_does_not_hide_a_digest(
    root: Path, catalogue: Catalogue
) -> None:
    """Looking for a digest, a broken version is passed over."""
    write_script(root / "many" / "2.0.0", {"main.py": "def run(: "}, name="many", version="2.0.0")
    (root / "many" / "2.0.0" / "link").symlink_to("main.py")
    folder = write_script(root / "many" / "1.0.0", name="many", version="1.0.0")
    digest = tree_digest(read_tree(folder, "many").files)

    assert (await catalogue.resolve("many", digest)).pin.version == "1.0.0"


async def test_strict_mode_refuses_in_the_catalogue(
    root: Path, cache: ScriptCache, tmp_path: Path
) -> None:
    """Nothing unsigned gets a pin: neither by version nor by the digest of cached bytes."""
    folder = write_script(root / "sample")
    lenient = Catalogue([DirectoryRepository(root)], cache)
    pin = (await lenient.resolve("sample")).pin
    key, _ = new_key_pair(tmp_path / "publisher.pem")
    trust = Trust({key.id: key.public}, is_required=True)
    strict = Catalogue([DirectoryRepository(root)], cache, trust=trust)
    for version in (None, pin.digest):
        with pytest.raises(SignatureInvalid):
            await strict.resolve("sample", version)

    signed = sign(read_tree(folder, "sample").files, key)
    (folder / "metadata.json").write_bytes(signed[-1].content)
    script = await strict.resolve("sample")

    assert script.verification == Verification("valid", key.id, "publisher")
    await lenient.close()
    await strict.close()


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        (manifest(description="x" * 10_000_000), ""),
        (b'{"name": "sample", "version": "1.0.0", "author": "\xff\xfe"}', ""),
        (manifest(version="1.0"), "/version"),
    ],
    ids=["10 MB", "invalid UTF-8", "no SemVer"],
)
async def test_a_manifest_that_cannot_be_used_is_told_and_hides_no_other(
    root: Path, catalogue: Catalogue, raw: bytes, pointer: str
) -> None:
    """It is refused when asked for, and stands in the list with its fault."""
    write_script(root / "good")
    write_script(root / "sample", {"metadata.json": raw})

    with pytest.raises(ManifestInvalid) as caught:
        await catalogue.resolve("sample")

    listed = {each.name: each for each in await catalogue.scripts()}
    assert [each["pointer"] for each in caught.value.problems] == [pointer]
    assert listed["sample"].problems[0]["pointer"] == pointer
    assert listed["good"].version == "1.0.0"


class CountingRepository(DirectoryRepository):
    """Counts how often files were asked for."""

    fetch_count = 0

    async def fetch(self, script_name: str, version: str) -> tuple[ScriptFile, ...]:
        """Count, and answer."""
        self.fetch_count += 1
        return await super().fetch(script_name, version)


async def test_what_was_answered_keeps_running_without_its_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is gone, as an unmounted disk, is no reason to stop what the cache holds."""
    monkeypatch.setattr("zscrape.scripts.fingerprint.SETTLED_AFTER_NS", -1)
    root = tmp_path / "root"
    write_script(root / "sample")
    catalogue = Catalogue([DirectoryRepository(root)], ScriptCache(tmp_path / "cache"))
    before = await catalogue.resolve("sample", "^1")
    root.rename(tmp_path / "elsewhere")

    assert await catalogue.resolve("sample", "^1") is before
    with pytest.raises(RepositoryUnavailable):
        await catalogue.resolve("sample", "latest")
    shutil.rmtree(tmp_path / "elsewhere" / "sample")
    (tmp_path / "elsewhere").rename(root)
    with pytest.raises(ScriptNotFound):
        await catalogue.resolve("sample", "^1")
    await catalogue.close()
