"""`zscrape sessions`, and scripts of a real cluster that are lent sessions."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Zscrape, write_script

MEMBER = """
def run(site: str, act: str = "", *, ctx):
    with ctx.session(site, "kim") as session:
        had = {each.name: each.value for each in ctx.http.cookies.jar}
        if session.needs_login:
            ctx.http.cookies.set("sid", f"of-{ctx.task_id}", domain=site)
        if act == "expire":
            ctx.fail("login_expired", "the shop asks for a login")
        if act == "crash":
            import os
            os._exit(3)
    return {"status": session.status, "had": had, "left": len(ctx.http.cookies.jar)}
"""
LATER = """
async def run(site: str, *, ctx):
    async with ctx.session(site, "kim", shared=True) as session:
        return session.status
"""
COOKIES = "shop.example\tFALSE\t/\tTRUE\t0\tsid\tfrom-a-file\n"


def test_a_script_logs_in_once_and_again_when_it_must(
    on_cluster: Zscrape, scripts_folder: Path
) -> None:
    """A login is kept for the next run, a bad one is not lent, and a crash frees the lease."""
    write_script(scripts_folder, "member", MEMBER, kit=["http"])
    write_script(scripts_folder, "later", LATER, kit=["http"])
    run = ("run", "member", "-psite=one.example")
    first = on_cluster.json(*run)
    second = on_cluster.json(*run)
    expired = on_cluster.json(*run, "-pact=expire", code=1)
    bad = on_cluster.json("sessions", "show", "one.example", "kim")
    third = on_cluster.json(*run)
    crashed = on_cluster.json(*run, "-pact=crash", code=1)
    fourth = on_cluster.json(*run)
    on_cluster("sessions", "grant", "one.example", "kim", "--script", "later")
    shared = on_cluster.json("run", "later", "-psite=one.example")
    denied = on_cluster.json(*run, code=1)
    listed = on_cluster("sessions", "list", "--site", "one.example")

    assert first["data"] == {"status": "new", "had": {}, "left": 0}
    assert second["data"]["had"] == {"sid": f"of-{first['request_id']}"}
    assert expired["error"]["code"] == "login_expired"
    assert (bad["status"], bad["reason"], bad["bad_count"]) == ("bad", "login_expired", 1)
    assert bad["leases"] == []
    assert third["data"] == {"status": "bad", "had": {}, "left": 0}
    assert crashed["error"]["code"] == "crashed"
    assert fourth["data"]["had"] == {"sid": f"of-{third['request_id']}"}
    assert shared["data"] == "good"
    assert "sessions grant one.example kim --script member" in denied["error"]["message"]
    assert "one.example" in listed.stdout


def test_cookies_of_a_file_are_a_session(
    on_cluster: Zscrape, scripts_folder: Path, tmp_path: Path
) -> None:
    """Imported for a script, lent to it, shown without the value, removed."""
    write_script(scripts_folder, "guest", MEMBER, kit=["http"])
    (tmp_path / "cookies.txt").write_text(COOKIES)
    place = ("shop.example", "kim")
    kept = on_cluster("sessions", "import", *place, "cookies.txt", "--script", "guest")
    ran = on_cluster.json("run", "guest", "-psite=shop.example")
    shown = on_cluster("sessions", "show", *place)
    removed = on_cluster("sessions", "remove", *place)
    again = on_cluster("sessions", "remove", *place)
    (tmp_path / "none.txt").write_text("nothing")
    empty = on_cluster("sessions", "import", *place, "none.txt")

    assert kept.exit_code == 0, kept.output
    assert ran["data"]["had"] == {"sid": "from-a-file"}
    assert "good" in shown.stdout
    assert "from-a-file" not in kept.output + shown.output
    assert (removed.exit_code, again.exit_code, empty.exit_code) == (0, 3, 3)
    assert "cookies.txt" in empty.stderr
