"""One question of a script, asked until there is an answer worth having.

Each try goes through httpx's client, and there, with every redirect, through `Transport`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from zscrape.runtime import blocks, retrying
from zscrape.runtime.gate import Exchange, Recorder
from zscrape.runtime.httperrors import BodyTooLarge, HttpError
from zscrape.runtime.pages import Client, Page
from zscrape.runtime.robots import LIMIT_BYTES as ROBOTS_LIMIT_BYTES, Found
from zscrape.runtime.transport import OPTIONS, Options

if TYPE_CHECKING:
    from zscrape.runtime.downloads import Sink
    from zscrape.runtime.proxies import Proxies, Proxy

ROBOTS_TIMEOUT_S = 10.0
_TOLD_WAIT_S = 1.0  # waits from here on are said in the log


class Ask(NamedTuple):
    """One question, as `Http.request` takes it."""

    method: str
    url: str
    parts: dict[str, Any]  # parameters and body, as httpx takes them
    headers: dict[str, str] | None
    auth: tuple[str, str] | None
    timeout_s: float
    follow: bool
    options: Options
    proxy: str | bool | None
    tries_count: int
    sink: Sink | None = None


class Trying:
    """Who sends, waits and sends again; for several threads."""

    def __init__(
        self,
        client: httpx.Client,
        *,
        ends_at: float,
        proxies: Proxies,
        recorder: Recorder | None,
        say: Callable[..., None] | None,
    ) -> None:
        self.recorder = recorder
        self.ends_at = ends_at  # monotonic seconds
        self._client = client
        self._proxies = proxies
        self._say = say

    def page(self, ask: Ask, http: Client) -> Page:
        """Return the answer, be it a good one or the last one.

        Raises:
            HttpError: There is none.
        """
        host = (urlsplit(ask.url).hostname or "") if len(self._proxies) else ""
        for number in range(ask.tries_count):
            is_last = number == ask.tries_count - 1
            way = self._proxies.choose(host) if host and ask.proxy is None else None
            try:
                page = self._send(_by_way(ask, way), http)
            except (httpx.RequestError, httpx.InvalidURL) as error:
                if way is not None and isinstance(error, httpx.TransportError):
                    self._proxies.failed(way)
                if is_last or not retrying.may_repeat(ask.method, error):
                    raise HttpError(ask.url, 0, f"{type(error).__name__}: {error}") from error
                self._pause(ask.url, retrying.backoff_s(number), type(error).__name__)
                continue
            wait_s = None if is_last else self._again_in_s(page, ask.method, host, way, number)
            if wait_s is None:
                return page
            self._pause(ask.url, wait_s, f"HTTP {page.status}")
        raise AssertionError("the last try returns or raises")

    def robots(self, url: str, http: Client) -> Found:
        """Fetch a robots.txt; what is wrong with its site will show with the page."""
        options = Options(ROBOTS_LIMIT_BYTES, has_robots=False)
        ask = Ask("GET", url, {}, None, None, ROBOTS_TIMEOUT_S, True, options, None, 1)
        way = self._proxies.choose(urlsplit(url).hostname or "")
        for number in range(retrying.TRIES_COUNT):
            try:
                page = self._send(_by_way(ask, way), http)
            except (httpx.RequestError, httpx.InvalidURL, BodyTooLarge):
                break
            if page.status < 500 or number == retrying.TRIES_COUNT - 1:
                return Found(page.status, page.text)
            self._pause(url, retrying.backoff_s(number), f"HTTP {page.status}")
        return Found(0, "")

    def _send(self, ask: Ask, http: Client) -> Page:
        """Send once, and return what came."""
        sink = ask.sink
        headers = ask.headers if sink is None else {**(ask.headers or {}), **sink.headers()}
        request = self._client.build_request(
            ask.method,
            ask.url,
            headers=headers,
            timeout=min(ask.timeout_s, self._left_s(ask.url)),
            extensions={OPTIONS: ask.options},
            **ask.parts,
        )
        began = time.monotonic()
        try:
            response = self._client.send(
                request, stream=True, auth=ask.auth, follow_redirects=ask.follow
            )
            try:
                content = _content(response, sink)
            finally:
                response.close()
        except (httpx.RequestError, HttpError) as error:
            if self.recorder is not None:
                told = f"{type(error).__name__}: {error}"
                self.recorder.note(_exchange(self.recorder, request, None, None, told, began))
            raise
        if self.recorder is not None:
            for each in response.history:
                hop = _exchange(self.recorder, each.request, each, each.content, "", began)
                self.recorder.note(hop)
            last = _exchange(self.recorder, response.request, response, content, "", began)
            self.recorder.note(last)
        return Page(
            str(response.url),
            content or b"",
            status=response.status_code,
            headers=response.headers,
            http=http,
        )

    def _again_in_s(
        self, page: Page, method: str, host: str, way: Proxy | None, number: int
    ) -> float | None:
        """Return how long to wait before asking again, None if this answer is the one."""
        if way is not None:
            self._proxies.worked(way)
            if blocks.refusal_of(page) and self._proxies.refused(way, host):
                return 0.0
        if not retrying.is_worth_repeating(method, page.status):
            return None
        told_s = retrying.retry_after_s(page.headers)
        if told_s is None:
            return retrying.backoff_s(number)
        if told_s > min(retrying.RETRY_AFTER_LIMIT_S, self.ends_at - time.monotonic()):
            return None
        return told_s

    def _left_s(self, url: str) -> float:
        left_s = self.ends_at - time.monotonic()
        if left_s <= 0:
            raise HttpError(url, 0, "the attempt's time is up")
        return left_s

    def _pause(self, url: str, delay_s: float, why: str) -> None:
        if delay_s >= _TOLD_WAIT_S and self._say is not None:
            self._say("waiting before the next try", url=url, wait_s=round(delay_s, 1), why=why)
        # The script's own process, waiting on its own time for a site to recover.
        time.sleep(min(delay_s, self._left_s(url)))  # noqa: TID251


def _by_way(ask: Ask, way: Proxy | None) -> Ask:
    url = way.url if way is not None else ask.proxy if isinstance(ask.proxy, str) else ""
    return ask._replace(options=ask.options._replace(proxy_url=url)) if url else ask


def _content(response: httpx.Response, sink: Sink | None) -> bytes | None:
    """Read a body; None: it went elsewhere."""
    if sink is None or not response.is_success:
        return response.read()
    sink.take(response)
    return None


def _exchange(
    recorder: Recorder,
    request: httpx.Request,
    response: httpx.Response | None,
    content: bytes | None,
    error: str,
    began: float,
) -> Exchange:
    limit_bytes = recorder.body_limit_bytes
    return Exchange(
        request.method,
        str(request.url),
        request.headers.multi_items(),
        _sent(request)[:limit_bytes],
        0 if response is None else response.status_code,
        [] if response is None else response.headers.multi_items(),
        (content or b"")[:limit_bytes],
        response is not None and (content is None or len(content) > limit_bytes),
        error,
        time.monotonic() - began,
    )


def _sent(request: httpx.Request) -> bytes:
    try:
        return request.content
    except httpx.RequestNotRead:  # a stream: it is gone
        return b""
