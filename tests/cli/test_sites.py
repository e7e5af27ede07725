"""`sites`, against a running gateway."""

from __future__ import annotations

from tests.cli.conftest import Zscrape


def test_a_budget_is_set_listed_and_removed(on_cluster: Zscrape) -> None:
    """What is set is told in words, in both languages, and gone once removed."""
    kept = on_cluster("sites", "set", "Shop.example", "--rate", "2/s", "--concurrency", "3")
    lifted = on_cluster.json("sites", "set", "other.example")
    table = on_cluster("sites", "list")
    korean = on_cluster("sites", "list", "--lang", "ko")
    removed = on_cluster("sites", "remove", "shop.example")
    on_cluster("sites", "remove", "other.example")
    empty = on_cluster("sites", "list")

    assert kept.stdout == "shop.example: 2/s, 3 at once\n"
    assert (lifted["budget"], lifted["source"]) == ({}, "operator")
    assert "2/s, 3 at once" in table.stdout
    assert "no limit" in table.stdout
    assert "2/s, 동시 3개" in korean.stdout
    assert "shop.example" in removed.stdout
    assert "zscrape sites set example.com" in empty.stderr


def test_what_is_no_budget_is_refused(on_cluster: Zscrape) -> None:
    """A wrong rate, name or number is told, and is the input's fault."""
    tried = [
        on_cluster("sites", "set", "a.example", "--rate", "fast"),
        on_cluster("sites", "set", "a b", "--rate", "2/s"),
        on_cluster("sites", "set", "a.example", "--gap", "0"),
        on_cluster("sites", "remove", "none.example"),
    ]

    assert [each.exit_code for each in tried] == [3, 3, 3, 3]
    assert "2/s or 30/min" in tried[0].stderr
