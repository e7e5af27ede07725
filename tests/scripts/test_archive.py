"""A script as an archive."""

from __future__ import annotations

import contextlib
import io
import tarfile
import tracemalloc
import warnings
import zipfile

import pytest
from hypothesis import assume, given, settings, strategies as st

from zscrape.errors import FilesInvalid
from zscrape.scripts.archive import is_archive, read_archive, write_tar_gz
from zscrape.scripts.digest import ScriptFile, tree_problems

FILES = (ScriptFile("main.py", False, b"1"), ScriptFile("lib/tool.sh", True, b"2"))


def test_the_same_files_are_the_same_bytes() -> None:
    """Neither the order of the files nor the time of day is in an archive."""
    assert write_tar_gz(FILES, "a-1.0.0") == write_tar_gz(tuple(reversed(FILES)), "a-1.0.0")


def test_files_are_below_one_folder_with_their_mode() -> None:
    """Paths, contents and the right to execute are in it, and nothing else."""
    packed = io.BytesIO(write_tar_gz(FILES, "a-1.0.0"))
    with tarfile.open(fileobj=packed) as archive:
        found = {each.name: each.mode for each in archive.getmembers()}

    assert found == {"a-1.0.0/lib/tool.sh": 0o755, "a-1.0.0/main.py": 0o644}


# ---- reading -------------------------------------------------------------------------

MANIFEST = ScriptFile("metadata.json", False, b"{}")
SCRIPT = (MANIFEST, *FILES)


def tar_of(*entries: tuple[str, bytes] | tarfile.TarInfo, mode: str = "w:gz") -> bytes:
    """Return a tar archive of these entries."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:  # type: ignore[call-overload]
        for each in entries:
            if isinstance(each, tarfile.TarInfo):
                archive.addfile(each, io.BytesIO(b"\0" * each.size))
                continue
            entry = tarfile.TarInfo(each[0])
            entry.size = len(each[1])
            archive.addfile(entry, io.BytesIO(each[1]))
    return packed.getvalue()


def zip_of(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    """Return a zip archive of these entries."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names given twice
        for name, content in entries:
            archive.writestr(name, content)
    return packed.getvalue()


def entry_of(kind: bytes, name: str = "a/x", **fields: object) -> tarfile.TarInfo:
    """Return a tar entry of some type."""
    entry = tarfile.TarInfo(name)
    entry.type = kind
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry


def problems_of(body: bytes) -> list[dict[str, str]]:
    """Return what is told of an archive that is refused."""
    with pytest.raises(FilesInvalid) as caught:
        read_archive(body, "sample")
    assert caught.value.name == "sample"
    return caught.value.problems


def test_what_was_written_is_read() -> None:
    """An archive of ours comes back byte for byte, executable bits included."""
    assert set(read_archive(write_tar_gz(SCRIPT, "a-1.0.0"), "a")) == set(SCRIPT)


@pytest.mark.parametrize("top", ["", "a-1.0.0/", "./"])
@pytest.mark.parametrize("kind", ["w", "w:gz", "zip"])
def test_kinds_of_archives_are_told_by_content(top: str, kind: str) -> None:
    """One folder around everything, or `./` before it, makes no difference."""
    entries = [(top + each.path, each.content) for each in SCRIPT]
    entries += [(f"{top}.git/config", b"x"), (f"{top}__pycache__/m.pyc", b"x")]
    body = zip_of(*entries) if kind == "zip" else tar_of(*entries, mode=kind)

    assert is_archive(body)
    assert {each.path: each.content for each in read_archive(body, "a")} == {
        each.path: each.content for each in SCRIPT
    }


def test_mode_of_a_zip_entry_counts() -> None:
    """A zip made on Unix carries the right to execute."""
    entry = zipfile.ZipInfo("tool.sh")
    entry.create_system = 3
    entry.external_attr = 0o100755 << 16

    (found,) = read_archive(zip_of((entry, b"x")), "a")

    assert found.is_executable


@pytest.mark.parametrize(
    "name",
    ["../evil", "a/../../evil", "/etc/passwd", "a\\b", "C:/x/..", "a//b", "\x1b[31m", "a/./b"],
)
@pytest.mark.parametrize("kind", ["w", "zip"])
def test_names_that_lead_elsewhere_are_refused(name: str, kind: str) -> None:
    """No name of an entry leaves the script's folder, however it is written."""
    entries = [("metadata.json", b"{}"), (name, b"evil")]
    body = zip_of(*entries) if kind == "zip" else tar_of(*entries, mode=kind)

    assert problems_of(body)


def test_a_top_folder_that_leads_out_is_not_taken_off() -> None:
    """`..` around everything is no folder around everything."""
    assert problems_of(tar_of(("../metadata.json", b"{}"), ("../main.py", b"")))


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (entry_of(tarfile.SYMTYPE, linkname="/etc/passwd"), "link"),
        (entry_of(tarfile.LNKTYPE, linkname="main.py"), "link"),
        (entry_of(tarfile.CHRTYPE), "regular"),
        (entry_of(tarfile.BLKTYPE), "regular"),
        (entry_of(tarfile.FIFOTYPE), "regular"),
        (entry_of(tarfile.CONTTYPE), "regular"),
    ],
)
def test_links_and_devices_are_refused(entry: tarfile.TarInfo, told: str) -> None:
    """Only regular files come out of an archive."""
    (found,) = problems_of(tar_of(("a/metadata.json", b"{}"), entry))

    assert told in found["reason"]


def test_links_in_a_zip_are_refused() -> None:
    """A zip made on Unix may hold links, too."""
    link = zipfile.ZipInfo("x")
    link.create_system = 3
    link.external_attr = 0o120777 << 16

    (found,) = problems_of(zip_of(("metadata.json", b"{}"), (link, b"/etc/passwd")))

    assert "link" in found["reason"]


@pytest.mark.parametrize("kind", ["w", "zip"])
def test_names_that_collide_are_refused(kind: str) -> None:
    """The same name twice, or in another case, could mean two things."""
    for other in ("main.py", "MAIN.py", "main.py/x"):
        entries = [("metadata.json", b"{}"), ("main.py", b"1"), (other, b"2")]
        body = zip_of(*entries) if kind == "zip" else tar_of(*entries, mode=kind)

        assert problems_of(body)


@pytest.mark.parametrize("kind", ["w:gz", "zip"])
def test_bombs_take_no_more_than_the_limit(kind: str) -> None:
    """A small archive of a huge file is left before it is unpacked."""
    zeros = bytes(120_000_000)
    body = zip_of(("a", zeros)) if kind == "zip" else tar_of(("a", zeros), mode=kind)
    tracemalloc.start()
    try:
        found = problems_of(body)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert str(50_000_000) in found[0]["reason"]
    assert peak_bytes < 150_000_000


@pytest.mark.parametrize("kind", ["w", "zip"])
def test_absurd_counts_are_refused(kind: str) -> None:
    """Thousands of files, or of folders, are left early."""
    files = [(f"f{number}", b"") for number in range(2_001)]
    body = zip_of(*files) if kind == "zip" else tar_of(*files, mode=kind)
    folders = tar_of(*(entry_of(tarfile.DIRTYPE, f"d{number}") for number in range(5_000)))

    assert "2000" in problems_of(body)[0]["reason"]
    assert "2000" in problems_of(folders)[0]["reason"]


def test_encrypted_entries_are_refused() -> None:
    """What needs a password is told as such."""
    body = bytearray(zip_of(("main.py", b"1" * 100)))
    for at in (6, body.index(b"PK\x01\x02") + 8):
        body[at] |= 1

    assert "encrypted" in problems_of(bytes(body))[0]["reason"]


@pytest.mark.parametrize("body", [b"", b"hello", b"PK\x03\x04", b"\x1f\x8b", b"<html>" * 100])
def test_what_is_no_archive_is_told(body: bytes) -> None:
    """Anything else is refused by one clear sentence."""
    (found,) = problems_of(body)

    assert "not an archive" in found["reason"]


@pytest.mark.parametrize("kind", ["w", "w:gz", "zip"])
def test_archive_that_is_cut_off_is_refused(kind: str) -> None:
    """However much is missing at the end, half an archive is never a script."""
    entries = [(each.path, each.content * 300) for each in SCRIPT]
    body = zip_of(*entries) if kind == "zip" else tar_of(*entries, mode=kind)
    used = len(body.rstrip(b"\0")) if kind == "w" else len(body)
    for length in range(1, used, 97):
        assert problems_of(body[:length])


def test_corrupted_content_is_refused() -> None:
    """A flipped bit is found by the archive's own sums."""
    for whole in (zip_of(("main.py", b"text" * 500)), tar_of(("main.py", b"text" * 500))):
        body = bytearray(whole)
        body[len(body) // 3] ^= 0xFF

        assert problems_of(bytes(body))


def test_something_behind_the_archive_is_refused() -> None:
    """A second archive behind the first would be seen by one reader and not by another."""
    assert problems_of(write_tar_gz(SCRIPT, "a") + write_tar_gz(SCRIPT, "b"))


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.from_regex(r"\A[a-z]{1,8}(/[a-z]{1,8}){0,3}\.[a-z]{1,3}\Z"),
        st.tuples(st.booleans(), st.binary(max_size=200)),
        max_size=8,
    )
)
def test_any_script_is_read_as_it_was_written(tree: dict[str, tuple[bool, bytes]]) -> None:
    """Whatever files a script has, they come back from its archive."""
    files = {ScriptFile(path, *rest) for path, rest in tree.items() if not path.endswith(".pyc")}
    files |= {MANIFEST}
    assume(not tree_problems([(each.path, 0) for each in files]))

    assert set(read_archive(write_tar_gz(tuple(files), "top"), "a")) == files


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["w", "w:gz", "zip"]),
    st.lists(st.tuples(st.integers(0, 4_000), st.binary(min_size=1, max_size=6)), max_size=6),
)
def test_mutated_archives_are_refused_or_read(kind: str, changes: list[tuple[int, bytes]]) -> None:
    """Whatever bytes stand where, it is a script or a clear refusal, nothing else."""
    entries = [(each.path, each.content) for each in SCRIPT]
    body = bytearray(zip_of(*entries) if kind == "zip" else tar_of(*entries, mode=kind))
    for at, piece in changes:
        body[at % len(body) : at % len(body) + len(piece)] = piece

    with contextlib.suppress(FilesInvalid):
        assert all(each.path for each in read_archive(bytes(body), "a"))
