"""Getting documents from a web server that may be slow, torn, lying or hostile."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import httpx
from msgspec import Struct

from zscrape import __version__
from zscrape.config import RepositorySettings
from zscrape.errors import RepositoryUnavailable
from zscrape.scripts.redirects import REDIRECT_LIMIT_COUNT, RedirectGuard, RedirectRefused

_TRY_COUNT: Final = 4
_FIRST_DELAY_S: Final = 0.2
_DELAY_CAP_S: Final = 5.0
_OVERALL_LIMIT_S: Final = 600.0  # of one document, tries and waits included
_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_REASON_LENGTH: Final = 300


class Validator(Struct, frozen=True, omit_defaults=True):
    """What a server says of a document so that it can be asked whether it has changed."""

    etag: str = ""
    modified: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a conditional request."""
        found = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in found.items() if value}

    @property
    def is_strong(self) -> bool:
        """True iff parts of documents with this mark may be put together."""
        return bool(self.etag) and not self.etag.startswith("W/")


class Document(Struct, frozen=True):
    """What a server has answered. `body` is None when it has not changed (304)."""

    body: bytes | None
    validator: Validator
    content_type: str = ""


class _Broken(Exception):
    """Raised when an attempt has failed in a way that another may not."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Downloads:
    """Documents below one base address. One event loop uses it."""

    def __init__(self, settings: RepositorySettings) -> None:
        self._settings = settings
        self._base = settings.url.rstrip("/")
        self._guard = RedirectGuard(self._base)
        self._made: httpx.AsyncClient | None = None

    async def get(
        self, path: str, *, limit_bytes: int, known: Validator | None = None
    ) -> Document | None:
        """Return the document at `path`; None when the server has none (404, 410).

        Args:
            path: Below the base address, quoted.
            limit_bytes: How long it may be.
            known: What was said of the copy that we have.

        Raises:
            RepositoryUnavailable: It cannot be had.
        """
        return await self._try(path, _Attempt(limit_bytes, known or Validator()))

    async def changed(self, path: str, known: Validator) -> Validator | None:
        """Return what the server now says of a document, None while it is the known one.

        Raises:
            RepositoryUnavailable: It cannot be asked.
        """
        attempt = _Attempt(0, known, is_body_wanted=False)
        found = await self._try(path, attempt)
        return None if found is None or found.validator == known else found.validator

    async def close(self) -> None:
        """Let go of connections."""
        if self._made is not None:
            await self._made.aclose()

    # ---- inside ----------------------------------------------------------------------

    def _client(self) -> httpx.AsyncClient:
        if self._made is None:  # it takes a tenth of a second
            self._made = httpx.AsyncClient(
                timeout=self._settings.timeout_s,
                verify=ssl.create_default_context(),
                limits=httpx.Limits(max_connections=8),
                # Encoded bodies can be neither resumed nor bounded before they are decoded.
                headers={"User-Agent": f"zscrape/{__version__}", "Accept-Encoding": "identity"},
            )
        return self._made

    async def _try(self, path: str, attempt: _Attempt) -> Document | None:
        url = f"{self._base}/{path}"
        delay_s = _FIRST_DELAY_S
        try:
            async with asyncio.timeout(_OVERALL_LIMIT_S):
                for number in range(_TRY_COUNT):
                    try:
                        return await self._once(url, attempt)
                    except _Broken as error:
                        if number == _TRY_COUNT - 1:
                            raise self._unavailable(url, str(error)) from error
                        wait_s = delay_s if error.retry_after_s is None else error.retry_after_s
                    jitter = 1 + random.random() / 4  # noqa: S311 - only to spread the tries
                    await asyncio.sleep(min(wait_s, _DELAY_CAP_S) * jitter)
                    delay_s *= 2
        except TimeoutError as error:
            raise self._unavailable(url, f"not there within {_OVERALL_LIMIT_S:g} s") from error
        raise AssertionError("the last try returns or raises")

    async def _once(self, url: str, attempt: _Attempt) -> Document | None:
        async with self._answer(url, attempt.headers()) as answer:
            if answer.status_code in (404, 410):
                return None
            if answer.status_code in (401, 403):
                step = "check `token`, or `user` and `password`"
                raise self._unavailable(url, f"the server refuses ({answer.status_code}): {step}")
            if answer.status_code in _AGAIN:
                raise _Broken(f"the server answers {answer.status_code}", _retry_after_s(answer))
            if answer.status_code not in (200, 206, 304):
                raise self._unavailable(url, f"the server answers {answer.status_code}")
            encoding = answer.headers.get("Content-Encoding", "identity").lower()
            if encoding != "identity":
                raise self._unavailable(url, f"it is sent encoded ({encoding[:20]}) without need")
            try:
                return await attempt.take(answer)
            except _TooLong as error:
                reason = f"longer than {attempt.limit_bytes} bytes"
                raise self._unavailable(url, reason) from error
            except httpx.TransportError as error:
                raise _Broken(f"it was cut off ({_told(error)})") from error

    @asynccontextmanager
    async def _answer(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        """Give the answer at the end of all redirects."""
        current = url
        for _ in range(REDIRECT_LIMIT_COUNT + 1):
            request = self._client().build_request(
                "GET", current, headers={**headers, **self._login_for(current)}
            )
            try:
                answer = await self._client().send(request, stream=True)
            except httpx.TimeoutException as error:
                raise _Broken(f"no answer within {self._settings.timeout_s:g} s") from error
            except (httpx.TransportError, httpx.InvalidURL) as error:
                raise _Broken(_told(error)) from error
            try:
                if answer.status_code not in _REDIRECTS or "Location" not in answer.headers:
                    yield answer
                    return
                current = urljoin(current, answer.headers["Location"])
            finally:
                await answer.aclose()
            try:
                await asyncio.to_thread(self._guard.check, current)
            except RedirectRefused as error:
                raise self._unavailable(url, str(error)) from error
        raise self._unavailable(url, f"more than {REDIRECT_LIMIT_COUNT} redirects")

    def _login_for(self, url: str) -> dict[str, str]:
        """Return the login for an address of our own server, nothing for any other."""
        settings = self._settings
        if _origin(url) != _origin(self._base):
            return {}
        if settings.token:
            return {"Authorization": f"Bearer {settings.token}"}
        if settings.user:
            auth = httpx.BasicAuth(settings.user, settings.password or "")
            request = next(auth.auth_flow(httpx.Request("GET", url)))
            return {"Authorization": request.headers["Authorization"]}
        return {}

    def _unavailable(self, url: str, reason: str) -> RepositoryUnavailable:
        told = " ".join(reason.split())[:_REASON_LENGTH]
        for secret in (self._settings.token, self._settings.password):
            told = told.replace(secret, "********") if secret else told
        return RepositoryUnavailable(repository=self._settings.name, reason=f"{url}: {told}")


class _TooLong(Exception):
    """Raised when a body is longer than it may be."""


class _Attempt:
    """One document over several tries: what has come of it already is asked for no more."""

    def __init__(self, limit_bytes: int, known: Validator, *, is_body_wanted: bool = True) -> None:
        self.limit_bytes = limit_bytes
        self._known = known
        self._is_body_wanted = is_body_wanted
        self._parts = bytearray()
        self._validator = Validator()  # of the parts

    def headers(self) -> dict[str, str]:
        """Return what to ask: the rest of what has come, or the whole if it is new."""
        if self._parts and self._validator.is_strong:
            return {"Range": f"bytes={len(self._parts)}-", "If-Range": self._validator.etag}
        self._parts.clear()
        return self._known.headers

    async def take(self, answer: httpx.Response) -> Document:
        """Read an answer to its end.

        Raises:
            _TooLong: There is more than there may be.
            httpx.TransportError: It was cut off.
        """
        validator = Validator(
            answer.headers.get("ETag", "")[:200], answer.headers.get("Last-Modified", "")[:60]
        )
        if answer.status_code == 304:
            return Document(None, self._known)
        if not self._is_body_wanted:
            return Document(None, validator)
        is_rest = (
            answer.status_code == 206
            and validator.etag == self._validator.etag
            and _begins_at(answer) == len(self._parts)
        )
        if not is_rest:
            if answer.status_code == 206:
                self._parts.clear()
                raise httpx.RemoteProtocolError("a part that was not asked for")
            self._parts.clear()
            self._validator = validator
        async for part in answer.aiter_raw():
            self._parts += part
            if len(self._parts) > self.limit_bytes:
                raise _TooLong
        return Document(bytes(self._parts), self._validator, answer.headers.get("Content-Type", ""))


def _begins_at(answer: httpx.Response) -> int:
    """Return where a part begins, by its `Content-Range: bytes 10-99/100`."""
    unit, _, rest = answer.headers.get("Content-Range", "").partition(" ")
    first = rest.partition("-")[0]
    return int(first) if unit == "bytes" and first.isascii() and first.isdigit() else -1


def _retry_after_s(answer: httpx.Response) -> float | None:
    told = answer.headers.get("Retry-After", "")
    return float(told) if told.isascii() and told.isdigit() and len(told) < 6 else None


def _origin(url: str) -> tuple[Any, ...]:
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, parts.port or default


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__
