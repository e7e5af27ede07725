"""Scripts in a Git repository, versioned by its tags. Nothing is ever checked out."""

from __future__ import annotations

from zscrape.scripts.git.publish import publish
from zscrape.scripts.git.source import GitSource

__all__ = ["GitSource", "publish"]
