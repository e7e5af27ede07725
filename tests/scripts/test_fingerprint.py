"""Seeing changes by `stat` alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scripts.folders import wait_for_the_clock
from zscrape.scripts.fingerprint import Fingerprint


def look(folder: Path) -> Fingerprint:
    """Take the fingerprint of a folder and the files in it."""
    return Fingerprint.take([str(folder), *(str(each) for each in sorted(folder.iterdir()))])


def rewrite(folder: Path) -> None:
    """Change a file's bytes but not its size, and set its times back."""
    before = (folder / "a").stat()
    (folder / "a").write_bytes(b"y")
    os.utime(folder / "a", ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "grown": lambda folder: (folder / "a").write_bytes(b"longer"),
    "rewritten, times set back": rewrite,
    "added": lambda folder: (folder / "b").write_bytes(b""),
    "removed": lambda folder: (folder / "a").unlink(),
    "replaced": lambda folder: (folder.parent / "new").rename(folder / "a"),
    "made executable": lambda folder: (folder / "a").chmod(0o755),
    "made a link": lambda folder: (folder.parent / "link").rename(folder / "a"),
}


@pytest.mark.usefixtures("settled")
def test_it_holds_while_nothing_changes(tmp_path: Path) -> None:
    """An untouched folder keeps its fingerprint, however often one looks."""
    (tmp_path / "a").write_bytes(b"x")
    taken = look(tmp_path)

    assert [taken.holds(), taken.holds()] == [True, True]


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_every_change_breaks_it(tmp_path: Path, change: Callable[[Path], object]) -> None:
    """Whatever happens to a file or a folder, the fingerprint no longer holds."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_bytes(b"x")
    (tmp_path / "new").write_bytes(b"x")
    (tmp_path / "link").symlink_to("b")
    taken = look(folder)
    wait_for_the_clock(tmp_path)
    change(folder)

    assert not taken.holds()


def test_one_taken_right_after_a_change_is_not_relied_on(tmp_path: Path) -> None:
    """Within a step of the file system's clock a second change would leave no trace."""
    (tmp_path / "a").write_bytes(b"x")

    assert not look(tmp_path).holds()


@pytest.mark.usefixtures("settled")
def test_it_covers_what_it_says_as_well(tmp_path: Path) -> None:
    """One that has looked at more makes another look needless, unless something lies between."""
    (tmp_path / "a").write_bytes(b"x")
    part = Fingerprint.take([str(tmp_path), str(tmp_path / "a")])
    elsewhere = Fingerprint.take([str(tmp_path.parent)])
    whole = look(tmp_path)
    wait_for_the_clock(tmp_path)
    (tmp_path / "b").write_bytes(b"")

    assert whole.covers(part)
    assert not whole.covers(elsewhere)
    assert not look(tmp_path).covers(part)


def test_what_was_taken_too_soon_is_not_covered(tmp_path: Path) -> None:
    """One taken within a step of the clock holds for nobody, so none may stand for it."""
    (tmp_path / "a").write_bytes(b"x")
    taken = look(tmp_path)
    hasty = Fingerprint(taken.paths, taken.stamps, is_settled=False)

    assert not taken.covers(hasty)
