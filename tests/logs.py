"""What is logged while something is tried."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any
from unittest import mock

from zscrape import log


@contextlib.contextmanager
def logged() -> Iterator[list[dict[str, Any]]]:
    """Yield the lines of this process as they come; none of them is written."""
    lines: list[dict[str, Any]] = []
    keep = mock.patch.object(log, "_write", lambda line: lines.append(json.loads(line)))
    as_json = mock.patch.object(log._manner, "render", log._as_json)
    with keep, as_json:
        yield lines
