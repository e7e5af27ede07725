"""The guard against a slower product: what it compares, and what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.compare import changes, main

GOALS = {
    "path.p50_ratio": (2.0, False),
    "path.rate_ratio_16": (0.5, True),
    "store.recovery_s": (10.0, False),
}
STORED = {"path.p50_ratio": 1.0, "path.rate_ratio_16": 0.6, "store.recovery_s": 1.0}


def write(path: Path, figures: dict[str, float]) -> str:
    """Write a file as `--json` does."""
    path.write_text(json.dumps({"machine": {}, "figures": figures}))
    return str(path)


def test_times_are_not_compared() -> None:
    """A figure that depends on the machine says nothing about the product."""
    after = {**STORED, "store.recovery_s": 9.0}

    assert [change.name for change in changes(STORED, after, GOALS)] == [
        "path.p50_ratio",
        "path.rate_ratio_16",
    ]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("path.p50_ratio", 1.2, 0),
        ("path.p50_ratio", 1.3, 1),
        ("path.p50_ratio", 0.1, 0),
        ("path.rate_ratio_16", 0.5, 0),
        ("path.rate_ratio_16", 0.4, 1),
        ("path.rate_ratio_16", 6.0, 0),
        ("path.rate_ratio_16", 0.0, 1),
    ],
)
def test_a_ratio_beyond_the_tolerance_fails(
    tmp_path: Path, name: str, value: float, code: int
) -> None:
    """Worse is more where less is better and less where more is; better never fails."""
    stored = write(tmp_path / "stored.json", STORED)
    now = write(tmp_path / "now.json", {**STORED, name: value})

    assert main([stored, now], GOALS) == code


def test_files_that_cannot_be_compared_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is not there, no JSON, or without a ratio in common ends with 2."""
    stored = write(tmp_path / "stored.json", STORED)
    (tmp_path / "torn.json").write_text("{")
    other = write(tmp_path / "other.json", {"path.other_ratio": 1.0})

    codes = [
        main([stored, path], GOALS)
        for path in (str(tmp_path / "none.json"), str(tmp_path / "torn.json"), other)
    ]

    assert codes == [2, 2, 2]
    assert capsys.readouterr().err.count("cannot be compared") == 3
