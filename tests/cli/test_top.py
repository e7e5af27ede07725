"""`top` against a real cluster, and `completion` for each shell."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cluster, Zscrape, clean_environ
from zscrape.client import Client, find_gateway


@pytest.fixture
def failed_id(cluster: Cluster) -> str:
    """A task that has just failed."""
    with Client(find_gateway(home=cluster.home, environ={})) as client:
        task_id: str = client.run("steps", {"count": 1, "fail": True})["request_id"]
    return task_id


def test_one_look_as_json(on_cluster: Zscrape, cluster: Cluster, failed_id: str) -> None:
    """One document has the figures, the workers and the last failures."""
    told = on_cluster.json("top")

    assert told["figures"]["active_workers"] == 1
    assert [worker["id"] for worker in told["workers"]] == [cluster.worker_id]
    assert told["failures"][0]["request_id"] == failed_id
    assert told["failures"][0]["error_code"] == "script_error"
    assert told["last_hour"]["failed_count"] >= 1


@pytest.mark.parametrize(
    ("lang", "titles"),
    [("en", ["Running", "Workers", "Last failures"]), ("ko", ["실행 중", "워커", "최근 실패"])],
)
def test_one_look_in_a_pipe(
    on_cluster: Zscrape, cluster: Cluster, failed_id: str, lang: str, titles: list[str]
) -> None:
    """Where nobody watches it is printed once, in either language."""
    result = on_cluster("top", "--lang", lang)

    assert result.exit_code == 0, result.output
    assert [title for title in titles if f"\n{title}\n" not in result.stdout] == []
    assert failed_id in result.stdout
    assert cluster.worker_id in result.stdout


def test_it_goes_on_until_ctrl_c(cluster: Cluster) -> None:
    """On a terminal it is drawn again and again; Ctrl-C ends it as wished."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "zscrape", "top", "--home", str(cluster.home)),
            "--interval",
            "0.2",
        ],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=clean_environ(TERM="xterm", COLUMNS="120", LINES="40"),
        start_new_session=True,
    )
    os.close(follower)
    try:
        seen = b""
        while seen.count(b"Ctrl-C ends this view.") < 3:
            seen += os.read(leader, 65536)
        process.send_signal(2)
        process.wait(timeout=20)
    finally:
        process.kill()
        process.wait()
        os.close(leader)

    assert process.returncode == 0
    assert cluster.worker_id.encode() in seen


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_shells_code(zscrape: Zscrape, shell: str) -> None:
    """Each shell gets code of its own that asks zscrape."""
    result = zscrape("completion", shell)

    assert result.exit_code == 0, result.output
    assert f"_ZSCRAPE_COMPLETE={shell}_complete" in result.stdout


def test_completion_knows_the_verbs() -> None:
    """What the shell's code asks is answered with verbs, and with a family's own."""
    program = Path(sys.executable).with_name("zscrape")

    def asked(words: str, place: int) -> list[str]:
        more = {"_ZSCRAPE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(place)}
        done = subprocess.run(
            [program], env=clean_environ(**more), capture_output=True, text=True, check=True
        )
        return [line.partition(",")[2] for line in done.stdout.splitlines()]

    assert asked("zscrape to", 1) == ["top", "token"]
    assert "explain" in asked("zscrape tasks ", 2)
