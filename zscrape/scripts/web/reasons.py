"""Why a web server cannot be read, in words that name the next step."""

from __future__ import annotations

import socket
import ssl
from typing import Final

import httpx

from zscrape.config import RepositorySettings
from zscrape.scripts.redirects import RedirectRefused

_REASON_LENGTH: Final = 300


def status_reason(status: int, settings: RepositorySettings) -> str:
    """Return what a status means for us."""
    has_login = settings.token or settings.user or settings.password
    if status == 401:
        step = "check `token`, `user` and `password`" if has_login else "set `token`, or `user`"
        return f"the server wants {'other ' if has_login else ''}credentials (401): {step}"
    if status == 403:
        return "the server refuses (403): these credentials may not read it"
    if status == 407:
        return "the proxy wants credentials (407): set them in `HTTPS_PROXY` or `HTTP_PROXY`"
    if status in (408, 429):
        return f"the server is asked too much or too slowly ({status})"
    if status >= 500:
        return f"the server has failed ({status}): look at its own log"
    return f"the server answered {status}"


def reason_of(error: Exception, timeout_s: float) -> tuple[str, bool]:
    """Return what people are told of an error, and whether another try may help."""
    cause = _root_of(error)
    found: tuple[str, bool]
    if isinstance(error, RedirectRefused):
        found = str(error), False
    elif isinstance(cause, ssl.SSLCertVerificationError):
        found = f"its certificate is not accepted: {cause.verify_message}", False
    elif isinstance(cause, ssl.SSLError):
        found = f"no secure connection: {cause.reason or cause}", False
    elif isinstance(cause, socket.gaierror):
        found = "the host's name cannot be resolved", True
    elif isinstance(cause, ConnectionRefusedError):
        found = "the connection was refused: is the server running?", True
    elif isinstance(error, httpx.TimeoutException):
        found = f"no answer within {timeout_s:g} s", False
    elif isinstance(error, httpx.LocalProtocolError):
        # Its words quote the header, and with it the token.
        found = "it cannot be asked: is there a line break in the login?", False
    elif isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        found = f"it leads to an address that is none ({error})", False
    else:
        told = " ".join((str(error) or type(error).__name__).split())
        found = told[:_REASON_LENGTH], True
    return found


def _root_of(error: BaseException) -> BaseException:
    """Return the first cause: libraries wrap what the system said again and again."""
    seen = error
    for _ in range(10):
        inner = seen.__cause__ or seen.__context__
        if inner is None:
            return seen
        if isinstance(inner, ExceptionGroup):  # one for each address of the host
            inner = inner.exceptions[0]
        seen = inner
    return seen
