"""A client that was written for Scrapyd against a real cluster."""

from __future__ import annotations

import io
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from scrapyd_api import ScrapydAPI
from scrapyd_api.exceptions import ScrapydResponseError

from tests.cli.conftest import Cluster
from zscrape.client import Client


@pytest.fixture
def key(cluster: Cluster) -> str:
    """The gateway's key."""
    found: str = tomllib.loads((cluster.home / "client.toml").read_text())["key"]
    return found


@pytest.fixture
def scrapyd(cluster: Cluster, key: str) -> Iterator[Any]:
    """The other product's own client, with the key as its password."""
    api = ScrapydAPI(cluster.http, auth=("zscrape", key), timeout=30)
    yield api
    api.client.close()


def test_every_call_of_the_client_works(cluster: Cluster, scrapyd: Any) -> None:
    """A program that schedules, looks, and lists goes on working."""
    job = scrapyd.schedule("steps", "steps", count="2")
    with Client(home=cluster.home) as client:
        task = client.wait(job, timeout_s=60)

    assert task.is_completed
    assert task.data == [{"number": 1, "text": "한글"}, {"number": 2, "text": "한글"}]
    assert scrapyd.job_status("steps", job) == "finished"
    assert "steps" in scrapyd.list_projects()
    assert scrapyd.list_spiders("steps") == ["steps"]
    assert scrapyd.list_versions("steps") == ["1.0.0"]
    assert job in [each["id"] for each in scrapyd.list_jobs("steps")["finished"]]


def test_running_job_is_cancelled(cluster: Cluster, scrapyd: Any) -> None:
    """A job under way is ended, and says what it was doing."""
    job = scrapyd.schedule("default", "steps", count="1000", pause_s="1.0", jobid="long-one")
    with Client(home=cluster.home) as client:
        (task,) = list(client.tasks(script="steps", status="queued,assigned,running")["tasks"])
        next(events := client.follow(task["request_id"]))  # it has begun
        before = scrapyd.cancel("steps", job)
        events.close()
        ended = client.wait(task["request_id"], timeout_s=60)

    assert (job, before) == ("long-one", "running")
    assert ended.status == "cancelled"
    assert scrapyd.job_status("steps", job) == "finished"


def test_refusals_are_the_client_s_own_errors(scrapyd: Any) -> None:
    """What has no counterpart is an error of that client, with what to do."""
    with pytest.raises(ScrapydResponseError, match="scripts publish"):
        scrapyd.add_version("steps", "2", io.BytesIO(b"egg"))
    with pytest.raises(ScrapydResponseError, match="no Scrapy settings"):
        scrapyd.schedule("steps", "steps", settings={"DOWNLOAD_DELAY": 2})
    with pytest.raises(ScrapydResponseError, match="project=default"):
        scrapyd.schedule("shop", "steps")


def test_wrong_key_is_told(cluster: Cluster) -> None:
    """Who has no key is refused, and the answer says so."""
    with ScrapydAPI(cluster.http, auth=("a", "wrong")).client as stranger:
        api = ScrapydAPI(cluster.http, client=stranger)
        with pytest.raises(ScrapydResponseError, match="401"):
            api.list_projects()


def test_crawl_answers_with_items(cluster: Cluster, key: str) -> None:
    """A call of ScrapyRT runs a script and brings its items, or its failure."""
    asked = {"spider_name": "steps", "start_requests": "true", "crawl_args": '{"count": 2}'}
    address = f"{cluster.http}/crawl.json"
    with requests.Session() as session:
        session.auth = ("any", key)
        good = session.get(address, params=asked, timeout=60)
        failing = {**asked, "crawl_args": '{"count": 0, "fail": true}'}
        bad = session.get(address, params=failing, timeout=60)

    assert [each["number"] for each in good.json()["items"]] == [1, 2]
    assert good.json()["stats"]["item_scraped_count"] == 2
    assert (bad.status_code, bad.json()["status"]) == (500, "error")
    assert "script_error" in bad.json()["message"]
