"""What `ctx.http` raises.

    HttpError              a page cannot be had; `script_error` unless the script catches it
      Blocked              the site refuses us: 403, or a page of a bot wall   -> blocked
      RateLimited          429 after all tries, or a wait beyond the attempt   -> rate_limited
      RobotsDisallowed     robots.txt forbids the address                      -> robots_disallowed
      LoginExpired         the site wants a login, or refused ours             -> login_expired
      BodyTooLarge         more bytes than are allowed, a bomb perhaps

Standard library only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zscrape.runtime.outcomes import ScrapeFailure

if TYPE_CHECKING:
    from zscrape.runtime.pages import Page


class HttpError(Exception):
    """Raised when a page cannot be had. `status` is 0 if no answer came; `page` is the answer."""

    def __init__(self, url: str, status: int, reason: str, page: Page | None = None) -> None:
        super().__init__(f"{url}: {f'HTTP {status} ' if status else ''}{reason}".rstrip())
        self.url = url
        self.status = status
        self.page = page


class Blocked(HttpError, ScrapeFailure):
    """Raised when the site refuses to serve us."""

    code = "blocked"


class RateLimited(HttpError, ScrapeFailure):
    """Raised when the site still finds us too fast after all tries."""

    code = "rate_limited"


class RobotsDisallowed(HttpError, ScrapeFailure):
    """Raised instead of a request that robots.txt forbids."""

    code = "robots_disallowed"


class LoginExpired(HttpError, ScrapeFailure):
    """Raised when the site does not take us for logged in, any more or at all."""

    code = "login_expired"


class BodyTooLarge(HttpError):
    """Raised when an answer has more bytes, decompressed, than the request allows."""
