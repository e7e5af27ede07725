"""`deadletters list retry drop` against a real gateway."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cluster, Zscrape
from tests.ops.standard import check, report_of, summary_of
from zscrape.client import Client, find_gateway


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Client]:
    """A client of the cluster."""
    with Client(find_gateway(home=cluster.home, environ={})) as client:
        yield client


@pytest.fixture
def letter_id(client: Client) -> Iterator[str]:
    """The id of a task whose tries are used up; the list is empty afterwards."""
    retry = {"max": 1, "backoff": [0.01]}
    yield str(client.run("steps", {"fail": True}, retry=retry)["request_id"])
    client.drop_dead_letters(all=True)


def test_list_is_a_table(on_cluster: Zscrape, letter_id: str) -> None:
    """Each dead letter is a line with its reason, its last error and its tries."""
    told = on_cluster("deadletters", "list")
    document = on_cluster.json("deadletters", "list", "--script", "steps", "--since", "1h")
    empty = on_cluster("deadletters", "list", "--reason", "poison", "--lang", "ko")

    words = told.stdout.splitlines()[1].split()
    assert words[:6] == [letter_id, "steps", "1.0.0", "retry_exhausted", "script_error", "1"]
    assert [letter["request_id"] for letter in document["deadletters"]] == [letter_id]
    assert "데드 레터가 없습니다" in empty.stderr


def test_list_pages(on_cluster: Zscrape, client: Client, letter_id: str) -> None:
    """A page says how to get the next."""
    client.run("steps", {"fail": True}, retry={"max": 1, "backoff": [0.01]})

    page = on_cluster("deadletters", "list", "--limit", "1")

    cursor = page.stderr.split("--cursor ")[1].strip()
    following = on_cluster.json("deadletters", "list", "--cursor", cursor)
    assert [letter["request_id"] for letter in following["deadletters"]] == [letter_id]


def test_retry_makes_new_tasks(on_cluster: Zscrape, client: Client, letter_id: str) -> None:
    """A retried letter is off the list and says what it was retried as."""
    foretold = on_cluster("deadletters", "retry", "--all", "--dry-run")
    told = on_cluster("deadletters", "retry", letter_id)

    new_id = told.stdout.split()[1]
    assert "1 would be retried" in foretold.stderr
    assert told.exit_code == 0
    assert client.task(new_id, wait_s=10)["retry_of"] == letter_id
    assert client.task(letter_id)["retried_as"] == new_id


def test_unknown_letters_are_told(on_cluster: Zscrape, letter_id: str) -> None:
    """Some failed is 2, all failed is 1, and the machine's view names each."""
    some = on_cluster.json("deadletters", "drop", letter_id, "nope", code=2)
    every = on_cluster("deadletters", "drop", "nope")

    assert (some["dropped_count"], some["failed_count"]) == (1, 1)
    assert every.exit_code == 1
    assert "nope" in every.stderr


def test_drop_by_filter(on_cluster: Zscrape, letter_id: str) -> None:
    """Dropped letters stay in the history; a dry run drops nothing."""
    dry = on_cluster.json("deadletters", "drop", letter_id, "--dry-run")
    told = on_cluster("deadletters", "drop", "--script", "steps", "--reason", "retry_exhausted")
    left = on_cluster.json("deadletters", "list")

    assert dry["deadletters"][0]["request_id"] == letter_id
    assert "Dropped: 1" in told.stderr
    assert left["deadletters"] == []
    assert on_cluster.json("tasks", "show", letter_id)["dropped_reason"] == "retry_exhausted"


@pytest.mark.parametrize("arguments", [[], ["--all", "some-id"]])
def test_selection_must_be_clear(on_cluster: Zscrape, arguments: list[str]) -> None:
    """Nothing selected, or ids and a filter at once, changes nothing."""
    assert on_cluster("deadletters", "retry", *arguments).exit_code == 3


def failed(client: Client, count: int, **more: Any) -> list[str]:
    """Make dead letters and return their ids."""
    retry = {"max": 1, "backoff": [0.01]}
    runs = [client.run("flaky", {"good_at": 9 + n}, retry=retry, **more) for n in range(count)]
    return [str(each["request_id"]) for each in runs]


@pytest.fixture
def emptied(client: Client) -> Iterator[None]:
    """No dead letter is left behind."""
    yield
    client.drop_dead_letters(all=True)


def test_manual_9_4_rounds_retry_what_fails_again(
    on_cluster: Zscrape, client: Client, emptied: None
) -> None:
    """Each round does again what is a dead letter once more, until it succeeds."""
    retry = {"max": 1, "backoff": [0.01]}
    after = {"after": time.time() + 2}
    letter_id = client.run("flaky", after, retry=retry)["request_id"]

    told = on_cluster.json("deadletters", "retry", "--all", "--rounds", 100)

    check(told)
    assert (told["succeeded_total"], told["retried_total"]) == (1, 1)
    assert told["deadletters"][0]["request_id"] == letter_id
    assert client.dead_letters()["deadletters"] == []


def test_manual_9_9_gates_of_dead_letters(
    on_cluster: Zscrape, client: Client, tmp_path: Path, emptied: None
) -> None:
    """What fails for good counts as dropped; `--max-dropped-total` is its gate."""
    failed(client, 2)
    files = ["--json-output", tmp_path / "s.json", "--junit-output", tmp_path / "r.xml"]

    waited = on_cluster("deadletters", "retry", "--script", "flaky", "--wait", *files)
    summary, suite = summary_of(tmp_path / "s.json"), report_of(tmp_path / "r.xml")
    gated = on_cluster("deadletters", "retry", "--all", "--rounds", 2, "--max-dropped-total", 2)
    ratio = on_cluster("deadletters", "retry", "--all", "--wait", "--max-retry-ratio-pct", 20)

    assert (waited.exit_code, gated.exit_code, ratio.exit_code) == (1, 1, 1)
    assert summary["failed_total"] == 2
    assert suite.get("failures") == "2"
    assert "Gate max_failed" not in gated.stderr
    assert "Gate max_retry_ratio: 100 is more than 20" in ratio.stderr


def test_limit_and_dry_run_of_a_retry(on_cluster: Zscrape, client: Client, emptied: None) -> None:
    """A limit bounds what is taken, a dry run takes nothing."""
    failed(client, 3)

    would = on_cluster.json("deadletters", "retry", "--all", "--dry-run", "--limit", 2)
    left = len(client.dead_letters()["deadletters"])
    done = on_cluster.json("deadletters", "retry", "--all", "--limit", 2)

    assert (would["dry_run"], would["skipped_total"], left) == (True, 2, 3)
    assert (done["targets_total"], done["succeeded_total"]) == (2, 2)


def test_groups_of_a_batch_choose_dead_letters(
    on_cluster: Zscrape, client: Client, emptied: None
) -> None:
    """The group that a batch has noted with its tasks."""
    failed(client, 1, metadata={"group": "kr"})
    failed(client, 2, metadata={"group": "us"})

    told = on_cluster.json("deadletters", "retry", "--group", "kr,jp")

    assert told["targets_total"] == 1
    assert len(client.dead_letters()["deadletters"]) >= 2
