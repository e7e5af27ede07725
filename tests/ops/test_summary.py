"""Summaries: the schema, the run id, the gates (manual 2.3, 9.9)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.ops.standard import report_of, summary_of
from zscrape.ops.junit import junit_document
from zscrape.ops.masks import Masks
from zscrape.ops.summary import Gates, Summary, TargetEnd, new_run_id, utc_now


def made(*ends: TargetEnd) -> Summary:
    """Return the summary of a run with these ends."""
    summary = Summary(
        script="batch",
        run_id=new_run_id(),
        started_at=utc_now(),
        ended_at=utc_now(),
        targets_total=len(ends),
    )
    for end in ends:
        summary.count(end)
    return summary


def test_run_id_is_the_moment_and_four_digits() -> None:
    """`20260210T143001Z-8f1c`: UTC, whatever the zone of the clock."""
    run_id = new_run_id(datetime(2026, 2, 10, 14, 30, 1, tzinfo=UTC))

    assert run_id.startswith("20260210T143001Z-")
    assert len(run_id) == 21


def test_manual_2_3_summary_has_the_standard_schema(tmp_path: Path) -> None:
    """Every field of the manual and of the contract, moments in UTC with their zone."""
    summary = made(
        TargetEnd("org:30"),
        TargetEnd("org:31", "failed", "DB timeout"),
        TargetEnd("org:32", "skipped", "done before"),
    )
    (tmp_path / "summary.json").write_bytes(summary.encode())

    document = summary_of(tmp_path / "summary.json")

    assert document["errors"] == [{"target": "org:31", "reason": "DB timeout"}]
    assert (document["processed_total"], document["skipped_total"]) == (2, 1)


@pytest.mark.parametrize(
    ("fates", "ending"),
    [
        ("", "succeeded"),
        ("s", "succeeded"),
        ("sk", "succeeded"),
        ("sf", "some_failed"),
        ("f", "failed"),
        ("fk", "failed"),
    ],
)
def test_manual_2_2_the_ending_is_counted_from_targets(fates: str, ending: str) -> None:
    """Skipped targets are neither: they change no ending."""
    names = {"s": "succeeded", "f": "failed", "k": "skipped"}

    summary = made(*(TargetEnd(str(n), names[fate]) for n, fate in enumerate(fates)))  # type: ignore[arg-type]

    assert summary.ending == ending


def test_manual_9_9_gates_let_the_limit_pass_and_no_more() -> None:
    """`failed > max` and `retried / processed * 100 > max` break a gate, equality does not."""
    ends = [TargetEnd(str(n), "failed" if n < 2 else "succeeded") for n in range(10)]
    ends[5] = TargetEnd("5", is_retried=True)
    summary = made(*ends)

    open_gates = Gates(max_failed=2, max_retry_ratio_pct=10).breaches(summary)
    shut = Gates(max_failed=1, max_retry_ratio_pct=9.9).breaches(summary)

    assert open_gates == []
    assert [(breach.gate, breach.value, breach.limit) for breach in shut] == [
        ("max_failed", 2, 1),
        ("max_retry_ratio", 10.0, 9.9),
    ]
    assert Gates(max_retry_ratio_pct=0).breaches(made()) == []


def test_junit_report_names_every_target(tmp_path: Path) -> None:
    """A parser reads it; what XML cannot hold is left out; the unreached are told."""
    ends = [
        TargetEnd("https://a.example/?x=1&y=<2>", elapsed_s=0.25),
        TargetEnd("bad \x00 name", "failed", "timeout: 30 s\nline \x1b two ]]>"),
        TargetEnd("old", "skipped", "done before"),
    ]
    summary = made(*ends)
    summary.targets_total = 5
    (tmp_path / "report.xml").write_bytes(junit_document(summary, ends))

    suite = report_of(tmp_path / "report.xml")

    names = [case.get("name") for case in suite.findall("testcase")]
    (failure,) = suite.findall("testcase/failure")
    assert names == ["https://a.example/?x=1&y=<2>", "bad  name", "old", "(not reached)"]
    assert (failure.get("type"), failure.get("message")) == ("timeout", "timeout: 30 s")


@pytest.mark.parametrize(
    "told",
    [
        "https://user:hunter22@shop.example/a",
        "https://shop.example/a?api_key=hunter22&page=2",
        "https://shop.example/?x=1&access_token=hunter22",
        "Authorization: Bearer hunter22abc",
        "password = 'hunter22'",
        '{"token": "hunter22"}',
        "the known one is s3cr3t-of-ours",
    ],
)
def test_manual_6_3_secrets_are_masked(told: str) -> None:
    """Users of addresses, keys in queries, tokens and whatever is known to be secret."""
    shown = Masks(["s3cr3t-of-ours"]).apply(told)

    assert "hunter22" not in shown
    assert "s3cr3t" not in shown
    assert "********" in shown


@pytest.mark.parametrize(
    "told",
    ["https://shop.example/?key_count=2&page=3", "lock_held: the key {url} is held", "a@b.c"],
)
def test_masks_leave_ordinary_words_alone(told: str) -> None:
    """What is no secret stays readable."""
    assert Masks([""]).apply(told) == told
