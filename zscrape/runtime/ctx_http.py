"""`ctx.http`: one client per attempt, and what it does for a script without being asked.

    page = ctx.http.get(url, params={"page": 2})
    for row in page.css("li.product"):
        yield {"name": row.css("h2").text, "link": page.join(row.css("a").attr("href"))}

Connections are pooled, HTTP/2 where a site speaks it; redirects are followed; what failed on
the way is tried again, and `Retry-After` heeded; robots.txt is obeyed; bodies are
decompressed within limits; a proxy that fails is exchanged for another. Where it can tell how
an attempt ends, what it raises has that outcome: see `httperrors.py`.

The template imports and warms all of this once: see `warming.py`.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from zscrape import __version__
from zscrape.runtime import blocks, retrying
from zscrape.runtime.gate import Gate, LocalGate, Recorder, Tape
from zscrape.runtime.httperrors import (
    Blocked,
    BodyTooLarge,
    HttpError,
    LoginExpired,
    RateLimited,
    RobotsDisallowed,
)
from zscrape.runtime.nodes import Node, Nodes
from zscrape.runtime.pages import Page
from zscrape.runtime.proxies import Proxies, address_of
from zscrape.runtime.robots import Found, Robots
from zscrape.runtime.transport import Options, Transport
from zscrape.runtime.trying import Ask, Trying

if TYPE_CHECKING:
    from zscrape.runtime.asynchronous import AsyncHttp
    from zscrape.runtime.downloads import Download
    from zscrape.runtime.forms import Form

__all__ = [
    "Blocked",
    "BodyTooLarge",
    "Http",
    "HttpError",
    "LoginExpired",
    "Node",
    "Nodes",
    "Page",
    "RateLimited",
    "RobotsDisallowed",
]

TIMEOUT_S = 30.0
BODY_LIMIT_BYTES = 32 * 1024 * 1024
FILE_LIMIT_BYTES = 64 * 1024 * 1024  # what a file may have by the default limits of an attempt
_PASSWORD_FIELD = "input[type=password]"  # noqa: S105 - where it is typed

_tls: ssl.SSLContext | None = None


def page_of(url: str, html: str) -> Page:
    """Return a document that came by another way, as if it had been an answer."""
    return Page(url, html.encode("utf-8", "replace"), charset="utf-8")


class Http:
    """The client. It never waits beyond the attempt's end; several threads may use it.

    Args:
        script_name: Told to sites, as part of the `User-Agent`.
        ends_at: When the attempt ends, in monotonic seconds.
        gate: Who is asked before a request and told after it.
        recorder: Who keeps the exchanges.
        tape: Who answers in place of the network.
        save: Keeps a file with the task: `ctx.save`.
        say: Tells of a longer wait: `ctx.log.info`.
    """

    def __init__(
        self,
        *,
        script_name: str,
        ends_at: float,
        gate: Gate | None = None,
        recorder: Recorder | None = None,
        tape: Tape | None = None,
        save: Callable[[str, bytes, str | None], None] | None = None,
        say: Callable[..., None] | None = None,
    ) -> None:
        self.has_robots = True  # False: robots.txt is left unread from now on
        self.body_limit_bytes = BODY_LIMIT_BYTES
        self.proxies = Proxies()
        self._save = save
        self._login_path = ""  # of the page where we have logged in
        self._asynchronous: AsyncHttp | None = None
        self._own_gate = LocalGate(ends_at)
        gate = gate or self._own_gate
        transport = self._transport = Transport(tls_context(), gate, ends_at)
        transport.tape = tape
        transport.robots = Robots(gate, self._fetch_robots, self._agent)
        self._trying = Trying(
            transport,
            agent=f"zscrape/{__version__} (+{script_name})",
            ends_at=ends_at,
            proxies=self.proxies,
            recorder=recorder,
            say=say,
        )

    @property
    def headers(self) -> httpx.Headers:
        """What goes along with every request; may be changed."""
        return self._trying.client.headers

    @property
    def cookies(self) -> httpx.Cookies:
        """The cookies so far; may be changed: `cookies.set(name, value, domain=...)`."""
        return self._trying.client.cookies

    @property
    def transport(self) -> Transport:
        """What stands before every request; the visits of a browser go by it, too."""
        return self._transport

    @property
    def asynchronous(self) -> AsyncHttp:
        """The same client for coroutines: `page = await ctx.http.asynchronous.get(url)`."""
        if self._asynchronous is None:
            from zscrape.runtime.asynchronous import AsyncHttp

            self._asynchronous = AsyncHttp(self)
        return self._asynchronous

    def get(self, url: str, **options: Any) -> Page:
        """Get a page; the options are those of `request`."""
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> Page:
        """Post to a page; the options are those of `request`."""
        return self.request("POST", url, **options)

    def request(
        self,
        method: str,
        url: str,
        *,
        params: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        json: Any = None,
        data: Any = None,
        files: Any = None,
        auth: tuple[str, str] | None = None,
        timeout: float = TIMEOUT_S,
        check: bool = True,
        follow: bool = True,
        robots: bool | None = None,
        proxy: str | bool | None = None,
        tries: int | None = None,
        limit_bytes: int | None = None,
    ) -> Page:
        """Ask for a page.

        Args:
            method: An HTTP method.
            url: An absolute address.
            params: Query parameters, in place of those in the address.
            headers: Further headers.
            json: A body sent as JSON.
            data: A body: a dict is sent as a form, bytes and text as they are.
            files: Files to send with a form, as httpx takes them.
            auth: Name and password, sent as basic authentication.
            timeout: Seconds for each step of the exchange, at most what the attempt has left.
            check: Raise on 4xx, 5xx and the pages of bot walls.
            follow: Follow redirects.
            robots: Obey robots.txt; None: as `has_robots` says.
            proxy: The proxy to take; False: none; None: one of `proxies`, if there are any.
            tries: How often to try in all; None: three times.
            limit_bytes: How much the body may have, decompressed; None: `body_limit_bytes`.

        Raises:
            HttpError: No answer after all tries, or one that `check` refuses.
            ProxyError: `proxy` is no address of one.
        """
        body = {} if data is None else {"data" if isinstance(data, dict) else "content": data}
        parts = {"params": params, "json": json, "files": files, **body}
        options = Options(
            self.body_limit_bytes if limit_bytes is None else limit_bytes,
            self.has_robots if robots is None else robots,
        )
        ask = Ask(
            method,
            url,
            {name: value for name, value in parts.items() if value is not None},
            headers,
            auth,
            timeout,
            follow,
            options,
            address_of(proxy) if isinstance(proxy, str) else proxy,
            retrying.TRIES_COUNT if tries is None else max(tries, 1),
        )
        page = self._trying.page(ask, self)
        if check:
            self._look_for_login(page)
            blocks.check(page)
        return page

    def login(
        self,
        url: str,
        values: dict[str, Any],
        *,
        form: str = "",
        signed_in: str = "",
        button: str | None = None,
    ) -> Page:
        """Log in by the form of a page; return the page that comes after.

        From then on a page that turns out to be that login again, by a redirect or with 401,
        raises `LoginExpired`, whose outcome is `login_expired`.

        Args:
            url: The page with the form.
            values: What to fill in, by the names of the fields.
            form: A CSS selector of the form; by default the first one with a password.
            signed_in: A CSS selector of what only those see who are logged in. Without it the
                login counts as refused if a form with a password comes again.
            button: The name of the button to press; by default the first one.

        Raises:
            LoginExpired: The site did not accept it.
            FormError: There is no such form or field.
        """
        self._login_path = ""
        page = self.get(url)
        chosen = page.form(form) if form else _login_form(page)
        after: Page = chosen.submit(values, button=button, options={"check": False})
        if after.status in (401, 403) or not _is_signed_in(after, signed_in):
            raise LoginExpired(url, after.status, "the login was not accepted", after)
        blocks.check(after)
        self._login_path = urlsplit(page.url).path
        return after

    def download(
        self,
        url: str,
        name: str | None = None,
        *,
        keep: bool = True,
        content_type: str | None = None,
        limit_bytes: int | None = None,
        params: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = TIMEOUT_S,
        robots: bool | None = None,
        proxy: str | bool | None = None,
    ) -> Download:
        """Take a file, in bounded memory, and keep it with the task.

        One that breaks off is resumed where the site allows it.

        Args:
            url: Where it is.
            name: The artifact's name; by default what the site calls it.
            keep: Keep it as an artifact (up to 8 MiB); False: only in the attempt's folder, at
                `path`, for the script to read.
            content_type: A media type, in place of the one that the site tells.
            limit_bytes: How much it may have; None: 8 MiB to keep, else 64 MiB.
            params: As those of `request`; so are `headers`, `timeout`, `robots`, `proxy`.
            headers: Further headers.
            timeout: Seconds for each step.
            robots: Obey robots.txt.
            proxy: The proxy to take.

        Raises:
            BodyTooLarge: It has more; nothing is kept.
            HttpError: As for any request.
        """
        from zscrape.runtime import downloads
        from zscrape.runtime.channel import ARTIFACT_LIMIT_BYTES

        if limit_bytes is None:
            limit_bytes = ARTIFACT_LIMIT_BYTES if keep else FILE_LIMIT_BYTES
        path = Path(f"download-{time.monotonic_ns()}")
        sink = downloads.Sink(path, limit_bytes)
        ask = Ask(
            "GET",
            url,
            {} if params is None else {"params": params},
            headers,
            None,
            timeout,
            True,
            Options(limit_bytes, self.has_robots if robots is None else robots),
            address_of(proxy) if isinstance(proxy, str) else proxy,
            downloads.TRIES_COUNT,
            sink,
        )
        try:
            page = self._trying.page(ask, self)
            self._look_for_login(page)
            blocks.check(page)
            size_bytes, sha256 = sink.finish()
            media_type = content_type or sink.content_type or "application/octet-stream"
            told = name or downloads.name_for(page.url, sink.name)
            if keep and self._save is not None:
                self._save(told, path.read_bytes(), media_type)
        except BaseException:
            sink.drop()
            raise
        return downloads.Download(
            page.url, told, path, size_bytes=size_bytes, sha256=sha256, content_type=media_type
        )

    def put_off(self, waited_s: float) -> None:
        """Move the attempt's end by a time in which its clock stood."""
        for each in (self._trying, self._transport, self._own_gate):
            each.ends_at += waited_s

    def close(self) -> None:
        """Close every connection; an attempt's end does that, too."""
        if self._asynchronous is not None:
            self._asynchronous.close()
        self._trying.close()

    def _look_for_login(self, page: Page) -> None:
        if not self._login_path:
            return
        if page.status == 401 or urlsplit(page.url).path == self._login_path:
            raise LoginExpired(page.url, page.status, "the site wants a login again", page)

    def _agent(self) -> str:
        return self._trying.agent

    def _fetch_robots(self, url: str) -> Found:
        return self._trying.robots(url, self)


def _login_form(page: Page) -> Form:
    from zscrape.runtime.forms import FormError

    found = next((each for each in page.forms() if each.passwords), None)
    if found is None:
        raise FormError(f"{page.url} has no form with a password")
    return found


def _is_signed_in(page: Page, selector: str) -> bool:
    if selector:
        return page.css_first(selector) is not None
    return page.css_first(_PASSWORD_FIELD) is None


def tls_context() -> ssl.SSLContext:
    """Return what verifies sites, made once in the template and inherited by every child."""
    global _tls  # noqa: PLW0603 - it takes 87 ms to make
    if _tls is None:
        _tls = httpx.create_ssl_context()
    return _tls
