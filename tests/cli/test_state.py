"""`zscrape state`, and what scripts of a real cluster remember."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Zscrape, write_script

COUNTING = """
def run(*, ctx):
    return ctx.state.change("count", lambda count: count + 1, 0)
"""


def test_a_script_remembers_and_people_see_it(on_cluster: Zscrape, scripts_folder: Path) -> None:
    """Each run goes on where the last one was, and where a person has put it."""
    write_script(scripts_folder, "counting", COUNTING)
    ran = [on_cluster.json("run", "counting")["data"] for _ in range(2)]
    listed = on_cluster("state", "list", "counting")
    kept = on_cluster("state", "set", "counting", "count", "41")
    ran.append(on_cluster.json("run", "counting")["data"])
    told = on_cluster("state", "get", "counting", "count")
    removed = on_cluster("state", "remove", "counting", "count")
    ran.append(on_cluster.json("run", "counting")["data"])
    cleared = on_cluster.json("state", "remove", "counting", "--all")

    assert ran == [1, 2, 42, 1]
    assert "count" in listed.stdout
    assert told.stdout.strip() == "42"
    assert (kept.exit_code, removed.exit_code) == (0, 0)
    assert cleared["removed_count"] == 1


def test_text_and_json_are_told_apart(on_cluster: Zscrape) -> None:
    """A value is JSON unless it is said to be text; what is neither is a usage error."""
    wrong = on_cluster("state", "set", "steps", "k", "plain")
    on_cluster("state", "set", "steps", "k", "plain", "--text")
    as_text = on_cluster.json("state", "get", "steps", "k")
    on_cluster("state", "set", "steps", "k", stdin='{"a": [1]}')
    from_pipe = on_cluster.json("state", "get", "steps", "k")

    assert wrong.exit_code == 3
    assert "--text" in wrong.stderr
    assert as_text["value"] == "plain"
    assert from_pipe["value"] == {"a": [1]}


def test_one_or_all_is_asked_for(on_cluster: Zscrape) -> None:
    """Neither a key nor `--all`, or both, is a usage error."""
    for arguments in (("steps",), ("steps", "k", "--all")):
        assert on_cluster("state", "remove", *arguments).exit_code == 3
    missing = on_cluster("state", "get", "steps", "never")

    assert missing.exit_code == 3
    assert "never" in missing.stderr


NEWS = """
def run(names: list[str], fail_once: bool = False, *, ctx):
    for name in names:
        ctx.emit({"name": name}, key=name)
    if fail_once and ctx.attempt == 1:
        raise OSError("in the middle")
"""


def test_items_come_once_over_runs_and_none_is_lost(
    on_cluster: Zscrape, scripts_folder: Path
) -> None:
    """A retry brings the items of the try that failed; a later run leaves known ones out."""
    retry = {"max": 1, "backoff": [0.01], "on": ["script_error"]}
    write_script(scripts_folder, "news", NEWS, retry=retry)

    def run(*names: str, **more: object) -> list[str]:
        given = [f"-p{name}={json.dumps(value)}" for name, value in more.items()]
        data = on_cluster.json("run", "news", f"-pnames={json.dumps(names)}", *given)["data"]
        return [item["name"] for item in data or ()]

    first = run("a", "b", fail_once=True)
    second = run("a", "b", "c")
    third = run("a", "b", "c")
    known = on_cluster.json("state", "keys", "news")
    one = on_cluster("state", "keys", "news", "b")
    forgotten = on_cluster("state", "forget", "news", "b")
    fourth = run("a", "b", "c")
    cleared = on_cluster.json("state", "forget", "news", "--all")

    assert (first, second, third) == (["a", "b"], ["c"], [])
    assert known == {"known_count": 3}
    assert "b" in one.stdout
    assert forgotten.exit_code == 0
    assert fourth == ["b"]
    assert cleared == {"removed_count": 3}


REMEMBERING = """
def run(*, ctx):
    ctx.state["n"] = ctx.state.get("n", 0) + 1
    for number in (1, 2, 1):
        ctx.emit({"number": number}, key=number)
    with ctx.session("shop.example") as session:
        ctx.log.info(f"session {session.status}")
        ctx.http.cookies.set("sid", "x", domain="shop.example")
    with ctx.session("shop.example", shared=True) as session:
        return [ctx.state["n"], session.status]
"""


def test_a_script_remembers_without_a_cluster_as_long_as_it_runs(
    zscrape: Zscrape, tmp_path: Path
) -> None:
    """Run by its path it has state, keys and sessions, and the next run begins with none."""
    folder = write_script(tmp_path, "forgetful", REMEMBERING, kit=["http"])
    ran = [zscrape.json("run", folder) for _ in range(2)]

    assert [each["data"] for each in ran] == [[1, "good"], [1, "good"]]
    assert [each["item_count"] for each in ran] == [2, 2]
