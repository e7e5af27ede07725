"""The command that measures everything."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench import __main__ as bench


def test_a_part_that_fails_does_not_take_the_others_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What has been measured is written, and the exit tells what has not."""

    def fail() -> dict[str, float]:
        raise OSError("no room")

    path = tmp_path / "run.json"
    monkeypatch.setattr(bench, "PARTS", {"first": fail, "second": lambda: {"calls_per_s": 9.0}})
    monkeypatch.setattr(sys, "argv", ["bench", "--json", str(path)])

    with pytest.raises(SystemExit, match="could not be measured: first"):
        bench.main()

    assert json.loads(path.read_text())["figures"] == {"second.calls_per_s": 9.0}
    assert "no room" in capsys.readouterr().out


def test_what_is_measured_only_by_name_is_no_part_of_a_whole_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is anything else a part of one by name."""
    told = {}
    parts = {"calls": lambda: {"per_s": 9.0}, "ladder": lambda: {"p50_ms": 1.0}}
    monkeypatch.setattr(bench, "PARTS", parts)
    for name, more in (("whole", []), ("named", ["--only", "ladder"])):
        path = tmp_path / name
        monkeypatch.setattr(sys, "argv", ["bench", "--json", str(path), *more])
        bench.main()
        told[name] = list(json.loads(path.read_text())["figures"])

    assert told == {"whole": ["calls.per_s"], "named": ["ladder.p50_ms"]}
