"""Scripts behind a web server: an index, versions, and one file or archive for each."""

from __future__ import annotations

from zscrape.scripts.web.source import WebSource

__all__ = ["WebSource"]
