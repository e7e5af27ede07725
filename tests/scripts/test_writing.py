"""Writing a script's files so that nobody sees half of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from zscrape.scripts.digest import ScriptFile
from zscrape.scripts.tree import read_tree
from zscrape.scripts.writing import place_file, place_tree, replace_file

FILES = (
    ScriptFile("lib/tool.sh", True, b"#!/bin/sh\n"),
    ScriptFile("main.py", False, b"1\n"),
)


def everything(folder: Path) -> list[str]:
    """Return what is below a folder, hidden or not."""
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*"))


def test_a_tree_is_written_as_it_is(tmp_path: Path) -> None:
    """Contents and the right to execute come back as they went."""
    place_tree(FILES, tmp_path / "sample" / "1.0.0")

    assert read_tree(tmp_path / "sample" / "1.0.0", "sample").files == FILES
    assert everything(tmp_path / "sample") == [
        "1.0.0",
        "1.0.0/lib",
        "1.0.0/lib/tool.sh",
        "1.0.0/main.py",
    ]


@pytest.mark.parametrize("content", [{}, {"main.py": "old"}])
def test_a_tree_never_replaces_another(tmp_path: Path, content: dict[str, str]) -> None:
    """Not even an empty folder gives way, and nothing half-written is left."""
    place = tmp_path / "sample" / "1.0.0"
    place.mkdir(parents=True)
    for name, body in content.items():
        (place / name).write_text(body)
    before = everything(tmp_path)

    with pytest.raises(FileExistsError):
        place_tree(FILES, place)

    assert everything(tmp_path) == before


def test_a_tree_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """A fault in the middle takes back what was written before it."""
    broken = (*FILES, ScriptFile("main.py/under", False, b""))

    with pytest.raises(OSError, match="main"):
        place_tree(broken, tmp_path / "sample" / "1.0.0")

    assert everything(tmp_path) == []


def test_a_file_is_replaced_with_the_rights_of_the_old(tmp_path: Path) -> None:
    """The new content has the old file's mode, and no other file appears."""
    path = tmp_path / "metadata.json"
    path.write_bytes(b"old")
    path.chmod(0o640)

    replace_file(path, b"new")

    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert everything(tmp_path) == ["metadata.json"]


def test_a_file_that_cannot_be_written_leaves_the_old(tmp_path: Path) -> None:
    """A folder in its place is an error, and what was staged is gone."""
    (tmp_path / "metadata.json").mkdir()

    with pytest.raises(OSError, match="metadata"):
        replace_file(tmp_path / "metadata.json", b"new")

    assert everything(tmp_path) == ["metadata.json"]


def test_a_new_file_never_replaces_another(tmp_path: Path) -> None:
    """The one that was there first stays."""
    place_file(tmp_path / "a.tar.gz", b"first")

    with pytest.raises(FileExistsError):
        place_file(tmp_path / "a.tar.gz", b"second")

    assert (tmp_path / "a.tar.gz").read_bytes() == b"first"
    assert everything(tmp_path) == ["a.tar.gz"]
