"""zscrape: a broker-less cluster that runs versioned scraping scripts on demand.

Importing this package stays free: what script authors name is only looked up when asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zscrape.runtime.context import Context as Context
    from zscrape.runtime.httperrors import (
        Blocked as Blocked,
        BodyTooLarge as BodyTooLarge,
        HttpError as HttpError,
        LoginExpired as LoginExpired,
        RateLimited as RateLimited,
        RobotsDisallowed as RobotsDisallowed,
    )
    from zscrape.runtime.outcomes import CaptchaRequired as CaptchaRequired

__version__ = "0.1.0"
__all__ = [
    "Blocked",
    "BodyTooLarge",
    "CaptchaRequired",
    "Context",
    "HttpError",
    "LoginExpired",
    "RateLimited",
    "RobotsDisallowed",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Load what script authors write in annotations and `except` on first use (PEP 562)."""
    if name == "Context":
        from zscrape.runtime.context import Context

        return Context
    if name == "CaptchaRequired":
        from zscrape.runtime.outcomes import CaptchaRequired

        return CaptchaRequired
    if name in __all__:
        from zscrape.runtime import httperrors

        return getattr(httperrors, name)
    raise AttributeError(f"module 'zscrape' has no attribute {name!r}")
