"""`deadletters list retry drop` against a real gateway."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.conftest import Cluster, Zscrape
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
