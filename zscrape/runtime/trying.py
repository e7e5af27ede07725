"""One question of a script, asked until there is an answer worth having.

Each try goes through httpx's client, and there, with every redirect, through `Transport`. A
plain one that no cookie and no header of the script's own goes along with is asked without
httpx, which then goes on with the answer where there is more to do than to read it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from zscrape.runtime import blocks, direct, retrying
from zscrape.runtime.bodies import ACCEPTED
from zscrape.runtime.gate import Exchange, Recorder
from zscrape.runtime.httperrors import BodyTooLarge, HttpError
from zscrape.runtime.pages import Client, Page
from zscrape.runtime.robots import LIMIT_BYTES as ROBOTS_LIMIT_BYTES, Found
from zscrape.runtime.transport import GIVEN, OPTIONS, Options, Transport

if TYPE_CHECKING:
    from zscrape.runtime.downloads import Sink
    from zscrape.runtime.proxies import Proxies, Proxy

ROBOTS_TIMEOUT_S = 10.0
_REDIRECTS_LIMIT_COUNT = 20
_TOLD_WAIT_S = 1.0  # waits from here on are said in the log
_COOKIES = b"set-cookie"


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


class _Asked(NamedTuple):
    """What has been sent, as it is recorded."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes


# What came: status, headers, and the body, None where it went elsewhere.
_Came = tuple[int, httpx.Headers, bytes | None]


class Trying:
    """Who sends, waits and sends again; for several threads."""

    def __init__(
        self,
        transport: Transport,
        *,
        agent: str,
        ends_at: float,
        proxies: Proxies,
        recorder: Recorder | None,
        say: Callable[..., None] | None,
    ) -> None:
        self.recorder = recorder
        self.ends_at = ends_at  # monotonic seconds
        self._transport = transport
        self._first_agent = agent
        self._made: httpx.Client | None = None
        self._making = threading.Lock()
        self._is_handed_out = False
        self._is_closed = False
        self._proxies = proxies
        self._say = say

    @property
    def client(self) -> httpx.Client:
        """The client of httpx, for whoever changes headers or cookies: they go along then."""
        self._is_handed_out = True
        return self._client()

    @property
    def agent(self) -> str:
        """What we call ourselves at the moment."""
        if self._made is None:
            return self._first_agent
        return str(self._made.headers.get("User-Agent", ""))

    def close(self) -> None:
        """Close every connection, for good."""
        self._is_closed = True
        if self._made is None:
            self._transport.close()
        else:
            self._made.close()

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
        began = time.monotonic()
        question = self._plain(ask)
        if question is None:
            return self._by_client(ask, http, began, [])
        limit_s = min(ask.timeout_s, self._left_s(ask.url))
        content: bytes | None = None
        try:
            answer = self._transport.ask(question, ask.options, limit_s)
            if not _wants_client(answer, ask):
                content = _whole(answer)
        except (httpx.RequestError, HttpError) as error:
            self._note(_asked(question), None, error, began)
            raise
        if content is None:
            try:
                return self._by_client(ask, http, began, [answer])
            finally:  # the client may not have come to it
                answer.stream.close()
        headers = httpx.Headers(answer.headers)
        self._note(_asked(question), (answer.status, headers, content), None, began)
        return Page(question.url, content, status=answer.status, headers=headers, http=http)

    def _by_client(self, ask: Ask, http: Client, began: float, given: list[direct.Answer]) -> Page:
        """Send by httpx's client; `given`: the answer that there is already."""
        client, sink = self._client(), ask.sink
        headers = ask.headers if sink is None else {**(ask.headers or {}), **sink.headers()}
        request = client.build_request(
            ask.method,
            ask.url,
            headers=headers,
            timeout=min(ask.timeout_s, self._left_s(ask.url)),
            extensions={OPTIONS: ask.options, GIVEN: given},
            **ask.parts,
        )
        try:
            response = client.send(request, stream=True, auth=ask.auth, follow_redirects=ask.follow)
            try:
                content = _content(response, sink)
            finally:
                response.close()
        except (httpx.RequestError, HttpError) as error:
            self._note(_sent(request), None, error, began)
            raise
        for each in response.history:
            hop = each.status_code, each.headers, each.content
            self._note(_sent(each.request), hop, None, began)
        last = response.status_code, response.headers, content
        self._note(_sent(response.request), last, None, began)
        return Page(
            str(response.url),
            content or b"",
            status=response.status_code,
            headers=response.headers,
            http=http,
        )

    def _plain(self, ask: Ask) -> direct.Question | None:
        """Return what is asked if it is as plain as that.

        Raises:
            httpx.InvalidURL: The address is none.
        """
        if ask.method != "GET" or ask.headers or ask.auth or ask.sink:
            return None
        if ask.parts.keys() - {"params"}:
            return None
        if ask.options.proxy_url or self._transport.tape is not None or self._is_handed_out:
            return None
        if self._is_closed:
            return None
        if self._made is not None and next(iter(self._made.cookies.jar), None) is not None:
            return None
        url = str(httpx.URL(ask.url, **ask.parts) if ask.parts else ask.url)
        question = direct.plain(url, self._first_agent, ACCEPTED)
        return question if question is not None and self._transport.can_ask(question) else None

    def _client(self) -> httpx.Client:
        if self._made is None:
            with self._making:
                if self._made is None:
                    self._made = httpx.Client(
                        transport=self._transport,
                        follow_redirects=True,
                        max_redirects=_REDIRECTS_LIMIT_COUNT,
                        headers={"User-Agent": self._first_agent, "Accept-Encoding": ACCEPTED},
                    )
                    if self._is_closed:
                        self._made.close()
        return self._made

    def _note(
        self, asked: _Asked, came: _Came | None, error: Exception | None, began: float
    ) -> None:
        """Keep an exchange; `came` is missing where there is an error."""
        if self.recorder is None:
            return
        limit_bytes = self.recorder.body_limit_bytes
        status, headers, content = came or (0, httpx.Headers(), b"")
        self.recorder.note(
            Exchange(
                asked.method,
                asked.url,
                asked.headers,
                asked.body[:limit_bytes],
                status,
                headers.multi_items(),
                (content or b"")[:limit_bytes],
                content is None or len(content) > limit_bytes,
                "" if error is None else f"{type(error).__name__}: {error}",
                time.monotonic() - began,
            )
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


def _whole(answer: direct.Answer) -> bytes:
    """Return the body of an answer."""
    try:
        return b"".join(answer.stream)
    finally:
        answer.stream.close()


def _wants_client(answer: direct.Answer, ask: Ask) -> bool:
    """True iff there is more to do than to read: to go elsewhere, or to keep cookies."""
    if ask.follow and 300 <= answer.status < 400:
        return True
    return any(
        len(name) == len(_COOKIES) and name.lower() == _COOKIES for name, _ in answer.headers
    )


def _asked(question: direct.Question) -> _Asked:
    headers = [(name.lower(), value) for name, value in question.headers()]
    return _Asked("GET", question.url, headers, b"")


def _sent(request: httpx.Request) -> _Asked:
    try:
        body = request.content
    except httpx.RequestNotRead:  # a stream: it is gone
        body = b""
    return _Asked(request.method, str(request.url), request.headers.multi_items(), body)
