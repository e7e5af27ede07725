"""The cases themselves: whole, within reason, and locked twice where they could do harm."""

from __future__ import annotations

import pytest

from tests.abuse.cases import ORDINARY, Case, all_cases
from zscrape.model import OutcomeCode
from zscrape.scripts.manifest import parse_manifest

# What acts on the machine and not only on the script's own folder and processes. A script with
# one of these asks the user id itself, whatever layers the suite believes to be there.
DANGEROUS = ("SIGKILL)", "mount -t", "core_pattern", "/dev/mem", "/etc/shadow", '"/tmp"')
GUARDS = ("unless_root", "geteuid() == 0")


def test_there_are_enough() -> None:
    """The suite holds no fewer cases than were asked for."""
    assert len(all_cases()) >= 60


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_case_is_whole(case: Case) -> None:
    """A case has a valid manifest of its own name, and codes that exist."""
    raw = (case.folder / "metadata.json").read_bytes()

    assert parse_manifest(raw, case.name).name == case.name
    assert set(case.codes) <= {str(code) for code in OutcomeCode}
    assert case.what.endswith(".")
    assert (case.folder / "main.py").is_file()


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_dangerous_case_is_locked_twice(case: Case) -> None:
    """What could hurt the machine as root asks for the layer `user`, and for the user id itself."""
    source = (case.folder / "main.py").read_text()

    is_guarded = any(guard in source for guard in GUARDS)
    if any(each in source for each in DANGEROUS):
        assert is_guarded
    if is_guarded:
        assert f"user|{ORDINARY}" in case.needs
