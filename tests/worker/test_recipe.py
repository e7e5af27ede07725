"""What environments of scripts get besides what they ask for."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from zscrape.worker.recipe import KIT_PACKAGES

_LOAD = {
    "http": "from zscrape.runtime import ctx_http, warming; warming.load()",
    "browser": "from zscrape.runtime import ctx_browser, ctx_http, warming; warming.load()",
}


def installed_with(names: tuple[str, ...]) -> set[str]:
    """Return these distributions and all that they bring along here."""
    found: set[str] = set()
    waiting = [*names]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # not for this system
            continue
        found.add(name)
        for need in map(Requirement, needs):
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                waiting.append(need.name)
    return found


@pytest.mark.parametrize("part", ["http", "browser"])
def test_environment_has_all_that_its_kit_imports(part: str) -> None:
    """Else no template would start in it: ours has all that zscrape has, theirs only this."""
    code = f"import sys; sys.modules['httpx._main'] = None; {_LOAD[part]}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=60
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    theirs = {
        canonicalize_name(distribution)
        for module, distributions in metadata.packages_distributions().items()
        if module in loaded
        for distribution in distributions
    }

    assert "httpx" in theirs
    # The last is what the interpreter of an editable installation loads.
    assert theirs - installed_with(KIT_PACKAGES[part]) <= {"zscrape", "setuptools"}
