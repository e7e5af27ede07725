"""When a request is made again, and how long to wait before."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

import httpx

from zscrape.runtime.network import refused

TRIES_COUNT = 3
BACKOFF_S = 0.5  # doubled with every further try
BACKOFF_LIMIT_S = 30.0
# A site that wants more than this is left alone; the task is better retried as a whole.
RETRY_AFTER_LIMIT_S = 120.0
RETRIED_STATUS = (502, 503, 504)
TOO_MANY = 429
_NO_TRUST = "CERTIFICATE_VERIFY_FAILED"  # it will not be another certificate in a second
SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")  # repeating them changes nothing more


def backoff_s(number: int) -> float:
    """Return how long to wait after try `number` (from 0): doubled, give or take a half."""
    # Not `random`: after a fork every child would have to seed it first.
    jitter = 0.5 + int.from_bytes(os.urandom(2), "big") / 65536
    return min(BACKOFF_S * 2.0**number, BACKOFF_LIMIT_S) * jitter


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that `Retry-After` asks for, as a number or as a date."""
    told = headers.get("retry-after")
    if not told:
        return None
    try:
        return max(float(told), 0.0) if float(told) < float("inf") else None
    except ValueError:
        pass
    from email.utils import parsedate_to_datetime

    try:
        return max(parsedate_to_datetime(told).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return None


def may_repeat(method: str, error: Exception) -> bool:
    """True iff trying again may help and cannot do anything twice."""
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects)):
        return False
    if refused(error) or _NO_TRUST in str(error):
        return False
    return method in SAFE_METHODS or isinstance(error, (httpx.ConnectError, httpx.ProxyError))


def is_worth_repeating(method: str, status: int) -> bool:
    """True iff an answer says that another time it may be a better one."""
    # A 429 has not been worked on: it can be asked again whatever the method.
    return status == TOO_MANY or (status in RETRIED_STATUS and method in SAFE_METHODS)
