"""What an attempt may keep in its private folder, and how many items it may yield."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.worker.conftest import Stage
from zscrape.messages import outcome_key, text
from zscrape.model import Limits, OutcomeCode
from zscrape.worker.quota import FolderUsage

MIB = 1024 * 1024
FILLERS = {
    "many files": """
        import time
        def run():
            for number in range(60):
                with open(f"file-{number}", "wb") as file:
                    file.write(b"x" * 100_000)
            time.sleep(60)
    """,
    "deep": """
        import os, time
        def run():
            for number in range(100):
                os.mkdir("deeper")
                os.chdir("deeper")
            for number in range(60):
                with open(f"file-{number}", "wb") as file:
                    file.write(b"x" * 100_000)
            time.sleep(60)
    """,
    "removed but open": """
        import os, time
        def run():
            held = []
            for number in range(60):
                held.append(open("file", "wb", buffering=0))
                held[-1].write(b"x" * 100_000)
                os.unlink("file")
            time.sleep(60)
    """,
    "hidden": """
        import os, time
        def run():
            os.mkdir("hidden")
            for number in range(60):
                with open(f"hidden/{number}", "wb") as file:
                    file.write(b"x" * 100_000)
            os.chmod("hidden", 0)
            time.sleep(60)
    """,
}


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("filler", FILLERS)
async def test_folder_that_is_too_large_ends_its_attempt(stage: Stage, filler: str) -> None:
    """What takes too much room is ended, wherever in the folder it is; the words say so."""
    ran = await stage.run(FILLERS[filler], limits=Limits(folder_size_bytes=5 * MIB))
    fields = ran.outcome.fields
    words = [text(outcome_key("output_limit", fields), lang, **fields) for lang in ("en", "ko")]

    assert ran.outcome.code == OutcomeCode.OUTPUT_LIMIT
    assert (fields["what"], fields["limit_bytes"]) == ("folder_size", 5 * MIB)
    assert 5 * MIB < int(fields["size_bytes"]) < 8 * MIB
    assert all("limits.folder_size" in each and str(fields["size_bytes"]) in each for each in words)


@pytest.mark.asyncio(loop_scope="session")
async def test_too_many_files_end_an_attempt(stage: Stage) -> None:
    """Files and folders are counted, empty ones too."""
    source = """
        import os, time
        def run():
            for number in range(300):
                os.makedirs(f"folder-{number}/in")
            time.sleep(60)
    """
    ran = await stage.run(source, limits=Limits(folder_file_count=500))
    fields = ran.outcome.fields
    words = [text(outcome_key("output_limit", fields), lang, **fields) for lang in ("en", "ko")]

    assert ran.outcome.code == OutcomeCode.OUTPUT_LIMIT
    assert fields == {"what": "folder_files", "limit_count": 500}
    assert all("limits.folder_files" in each and "500" in each for each in words)


@pytest.mark.asyncio(loop_scope="session")
async def test_folder_within_its_limits_is_left_alone(stage: Stage) -> None:
    """A sparse file, links to one file and what was removed in time do not count."""
    source = """
        import os, time
        def run():
            with open("sparse", "wb") as file:
                file.truncate(60_000_000)
            with open("linked", "wb") as file:
                file.write(b"x" * 2_000_000)
            for number in range(20):
                os.link("linked", f"link-{number}")
                os.symlink("/", f"out-{number}")
            for number in range(20):
                with open("again", "wb") as file:
                    file.write(b"x" * 1_000_000)
                os.unlink("again")
            time.sleep(2.5)
            return "fine"
    """
    ran = await stage.run(source, limits=Limits(folder_size_bytes=5 * MIB, folder_file_count=50))

    assert ran.data == "fine"


@pytest.mark.asyncio(loop_scope="session")
async def test_folder_that_changes_all_the_while_is_looked_at(stage: Stage) -> None:
    """A script that moves and removes its folders while they are looked at gains nothing."""
    source = """
        import os, shutil, threading, time
        def turn():
            while True:
                for name in ("a", "b"):
                    os.makedirs(name + "/x" * 40, exist_ok=True)
                    os.rename(name + "/x/x", "c")
                    shutil.rmtree("c")
        def run():
            with open("kept", "wb") as file:
                file.write(b"x" * 6_000_000)
            turn()
    """
    ran = await stage.run(source, limits=Limits(folder_size_bytes=5 * MIB))

    assert ran.outcome.code == OutcomeCode.OUTPUT_LIMIT


@pytest.mark.asyncio(loop_scope="session")
async def test_script_that_removes_its_folder_goes_on(stage: Stage) -> None:
    """A folder that is not there is an empty one; where a layer forbids it, it stays."""
    source = """
        import contextlib, os, time
        def run():
            with contextlib.suppress(PermissionError):
                os.rmdir(os.environ["HOME"])
            time.sleep(1.5)
            return "fine"
    """
    ran = await stage.run(source)

    assert ran.data == "fine"


@pytest.mark.asyncio(loop_scope="session")
async def test_number_of_items_is_limited(stage: Stage) -> None:
    """Items beyond the number allowed end the attempt; those before it are kept."""
    source = "def run():\n    for number in range(500):\n        yield number\n"
    ran = await stage.run(source, limits=Limits(item_count=100))
    exact = await stage.run(source, limits=Limits(item_count=500))
    fields = ran.outcome.fields
    words = [text(outcome_key("output_limit", fields), lang, **fields) for lang in ("en", "ko")]

    assert ran.outcome.code == OutcomeCode.OUTPUT_LIMIT
    assert fields == {"what": "items", "limit_count": 100}
    assert ran.outcome.item_count == len(ran.bodies("item")) == 100
    assert all("limits.items" in each and "100" in each for each in words)
    assert exact.outcome.item_count == 500


def test_looking_stops_at_the_limit(tmp_path: Path) -> None:
    """However wide a folder is, no more of it is looked at than is allowed to be there."""
    for number in range(50):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}" / "file").write_bytes(b"x")
    usage = FolderUsage(20, MIB)
    usage.measure(str(tmp_path), ())

    assert usage.is_over
    assert usage.entry_count == 21


def test_looking_leaves_no_descriptor(tmp_path: Path) -> None:
    """Depth costs neither descriptors nor recursion."""
    deep = tmp_path
    for _ in range(200):
        deep /= "d"
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"x" * 5000)
    before = set(Path("/proc/self/fd").iterdir())
    usage = FolderUsage(10_000, 10 * MIB)
    usage.measure(str(tmp_path), (os.getpid(), 2**22 + 1))

    assert usage.entry_count == 201
    assert usage.size_bytes >= 5000
    # What earlier tests have left may be closed meanwhile.
    assert set(Path("/proc/self/fd").iterdir()) <= before
