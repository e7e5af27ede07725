"""One house for all the documents."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.documents.house import House


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A folder, a home and a shell, with a gateway and a worker as the README starts them."""
    made = House(tmp_path_factory.mktemp("reader"))
    yield made
    made.close()
