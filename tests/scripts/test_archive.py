"""A script as an archive."""

from __future__ import annotations

import io
import tarfile

from zscrape.scripts.archive import write_tar_gz
from zscrape.scripts.digest import ScriptFile

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
