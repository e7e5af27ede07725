"""Private folders: given, looked at, given again or removed, whatever is in them."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from zscrape.worker.scratch import Scratch, remove_tree

SETTLED_NS = 100_000_000  # longer than the clock of any file system stands still


def test_tree_of_any_shape_is_removed(tmp_path: Path) -> None:
    """Depth, missing permissions, links and odd names do not keep a tree from being removed."""
    root = tmp_path / "root"
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    top = Path.cwd()
    root.mkdir()
    os.chdir(root)
    try:
        for _ in range(1500):
            Path("d").mkdir()
            Path("f").write_text("x")
            os.chdir("d")
    finally:
        os.chdir(top)
    (root / "link").symlink_to(outside)
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "pipe")
    (root / os.fsdecode(b"\xff\n")).mkdir(mode=0)
    (root / "shut").mkdir()
    (root / "shut" / "inner").mkdir()
    (root / "shut").chmod(0)
    is_gone = remove_tree(str(root))

    assert is_gone
    assert not root.exists()
    assert (outside / "kept").exists()


def test_tree_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    """Removing nothing succeeds; a link is not a tree and is not followed."""
    (tmp_path / "link").symlink_to(tmp_path)

    assert remove_tree(str(tmp_path / "gone"))
    assert not remove_tree(str(tmp_path / "link"))


@pytest.mark.parametrize("mark", ["file", "gone file", "mode", "nothing"])
async def test_only_an_untouched_folder_is_given_again(tmp_path: Path, mark: str) -> None:
    """A folder that a script changed in any way is not given to another."""
    scratch = Scratch(tmp_path)
    await scratch.open()
    name = scratch.take()
    scratch.release(name)
    again = scratch.take()
    os.utime(f"{scratch.root}/{again}", ns=(1, 1))  # a change long ago: the clock has moved on
    path = Path(scratch.root) / again
    scratch._given[again] = (path.stat().st_ctime_ns, True)
    if mark == "file":
        (path / "a").write_text("x")
    elif mark == "gone file":
        (path / "a").write_text("x")
        (path / "a").unlink()
    elif mark == "mode":
        path.chmod(0o777)
    scratch.release(again)
    kept = [name for name, _changed_at in scratch._free]
    third = Path(scratch.root) / scratch.take()
    found = (third.stat().st_mode & 0o777, list(third.iterdir()))
    await scratch.close()

    assert again == name
    assert kept == ([name] if mark == "nothing" else [])
    assert found == (0o700, [])
    assert _names(tmp_path) == []


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_folder_is_untouched_until_something_of_it_changes(tmp_path: Path) -> None:
    """One look tells, also of a folder whose making was too recent for its times to tell."""
    scratch = Scratch(tmp_path)
    await scratch.open()
    name = scratch.take()
    path = Path(scratch.root) / name
    is_fresh_untouched = scratch.is_untouched(name)
    while time.time_ns() - path.stat().st_ctime_ns < SETTLED_NS:  # noqa: ASYNC110 - the clock tells no event
        await asyncio.sleep(0)
    is_settled_untouched = scratch.is_untouched(name)
    (path / "file").touch()
    (path / "file").unlink()
    is_changed_untouched = scratch.is_untouched(name)
    path.rmdir()
    is_gone_untouched = scratch.is_untouched(name)
    scratch.release(name)
    await scratch.close()

    assert is_fresh_untouched
    assert is_settled_untouched
    assert not is_changed_untouched
    assert not is_gone_untouched
