"""`smoke` and `seed` against a real gateway and worker (manual 3.2, 3.3)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Cluster, Zscrape, write_script
from tests.ops.standard import check, report_of, summary_of
from zscrape.client import Client, find_gateway
from zscrape.ops.smoke.bench import Bench
from zscrape.ops.smoke.cases import CASES
from zscrape.ops.smoke.probe import PREFIX, SOURCE


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Client]:
    """A client of the cluster."""
    with Client(find_gateway(home=cluster.home, environ={})) as client:
        yield client


def probes(folder: Path) -> list[str]:
    """Return the probes that are there."""
    return [each.name for each in folder.iterdir() if each.name.startswith(PREFIX)]


# ---- smoke ---------------------------------------------------------------------------


def test_manual_3_3_a_sound_installation_passes(
    on_cluster: Zscrape, scripts_folder: Path, tmp_path: Path
) -> None:
    """Every case of a part that is there succeeds, and nothing is left behind."""
    files = ["--json-output", tmp_path / "s.json", "--junit-output", tmp_path / "r.xml"]

    told = on_cluster.json("smoke", "--scripts", scripts_folder, *files)

    check(told)
    states = {each["name"]: each["status"] for each in told["cases"]}
    assert list(states) == list(CASES)
    assert set(states.values()) <= {"succeeded", "skipped"}
    assert all(
        states[name] == "succeeded"
        for name in (
            *("health", "authentication", "routing", "events", "limit_time", "limit_memory"),
            *("schedule", "metrics"),
        )
    )
    assert report_of(tmp_path / "r.xml").get("failures") == "0"
    assert summary_of(tmp_path / "s.json")["failed_total"] == 0
    assert probes(scripts_folder) == []


def test_manual_3_3_a_failure_says_request_answer_and_expectation(
    on_cluster: Zscrape, tmp_path: Path
) -> None:
    """One file is enough to see what was asked, what came, and what should have come."""
    result = on_cluster(
        *("smoke", "--script", "nobody", "--case", "run", "--case", "health"),
        *("--junit-output", tmp_path / "r.xml"),
    )
    told = on_cluster.json("smoke", "--script", "nobody", "--case", "run", code=1)

    (failure,) = report_of(tmp_path / "r.xml").findall("testcase/failure")
    (case,) = told["cases"]
    assert result.exit_code == 2
    assert "request: POST /scrape" in (failure.text or "")
    assert "answer: status=failed error.code=script_not_found" in (failure.text or "")
    assert "expected status=completed" in (failure.text or "")
    assert case["request"].startswith("POST /scrape")
    assert case["expectation"] == "status=completed and its items"


def test_a_wrong_key_fails_what_needs_one(on_cluster: Zscrape, cluster: Cluster) -> None:
    """Health needs no key; the rest is a failure with the status that came."""
    on_cluster.environ |= {"ZSCRAPE_URL": cluster.http, "ZSCRAPE_API_KEY": "wrong-key-of-mine"}

    result = on_cluster("smoke", "--case", "health", "--case", "workers", "--script", "steps")

    assert result.exit_code == 2
    assert "HTTP 401" in result.stdout
    assert "wrong-key-of-mine" not in result.output


def test_a_gateway_that_is_away_fails_every_case(zscrape: Zscrape) -> None:
    """All failed is 1, and each case has its own reason."""
    zscrape.environ |= {"ZSCRAPE_URL": "http://127.0.0.1:1", "ZSCRAPE_API_KEY": "any"}

    told = zscrape.json("smoke", "--case", "health", "--case", "routing", code=1)

    assert [each["status"] for each in told["cases"]] == ["failed", "failed"]
    assert "ConnectError" in told["cases"][0]["answer"]


def test_test_data_is_kept_when_asked(on_cluster: Zscrape, scripts_folder: Path) -> None:
    """The probe stays and is named; it can be run by its name from then on."""
    result = on_cluster("smoke", "--scripts", scripts_folder, "--case", "run", "--keep-test-data")
    (name,) = probes(scripts_folder)
    again = on_cluster("smoke", "--script", name, "--case", "run")
    shutil.rmtree(scripts_folder / name)

    assert (result.exit_code, again.exit_code) == (0, 0)
    assert name in result.stderr


def test_manual_3_3_cleaning_up_that_fails_is_told(
    on_cluster: Zscrape, scripts_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a failure of its own, with the cause."""

    def lose(bench: Bench) -> None:
        shutil.rmtree(scripts_folder / bench.probe)

    monkeypatch.setitem(CASES, "run", lose)

    result = on_cluster("smoke", "--scripts", scripts_folder, "--case", "run")

    assert result.exit_code == 2
    assert "cleanup: expected nothing left" in result.stdout
    assert "No such file" in result.stdout


def test_a_case_that_is_at_fault_stops_no_other(
    on_cluster: Zscrape, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours is told as such."""

    def fault(bench: Bench) -> None:
        raise ZeroDivisionError("odd")

    monkeypatch.setitem(CASES, "health", fault)

    told = on_cluster.json(
        "smoke", "--case", "health", "--case", "workers", "--script", "steps", code=2
    )

    assert [each["status"] for each in told["cases"]] == ["failed", "succeeded"]
    assert told["cases"][0]["answer"] == "ZeroDivisionError: odd"


def test_dry_run_of_smoke_touches_nothing(on_cluster: Zscrape, scripts_folder: Path) -> None:
    """The cases are named and none is run."""
    before = sorted(each.name for each in scripts_folder.iterdir())

    told = on_cluster.json("smoke", "--dry-run", "--scripts", scripts_folder)

    assert told["skipped_total"] == len(CASES)
    assert sorted(each.name for each in scripts_folder.iterdir()) == before


# ---- seed ----------------------------------------------------------------------------


@pytest.fixture
def seeded(on_cluster: Zscrape, scripts_folder: Path) -> Iterator[Zscrape]:
    """The command line; seeds are gone afterwards."""
    yield on_cluster
    on_cluster("seed", "--cleanup", "--prefix", "abc_", "--scripts", scripts_folder)
    for each in scripts_folder.glob("abc_*"):
        shutil.rmtree(each)


def test_manual_3_2_seed_is_idempotent_and_cleans_up(
    seeded: Zscrape, client: Client, scripts_folder: Path
) -> None:
    """The same call again adds nothing; a cleanup removes what bears the prefix."""
    command = ("seed", "--prefix", "abc_", "--scripts", scripts_folder, "--profile", "full")

    first = seeded.json(*command, "--count", 2)
    task_count = len(client.tasks(script="abc_items", limit=100)["tasks"])
    letters = client.dead_letters(script="abc_failing")["deadletters"]
    again = seeded.json(*command, "--count", 2)
    cleaned = seeded.json(*command, "--cleanup")

    check(first)
    assert (task_count, len(letters)) == (2, 2)
    assert first["failed_total"] == 0
    assert {each["status"] for each in again["targets"] if each["target"] != "catalogue"} == {
        "skipped"
    }
    assert len(client.tasks(script="abc_items", limit=100)["tasks"]) == 2
    assert cleaned["failed_total"] == 0
    assert list(scripts_folder.glob("abc_*")) == []
    assert client.dead_letters(script="abc_failing")["deadletters"] == []


def test_seeded_probe_serves_smoke(seeded: Zscrape, scripts_folder: Path) -> None:
    """`smoke --script` runs the probe that `seed` has made."""
    seeded("seed", "--prefix", "abc_", "--scripts", scripts_folder)

    assert seeded("smoke", "--script", "abc_probe", "--case", "run").exit_code == 0


def test_dry_run_of_seed_makes_nothing(on_cluster: Zscrape, scripts_folder: Path) -> None:
    """It tells what would be made."""
    told = on_cluster.json("seed", "--dry-run", "--prefix", "xyz_", "--scripts", scripts_folder)

    assert told["succeeded_total"] == 5
    assert list(scripts_folder.glob("xyz_*")) == []


def test_seed_leaves_alone_what_others_have_made(on_cluster: Zscrape, scripts_folder: Path) -> None:
    """A script of the same name without the mark is neither used nor removed."""
    mine = write_script(scripts_folder, "own_items", SOURCE)

    made = on_cluster.json("seed", "--prefix", "own_", "--scripts", scripts_folder, code=2)
    cleaned = on_cluster.json("seed", "--cleanup", "--prefix", "own_", "--scripts", scripts_folder)
    is_there = mine.is_dir()
    shutil.rmtree(mine)

    assert made["errors"][0]["target"] == "script:own_items"
    assert {each["target"] for each in cleaned["targets"]} >= {"script:own_probe"}
    assert "script:own_items" not in {each["target"] for each in cleaned["targets"]}
    assert is_there


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--prefix", "a"], "--prefix a"),
        (["--prefix", "../x"], "--prefix ../x"),
        ([], "--scripts"),
        (["--profile", "huge"], "--profile"),
    ],
)
def test_bad_input_of_seed_is_3(on_cluster: Zscrape, arguments: list[str], told: str) -> None:
    """A prefix that means others' scripts, and a missing folder, are refused."""
    result = on_cluster("seed", *arguments)

    assert result.exit_code == 3
    assert told in result.stderr
