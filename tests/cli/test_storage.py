"""`backup` and `restore`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cluster, Zscrape
from zscrape.store.database import open_file
from zscrape.store.newest import HEAD


def test_backup_of_a_running_gateway(on_cluster: Zscrape, cluster: Cluster, tmp_path: Path) -> None:
    """The gateway goes on; its own home is not to be replaced meanwhile."""
    file = tmp_path / "backup.db"

    made = on_cluster.json("backup", str(file))
    again = on_cluster("backup", str(file), "--lang", "en")
    refused = on_cluster("restore", str(file), "--lang", "en")

    assert made["path"] == str(file)
    assert made["schema"] == HEAD
    assert (again.exit_code, refused.exit_code) == (3, 3)
    assert "is there already" in again.stderr
    assert "in use by another gateway" in refused.stderr


def test_restore(zscrape: Zscrape, tmp_path: Path) -> None:
    """A backup is put in place, and what stood there is kept; doctor looks at it."""
    home, file = tmp_path / "home", tmp_path / "backup.db"
    open_file(file).close()

    first = zscrape.json("restore", str(file), "--home", str(home))
    second = zscrape("restore", str(file), "--home", str(home), "--lang", "ko")
    checks = zscrape.json("doctor", "--home", str(home))["checks"]

    assert first["replaced"] is None
    assert second.exit_code == 0
    assert "이전 파일은 보관했습니다" in second.stdout
    database = next(check for check in checks if check["name"] == "database")
    assert database["status"] == "ok"
    assert str(home / "zscrape.db") in database["detail"]


def test_a_damaged_backup_is_refused(zscrape: Zscrape, tmp_path: Path) -> None:
    """It is told with the file's name, and doctor finds the same fault."""
    home, file = tmp_path / "home", tmp_path / "zscrape.db"
    file.write_text("nothing of the kind")
    home.mkdir()
    (home / "zscrape.db").write_text("nothing of the kind")

    result = zscrape("restore", str(file), "--home", str(home), "--lang", "en")
    missing = zscrape("backup", str(tmp_path / "x.db"), "--home", str(tmp_path / "no"))
    checks = zscrape.json("doctor", "--home", str(home), code=1)["checks"]

    assert result.exit_code == 3
    assert str(file) in result.stderr
    assert missing.exit_code == 3
    database = next(check for check in checks if check["name"] == "database")
    assert database["status"] == "broken"


def test_a_database_server_is_backed_up_by_its_own_tools(
    zscrape: Zscrape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where tasks are in PostgreSQL there is no file to copy; doctor says when it is away."""
    monkeypatch.setenv("ZSCRAPE_DATABASE_URL", "postgresql://user:hidden@127.0.0.1:1/none")
    home = str(tmp_path / "home")

    made = zscrape("backup", str(tmp_path / "backup.db"), "--home", home, "--lang", "en")
    put = zscrape("restore", str(tmp_path / "backup.db"), "--home", home, "--lang", "ko")
    checks = zscrape.json("doctor", "--home", home, code=1)["checks"]

    assert (made.exit_code, put.exit_code) == (3, 3)
    assert "pg_dump" in made.stderr
    assert "pg_dump" in put.stderr
    database = next(check for check in checks if check["name"] == "database")
    assert database["status"] == "broken"
    assert "hidden" not in str(checks)
