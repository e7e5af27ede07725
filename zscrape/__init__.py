"""zscrape: a broker-less cluster that runs versioned scraping scripts on demand.

Importing this package stays free: what programs and script authors name is only looked up
when asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zscrape.client import (
        AsyncClient as AsyncClient,
        Client as Client,
        ClientError as ClientError,
    )
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
    "AsyncClient",
    "Blocked",
    "BodyTooLarge",
    "CaptchaRequired",
    "Client",
    "ClientError",
    "Context",
    "HttpError",
    "LoginExpired",
    "RateLimited",
    "RobotsDisallowed",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Load what programs and script authors name on first use (PEP 562)."""
    if name == "Context":
        from zscrape.runtime.context import Context

        return Context
    if name in ("AsyncClient", "Client", "ClientError"):
        from importlib import import_module

        # By its name: the runtime of children imports this module, and must not know that one.
        return getattr(import_module("zscrape.client"), name)
    if name == "CaptchaRequired":
        from zscrape.runtime.outcomes import CaptchaRequired

        return CaptchaRequired
    if name in __all__:
        from zscrape.runtime import httperrors

        return getattr(httperrors, name)
    raise AttributeError(f"module 'zscrape' has no attribute {name!r}")
