"""One arena for the whole suite: what one case leaves behind, the next ones meet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.abuse import watch
from tests.abuse.arena import Arena
from tests.abuse.cases import all_cases


@pytest.fixture(scope="session")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """A gateway and a worker with two slots."""
    watch.clear_litter()
    cases = tuple(case for case in all_cases() if case.place == "machine")
    made = Arena(tmp_path_factory.mktemp("arena"), cases, {})
    yield made
    made.close()
    watch.clear_litter()
