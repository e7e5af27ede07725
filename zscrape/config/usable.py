"""Files and folders that a setting leads to, and what is told when they cannot be used."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from zscrape.config.values import SettingError


@contextlib.contextmanager
def usable(path: Path, setting: str) -> Iterator[None]:
    """Tell an OSError inside as a fault of `path`; `setting` is what chooses another one.

    Raises:
        SettingError: There was one.
    """
    try:
        yield
    except OSError as error:
        raise SettingError(
            source=str(error.filename2 or error.filename or path),
            reason=error.strerror or str(error),
            fault="unusable",
            value=str(path),
            expected=setting,
        ) from error
