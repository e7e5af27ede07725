"""`scripts list new check`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import STEPS, Cluster, Zscrape, write_script
from zscrape.client import Client, find_gateway
from zscrape.ops.starters import STARTERS


def test_list_shows_the_catalogue(on_cluster: Zscrape) -> None:
    """Each script is a row with its newest version."""
    result = on_cluster("scripts", "list")
    names = [script["name"] for script in on_cluster.json("scripts", "list")["scripts"]]

    assert "steps   1.0.0    Counts" in result.stdout
    assert names == ["asks", "big", "broken", "flaky", "kept", "picky", "steps"]


def test_list_says_which_repository_cannot_be_read(
    on_cluster: Zscrape, cluster: Cluster, scripts_folder: Path
) -> None:
    """What was asked for before is shown, and why the rest is not."""
    with Client(find_gateway(home=cluster.home)) as client:
        client.schema("steps")
    away = scripts_folder.rename(scripts_folder.with_name("away"))
    try:
        result = on_cluster("scripts", "list")
    finally:
        away.rename(scripts_folder)

    assert result.exit_code == 0
    assert "steps" in result.stdout
    assert "scripts cannot be read: the folder cannot be read" in result.stderr


def test_new_script_checks_and_is_complete(zscrape: Zscrape, tmp_path: Path) -> None:
    """What `new` makes passes `check` without a warning."""
    made = zscrape("scripts", "new", "my_script", "--author", "kim")
    checked = zscrape.json("scripts", "check", "my_script")

    manifest = json.loads((tmp_path / "my_script" / "metadata.json").read_text(encoding="utf-8"))
    (report,) = checked["scripts"]
    assert made.exit_code == 0
    assert "zscrape run ./my_script" in made.stderr
    assert manifest["author"] == "kim"
    assert (report["errors"], report["warnings"]) == ([], [])
    assert set(report["parameters"]) == {"url", "limit"}


@pytest.mark.parametrize("template", sorted(STARTERS))
def test_every_template_is_offered_and_checks(zscrape: Zscrape, template: str) -> None:
    """Each makes a script without a warning; `--help` names them all."""
    made = zscrape("scripts", "new", "begun", "--template", template)
    (report,) = zscrape.json("scripts", "check", "begun")["scripts"]
    told = zscrape("scripts", "new", "--help", "--lang", "en").stdout

    assert made.exit_code == 0
    assert (report["errors"], report["warnings"]) == ([], [])
    assert template in told


def test_new_script_runs_against_a_page(zscrape: Zscrape, site_url: str) -> None:
    """The new script works as it is: it reads a page and yields its links."""
    zscrape("scripts", "new", "fresh")

    envelope = zscrape.json("run", "./fresh", "-p", f"url={site_url}/", "-p", "limit=2")

    assert envelope["status"] == "completed"
    assert [row["number"] for row in envelope["data"]] == [1, 2]


@pytest.mark.parametrize(
    ("template", "path", "count", "names"),
    [
        ("api", "/api/products", 60, {"sku", "name", "category", "price", "stock"}),
        ("crawl", "/", 3, {"url", "title"}),
    ],
)
def test_every_template_checks_and_runs(
    zscrape: Zscrape, site_url: str, template: str, path: str, count: int, names: set[str]
) -> None:
    """Whatever a script begins as, it passes `check` and works as it is."""
    zscrape("scripts", "new", "begun", "--template", template)
    (report,) = zscrape.json("scripts", "check", "begun")["scripts"]
    address = ("-p", f"url={site_url}{path}", "-p", "max_pages=3")

    envelope = zscrape.json("run", "./begun", *address)

    assert (report["errors"], report["warnings"]) == ([], [])
    assert envelope["status"] == "completed"
    assert len(envelope["data"]) == count
    assert set(envelope["data"][0]) == names


def test_check_tells_every_requirement_at_fault(zscrape: Zscrape, tmp_path: Path) -> None:
    """Lines that no worker would install are told with their numbers, before anything runs."""
    zscrape("scripts", "new", "needy")
    (tmp_path / "needy" / "requirements.txt").write_text("-e .\nlxml>=5\n./wheel\n")

    (report,) = zscrape.json("scripts", "check", "needy", code=1)["scripts"]

    assert [(each["pointer"], each["code"]) for each in report["errors"]] == [
        ("/files/requirements.txt/1", "requirement_option"),
        ("/files/requirements.txt/3", "requirement_path"),
    ]


@pytest.mark.parametrize("name", ["Bad Name", "-x", "x" * 65])
def test_name_that_no_script_can_have_is_refused(zscrape: Zscrape, name: str) -> None:
    """A name outside the grammar is refused before anything is written."""
    result = zscrape("scripts", "new", "--", name)

    assert result.exit_code == 3
    assert not Path(name).exists()


def test_new_never_overwrites(zscrape: Zscrape, tmp_path: Path) -> None:
    """A folder with something in it is left alone."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "main.py").write_text("precious", encoding="utf-8")

    result = zscrape("scripts", "new", "mine", "--lang", "ko")

    assert result.exit_code == 3
    assert "빈 폴더가 아닙니다" in result.stderr
    assert (tmp_path / "mine" / "main.py").read_text(encoding="utf-8") == "precious"


def test_check_tells_every_fault_at_once(zscrape: Zscrape, tmp_path: Path) -> None:
    """Faults of the manifest come together, each with its place."""
    write_script(tmp_path, "bad", STEPS, timeout=-1, kit=["nothing"])

    result = zscrape("scripts", "check", "bad")

    assert result.exit_code == 1
    assert "/timeout" in result.stdout
    assert "/kit/0" in result.stdout


def test_check_calls_an_unknown_field_an_error(zscrape: Zscrape, tmp_path: Path) -> None:
    """A field that nothing knows passes at run time but not the check."""
    write_script(tmp_path, "odd", STEPS, author="k", description="d", timeuot=3)

    (report,) = zscrape.json("scripts", "check", "odd", code=1)["scripts"]

    assert report["errors"][0]["pointer"] == "/timeuot"


def test_check_warns_of_what_publishing_needs(zscrape: Zscrape, tmp_path: Path) -> None:
    """Without a description and an author a script runs, and the check says what is missing."""
    write_script(tmp_path, "plain", STEPS)

    result = zscrape("scripts", "check", "plain")

    assert result.exit_code == 0
    assert "/author" in result.stdout
    assert "-p count: integer = 3" in result.stdout


def test_check_of_several_counts_those_that_fail(zscrape: Zscrape, tmp_path: Path) -> None:
    """Some failed is 2; an entry point that is missing and a path without a script are told."""
    write_script(tmp_path, "good", STEPS)
    write_script(tmp_path, "lost", STEPS, entry_point="other.py")

    result = zscrape("scripts", "check", "good", "lost", "nowhere")

    assert result.exit_code == 2
    assert "other.py" in result.stdout
    assert "nowhere" in result.stdout


def test_check_reads_a_version_folder(zscrape: Zscrape, tmp_path: Path) -> None:
    """`<name>/<version>/` is a script too."""
    made = write_script(tmp_path / "elsewhere", "many", STEPS, version="1.2.0")
    (tmp_path / "many").mkdir()
    made.rename(tmp_path / "many" / "1.2.0")

    (report,) = zscrape.json("scripts", "check", "many/1.2.0")["scripts"]

    assert (report["name"], report["version"]) == ("many", "1.2.0")


def test_refresh_tells_of_every_repository(on_cluster: Zscrape) -> None:
    """The repositories are looked at, in words and for machines."""
    told = on_cluster("scripts", "refresh")
    document = on_cluster.json("scripts", "refresh")

    assert told.exit_code == 0
    assert "scripts: nothing new" in told.stdout
    assert document == {
        "changed": False,
        "repositories": [{"name": "scripts", "changed": False}],
    }


def test_prefetch_names_the_workers(on_cluster: Zscrape, cluster: Cluster) -> None:
    """Which workers get the script ready is told; without one that fits, that too."""
    told = on_cluster("scripts", "prefetch", "steps@^1")
    none = on_cluster("scripts", "prefetch", "picky")
    unknown = on_cluster("scripts", "prefetch", "stepz")
    with Client(find_gateway(home=cluster.home)) as client:
        while True:  # nothing announces it; the next beat carries it
            shown = client.script("steps")
            if shown["cached_on"]:
                break

    assert told.stdout.strip() == f"steps 1.0.0 is being made ready on: {cluster.worker_id}"
    assert "No worker could run picky 1.0.0" in none.stderr
    assert (unknown.exit_code, "steps" in unknown.stderr) == (3, True)
    assert shown["cached_on"] == [cluster.worker_id]


def test_channel_is_promoted_and_rolled_back(on_cluster: Zscrape) -> None:
    """A run by channel uses what was promoted."""
    promoted = on_cluster("scripts", "promote", "big@1.0.0", "canary")
    envelope = on_cluster.json("run", "big@canary", "--detach")
    back = on_cluster("scripts", "rollback", "big", "canary")
    document = on_cluster.json("scripts", "promote", "big")

    assert promoted.stdout.strip() == "big@canary is 1.0.0 now (before: -)"
    assert envelope["status"]
    assert (back.exit_code, "big@canary" in back.stderr) == (3, True)
    assert (document["channel"], document["version"]) == ("stable", "1.0.0")
