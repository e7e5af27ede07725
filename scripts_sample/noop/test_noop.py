"""Tests of the sample script noop."""

from __future__ import annotations

from typing import Any


def test_parameters_come_back(run_script: Any) -> None:
    """The answer is the parameters, whatever they are."""
    ran = run_script("noop", text="안녕", nested={"numbers": [1, 2.5, None]})

    assert (ran.code, ran.data) == ("ok", {"text": "안녕", "nested": {"numbers": [1, 2.5, None]}})
