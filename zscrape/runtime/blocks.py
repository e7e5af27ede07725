"""What an answer means: a page, a refusal, or a request for patience.

Well-known bot walls are known by their pages, whatever the status says. Only marks that a page of
content does not have count: the name of such a product on a page is no sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zscrape.runtime.httperrors import Blocked, HttpError, RateLimited

if TYPE_CHECKING:
    from zscrape.runtime.pages import Page

_TOO_MANY = 429
_LOOKED_AT_BYTES = 16_384
_REFUSALS = (403, 405, 406, 429, 503)

# (who, what is in the body, any of these). The first group is believed with any status.
_ANY_STATUS = (("Imperva", (b"/_Incapsula_Resource?", b"Incapsula incident ID")),)
_REFUSED = (
    ("Cloudflare", (b"/cdn-cgi/challenge-platform/", b"cf-error-details", b"cf_chl_opt")),
    ("DataDome", (b"captcha-delivery.com",)),
    ("PerimeterX", (b"px-captcha", b"_pxAppId")),
    ("Akamai", (b"&#35;", b"errors.edgesuite.net")),
    ("AWS WAF", (b"awswaf.com",)),
    ("Kasada", (b"/ips.js?", b"KP_UIDz")),
)


def sign_of(status: int, headers: Mapping[str, str], content: bytes) -> str:
    """Return whose refusal an answer is, empty if it is none that is known."""
    if status != 200 and status not in _REFUSALS:
        return ""
    head = content[:_LOOKED_AT_BYTES]
    if status != 200 and headers.get("cf-mitigated") == "challenge":
        return "Cloudflare"
    for who, marks in _ANY_STATUS if status == 200 else (*_ANY_STATUS, *_REFUSED):
        if any(mark in head for mark in marks) and (who != "Akamai" or b"Access Denied" in head):
            return who
    return ""


def refusal_of(page: Page) -> str:
    """Return why an answer is a refusal, empty if it is none."""
    who = sign_of(page.status, page.headers, page.content)
    if who:
        return f"refused by {who}"
    return "refused" if page.status == 403 else ""


def check(page: Page) -> None:
    """Let a page pass that is one.

    Raises:
        RateLimited: It is 429.
        Blocked: It is 403, or the page of a bot wall.
        HttpError: It is another 4xx or a 5xx.
    """
    if page.status == _TOO_MANY:
        wait = page.headers.get("retry-after", "")
        reason = f"too many requests; it asks to wait {wait}" if wait else "too many requests"
        raise RateLimited(page.url, page.status, reason, page)
    refusal = refusal_of(page)
    if refusal:
        raise Blocked(page.url, page.status, refusal, page)
    if page.status >= 400:
        raise HttpError(page.url, page.status, "", page)
