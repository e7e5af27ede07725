"""Parameters are checked where that holds nobody up."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, cast

import pytest

from zscrape.gateway.checks import check_closely
from zscrape.model import Pin


class _Where:
    """Stands for a script whose validator tells the thread in which it was asked."""

    pin = Pin("r", "s", "1.0.0", "sha256:0")

    def __init__(self) -> None:
        self.validator = self
        self.thread = 0

    def problems(self, params: Mapping[str, Any]) -> list[Any]:
        """Note the thread."""
        self.thread = threading.get_ident()
        return []


@pytest.mark.parametrize(("size_bytes", "is_inline"), [(100, True), (1_000_000, False)])
async def test_large_parameters_are_checked_beside_the_loop(
    size_bytes: int, is_inline: bool
) -> None:
    """Checking a large body must not keep the loop from beating."""
    script = _Where()

    await check_closely(cast(Any, script), {}, size_bytes=size_bytes, at="")

    assert (script.thread == threading.get_ident()) is is_inline
