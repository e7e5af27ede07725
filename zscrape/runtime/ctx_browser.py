"""`ctx.browser`: a pydoll tab in a Chromium of this attempt's own.

    async def run(url: str, *, ctx):
        async with ctx.browser(block=("image", "font")) as tab:
            await tab.go_to(url)
            await tab.wait_for("li.product")
            await tab.save_screenshot("products.png")
            for row in (await tab.page()).css("li.product"):
                yield {"name": row.css("h2").text}

A tab is pydoll's own with a few methods more (`runtime/tab.py`). pydoll speaks to Chromium
through pipes here (`devtools.py`), so no port is open and no network policy is in the way.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from pydoll.browser import tab as pydoll_tab
from pydoll.browser.chromium import base
from pydoll.browser.managers import ChromiumOptionsManager
from pydoll.browser.options import ChromiumOptions
from pydoll.connection import ConnectionHandler
from pydoll.constants import PageLoadState
from pydoll.interactions import iframe

from zscrape.runtime import chromium, devtools, visits
from zscrape.runtime.blocking import Blocking, BlockingLoop
from zscrape.runtime.tab import Tab, blocked_patterns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zscrape.runtime.chromium import Chromium
    from zscrape.runtime.context import Context

VIEWPORT = (1280, 800)
_NO_PORT = 1  # never used: pydoll would look for a free one, which takes a socket
_START_PATIENCE_S = 60.0
_LAST_LOOK_S = 10.0  # at an attempt's end 1 s: less than its grace
_LOOK_S = 0.005
_LOADED = {"load": PageLoadState.COMPLETE, "dom": PageLoadState.INTERACTIVE}


class PipeHandler(ConnectionHandler):
    """pydoll's connection, over the pipes."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"ws_connector": devtools.connect, **options})


def teach_pydoll() -> None:
    """Have pydoll make our connections and our tabs wherever it makes its own.

    It takes neither as an argument everywhere: frames and new tabs make theirs by these names.
    """
    modules: tuple[Any, ...] = (base, pydoll_tab, iframe)
    for module in modules:
        module.ConnectionHandler = PipeHandler
    modules[0].Tab = Tab


class Options:
    """What a script asks of its browser, checked."""

    def __init__(
        self,
        *,
        headless: bool = True,
        viewport: tuple[int, int] = VIEWPORT,
        locale: str = "",
        proxy: str = "",
        user_agent: str = "",
        block: Iterable[str] = (),
        wait: str = "load",
        cookies: bool = True,
        robots: bool | None = None,
        pace: str = visits.PAGES,
        arguments: Sequence[str] = (),
    ) -> None:
        if wait not in _LOADED:
            raise ValueError(f"wait {wait!r} is not one of: {', '.join(_LOADED)}")
        if pace not in visits.PACES:
            raise ValueError(f"pace {pace!r} is not one of: {', '.join(visits.PACES)}")
        width, height = viewport
        if not (0 < width <= 10_000 and 0 < height <= 10_000):
            raise ValueError(f"viewport {viewport!r} is not a width and a height in pixels")
        self.headless = headless
        self.viewport = (int(width), int(height))
        self.locale = locale
        self.proxy = proxy
        self.user_agent = user_agent
        self.blocked = blocked_patterns(block)
        self.load_state = _LOADED[wait]
        self.cookies = cookies
        self.robots = robots
        self.pace = pace
        self.arguments = tuple(arguments)


class PipeBrowser(base.Browser):
    """pydoll's browser, which we have started."""

    def __init__(self, ctx: Context, options: Options, wire: devtools.Wire) -> None:
        told: Any = ChromiumOptions()  # type: ignore[no-untyped-call] # pydoll's
        told.page_load_state = options.load_state
        if options.user_agent:
            told.add_argument(f"--user-agent={options.user_agent}")
        super().__init__(
            ChromiumOptionsManager(told),
            connection_port=_NO_PORT,
            connection_handler=PipeHandler(ws_address=wire.address),
        )
        self._ws_address = wire.address
        self.ctx = ctx
        self.wanted = options
        self.has_visited = False  # nothing is in its caches, and no page's worker answers for it

    def _get_default_binary_location(self) -> str:
        return chromium.find_program()

    async def first_tab(self) -> Tab:
        """Return the tab that is there from the start, or one behind the proxy that is wanted."""
        await self._setup_worker_user_agent_override()
        if self.wanted.proxy:
            context_id = await self.create_browser_context(proxy_server=self.wanted.proxy)
            return _ours(await self.new_tab(browser_context_id=context_id))
        # Its first page comes a moment after it can be spoken to, and nothing tells it.
        while not (tabs := await self.get_opened_tabs()):  # noqa: ASYNC110 - as it says
            await asyncio.sleep(_LOOK_S)
        return _ours(tabs[0])

    async def leave(self) -> None:
        """Let go of all tabs and of the browser."""
        for tab in [*self._tabs_opened.values()]:
            await _ours(tab).leave()
        await self._connection_handler.close()  # type: ignore[no-untyped-call] # pydoll's

    async def _apply_user_agent_override(self, tab: pydoll_tab.Tab) -> None:
        """Prepare a tab; pydoll calls this for each that it makes, before it is used."""
        await super()._apply_user_agent_override(tab)
        await _ours(tab).prepare()


def _ours(tab: Any) -> Tab:
    """Return a tab that pydoll has made of our class, as one: see `teach_pydoll`."""
    found: Tab = tab
    return found


class BrowserContext:
    """What `ctx.browser(...)` returns: the browser lives from `async with` to its end."""

    def __init__(self, ctx: Context, options: Options) -> None:
        self._ctx = ctx
        self._options = options
        self._chromium: Chromium | None = None
        self._wire: devtools.Wire | None = None
        self._browser: PipeBrowser | None = None
        self._tab: Tab | None = None
        self._loop: BlockingLoop | None = None
        self._learning: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Tab:
        """Start the browser, or take the one that has been started ahead.

        Raises:
            BrowserFailed: It does not start; the text has its last words.
        """
        if self._chromium is not None:
            raise RuntimeError("this browser is open already: ask ctx.browser() for another one")
        try:
            running = self._chromium = self._start()
        except chromium.BrowserMissing as error:
            self._ctx.end_for_environment(str(error))
        try:
            if visits.are_wanted(self._options):
                self._learn()  # while Chromium starts
            self._wire = devtools.Wire(running)
            self._browser = PipeBrowser(self._ctx, self._options, self._wire)
            patience_s = min(_START_PATIENCE_S, max(self._ctx.deadline, 1.0))
            self._tab = await asyncio.wait_for(self._browser.first_tab(), patience_s)
            if self._options.cookies:
                await self._tab.take_cookies()
        except BaseException as error:
            words = running.last_words()
            await self._end()
            if isinstance(error, Exception):
                raise chromium.BrowserFailed(f"Chromium did not start: {words or error}") from error
            raise
        return self._tab

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> None:
        """End the browser; its cookies go on in `ctx.http`, its profile is removed."""
        try:
            if error is not None and self._tab is not None:
                await self._keep_last_look(self._tab)
            elif self._options.cookies and self._tab is not None:
                await self._tab.give_cookies()
        finally:
            await self._end()

    def _learn(self) -> None:
        gate = self._ctx.http.transport.gate
        if self._options.pace != visits.NONE:
            learning = asyncio.to_thread(gate.prepare)
            self._learning = asyncio.get_running_loop().create_task(learning)

    async def _keep_last_look(self, tab: Tab) -> None:
        """Keep what the tab shows, for whoever asks why the attempt has failed."""

        async def look() -> None:
            self._ctx.recording.note_page(await tab.value("location.href"), await tab.html())
            self._ctx.recording.note_screenshot(await tab.screenshot("jpg"))

        try:
            await asyncio.wait_for(look(), min(_LAST_LOOK_S, max(self._ctx.deadline, 1.0)))
        except Exception:  # noqa: BLE001 - a tab may be gone; what the script raised is what counts
            return

    def __enter__(self) -> Any:
        """Start it for a script that is not asynchronous: every call of the tab then blocks."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._loop = BlockingLoop()
            try:
                return Blocking(self._loop.wait(self.__aenter__()), self._loop)
            except BaseException:
                self._loop.close()
                raise
        raise RuntimeError("in `async def` it is `async with ctx.browser() as tab`")

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """End what `with` has started."""
        loop = self._loop
        if loop is not None:
            try:
                loop.wait(self.__aexit__(kind, error, trace))
            finally:
                loop.close()

    def _start(self) -> Chromium:
        options = self._options
        if options.headless and not options.arguments:
            ready = chromium.take_ahead()
            if ready is not None:
                return ready
        number = 0
        while os.path.lexists(folder := f"{chromium.home()}/.browser-{number}"):
            number += 1
        return chromium.start(folder, is_headless=options.headless, arguments=options.arguments)

    async def _end(self) -> None:
        if self._wire is not None:
            self._wire.close()  # first: a browser that ends need not be told to let go of its pages
        if self._browser is not None:
            await self._browser.leave()
        if self._chromium is not None:
            self._chromium.end()


def open_browser(ctx: Context, **options: Any) -> BrowserContext:
    """Return the browser of `ctx.browser(**options)`, not yet started."""
    return BrowserContext(ctx, Options(**options))


def warm() -> None:
    """Load what a browser needs, before the first fork."""
    from concurrent.futures import ThreadPoolExecutor

    from pydoll.commands import FetchCommands, NetworkCommands, PageCommands

    from zscrape.runtime import recording

    teach_pydoll()
    del FetchCommands, NetworkCommands, PageCommands, ThreadPoolExecutor, recording


teach_pydoll()
