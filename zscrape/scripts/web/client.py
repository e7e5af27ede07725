"""Asking a web server: few at once, again when that may help, never led astray.

Credentials go to the repository's own origin only, redirects are judged one by one, and
every body, wait and number of tries has its limit.
"""

from __future__ import annotations

import asyncio
import base64
import random
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import quote
from urllib.request import getproxies

import httpx
from msgspec import Struct

from zscrape.config import RepositorySettings
from zscrape.errors.scripts import RepositoryUnavailable
from zscrape.scripts.redirects import REDIRECT_LIMIT_COUNT, RedirectGuard, RedirectRefused
from zscrape.scripts.web.body import Body, BrokenBody, Seen
from zscrape.scripts.web.reasons import reason_of, status_reason

_PARALLEL_COUNT: Final = 8
_RETRY_COUNT: Final = 3
_BACKOFF_S: Final = 0.25
_BACKOFF_LIMIT_S: Final = 5.0
_RETRY_AFTER_LIMIT_S: Final = 10.0  # who wants us to wait longer is asked at the next refresh
# One address, retries and waits included, may take so many times the limit of a silence.
_OVERALL_FACTOR: Final = 10
_ABSENT: Final = (404, 410)
_PORT_LIMIT: Final = 65_535
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_BUSY: Final = (408, 429)

Pause = Callable[[float], Awaitable[None]]


class Answer(Struct, frozen=True):
    """What an address gave. `status` is 200, 304 (as seen before) or 404 (nothing there)."""

    url: str
    status: int
    seen: Seen = Seen(is_absent=True)
    content: bytes = b""
    content_type: str = ""
    is_delimited: bool = True  # False: nobody knows whether the end was the end


class _Retry(Exception):
    """Raised inside when another try may help."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_s = wait_s  # as the server wants it


class WebClient:
    """One web server, asked with the repository's credentials. One event loop uses it."""

    def __init__(self, settings: RepositorySettings, pause: Pause = asyncio.sleep) -> None:
        self._settings = settings
        self._pause = pause
        self._base = httpx.URL(settings.url).copy_with(userinfo=b"", fragment=None)
        self._guard = RedirectGuard(str(self._base), settings.redirect_allow)
        self._room = asyncio.Semaphore(_PARALLEL_COUNT)
        self._opening = asyncio.Lock()
        self._made: httpx.AsyncClient | None = None
        self.overall_s = settings.timeout_s * _OVERALL_FACTOR

    def url(self, *parts: str) -> str:
        """Return the address of something in the repository, every part of it quoted."""
        return str(self._url(parts))

    async def get(self, *parts: str, limit_bytes: int, seen: Seen | None = None) -> Answer:
        """Return what is at an address below the base.

        Args:
            parts: The parts of its path.
            limit_bytes: How long it may be, as it comes and unpacked.
            seen: What was there before: if it still is, the answer is 304 without content.

        Raises:
            RepositoryUnavailable: It cannot be had.
            TooLarge: It is longer.
        """
        return await self._ask(self._url(parts), seen or Seen(), Body(limit_bytes))

    async def peek(self, *parts: str, seen: Seen) -> Answer:
        """Return what `get` would, without content.

        A conditional GET whose body is left unread: not every server has HEAD.

        Raises:
            RepositoryUnavailable: It cannot be had.
        """
        return await self._ask(self._url(parts), seen, None)

    async def close(self) -> None:
        """Let go of connections."""
        made, self._made = self._made, None
        if made is not None:
            await made.aclose()

    def unavailable(self, url: str, reason: str) -> RepositoryUnavailable:
        """Return the error of an address."""
        return RepositoryUnavailable(repository=self._settings.name, reason=f"{url}: {reason}")

    # ---- tries -----------------------------------------------------------------------

    async def _ask(self, url: httpx.URL, seen: Seen, body: Body | None) -> Answer:
        async with self._room:
            try:
                async with asyncio.timeout(self.overall_s):
                    return await self._try_often(url, seen, body)
            except TimeoutError as error:
                reason = f"not finished within {self.overall_s:g} s"
                raise self.unavailable(str(url), reason) from error

    async def _try_often(self, url: httpx.URL, seen: Seen, body: Body | None) -> Answer:
        retry_count = 0
        while True:
            try:
                return await self._try(url, seen, body)
            except _Retry as error:
                wait_s = _backoff_s(retry_count) if error.wait_s is None else error.wait_s
                if wait_s > _RETRY_AFTER_LIMIT_S:
                    reason = f"{error.reason}; it asks to wait {wait_s:g} s"
                    raise self.unavailable(str(url), reason) from error
                if retry_count == _RETRY_COUNT:
                    raise self.unavailable(str(url), error.reason) from error
            retry_count += 1
            await self._pause(wait_s)

    async def _try(self, url: httpx.URL, seen: Seen, body: Body | None) -> Answer:
        """Ask once.

        Raises:
            _Retry: Once more may help.
            RepositoryUnavailable: It will not.
        """
        try:
            async with self._follow(url, seen, body) as response:
                return await self._read(url, response, body)
        except BrokenBody as error:
            raise _Retry(str(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL, RedirectRefused) as error:
            reason, may_help = reason_of(error, self._settings.timeout_s)
            # After a silence the rest is asked for, but not the whole once more.
            is_broken_off = isinstance(error, httpx.ReadTimeout) and body and body.has_begun
            if may_help or is_broken_off:
                raise _Retry(reason) from error
            raise self.unavailable(str(url), reason) from error

    async def _read(self, url: httpx.URL, response: httpx.Response, body: Body | None) -> Answer:
        status = response.status_code
        headers = response.headers
        if status in _ABSENT:
            return Answer(str(url), 404)
        if status == 304 and _is_conditional(response.request):
            return Answer(str(url), 304)
        if status in _BUSY or status >= 500:
            raise _Retry(status_reason(status, self._settings), _retry_after_s(headers))
        if status == 416 and body is not None and body.has_begun:
            body.restart()
            raise _Retry("it has no such part")
        is_rest = status == 206 and body is not None and body.is_resumable
        if status != 200 and not is_rest:
            reason = status_reason(status, self._settings)
            if response.request.url.host != self._base.host:
                reason += f" (after a redirect to {response.request.url.host})"
            raise self.unavailable(str(url), reason)
        content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if body is None:
            return Answer(str(url), 200, Seen.of(headers), content_type=content_type)
        if is_rest:
            body.resume(headers)
        else:
            body.begin(headers)
        async for chunk in response.aiter_raw():
            body.add(chunk)
        body.finish()
        return Answer(str(url), 200, body.seen, body.content, content_type, body.is_delimited)

    # ---- redirects -------------------------------------------------------------------

    @asynccontextmanager
    async def _follow(
        self, url: httpx.URL, seen: Seen, body: Body | None
    ) -> AsyncIterator[httpx.Response]:
        """Give the answer at the end of all redirects.

        Raises:
            RedirectRefused: One of them may not be followed.
        """
        client = await self._client()
        is_home = True  # once led away, credentials are not sent again
        for _ in range(REDIRECT_LIMIT_COUNT + 1):
            if (url.port or 0) > _PORT_LIMIT:  # the system's own fault for it is no network error
                raise RedirectRefused(f"{url.port} is not a port")
            is_home = is_home and _origin(url) == _origin(self._base)
            request = client.build_request("GET", url, headers=self._headers(is_home, seen, body))
            response = await client.send(request, stream=True)
            try:
                self._require_peer(response)
                if response.status_code not in _REDIRECTS or "location" not in response.headers:
                    yield response
                    return
                target = url.join(response.headers["location"]).copy_with(userinfo=b"")
            finally:
                await response.aclose()
            if url.scheme == "https" and target.scheme == "http":
                raise RedirectRefused("it redirects from https to http")
            await asyncio.to_thread(self._guard.check, str(target))
            url = target
        raise RedirectRefused(f"more than {REDIRECT_LIMIT_COUNT} redirects")

    def _require_peer(self, response: httpx.Response) -> None:
        """Look at who answered: a name may have got another address since it was judged."""
        stream = response.extensions.get("network_stream")
        peer = stream.get_extra_info("server_addr") if stream is not None else None
        if response.request.url.host == self._base.host or not peer or getproxies():
            return
        self._guard.check_peer(response.request.url.host, str(peer[0]))

    def _headers(self, is_home: bool, seen: Seen, body: Body | None) -> httpx.Headers:
        settings = self._settings
        headers = httpx.Headers({"Accept-Encoding": "identity"})
        headers.update(body.conditions if body and body.conditions else seen.conditions)
        if is_home and settings.token:
            headers["Authorization"] = f"Bearer {settings.token}"
        elif is_home and (settings.user or settings.password):
            login = f"{settings.user or ''}:{settings.password or ''}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
        return headers

    def _url(self, parts: tuple[str, ...]) -> httpx.URL:
        path = "".join(f"/{_quoted(each)}" for each in parts).encode()
        return self._base.copy_with(raw_path=self._base.raw_path.rstrip(b"/") + path)

    async def _client(self) -> httpx.AsyncClient:
        async with self._opening:
            if self._made is None:
                # The system's certificates, as Git uses them; reading them takes a while.
                context = await asyncio.to_thread(ssl.create_default_context)
                self._made = httpx.AsyncClient(
                    verify=context,
                    timeout=self._settings.timeout_s,
                    limits=httpx.Limits(max_connections=_PARALLEL_COUNT),
                    headers={"User-Agent": "zscrape", "Accept": "*/*"},
                )
            return self._made


def _quoted(part: str) -> str:
    """Return a part of a path that stays one part whatever is in it.

    Raises:
        ValueError: It would mean another folder.
    """
    if part in {"", ".", ".."}:
        raise ValueError(f"not a part of a path: {part!r}")
    return quote(part, safe="")


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _is_conditional(request: httpx.Request) -> bool:
    return "if-none-match" in request.headers or "if-modified-since" in request.headers


def _backoff_s(retry_count: int) -> float:
    """Return a pause that doubles, drawn at random so that many do not come back together."""
    limit_s = min(_BACKOFF_S * 2**retry_count, _BACKOFF_LIMIT_S)
    return random.uniform(limit_s / 2, limit_s)  # noqa: S311 - nothing depends on its secrecy


def _retry_after_s(headers: httpx.Headers) -> float | None:
    """Return how long the server wants us to wait (RFC 9110, 10.2.3); None: it does not say."""
    told = headers.get("retry-after", "").strip()
    if told.isdecimal():
        return float(told[:9])
    try:
        return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
