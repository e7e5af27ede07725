"""`ctx.http.asynchronous`: the same client for coroutines.

    async def run(urls: list[str], *, ctx):
        http = ctx.http.asynchronous
        pages = await asyncio.gather(*(http.get(url) for url in urls))

The requests run in threads of the same client: connections, cookies, retries, robots.txt,
budgets and proxies are one for both, and nothing is built twice. At most `THREADS_COUNT`
requests are under way at once; further ones wait.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from zscrape.runtime.downloads import Download
    from zscrape.runtime.forms import Form
    from zscrape.runtime.pages import Page

_T = TypeVar("_T")
THREADS_COUNT = 16  # of the 64 processes and threads that an attempt may have by default


class Blocking(Protocol):
    """The client that is not awaited: `Http`."""

    @property
    def request(self) -> Callable[..., Page]:
        """Ask for a page."""

    @property
    def login(self) -> Callable[..., Page]:
        """Log in."""

    @property
    def download(self) -> Callable[..., Download]:
        """Take a file."""


class AsyncHttp:
    """As `Http`, to be awaited."""

    def __init__(self, http: Blocking) -> None:
        self._http = http
        self._threads = ThreadPoolExecutor(THREADS_COUNT, "http")

    async def get(self, url: str, **options: Any) -> Page:
        """Get a page; the options are those of `Http.request`."""
        return await self._call(self._http.request, "GET", url, **options)

    async def post(self, url: str, **options: Any) -> Page:
        """Post to a page; the options are those of `Http.request`."""
        return await self._call(self._http.request, "POST", url, **options)

    async def request(self, method: str, url: str, **options: Any) -> Page:
        """Ask for a page, as `Http.request` does."""
        return await self._call(self._http.request, method, url, **options)

    async def submit(self, form: Form, /, *values: Any, **options: Any) -> Page:
        """Submit a form, as `Form.submit` does."""
        page: Page = await self._call(form.submit, *values, **options)
        return page

    async def login(self, url: str, values: dict[str, Any], **options: Any) -> Page:
        """Log in, as `Http.login` does."""
        return await self._call(self._http.login, url, values, **options)

    async def download(self, url: str, name: str | None = None, **options: Any) -> Download:
        """Take a file, as `Http.download` does."""
        return await self._call(self._http.download, url, name, **options)

    def close(self) -> None:
        """Let the threads go; requests under way are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _call(self, function: Callable[..., _T], *values: Any, **options: Any) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(function, *values, **options))
