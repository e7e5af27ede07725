"""`token` and taking workers' keys back, against a running gateway."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cluster, Zscrape
from tests.link_keys import join_by_hand
from zscrape.config import parse_token


def test_printed_line_is_a_command(on_cluster: Zscrape, cluster: Cluster) -> None:
    """Standard output has the line to paste and nothing else; a loopback address is warned of."""
    result = on_cluster("token", "create", "--name", "rack", "--lang", "ko")

    program, verb, option, token = result.stdout.split()
    assert (program, verb, option) == ("zscrape", "worker", "--join")
    assert parse_token(token).addresses == (cluster.link,)
    assert "이 컴퓨터의 워커만" in result.stderr


def test_token_is_listed_and_revoked(on_cluster: Zscrape) -> None:
    """What was made is shown without its secret; once revoked it stays as such."""
    asked = ("--uses", "2", "--expires-in", "never", "--address", "tcp://10.0.0.1:5555")
    made = on_cluster.json("token", "create", "--name", "two", *asked)
    table = on_cluster("token", "list")
    revoked = on_cluster("token", "revoke", made["id"])
    listed = {row["id"]: row for row in on_cluster.json("token", "list")["tokens"]}

    assert "two" in table.stdout
    assert made["token"] not in table.stdout
    assert revoked.exit_code == 0
    assert listed[made["id"]]["status"] == "revoked"
    assert (made["addresses"], made["expires_at"]) == (["tcp://10.0.0.1:5555"], None)


def test_workers_key_is_taken_back(on_cluster: Zscrape) -> None:
    """A worker that has joined is revoked, then removed, by its id; then it is not known."""
    token = on_cluster.json("token", "create")["token"]
    join_by_hand(token, "spare")

    codes = [
        on_cluster("workers", verb, "spare").exit_code for verb in ("revoke", "remove", "remove")
    ]

    assert codes == [0, 0, 3]


@pytest.mark.parametrize(
    "arguments",
    [
        ("token", "create", "--expires-in", "soon"),
        ("token", "create", "--expires-in", "0s"),
        ("token", "create", "--uses", "0"),
        ("token", "create", "--address", "10.0.0.1:5555"),
        ("token", "revoke", "none"),
        ("token", "rotate-key", "--overlap", "later"),
    ],
)
def test_bad_input_is_3(on_cluster: Zscrape, arguments: tuple[str, ...]) -> None:
    """What cannot be is told, and nothing is made."""
    before = on_cluster.json("token", "list")
    result = on_cluster(*arguments)

    assert result.exit_code == 3
    assert result.stderr
    assert on_cluster.json("token", "list") == before


def test_doctor_tells_of_open_keys(zscrape: Zscrape, tmp_path: Path) -> None:
    """A worker's key that others can read is broken, with the command that mends it."""
    path = tmp_path / "home" / "workers" / "1.key"
    path.parent.mkdir(parents=True)
    path.write_text('secret = "x"\n', encoding="utf-8")
    path.chmod(0o644)

    checks = [
        check for check in zscrape.json("doctor", code=1)["checks"] if check["name"] == "link_keys"
    ]

    assert [check["status"] for check in checks] == ["broken"]
    assert f"chmod 600 {path}" in checks[0]["detail"]
