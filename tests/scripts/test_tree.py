"""Reading a script's folder from disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.scripts.folders import write_script
from zscrape.errors.scripts import FilesInvalid
from zscrape.scripts.digest import tree_digest
from zscrape.scripts.tree import read_tree


def codes(folder: Path) -> dict[str, str]:
    """Return the pointers and codes that a folder is refused with."""
    with pytest.raises(FilesInvalid) as caught:
        read_tree(folder, "sample")
    return {each["pointer"]: each["code"] for each in caught.value.problems}


def test_files_come_sorted_without_byte_code_and_hidden_ones(tmp_path: Path) -> None:
    """Everything is read but byte code and what starts with a dot; the mode bit is kept."""
    extra = {"lib/b.py": "b", "lib/__pycache__/b.pyc": "x", "c.pyc": "x", ".git/HEAD": "x"}
    folder = write_script(tmp_path / "sample", {**extra, ".env": "SECRET", "데이터.csv": "1"})
    (folder / "lib/b.py").chmod(0o755)

    files = read_tree(folder, "sample").files

    assert [(each.path, each.is_executable) for each in files] == [
        ("lib/b.py", True),
        ("main.py", False),
        ("metadata.json", False),
        ("데이터.csv", False),
    ]


def test_the_digest_does_not_know_where_or_when(tmp_path: Path) -> None:
    """The same files elsewhere, later and with other rights have the same digest."""
    one = write_script(tmp_path / "a" / "sample")
    other = write_script(tmp_path / "b" / "sample")
    (other / "main.py").chmod(0o600)
    os.utime(other / "main.py", ns=(0, 0))

    assert tree_digest(read_tree(one, "sample").files) == tree_digest(
        read_tree(other, "sample").files
    )


def test_a_decomposed_name_is_the_composed_one(tmp_path: Path) -> None:
    """A Korean name as some systems write it (NFD) is read in its usual form (NFC)."""
    folder = write_script(tmp_path / "sample", {"\u1112\u1161\u11ab.txt": "x"})

    assert "한.txt" in [each.path for each in read_tree(folder, "sample").files]


def test_links_and_odd_files_are_told_together(tmp_path: Path) -> None:
    """Links in and out, pipes and unusable names are refused, each by its path."""
    folder = write_script(tmp_path / "sample", {"A.txt": "", "a.txt": "", "bad\\name": ""})
    (folder / "out").symlink_to("/etc/passwd")
    (folder / "inside").symlink_to("main.py")
    (folder / "loop").symlink_to(".")
    os.mkfifo(folder / "pipe")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).touch()

    found = codes(folder)

    assert {found[f"/files/{each}"] for each in ("out", "inside", "loop")} == {"link"}
    assert (found["/files/pipe"], found["/files/bad\\name"]) == ("special", "path")
    assert sorted(found.values()).count("path") == 2
    assert sorted(found.values()).count("path_collision") == 1


def test_a_forgotten_dependency_folder_is_not_walked_to_its_end(tmp_path: Path) -> None:
    """More than 2,000 files are refused without reading them."""
    folder = write_script(tmp_path / "sample")
    for number in range(2001):
        (folder / f"f{number}").touch()

    assert codes(folder)["/files"] == "files_count"


def test_a_folder_that_is_too_big_is_refused_unread(tmp_path: Path) -> None:
    """More than 50 MB are refused by what the file system says of the size."""
    folder = write_script(tmp_path / "sample")
    with (folder / "huge").open("wb") as file:
        file.truncate(60_000_000_000)

    assert codes(folder) == {"/files": "files_size"}


def test_a_folder_deeper_than_a_path_may_be_is_refused(tmp_path: Path) -> None:
    """A path beyond 200 bytes ends the walk there."""
    folder = write_script(tmp_path / "sample")
    deep = folder.joinpath(*["d" * 50] * 5)
    deep.mkdir(parents=True)

    assert list(codes(folder).values()) == ["path"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_without_the_right_to_read_is_told(tmp_path: Path) -> None:
    """A file that may not be read is a fault with the system's words."""
    folder = write_script(tmp_path / "sample")
    (folder / "main.py").chmod(0)

    assert codes(folder) == {"/files/main.py": "unreadable"}
