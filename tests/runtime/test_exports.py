"""What script authors import from `zscrape` itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

import zscrape
from zscrape.runtime.outcomes import FAIL_CODES, ScrapeFailure, code_of


@pytest.mark.parametrize("name", zscrape.__all__)
def test_every_name_is_there(name: str) -> None:
    """Each name that is promised can be had, and has a docstring if it is a class."""
    found = getattr(zscrape, name)

    assert isinstance(found, str) or found.__doc__


def test_importing_the_package_loads_nothing() -> None:
    """The package itself costs a script nothing; its errors need the standard library only."""
    told = subprocess.run(
        [
            *(sys.executable, "-c"),
            "import sys, zscrape; before = set(sys.modules); zscrape.Blocked; zscrape.HttpError; "
            "print(len([n for n in before if n.startswith('zscrape.')]), 'httpx' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )

    assert told.stdout.split() == ["0", "False"]


def test_names_that_are_none_are_told() -> None:
    """A name that is not there is an ordinary AttributeError."""
    with pytest.raises(AttributeError, match="has no attribute 'Bloked'"):
        _ = zscrape.Bloked


def test_code_of_a_class_is_always_a_known_one() -> None:
    """Whatever a script makes of the base class, its code is one that the gateway knows."""

    class Odd(ScrapeFailure):
        code = ["blocked"]  # type: ignore[assignment]  # noqa: RUF012 - as odd as it gets

    assert code_of(Odd) == "script_error"
    assert {code_of(each) for each in ScrapeFailure.__subclasses__()} <= set(FAIL_CODES)
