"""Archives that come from anywhere: what is read, what is refused, and how much it may cost."""

from __future__ import annotations

import contextlib
import gzip
import io
import stat
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from tests.scripts.folders import write_script
from zscrape.errors.scripts import FilesInvalid
from zscrape.scripts.archive import (
    ARCHIVE_SIZE_LIMIT_BYTES,
    is_archive,
    read_archive,
    write_tar_gz,
)
from zscrape.scripts.digest import TREE_SIZE_LIMIT_BYTES, ScriptFile, path_fault, tree_problems
from zscrape.scripts.tree import is_left_out, read_tree

FILES = (
    ScriptFile("bin/tool.sh", True, b"#!/bin/sh\n"),
    ScriptFile("main.py", False, b"def run():\n    return 1\n"),
    ScriptFile("metadata.json", False, b'{"name": "watch", "version": "1.0.0"}'),
)


def tar(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a tar archive of these members."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=form) as archive:
        for entry, content in members:
            if entry.isreg():
                entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content) if entry.isreg() else None)
    return packed.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    """Return a member of a tar archive."""
    found = tarfile.TarInfo(name)
    found.type = kind
    for field, value in fields.items():
        setattr(found, field, value)
    return found


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], method: int = 8) -> bytes:
    """Return a zip archive of these members."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


def zip_member(name: str, mode: int) -> zipfile.ZipInfo:
    """Return a member of a zip archive with a POSIX mode."""
    found = zipfile.ZipInfo(name)
    found.external_attr = mode << 16
    return found


def codes(body: bytes) -> dict[str, str]:
    """Return the pointers and codes that an archive is refused with."""
    with pytest.raises(FilesInvalid) as caught:
        read_archive(body, "watch")
    return {each["pointer"]: each["code"] for each in caught.value.problems}


def reasons(body: bytes) -> str:
    """Return the words that an archive is refused with."""
    with pytest.raises(FilesInvalid) as caught:
        read_archive(body, "watch")
    return "; ".join(each["reason"] for each in caught.value.problems)


def paths(body: bytes) -> list[str]:
    """Return the paths that an archive holds."""
    return [each.path for each in read_archive(body, "watch")]


# ---- what is read --------------------------------------------------------------------


def as_tar() -> bytes:
    """Return the files as a `.tar`."""
    return gzip.decompress(write_tar_gz(FILES, "watch-1.0.0"))


def as_zip() -> bytes:
    """Return the files as a `.zip`."""
    return zipped(
        *(
            (zip_member(f"w/{file.path}", 0o755 if file.is_executable else 0o644), file.content)
            for file in FILES
        )
    )


@pytest.mark.parametrize(
    "make", [as_tar, as_zip, lambda: write_tar_gz(FILES, "watch-1.0.0")], ids=["tar", "zip", "gz"]
)
def test_every_format_gives_the_same_files(make: Callable[[], bytes]) -> None:
    """What it is, the bytes say; the executable bit comes with it; the top folder goes."""
    body = make()

    assert is_archive(body)
    assert read_archive(body, "watch") == FILES
    assert read_archive(io.BytesIO(body), "watch") == FILES


def test_an_archive_of_a_folder_is_that_folder(tmp_path: Path) -> None:
    """Hidden files, byte code and names in NFD are treated as those of a folder on disk."""
    extra = {".env": "x", "lib/__pycache__/b.pyc": "x", ".git/HEAD": "x", "lib/b.py": "b"}
    folder = write_script(tmp_path / "watch", {**extra, "\u1112\u1161\u11ab.txt": "1"})
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(folder, ".")  # as `tar -C folder .` does
    zip_packed = io.BytesIO()
    with zipfile.ZipFile(zip_packed, "w") as zip_archive:
        for path in sorted(folder.rglob("*")):
            zip_archive.write(path, path.relative_to(folder))

    assert read_archive(packed.getvalue(), "watch") == read_tree(folder, "watch").files
    assert read_archive(zip_packed.getvalue(), "watch") == read_tree(folder, "watch").files


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_and_korean_names_are_read(form: int) -> None:
    """A name beyond the header's hundred bytes is taken from the header before it."""
    name = "데이터/" + "긴" * 50 + ".csv"
    body = tar((member("metadata.json"), b"{}"), (member(name), b"1"), form=form)

    assert paths(body) == ["metadata.json", name]


def test_a_path_in_two_parts_is_joined() -> None:
    """POSIX keeps the beginning of a long path in a field of its own."""
    name = "d" * 80 + "/" + "f" * 80
    body = tar((member("m"), b""), (member(name), b"1"), form=tarfile.USTAR_FORMAT)

    assert name in paths(body)


def test_only_one_folder_above_all_is_taken_away() -> None:
    """Two folders at the top stay, and of two nested ones only the outer goes."""
    apart = zipped(("a/x", b""), ("b/y", b""))
    nested = zipped(("a/b/x", b""), ("a/b/y", b""))

    assert paths(apart) == ["a/x", "b/y"]
    assert paths(nested) == ["b/x", "b/y"]


def test_what_mac_os_adds_is_left_out() -> None:
    """Its second folder of hidden files neither stays nor keeps the top folder in place."""
    assert paths(zipped(("w/main.py", b""), ("__MACOSX/w/._main.py", b"x"))) == ["main.py"]


def test_what_git_archive_writes_is_read() -> None:
    """A header for all members that only tells the commit is no obstacle."""
    packed = io.BytesIO()
    headers = {"comment": "0123abcd"}
    with tarfile.open(fileobj=packed, mode="w", pax_headers=headers) as archive:
        archive.addfile(member("w/main.py"))

    assert paths(packed.getvalue()) == ["main.py"]


def test_a_zip_of_a_stream_and_one_of_64_bits_are_read() -> None:
    """Sizes that stand behind the bytes, or in the 64-bit fields, are found."""
    packed = io.BytesIO()

    class Pipe(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            return packed.write(data)  # type: ignore[arg-type]

    with (
        zipfile.ZipFile(Pipe(), "w", 8) as archive,
        archive.open("w/main.py", "w", force_zip64=True) as opened,
    ):
        opened.write(b"x = 1\n")

    assert read_archive(packed.getvalue(), "watch") == (ScriptFile("main.py", False, b"x = 1\n"),)
    assert paths(with_record64(zipped(("w/a", b"1")))) == ["a"]


def with_record64(body: bytes, *, count: int | None = None) -> bytes:
    """Return a zip archive whose directory is described by a 64-bit record."""
    _, _, _, _, told, size, start, _ = struct.unpack_from("<4sHHHHLLH", body, len(body) - 22)
    at = len(body) - 22
    wanted = told if count is None else count
    record = struct.pack("<4sQHHLLQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, wanted, wanted, size, start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
    end = struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
    return body[:at] + record + locator + end


@st.composite
def trees(draw: st.DrawFn) -> list[ScriptFile]:
    """Any files that a script may have."""
    part = st.text(
        st.sampled_from("aB1_- .é한字😀") | st.characters(exclude_categories=["Cs", "Cc"]),
        max_size=40,
    )
    texts = st.lists(part, min_size=1, max_size=4).map("/".join)
    usable = texts.filter(
        lambda path: (
            path_fault(path) is None
            and not any(is_left_out(each, is_folder=True) for each in path.split("/"))
        )
    )
    found = draw(
        st.lists(
            st.builds(ScriptFile, usable, st.booleans(), st.binary(max_size=2000)),
            min_size=1,
            max_size=8,
            unique_by=lambda file: file.path,
        )
    )
    return [] if tree_problems([(each.path, 0) for each in found]) else found


@given(trees())
@settings(max_examples=100)
def test_whatever_is_written_is_read_back(files: list[ScriptFile]) -> None:
    """Names, modes and bytes come back, and the same files in any order give the same archive."""
    if files:
        body = write_tar_gz(files, "watch-1.0.0")

        assert read_archive(body, "watch") == tuple(sorted(files, key=lambda each: each.path))
        assert write_tar_gz(files[::-1], "watch-1.0.0") == body


# ---- what is refused -----------------------------------------------------------------

NAMES_OUT = [
    "../evil",
    "a/../../evil",
    "/etc/cron.d/evil",
    "a\\..\\evil",
    "C:/evil",
    "c:evil",
    "..",
    "./../evil",
    ".hidden/../../evil",
]


@pytest.mark.parametrize("name", NAMES_OUT)
def test_a_name_that_leads_out_is_refused(name: str) -> None:
    """A path that would leave the folder is told, in every format, hidden parts or not."""
    as_member = zipfile.ZipInfo("x" * len(name))
    body = zipped((as_member, b""), ("main.py", b"")).replace(b"x" * len(name), name.encode())

    assert set(codes(tar((member(name), b""), (member("main.py"), b""))).values()) == {"path"}
    assert set(codes(body).values()) == {"path"}


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "a//b", "a./b", "x" * 201, "\ud800"])
def test_a_name_outside_the_grammar_is_refused(name: str) -> None:
    """Line feeds, empty parts, dots at an end, long names and names that are not UTF-8."""
    raw = name.encode("utf-8", "surrogatepass")
    entry = member("y" * min(len(raw), 100))
    body = bytearray(tar((entry, b""), (member("main.py"), b"")))
    if len(raw) <= 100:
        body[: len(raw)] = raw
        seal(body, 0)
        assert "\0" in name or set(codes(bytes(body)).values()) == {"path"}
    packed = zipped(("y" * len(raw), b""), ("main.py", b"")).replace(b"y" * len(raw), raw)

    assert set(codes(packed).values()) == {"path"}


def seal(body: bytearray, at: int) -> None:
    """Put the right checksum into a header of tar."""
    body[at + 148 : at + 156] = b" " * 8
    body[at + 148 : at + 156] = b"%06o\0 " % sum(body[at : at + 512])


def test_links_and_devices_are_told_together() -> None:
    """Links of both kinds, devices, pipes and sparse files are refused, each by its path."""
    body = tar(
        (member("main.py"), b""),
        (member("soft", tarfile.SYMTYPE, linkname="/etc/passwd"), b""),
        (member("hard", tarfile.LNKTYPE, linkname="main.py", size=9), b""),
        (member("char", tarfile.CHRTYPE), b""),
        (member("block", tarfile.BLKTYPE), b""),
        (member("pipe", tarfile.FIFOTYPE), b""),
        (member("sparse", tarfile.GNUTYPE_SPARSE), b""),
        (member("contiguous", tarfile.CONTTYPE), b""),
        (member("strange", b"Z"), b""),
        (member("new", pax_headers={"GNU.sparse.major": "1"}), b"x"),
        form=tarfile.PAX_FORMAT,
    )

    assert codes(body) == {
        "/files/soft": "link",
        "/files/hard": "link",
        "/files/char": "special",
        "/files/block": "special",
        "/files/pipe": "special",
        "/files/sparse": "archive_feature",
        "/files/contiguous": "special",
        "/files/strange": "special",
        "/files/new": "archive_feature",
    }


def test_links_devices_and_secrets_in_a_zip_are_told_together() -> None:
    """Modes tell links and devices; encryption and rare compression are told by name."""
    packed = zipped(
        (zip_member("soft", stat.S_IFLNK | 0o777), b"/etc/passwd"),
        (zip_member("pipe", stat.S_IFIFO), b""),
        ("main.py", b"1"),
    )
    secret = bytearray(zipped(("key", b"1")))
    for at in (secret.find(b"PK\3\4") + 6, secret.find(b"PK\1\2") + 8):
        secret[at] |= 1

    assert codes(packed) == {"/files/soft": "link", "/files/pipe": "special"}
    assert "encryption" in reasons(bytes(secret))
    assert "compression method 12" in reasons(zipped(("a", b"1"), method=zipfile.ZIP_BZIP2))


def test_links_in_hidden_folders_are_left_out() -> None:
    """A forgotten `.venv` is no part of the script, its links neither."""
    body = tar(
        (member(".venv/bin/python", tarfile.SYMTYPE, linkname="/usr/bin/python3"), b""),
        (member(".venv/big"), b"x" * 2000),
        (member("main.py"), b"1"),
    )

    assert paths(body) == ["main.py"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_files_that_cannot_stand_together_are_refused() -> None:
    """The same name twice, names that differ in case only, and a file that is a folder too."""
    twice = [("main.py", b"1"), ("main.py", b"2")]
    body = tar(*((member(name), content) for name, content in twice))

    assert codes(body) == {"/files/main.py": "duplicate"}
    assert codes(zipped(*twice)) == {"/files/main.py": "duplicate"}
    assert set(codes(zipped(("A", b""), ("a", b""))).values()) == {"path_collision"}
    assert set(codes(zipped(("a", b""), ("a/b", b""), ("c", b""))).values()) == {"path_collision"}


@pytest.mark.parametrize("make", [as_tar, as_zip, lambda: write_tar_gz(FILES, "w")])
def test_a_truncated_archive_is_refused_wherever_it_ends(make: Callable[[], bytes]) -> None:
    """No part of an archive passes as the whole."""
    body = make()
    body = body.rstrip(b"\0") + bytes(1024) if make is as_tar else body

    for length in range(0, len(body) - (512 if make is as_tar else 0), 7):
        assert codes(body[:length])


@pytest.mark.parametrize("more", [b"x", b"\0", write_tar_gz(FILES, "w")])
def test_more_after_the_end_is_refused(more: bytes) -> None:
    """Bytes after the end of a compressed stream belong to something else."""
    assert "more after its end" in reasons(write_tar_gz(FILES, "w") + more)
    assert more == b"\0" or "more after its end" in reasons(as_tar() + more)


def test_headers_that_lie_are_refused() -> None:
    """Wrong checksums, sizes below zero, endless headers and paths for all are told."""
    wrong_sum = bytearray(as_tar())
    wrong_sum[0] ^= 1
    negative = bytearray(tar((member("main.py"), b"")))
    negative[124:136] = b"\xff" * 12
    seal(negative, 0)
    not_octal = bytearray(tar((member("main.py"), b"")))
    not_octal[124:136] = b"9" * 12
    seal(not_octal, 0)
    for_all = io.BytesIO()
    with tarfile.open(fileobj=for_all, mode="w", pax_headers={"path": "../evil"}) as archive:
        archive.addfile(member("main.py"))
    huge = tar((member("main.py", pax_headers={"comment": "x" * 70_000}), b""))
    long = tar((member("x" * 5000), b""), form=tarfile.GNU_FORMAT)

    assert "neither" in reasons(bytes(wrong_sum))
    assert "a number of a header" in reasons(bytes(negative))
    assert "a number of a header" in reasons(bytes(not_octal))
    assert "one path for all members" in reasons(for_all.getvalue())
    assert "more than 65536" in reasons(huge)
    assert "more than 4096" in reasons(long)


@pytest.mark.parametrize(
    "record",
    [b"12 path=main", b"99 path=x\n", b"6 x=\n", b"x path=a\n", b"9 nothing\n", b"0 a=b\n"],
)
def test_extended_headers_that_do_not_hold_together_are_refused(record: bytes) -> None:
    """A record whose length, key or end is wrong ends the reading."""
    body = bytearray(tar((member("h"), record), (member("main.py"), b"")))
    body[156:157] = b"x"
    seal(body, 0)

    assert set(codes(bytes(body))) == {"/files"}


def test_an_extended_header_overrides_path_and_size() -> None:
    """What stands before a member counts, and is held to the same rules."""
    evil = tar((member("main.py", pax_headers={"path": "../evil"}), b""))
    # The size in the header says 3; the one before it says 700, two blocks.
    body = bytearray(tar((member("h"), b"12 size=700\n"), (member("main.py"), b"x" * 700)))
    body[156:157] = b"x"
    seal(body, 0)
    body[1024 + 124 : 1024 + 136] = b"00000000003\0"
    seal(body, 1024)

    assert set(codes(evil).values()) == {"path"}
    assert read_archive(bytes(body), "watch")[0].content == b"x" * 700


def test_a_zip_that_lies_is_refused() -> None:
    """Wrong checksums and sizes, shared bytes, two names for one, and 64-bit nonsense."""
    plain = zipped(("main.py", b"x" * 100), ("b", b"2"))
    central = plain.find(b"PK\1\2")
    second = plain.find(b"PK\1\2", central + 4)

    def patched(at: int, field: str, value: int) -> bytes:
        body = bytearray(plain)
        struct.pack_into(field, body, at, value)
        return bytes(body)

    assert "one size by itself" in reasons(patched(central + 16, "<L", 1))
    assert "one size by itself" in reasons(patched(central + 24, "<L", 101))
    assert "not where" in reasons(patched(central + 42, "<L", 2**31))
    assert "over each other" in reasons(overlapping())
    assert "one thing by itself" in reasons(plain.replace(b"main.py", b"evil.py", 1))
    assert "64-bit size is missing" in reasons(patched(central + 24, "<L", 2**32 - 1))
    assert "directory" in reasons(patched(len(plain) - 22 + 16, "<L", 1))
    assert "part of several" in reasons(patched(len(plain) - 22 + 4, "<H", 1))
    assert "longer than it says" in reasons(patched_count(plain, 1))
    assert "ends too early" in reasons(patched_count(plain, 3))
    assert "64-bit record" in reasons(patched_count(plain, 0xFFFF))
    assert "more than 10000 files" in reasons(with_record64(plain, count=2**60))
    assert "does not hold together" in reasons(patched(second, "<L", 0))
    assert codes(same_checksum_twice_wrong(plain))["/files/main.py"] == "unreadable"


def patched_count(body: bytes, count: int) -> bytes:
    """Return a zip archive that says how many members it has."""
    changed = bytearray(body)
    struct.pack_into("<HH", changed, len(body) - 22 + 8, count, count)
    return bytes(changed)


def same_checksum_twice_wrong(body: bytes) -> bytes:
    """Return a zip archive whose two headers agree on a wrong checksum."""
    changed = bytearray(body)
    struct.pack_into("<L", changed, body.find(b"PK\3\4") + 14, 7)
    struct.pack_into("<L", changed, body.find(b"PK\1\2") + 16, 7)
    return bytes(changed)


def overlapping() -> bytes:
    """Return a zip archive whose two members are the same bytes."""
    once = zipped(("a", b"1"))
    central, end = once.find(b"PK\1\2"), once.find(b"PK\5\6")
    body = bytearray(once[:end] + once[central:end] + once[end:])
    struct.pack_into("<HHL", body, len(body) - 22 + 8, 2, 2, 2 * (end - central))
    return bytes(body)


@pytest.mark.parametrize("body", [b"", b"PK", b"\x1f\x8b", b"hello", bytes(1024), b"BZh91AY&SY"])
def test_what_is_no_archive_is_refused(body: bytes) -> None:
    """Nothing, text, zeros and other formats are told to be no archive."""
    assert set(codes(body)) == {"/files"}


@pytest.mark.parametrize("body", [zipped(), zipped((".env", b"x")), tar((member("d", b"5"), b""))])
def test_an_archive_without_files_is_refused(body: bytes) -> None:
    """Folders and hidden files are no script."""
    assert codes(body)["/files"] == "empty"


# ---- what it may cost ----------------------------------------------------------------


def tar_bomb() -> bytes:
    """Return 200 KB that say 200 MB."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as opened:
        opened.write(member("zeros", size=200_000_000).tobuf())
        for _ in range(200):
            opened.write(bytes(1_000_000))
    return packed.getvalue()


def hidden_bomb() -> bytes:
    """Return 200 KB whose 200 MB stand in an extended header."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as opened:
        opened.write(member("zeros", b"x", size=200_000_000).tobuf())
        for _ in range(200):
            opened.write(bytes(1_000_000))
    return packed.getvalue()


def zip_bomb() -> bytes:
    """Return 200 KB that say 200 MB."""
    return zipped(("zeros", bytes(200_000_000)))


def lying_zip_bomb() -> bytes:
    """Return the same, whose headers say one megabyte."""
    body = bytearray(zip_bomb())
    struct.pack_into("<L", body, body.find(b"PK\3\4") + 22, 1_000_000)
    struct.pack_into("<L", body, body.find(b"PK\1\2") + 24, 1_000_000)
    return bytes(body)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (tar_bomb, "files_size"),
        (hidden_bomb, "unreadable"),
        (zip_bomb, "archive_ratio"),
        (lying_zip_bomb, "unreadable"),
    ],
)
def test_a_bomb_takes_no_more_than_the_limit(make: Callable[[], bytes], code: str) -> None:
    """Two hundred kilobytes that say two hundred megabytes are refused without unpacking them."""
    body = make()
    assert len(body) < 250_000
    tracemalloc.start()
    try:
        found = codes(body)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert code in found.values()
    assert peak_bytes < 5_000_000


def test_a_dense_archive_within_the_limits_is_refused_by_its_ratio() -> None:
    """Forty megabytes of zeros fit, but no script is a thousand times smaller packed."""
    files = [ScriptFile("zeros", False, bytes(40_000_000))]

    assert codes(write_tar_gz(files, "w"))["/files"] == "archive_ratio"
    assert (
        len(read_archive(write_tar_gz([ScriptFile("t", False, bytes(9_000_000))], "w"), "w")) == 1
    )


def test_too_much_is_refused() -> None:
    """An archive beyond the limit, files beyond it together, and too many of them."""
    half = bytes(TREE_SIZE_LIMIT_BYTES // 2)
    three = [ScriptFile(f"f{number}", False, half) for number in range(3)]
    packed = tar(*((member(each.path), each.content) for each in three))
    many = tar(*((member(f"d/{number}"), b"") for number in range(2001)))
    absurd = tar(*((member(f"d{number}", tarfile.DIRTYPE), b"") for number in range(10_001)))

    assert codes(bytes(ARCHIVE_SIZE_LIMIT_BYTES + 1)) == {"/files": "files_size"}
    assert codes(io.BytesIO(packed).getvalue()[:ARCHIVE_SIZE_LIMIT_BYTES]) == {
        "/files": "files_size"
    }
    assert codes(many) == {"/files": "files_count"}
    assert codes(absurd) == {"/files": "files_count"}


def test_zeros_without_end_are_read_only_so_far() -> None:
    """What follows the end of a tar archive may only be padding."""
    body = as_tar().rstrip(b"\0") + bytes(1024)
    body += bytes(-len(body) % 512)
    packed = gzip.compress(body + bytes(100_000_000), 9)

    assert set(codes(packed)) == {"/files"}


# ---- anything at all -----------------------------------------------------------------

SEEDS = [write_tar_gz(FILES, "w"), as_tar(), as_zip(), with_record64(as_zip()), overlapping()]


def holds(body: bytes) -> None:
    """Read it: either files within the limits come out, or one kind of error."""
    with contextlib.suppress(FilesInvalid):
        files = read_archive(body, "watch")
        assert files
        assert not tree_problems([(each.path, len(each.content)) for each in files])


@given(st.binary(max_size=3000))
@settings(max_examples=200)
def test_random_bytes_are_refused_in_one_way(body: bytes) -> None:
    """Nothing but `FilesInvalid` ever comes out, whatever the signature before it says."""
    for start in (b"", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08\0\0\0\0\0\0\xff"):
        holds(start + body)


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 2**16), st.binary(min_size=1, max_size=4)), max_size=6),
    st.booleans(),
)
@settings(max_examples=500)
def test_damaged_archives_are_read_or_refused(
    seed: bytes, changes: list[tuple[int, bytes]], is_tar_sealed: bool
) -> None:
    """Changed anywhere, an archive gives usable files or `FilesInvalid`, nothing else."""
    body = bytearray(seed)
    for at, value in changes:
        start = at % len(body)
        body[start : start + len(value)] = value
    if is_tar_sealed and seed is SEEDS[1]:
        for at in range(0, len(body) - 511, 512):
            seal(body, at)

    holds(bytes(body))
