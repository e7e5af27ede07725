"""One entry of the catalogue."""

from __future__ import annotations

from typing import NamedTuple


class Text(NamedTuple):
    """The same words in both languages, with the same named placeholders."""

    en: str
    ko: str
