"""`run`: here and on the cluster, for people and for machines."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cluster, Zscrape, clean_environ, write_script
from tests.wheels import make_wheel
from zscrape.cli.run import is_path
from zscrape.client import Client, ClientError, find_gateway

ROWS = [{"number": number, "text": "한글"} for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("target", "is_it"),
    [
        ("watch", False),
        ("watch@^1.2", False),
        ("./watch", True),
        ("scripts/watch", True),
        ("watch.py", True),
        ("~/watch", True),
        (".", True),
        ("a\\b", True),
    ],
)
def test_target_is_a_path_or_a_name(target: str, is_it: bool) -> None:
    """What has a separator, a dot in front or `.py` behind is a path."""
    assert is_path(target) is is_it


# ---- on this machine -----------------------------------------------------------------


def test_a_run_here_keeps_to_its_own_budgets(zscrape: Zscrape, tmp_path: Path) -> None:
    """What the manifest says of sites holds without a cluster, and the log tells of waiting."""
    code = (
        "import time\n\ndef run(*, ctx):\n    began_at = time.monotonic()\n"
        "    for _ in range(3):\n        ctx.throttle('shop.example')\n"
        "    return time.monotonic() - began_at\n"
    )
    sites = {"shop.example": {"rate": "1/s"}}
    folder = write_script(tmp_path, "gentle", code, sites=sites, kit=[])

    result = zscrape("run", folder, "--follow")

    assert float(result.stdout) > 2.0
    assert "for the budget of shop.example" in result.stderr


def test_path_runs_here_without_a_cluster(zscrape: Zscrape, scripts_folder: Path) -> None:
    """A folder runs on this machine and its data is on standard output."""
    result = zscrape("run", scripts_folder / "steps")

    assert result.exit_code == 0
    assert json.loads(result.stdout) == ROWS
    assert "steps 1.0.0 completed in" in result.stderr


def test_a_script_with_secrets_runs_here(zscrape: Zscrape, tmp_path: Path) -> None:
    """Without a cluster its secrets are in the environment, and are masked all the same."""
    folder = tmp_path / "login"
    folder.mkdir()
    manifest = {"name": "login", "version": "1.0.0", "kit": [], "secrets": ["shop.password"]}
    (folder / "metadata.json").write_text(json.dumps(manifest))
    (folder / "main.py").write_text(
        "import os\n\n\ndef run(*, ctx):\n"
        "    value = ctx.secret('shop.password')\n"
        "    return [len(value), value, [name for name in os.environ if 'SECRET' in name]]\n"
    )
    refused = zscrape("run", folder, "--lang", "en")
    zscrape.environ["ZSCRAPE_SECRET_SHOP_PASSWORD"] = "from-my-shell"
    result = zscrape("run", folder, "--follow")

    assert refused.exit_code == 3
    assert "ZSCRAPE_SECRET_SHOP_PASSWORD" in refused.stderr
    assert json.loads(result.stdout) == [13, "********", []]
    assert "from-my-shell" not in result.stdout + result.stderr


def test_file_with_inline_requirements_runs_here(zscrape: Zscrape, tmp_path: Path) -> None:
    """A single file may bring what it needs in its own comment (PEP 723)."""
    make_wheel(tmp_path / "links", "thing", "1.0")
    zscrape.environ |= {"ZSCRAPE_FIND_LINKS": str(tmp_path / "links"), "ZSCRAPE_OFFLINE": "1"}
    folder = tmp_path / "needy"
    folder.mkdir()
    manifest = {"name": "needy", "version": "1.0.0", "kit": []}
    (folder / "metadata.json").write_text(json.dumps(manifest))
    (folder / "main.py").write_text(
        '# /// script\n# dependencies = ["thing"]\n# ///\n'
        "import thing\ndef run():\n    return thing.VERSION\n"
    )
    first = zscrape("run", folder, "--follow")
    second = zscrape("run", folder, "--follow")

    assert first.stdout == second.stdout == "1.0\n"
    assert "environment built in" in first.stderr
    assert "environment built in" not in second.stderr


@pytest.mark.parametrize("in_the_way", ["cache", "cache/environments"])
def test_cache_that_cannot_be_used_is_told(
    zscrape: Zscrape, tmp_path: Path, in_the_way: str
) -> None:
    """The folder and the setting that chooses it are named; the exit code is that of settings."""
    (tmp_path / in_the_way).parent.mkdir(exist_ok=True)
    (tmp_path / in_the_way).write_text("a file where a folder belongs")
    zscrape.environ["SCRIPT_CACHE_DIR"] = str(tmp_path / "cache")
    (tmp_path / "needy.py").write_text(
        "# /// script\n# dependencies = ['attrs']\n# ///\ndef run():\n    return 1\n"
    )

    result = zscrape("run", "./needy.py")

    assert result.exit_code == 3, result.output
    assert str(tmp_path / in_the_way) in result.stderr
    assert "SCRIPT_CACHE_DIR" in result.stderr


def test_single_file_runs_here(zscrape: Zscrape, tmp_path: Path) -> None:
    """A file needs no manifest to be tried."""
    path = tmp_path / "My Script.py"
    path.write_text("def run(n: int):\n    return {'twice': 2 * n}\n", encoding="utf-8")

    envelope = zscrape.json("run", path, "-p", "n=4")

    assert envelope["data"] == {"twice": 8}
    assert envelope["script_name"] == "my_script"


def test_file_inside_a_script_means_the_script(zscrape: Zscrape, scripts_folder: Path) -> None:
    """Naming the entry point runs the whole script."""
    assert zscrape.json("run", scripts_folder / "steps" / "main.py")["script_name"] == "steps"


def test_failure_here_shows_the_script_s_traceback(zscrape: Zscrape, scripts_folder: Path) -> None:
    """A script that raises ends with 1; the words cannot control the terminal."""
    result = zscrape("run", scripts_folder / "steps", "-p", "fail=true", "--lang", "ko")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert "실패 (script_error)" in result.stderr
    assert 'File "main.py"' in result.stderr
    assert "ValueError" in result.stderr
    assert "\x1b" not in result.stderr


def test_bad_parameters_are_told_all_at_once(zscrape: Zscrape, scripts_folder: Path) -> None:
    """Parameters that do not fit end with 3, each with its place; nothing runs."""
    result = zscrape("run", scripts_folder / "steps", "-p", "count=x", "-p", "other=1")

    assert result.exit_code == 3
    assert "/parameters/count" in result.stderr
    assert "/parameters/other" in result.stderr


@pytest.mark.parametrize("target", ["./none", "./none.py", "./empty"])
def test_path_that_is_no_script_is_3(zscrape: Zscrape, tmp_path: Path, target: str) -> None:
    """A path without a script says so."""
    (tmp_path / "empty").mkdir()

    result = zscrape("run", target)

    assert result.exit_code == 3
    assert result.stderr.startswith("error:")


def test_time_limit_here_ends_the_script(zscrape: Zscrape, scripts_folder: Path) -> None:
    """`--timeout` ends a script on this machine too."""
    envelope = zscrape.json(
        "run", scripts_folder / "steps", "-p", "pause_s=30", "--timeout", "0.3", code=1
    )

    assert envelope["status"] == "timed_out"
    assert envelope["error"]["code"] == "timeout"


def test_followed_run_writes_json_lines(zscrape: Zscrape, scripts_folder: Path) -> None:
    """`--follow --json` is one line per event, the envelope last."""
    result = zscrape("run", scripts_folder / "steps", "--follow", "--json")

    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["event"] for line in lines].count("item") == 3
    assert {"state", "log", "progress", "item", "result"} == {line["event"] for line in lines}
    assert lines[-1]["event"] == "result"
    assert lines[-1]["data"]["data"] == ROWS


def test_followed_run_shows_logs_and_items_to_people(
    zscrape: Zscrape, scripts_folder: Path
) -> None:
    """`--follow` writes what the script says to standard error as it comes."""
    result = zscrape("run", scripts_folder / "steps", "--follow")

    assert "printed line" in result.stderr
    assert "step done  number=1" in result.stderr
    assert 'item {"number":3' in result.stderr
    assert json.loads(result.stdout) == ROWS


# ---- files ---------------------------------------------------------------------------


def test_output_is_written_by_its_suffix(
    zscrape: Zscrape, scripts_folder: Path, tmp_path: Path
) -> None:
    """`.json`, `.jsonl` and `.csv` each get their form; standard output stays empty."""
    paths = [tmp_path / f"out.{suffix}" for suffix in ("json", "jsonl", "csv")]
    for path in paths:
        result = zscrape("run", scripts_folder / "steps", "--output", path)
        assert (result.exit_code, result.stdout) == (0, "")

    as_json, as_lines, as_table = (path.read_text(encoding="utf-8-sig") for path in paths)
    assert json.loads(as_json) == ROWS
    assert [json.loads(line) for line in as_lines.splitlines()] == ROWS
    assert list(csv.reader(as_table.splitlines()))[:2] == [["number", "text"], ["1", "한글"]]


def test_output_that_cannot_be_written_is_3(
    zscrape: Zscrape, scripts_folder: Path, tmp_path: Path
) -> None:
    """A folder that is not there, and data that is no table, are told."""
    missing = zscrape("run", scripts_folder / "steps", "--output", tmp_path / "no" / "x.json")
    no_table = zscrape("run", scripts_folder / "kept", "--output", tmp_path / "x.csv")

    assert (missing.exit_code, no_table.exit_code) == (3, 3)
    assert "No such file" in missing.stderr
    assert ".json" in no_table.stderr


def test_saved_files_are_named_or_written(
    zscrape: Zscrape, scripts_folder: Path, tmp_path: Path
) -> None:
    """What a script saves is named, and written where `--artifacts` says."""
    named = zscrape("run", scripts_folder / "kept")
    written = zscrape("run", scripts_folder / "kept", "--artifacts", tmp_path / "files")

    assert "Files saved: a.txt" in named.stderr
    assert written.exit_code == 0
    assert (tmp_path / "files" / "a.txt").read_text(encoding="utf-8") == "content of a.txt"


# ---- on the cluster ------------------------------------------------------------------


def test_name_runs_on_the_cluster(on_cluster: Zscrape, cluster: Cluster) -> None:
    """A name runs on the worker, and the envelope says on which."""
    envelope = on_cluster.json("run", "steps@^1", "-p", "count=3")

    assert envelope["data"] == ROWS
    assert envelope["worker_id"] == cluster.worker_id
    assert envelope["item_count"] == 3


def test_schema_of_the_cluster_decides_what_is_text(on_cluster: Zscrape) -> None:
    """A text parameter keeps its digits, because the gateway tells the schema."""
    assert on_cluster.json("run", "kept", "-p", "zip=03187")["data"]["zip"] == "03187"
    assert on_cluster.json("run", "kept", "-p", "zip=3187")["data"]["zip"] == "3187"


def test_followed_name_shows_its_events(on_cluster: Zscrape) -> None:
    """Logs, items and the data of a task on the cluster look as they do here."""
    result = on_cluster("run", "steps", "--follow")

    assert "printed line" in result.stderr
    assert 'item {"number":3' in result.stderr
    assert json.loads(result.stdout) == ROWS


def test_failure_on_the_cluster_names_the_next_step(on_cluster: Zscrape) -> None:
    """A failed task ends with 1 and says where to look."""
    result = on_cluster("run", "steps", "-p", "fail=true")

    assert result.exit_code == 1
    assert "failed (script_error)" in result.stderr
    assert "zscrape tasks show " in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "stps"], "Did you mean steps?"),
        (["run", "steps@^9"], "^9"),
        (["run", "steps", "-p", "count=x"], "/parameters/count"),
        (["run", "steps", "--key", "wrong", "--url", "HTTP"], "API key"),
    ],
)
def test_input_that_the_gateway_refuses_is_3(
    on_cluster: Zscrape, cluster: Cluster, arguments: list[str], told: str
) -> None:
    """What the caller can mend ends with 3, in the gateway's words."""
    result = on_cluster(*(cluster.http if each == "HTTP" else each for each in arguments))

    assert result.exit_code == 3
    assert told in result.stderr


def test_data_too_large_for_an_answer_is_fetched(on_cluster: Zscrape) -> None:
    """Data that the gateway only links is brought all the same."""
    assert len(on_cluster.json("run", "big")["data"]) == 2_000_000


def test_saved_files_of_a_task_are_fetched(on_cluster: Zscrape, tmp_path: Path) -> None:
    """`--artifacts` brings files from the gateway."""
    result = on_cluster("run", "kept", "-p", "name=b.txt", "--artifacts", tmp_path / "files")

    assert result.exit_code == 0
    assert (tmp_path / "files" / "b.txt").read_text(encoding="utf-8") == "content of b.txt"


def test_detached_run_writes_the_id_alone(on_cluster: Zscrape) -> None:
    """`--detach` is made for `$(...)`: the id and nothing else on standard output."""
    result = on_cluster("run", "steps", "--detach")
    document = on_cluster.json("run", "steps", "--detach")

    task_id = result.stdout.strip()
    assert len(task_id) == 36
    assert f"tasks logs --follow {task_id}" in result.stderr
    assert document["links"]["self"] == f"/v1/tasks/{document['request_id']}"


def test_no_gateway_is_told_with_the_next_step(zscrape: Zscrape) -> None:
    """Without a gateway the error says how to start one."""
    unknown = zscrape("run", "steps")
    silent = zscrape("run", "steps", "--url", "http://127.0.0.1:1", "--key", "k")

    assert (unknown.exit_code, silent.exit_code) == (3, 1)
    assert "zscrape up" in unknown.stderr
    assert "zscrape up" in silent.stderr


def test_interrupt_cancels_the_task(cluster: Cluster) -> None:
    """Ctrl-C ends the task on the cluster, and the command with 130."""
    arguments = ["run", "steps", "-p", "pause_s=30", "--follow", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "zscrape", *arguments],
        env=clean_environ(ZSCRAPE_HOME=str(cluster.home)),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    next(line for line in process.stdout if json.loads(line)["event"] == "item")

    process.send_signal(signal.SIGINT)

    process.stdout.read()
    assert process.wait() == 130
    process.stdout.close()
    with Client(find_gateway(home=cluster.home, environ={})) as client:
        assert client.tasks(limit=1)["tasks"][0]["status"] == "cancelled"


def test_interrupt_is_130_also_when_the_task_cannot_be_cancelled(
    on_cluster: Zscrape, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends the command as such; that the task goes on is told, not the exit code."""

    def interrupted(self: Client, task_id: str) -> None:
        raise KeyboardInterrupt

    def unreachable(self: Client, task_id: str) -> None:
        raise ClientError("gateway_unreachable", "nobody is there")

    monkeypatch.setattr(Client, "events", interrupted)
    monkeypatch.setattr(Client, "cancel", unreachable)

    result = on_cluster("run", "steps")

    assert result.exit_code == 130
    assert "nobody is there" in result.stderr
    assert "was not cancelled" in result.stderr


def test_path_obeys_the_settings_limits(
    zscrape: Zscrape, scripts_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time limit of the settings holds for a script on this machine too."""
    monkeypatch.setenv("SCRIPT_TIMEOUT", "0.3")

    envelope = zscrape.json("run", scripts_folder / "steps", "-p", "pause_s=30", code=1)

    assert envelope["error"]["code"] == "timeout"
