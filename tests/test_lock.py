"""`requirements.lock`: all that is needed, pinned and hashed, from no place in particular."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
ENTRIES = re.split(r"\n(?=[a-z0-9])", LOCK)[1:]


def test_lock_has_what_the_project_asks_for() -> None:
    """Each dependency is pinned to a version that the project allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pinned = dict(re.findall(r"^([\w.-]+)(?:\[.*?\])?==([^\s;]+)", LOCK, re.MULTILINE))

    extras = project["optional-dependencies"]
    for line in (*project["dependencies"], *extras["postgres"], *extras["otel"]):
        asked = Requirement(line)
        found = pinned.get(canonicalize_name(asked.name))
        assert found is not None, asked.name
        assert asked.specifier.contains(found), f"{asked} is pinned to {found}"


def test_lock_is_hashed_and_names_no_place() -> None:
    """Whatever index it is got from, the files are these."""
    assert len(ENTRIES) > 30
    for each in ENTRIES:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", each), each[:80]
    assert "://" not in LOCK
    assert "index-url" not in LOCK
