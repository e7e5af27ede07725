"""A process that is killed between a file and its row."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from zscrape.store.blobs import FileBlobs
from zscrape.store.database import Database, connect
from zscrape.store.far import Far
from zscrape.store.sql import SqlTaskStore

PROGRAM = """
import asyncio, base64, json, os, signal, sys
from pathlib import Path
from zscrape.store.blobs import FileBlobs
from zscrape.store.database import Database
from zscrape.store.far import Far
from zscrape.store.sql import SqlTaskStore
from zscrape.store.tasks import TaskRow

class Killed(FileBlobs):
    def put(self, blob, content):
        super().put(blob, content)
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    folder = Path(sys.argv[1])
    store = SqlTaskStore(Database(folder / "t.db"), far=Far(Killed(folder / "blobs")))
    row = TaskRow(id="t1", script_name="page", created_at=1.0)
    await store.add(row)
    data = base64.b64encode(b"x" * 100_000).decode()
    saved = {"name": "a", "size": 100_000, "data": data}
    store.append(row, "artifact", 1, 1.0, json.dumps(saved).encode())
    await store.kept("t1", is_urgent=True)

asyncio.run(main())
"""


@pytest.fixture
def ended(tmp_path: Path) -> subprocess.CompletedProcess[bytes]:
    """Return the process that was killed over this folder."""
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    return subprocess.run(command, check=False, timeout=30, capture_output=True)


async def test_killed_between_file_and_row(
    ended: subprocess.CompletedProcess[bytes], tmp_path: Path
) -> None:
    """The task is there without the file, the file without a row, and it is swept."""
    files = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
    folder = FileBlobs(tmp_path / "blobs")
    store = SqlTaskStore(Database(tmp_path / "t.db"), far=Far(folder))
    taken, damaged_count = await store.take_up(10.0)
    swept_count = await store.sweep_orphans(before=4e9)
    await store.close()

    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert len(files) == 1
    assert ([each.row.id for each in taken], damaged_count) == (["t1"], 0)
    assert taken[0].row.last_number == 0
    assert swept_count == 1
    assert not files[0].exists()
    with closing(connect(tmp_path / "t.db", is_reader=True)) as connection:
        assert connection.execute("SELECT count(*) FROM blobs").fetchone() == (0,)
