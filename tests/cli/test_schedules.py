"""`schedules` and `locks` against a real gateway."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.conftest import Cluster, Zscrape
from zscrape.client import Client, ClientError, Document, find_gateway


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Client]:
    """A client of the cluster, which leaves no schedule behind."""
    with Client(find_gateway(home=cluster.home, environ={})) as client:
        yield client
        for schedule in client.schedules()["schedules"]:
            client.remove_schedule(schedule["id"])


DAILY = ("--cron", "30 3 * * *", "--zone", "Asia/Seoul", "-p", "count=2")


def test_add_shows_the_next_ten_first(on_cluster: Zscrape, client: Client) -> None:
    """Ten moments with their days are told before the schedule is kept."""
    added = on_cluster("schedules", "add", "nightly", "steps@^1", *DAILY, "--overlap", "queue_one")
    shown = on_cluster("schedules", "show", "nightly", "--lang", "ko")

    kept = client.schedule("nightly")
    assert added.exit_code == 0, added.output
    assert added.stdout.count(" 03:30:00+09:00") == 10
    assert "Added the schedule nightly." in added.stdout
    assert (kept["overlap"], kept["version"], kept["parameters"]) == (
        "queue_one",
        "^1",
        {"count": 2},
    )
    assert "겹침 처리" in shown.stdout
    assert shown.stdout.count(" 03:30:00+09:00") == 10


def test_dry_run_keeps_nothing(on_cluster: Zscrape, client: Client) -> None:
    """With `--dry-run` the moments are shown and nothing is saved."""
    told = on_cluster("schedules", "add", "n", "steps", "--every", "1h30m", "--dry-run")
    document = on_cluster.json("schedules", "add", "n", "steps", "--every", "60", "--dry-run")

    assert told.exit_code == 0
    assert len(document["next"]) == 10
    assert client.schedules()["schedules"] == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--cron", "61 * * * *"), "minute"),
        ((), "either `cron` or `interval`"),
        (("--every", "1h", "--zone", "Asia/Seul"), "Asia/Seoul"),
        (("--every", "1h", "-p", "nope=1"), "nope"),
    ],
)
def test_bad_schedules_are_3(
    on_cluster: Zscrape, client: Client, options: tuple[str, ...], words: str
) -> None:
    """What is wrong is told in words, and the caller can mend it."""
    told = on_cluster("schedules", "add", "n", "steps", *options)

    assert told.exit_code == 3
    assert words in told.stderr


def test_list_pause_resume_remove(on_cluster: Zscrape, client: Client) -> None:
    """The list says where each schedule stands, and the verbs change that."""
    empty = on_cluster("schedules", "list")
    on_cluster("schedules", "add", "nightly", "steps", *DAILY)
    paused = on_cluster("schedules", "pause", "nightly")
    listed = on_cluster("schedules", "list")
    resumed = on_cluster("schedules", "resume", "nightly", "--lang", "ko")
    removed = on_cluster("schedules", "remove", "nightly")
    gone = on_cluster("schedules", "show", "nightly")

    assert "no schedules" in empty.stderr
    assert "is paused" in paused.stdout
    assert listed.stdout.split()[-9:-6] == ["nightly", "steps", "30"]
    assert listed.stdout.split()[-1] == "paused"
    assert "03:30:00+09:00" in resumed.stdout
    assert removed.exit_code == 0
    assert gone.exit_code == 3


def test_trigger_locks_and_occurrences(on_cluster: Zscrape, client: Client) -> None:
    """A triggered task holds its lock, which is shown and can be broken; all is on record."""
    on_cluster("schedules", "add", "slow", "steps", "--cron", "@yearly", "-p", "pause_s=20")

    task_id = on_cluster("schedules", "trigger", "slow").stdout.strip()
    again = on_cluster("schedules", "trigger", "slow")
    told = on_cluster("schedules", "occurrences", "slow")
    [lock] = on_cluster.json("locks", "list")["locks"]
    table = on_cluster("locks", "list")
    broken = on_cluster("locks", "break", lock["key"])
    ended = client.task(task_id, wait_s=20)

    assert again.exit_code == 3
    assert task_id in again.stderr
    statuses = [line.split()[2] for line in told.stdout.splitlines()[1:]]
    assert statuses == ["skipped_due_to_lock", "fired"]
    assert lock["holder"] == task_id
    assert lock["key"] in table.stdout
    assert broken.exit_code == 0
    assert task_id in broken.stdout
    assert (ended["status"], ended["error"]["details"]["what"]) == ("cancelled", "lock_broken")


def test_nobody_holds_a_lock(on_cluster: Zscrape, client: Client) -> None:
    """An empty list is told, and breaking what nobody holds is the caller's to mend."""
    assert on_cluster("locks", "break", "none").exit_code == 3
    with pytest.raises(ClientError):
        client.break_lock("none", is_forced=True)


def test_a_schedule_of_seconds_fires(on_cluster: Zscrape, client: Client) -> None:
    """A schedule of every second makes tasks on a real cluster, and says so."""
    on_cluster("schedules", "add", "often", "kept", "--every", "1", "--overlap", "allow")

    found: list[Document] = []
    while len(found) < 2:
        found = client.occurrences("often", status="fired")["occurrences"]
    ended = client.task(found[-1]["request_id"], wait_s=20)
    changed = client.change_schedule("often", {"interval": 3600})

    assert (ended["status"], ended["origin"]) == ("completed", "schedule")
    assert changed["interval"] == 3600
