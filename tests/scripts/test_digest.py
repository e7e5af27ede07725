"""Paths, digests and packing of a script's files."""

from __future__ import annotations

import hashlib
import os
import random

import msgspec
import pytest
from hypothesis import given, strategies as st

from zscrape.errors.scripts import FilesInvalid
from zscrape.scripts.bundle import pack, unpack
from zscrape.scripts.digest import ScriptFile, path_fault, tree_digest, tree_problems

names = st.text("abcAB0_-.한é", min_size=1, max_size=8)
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
trees = st.lists(
    st.builds(ScriptFile, paths, st.booleans(), st.binary(max_size=20)),
    max_size=6,
    unique_by=lambda file: file.path,
)

BAD_PATHS = ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/", ".git/config", "a/.env"]
BAD_PATHS += [
    "a\\b",
    "C:\\x",
    "a\x00b",
    "a\nb",
    "a ",
    "a.",
    "e\u0301",
    "x" * 201,
    "\udcff",
    "한" * 70,
]


def file(path: str, content: bytes = b"x") -> ScriptFile:
    """Return a file that cannot be executed."""
    return ScriptFile(path, False, content)


@pytest.mark.parametrize("path", BAD_PATHS)
def test_paths_that_leave_or_hide_are_faults(path: str) -> None:
    """A path that is absolute, leaves the folder, hides or is not portable is a fault."""
    assert path_fault(path) is not None


@pytest.mark.parametrize(
    "path", ["main.py", "lib/a-b_c.py", "데이터/가격표.csv", "a.b/c.d", "é.txt"]
)
def test_plain_paths_are_usable(path: str) -> None:
    """Ordinary names, Korean ones among them, are usable."""
    assert path_fault(path) is None


@given(st.text(max_size=30))
def test_a_usable_path_stays_inside(path: str) -> None:
    """Whatever text passes the grammar, joining it to a folder stays below that folder."""
    if path_fault(path) is None:
        joined = os.path.normpath(f"/root/folder/{path}")

        assert joined == f"/root/folder/{path}"


@pytest.mark.parametrize(
    "pair",
    [("a.py", "a.py"), ("A.py", "a.py"), ("straße", "STRASSE"), ("a", "a/b"), ("a/b", "A")],
)
def test_paths_that_collide_somewhere_are_faults(pair: tuple[str, str]) -> None:
    """Two paths that some file system would take for one are a fault of the second."""
    problems = tree_problems([(each, 1) for each in pair])

    assert [each["code"] for each in problems] == ["path_collision"]
    assert problems[0]["other"] == pair[0]


def test_counts_and_sizes_are_bounded() -> None:
    """More than 2,000 files or 50 MB are faults, told together."""
    codes = {each["code"] for each in tree_problems([(f"f{n}", 25_000) for n in range(2001)])}

    assert codes == {"files_count", "files_size"}


def test_the_digest_does_not_change_with_order() -> None:
    """The same files in any order have the same digest."""
    files = [file("b.py"), ScriptFile("a.py", True, b"y"), file("lib/c.txt", b"")]

    assert tree_digest(files) == tree_digest(random.Random(1).sample(files, 3))


def test_the_digest_is_the_published_one() -> None:
    """The digest is SHA-256 over sorted lines of mode, file digest and path: pins outlive us."""
    listed = hashlib.sha256(b"zscrape tree 1\n")
    listed.update(b"x sha256:" + hashlib.sha256(b"y").hexdigest().encode() + b" a.py\n")
    listed.update(b"- sha256:" + hashlib.sha256(b"x").hexdigest().encode() + b" b.py\n")

    assert tree_digest([file("b.py"), ScriptFile("a.py", True, b"y")]) == (
        f"sha256:{listed.hexdigest()}"
    )


@given(trees, trees)
def test_different_trees_have_different_digests(
    one: list[ScriptFile], other: list[ScriptFile]
) -> None:
    """The digests are equal exactly when the paths, the mode bits and the bytes are."""
    is_same = sorted(one, key=lambda each: each.path) == sorted(other, key=lambda each: each.path)

    assert (tree_digest(one) == tree_digest(other)) is is_same


@given(trees)
def test_packing_and_unpacking_is_the_identity(files: list[ScriptFile]) -> None:
    """What is packed comes out the same, in order of path, or is refused as unusable."""
    body = pack(files)
    if tree_problems([(each.path, 1) for each in files]):
        with pytest.raises(FilesInvalid):
            unpack(body, "sample")
        return

    assert list(unpack(body, "sample")) == sorted(files, key=lambda each: each.path)


@given(st.binary(max_size=200))
def test_garbage_is_never_unpacked(body: bytes) -> None:
    """Bytes from anywhere end in files that are usable or in FilesInvalid."""
    try:
        files = unpack(body, "sample")
    except FilesInvalid:
        return

    assert tree_problems([(each.path, len(each.content)) for each in files]) == []


@pytest.mark.parametrize("path", [each for each in BAD_PATHS if each != "\udcff"])
def test_a_packed_traversal_is_refused(path: str) -> None:
    """A hostile bundle with one bad path is refused whole, naming the path."""
    body = msgspec.msgpack.encode([["main.py", False, b""], [path, False, b"evil"]])

    with pytest.raises(FilesInvalid) as caught:
        unpack(body, "sample")

    assert [each["code"] for each in caught.value.problems] == ["path"]


@pytest.mark.parametrize(
    "body",
    [b"\x91" * 100_000, b"\xdd\xff\xff\xff\xff", b"\xc1", b"\x91\x93\xa2\xff\xfe\xc2\xc4\x00"],
)
def test_hostile_msgpack_is_refused(body: bytes) -> None:
    """Deep nesting, huge counts, reserved bytes and bad UTF-8 are clear errors."""
    with pytest.raises(FilesInvalid):
        unpack(body, "sample")


def test_a_bundle_beyond_the_limit_is_not_decoded() -> None:
    """More bytes than any script may have are refused unread."""
    with pytest.raises(FilesInvalid) as caught:
        unpack(b"\x00" * 51_000_001, "sample")

    assert caught.value.problems[0]["code"] == "files_size"
