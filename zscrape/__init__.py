"""zscrape: a broker-less cluster that runs versioned scraping scripts on demand.

Importing this package stays free: `Context` is only looked up when asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zscrape.runtime.context import Context as Context

__version__ = "0.1.0"
__all__ = ["Context", "__version__"]


def __getattr__(name: str) -> Any:
    """Load `Context` for script authors' annotations on first use (PEP 562)."""
    if name == "Context":
        from zscrape.runtime.context import Context

        return Context
    raise AttributeError(f"module 'zscrape' has no attribute {name!r}")
