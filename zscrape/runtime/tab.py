"""A tab of `ctx.browser`: pydoll's own, and what joins it to its attempt.

Everything that pydoll's `Tab` can do is there; this adds waiting for what a page shows, artifacts,
the page as `ctx.http` gives it, cookies in common with `ctx.http`, and requests held back or
listened to.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydoll.browser import tab as pydoll_tab
from pydoll.exceptions import CommandFailed, NavigationError, PydollException

from zscrape.runtime import network
from zscrape.runtime.intercept import Blocker, Captured, Capturing, blocked_patterns
from zscrape.runtime.visits import Visits, are_wanted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pydoll.elements.web_element import WebElement

    from zscrape.runtime.ctx_browser import Options
    from zscrape.runtime.ctx_http import Page

__all__ = ["Captured", "Tab", "blocked_patterns"]

WAIT_S = 30.0
_QUIET_S = 2.0  # a list that has not grown for so long is taken for complete
_LOOK_S = 0.1
_MEDIA_TYPES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp"}
_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_DENIED = "ERR_ACCESS_DENIED"  # what Chromium makes of EPERM and EACCES
_BOTTOM = "window.scrollTo(0, document.documentElement.scrollHeight)"


class Tab(pydoll_tab.Tab):
    """One page of a browser."""

    _browser: Any  # `ctx_browser.PipeBrowser`, which knows this class
    _visits: Visits | None = None

    # ---- visits ----------------------------------------------------------------------

    async def go_to(self, url: str, timeout: int = 300) -> None:
        """Visit an address once its site may be asked, and wait until it is loaded.

        Args:
            url: Where to go.
            timeout: Seconds for the page, those for its turn not counted.

        Raises:
            RobotsDisallowed: robots.txt forbids it, or where it leads to.
            NetworkDenied: The network policy forbids its address.
            NavigationError: The page cannot be had.
        """
        try:
            async with self._visit(url):
                await super().go_to(url, timeout)
        except NavigationError as error:
            self._raise_refusal()
            denial = _denial(url, error)
            if denial is not None:
                raise denial from error
            raise

    @asynccontextmanager
    async def _visit(self, url: str) -> AsyncIterator[None]:
        """Have the site's leave and the page's events by the time that its document is loaded.

        A page that is loaded before its events are on would not be heard of. A browser that has
        just started is late to say that they are: its first visit begins before, and only the
        request for the document is held back. Later ones may need no request.
        """
        visits, browser = self._visits, self._browser
        has_events, is_first = self._page_events_enabled, not browser.has_visited
        browser.has_visited = True
        enabling = asyncio.get_running_loop().create_task(self._enable_page_events(has_events))
        enabling.add_done_callback(_hear_out)
        try:
            if visits is not None:
                await visits.admit(url)
            if visits is None or not is_first or not visits.hold(url, enabling):
                await enabling
            self._page_events_enabled = True  # or pydoll would see to it, and wait
            yield
            await enabling
        finally:
            enabling.cancel()
            if not has_events:
                with suppress(PydollException):  # the page has gone
                    await self.disable_page_events()

    async def _enable_page_events(self, has_events: bool) -> None:
        if not has_events:
            await self._call("Page.enable", {})

    def _raise_refusal(self) -> None:
        if self._visits is not None:
            self._visits.raise_refusal()

    async def disable_page_events(self) -> Any:
        """Hear no more of loads, dialogs and navigation."""
        await self._tell("Page.disable", {})
        self._page_events_enabled = False

    # ---- waiting ---------------------------------------------------------------------

    async def wait_for(self, selector: str, timeout: float = WAIT_S) -> WebElement:
        """Return the first element that matches a CSS selector, once there is one.

        Raises:
            TimeoutError: There was none in time.
            RobotsDisallowed: The page was not asked for.
        """
        query: Any = self.query  # its types have whole seconds only
        found: WebElement | None = await query(selector, timeout=timeout, raise_exc=False)
        if found is None:
            self._raise_refusal()
            here = await self._here()
            raise TimeoutError(f"no element {selector} within {timeout:g} s at {here}")
        return found

    async def wait_for_text(self, text: str, timeout: float = WAIT_S) -> None:
        """Return once the page shows a text.

        Raises:
            TimeoutError: It did not in time.
            RobotsDisallowed: The page was not asked for.
        """
        ends_at = asyncio.get_running_loop().time() + timeout
        while text not in str(await self.value("document.body?.innerText ?? ''")):
            if asyncio.get_running_loop().time() >= ends_at:
                self._raise_refusal()
                raise TimeoutError(f"no text {text!r} within {timeout:g} s at {await self._here()}")
            await asyncio.sleep(_LOOK_S)

    async def scroll_through(
        self, selector: str, max_count: int | None = None, quiet: float = _QUIET_S
    ) -> int:
        """Scroll down until no more elements appear; return how many match.

        Args:
            selector: What the page adds as it is scrolled, as CSS.
            max_count: Enough of them.
            quiet: Seconds without a new one after which there are no more.
        """
        clock = asyncio.get_running_loop().time
        count, grown_at = await self._count(selector), clock()
        while clock() - grown_at < quiet and (max_count is None or count < max_count):
            await self.value(_BOTTOM)
            await asyncio.sleep(_LOOK_S)
            now_count = await self._count(selector)
            if now_count > count:
                count, grown_at = now_count, clock()
        return count

    async def value(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; a promise is waited for.

        Raises:
            RuntimeError: It raises in the page.
        """
        params = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        answer = await self._call("Runtime.evaluate", params)
        fault = answer.get("exceptionDetails")
        if fault is not None:
            told = fault.get("exception", {}).get("description") or fault.get("text", "")
            raise RuntimeError(f"the page says: {told}")
        return answer["result"].get("value")

    # ---- artifacts -------------------------------------------------------------------

    async def save_screenshot(self, name: str = "screenshot.png", full_page: bool = False) -> None:
        """Keep a picture of the page as an artifact; the name's ending chooses png, jpg or webp.

        Raises:
            ValueError: The name ends otherwise, or the picture is too large for an artifact.
        """
        ending = name.rpartition(".")[2].lower()
        if ending not in _MEDIA_TYPES:
            raise ValueError(f"{name!r} does not end in one of: {', '.join(_MEDIA_TYPES)}")
        self._browser.ctx.save(name, await self.screenshot(ending, full_page), _MEDIA_TYPES[ending])

    async def screenshot(self, kind: str = "png", full_page: bool = False) -> bytes:
        """Return a picture of the page: png, jpg or webp."""
        params: dict[str, Any] = {"format": _MEDIA_TYPES[kind].rpartition("/")[2]}
        if full_page:
            size = (await self._call("Page.getLayoutMetrics", {}))["cssContentSize"]
            params["captureBeyondViewport"] = True
            params["clip"] = {**size, "scale": 1}
        return base64.b64decode((await self._call("Page.captureScreenshot", params))["data"])

    async def save_pdf(self, name: str = "page.pdf", **options: Any) -> None:
        """Keep the page as a PDF; the options are those of pydoll's `print_to_pdf`."""
        body = await self.print_to_pdf(as_base64=True, **options) or ""
        self._browser.ctx.save(name, base64.b64decode(body), "application/pdf")

    async def save_html(self, name: str = "page.html") -> None:
        """Keep the page as it stands now."""
        self._browser.ctx.save(name, await self.html(), "text/html; charset=utf-8")

    @asynccontextmanager
    async def save_download(
        self, name: str = "", timeout: float | None = None
    ) -> AsyncIterator[pydoll_tab.DownloadHandle]:
        """Keep what is downloaded within the block, by its own name unless another is given."""
        async with self.expect_download(keep_file_at=None, timeout=timeout) as download:
            yield download
            await download.wait_finished()
            body = await download.read_bytes()
        own = _NO_NAME.sub("_", os.path.basename(download.file_path or "")) or "download"  # noqa: PTH119 - a name, not a path of ours
        self._browser.ctx.save(name or own[-128:], body)

    # ---- the page --------------------------------------------------------------------

    async def html(self) -> str:
        """Return the document as it stands now.

        Raises:
            RobotsDisallowed: It was not asked for.
        """
        self._raise_refusal()
        found = await self.value("document.documentElement?.outerHTML ?? ''")
        return f"<!DOCTYPE html>\n{found}"

    async def page(self) -> Page:
        """Return the document as it stands now, to be asked like one of `ctx.http`."""
        from zscrape.runtime.ctx_http import page_of

        return page_of(await self._here(), await self.html())

    async def give_cookies(self) -> None:
        """Let `ctx.http` have this browser's cookies, if the script uses both."""
        held = await self._browser.get_cookies(self._browser_context_id)
        jar = self._browser.ctx.cookie_jar(is_made=True) if held else None
        if jar is not None:
            from zscrape.runtime.cookies import into_jar

            into_jar(held, jar)

    async def take_cookies(self) -> None:
        """Let this browser have the cookies of `ctx.http`, if the script has used that."""
        jar = self._browser.ctx.cookie_jar(is_made=False)
        if jar is not None and len(jar):
            from zscrape.runtime.cookies import from_jar

            await self.set_cookies(from_jar(jar))

    # ---- requests --------------------------------------------------------------------

    async def block(self, *what: str) -> None:
        """Hold back requests from now on: kinds (`image`, `font`) or addresses (`*.ads.example/*`).

        Raises:
            ValueError: It is neither.
        """
        await self._blocker().add(blocked_patterns(what))

    @asynccontextmanager
    async def capture_json(self, address: str = "*") -> AsyncIterator[list[Captured]]:
        """Collect the JSON answers that the page gets within the block.

        Args:
            address: Of whole addresses, with `*` for anything.
        """
        capturing = Capturing(self._own_line(), address)
        await capturing.begin()
        try:
            yield capturing.found
            await capturing.finish()
        finally:
            await capturing.close()

    # ---- its life --------------------------------------------------------------------

    async def prepare(self) -> None:
        """Make it what the script has asked for, before its first page."""
        wanted = self._browser.wanted
        # Each wait for an answer is one for a browser that is still starting: they are one.
        await asyncio.gather(self._take_size(*wanted.viewport), self._watch_visits(wanted))
        if wanted.locale:
            await self._call("Emulation.setLocaleOverride", {"locale": wanted.locale})
            agent = wanted.user_agent or (await self._browser.get_version())["userAgent"]
            told = {"userAgent": agent, "acceptLanguage": wanted.locale}
            await self._call("Network.setUserAgentOverride", told)
        if wanted.blocked:
            await self._blocker().add(wanted.blocked)

    async def _take_size(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await self._tell("Emulation.setDeviceMetricsOverride", size)

    async def _watch_visits(self, wanted: Options) -> None:
        if self._visits is None and are_wanted(wanted):
            page_id, http = self._target_id or "", self._browser.ctx.http
            pace, has_robots = wanted.pace, wanted.robots
            self._visits = Visits(self._own_line(), page_id, http, pace=pace, has_robots=has_robots)
            await self._visits.begin()

    async def leave(self) -> None:
        """Let go of the page."""
        if self._visits is not None:
            await self._visits.close()
        found: Blocker | None = getattr(self, "_requests", None)
        if found is not None:
            await found.close()
        handler: Any = self._connection_handler
        await handler.close()

    def _blocker(self) -> Blocker:
        found: Blocker | None = getattr(self, "_requests", None)
        if found is None:
            found = self._requests = Blocker(self._own_line())
        return found

    def _own_line(self) -> Any:
        """Return a second connection to the page: what is set on it does not change pydoll's."""
        return type(self._connection_handler)(ws_address=self._ws_address)

    async def _call(self, method: str, params: dict[str, Any]) -> Any:
        handler: Any = self._connection_handler
        return (await handler.execute_command({"method": method, "params": params}))["result"]

    async def _tell(self, method: str, params: dict[str, Any]) -> None:
        """Send a command whose answer nobody needs: what is sent later is done later."""
        handler: Any = self._connection_handler
        await handler.execute_command_nowait({"method": method, "params": params})

    async def _count(self, selector: str) -> int:
        params = {"nodeId": (await self._call("DOM.getDocument", {"depth": 0}))["root"]["nodeId"]}
        found = await self._call("DOM.querySelectorAll", {**params, "selector": selector})
        return len(found["nodeIds"])

    async def _here(self) -> str:
        try:
            return str(await self.value("location.href"))
        except (PydollException, CommandFailed, RuntimeError):
            return "an unknown page"


def _denial(url: str, error: NavigationError) -> network.NetworkDenied | None:
    """Return what to raise if the network policy is why there is no page.

    Chromium says the same of a file that may not be read.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or _DENIED not in str(error):
        return None
    return network.denial_of(parts.netloc)


def _hear_out(done: asyncio.Future[None]) -> None:
    """Take what has come of it: its visit may have failed before, and tells of that."""
    if not done.cancelled():
        done.exception()
