"""Pages that a tab visits: each waits for its site's turn, as a request of `ctx.http` does.

The browser asks before it loads the document of a page, be it by `go_to`, a click, a form or a
redirect, and once more when the head of the answer is there: the site's robots.txt and budget
hold, and its 429, 503 and `Retry-After` slow the whole cluster. What a page loads besides, its
pictures, scripts and frames, comes with it and is not held, unless the script asks for that.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from pydoll.exceptions import PydollException

from zscrape.runtime.gate import is_complaint, origin_of

if TYPE_CHECKING:
    from zscrape.runtime.ctx_browser import Options
    from zscrape.runtime.ctx_http import Http

PAGES, ALL, NONE = PACES = ("pages", "all", "none")
_WEB = ("http://", "https://")


def are_wanted(options: Options) -> bool:
    """True iff a browser with these options is to ask before it visits a page."""
    return options.pace != NONE or options.robots is not False


class Visits:
    """What one tab asks of sites.

    Args:
        line: A connection to the page of its own.
        page_id: The page's target, which is its outermost frame, too.
        http: Who knows what robots.txt and budgets say.
        pace: What waits for a budget, one of `PACES`.
        has_robots: Obey robots.txt; None: as `http` does.
    """

    def __init__(
        self, line: Any, page_id: str, http: Http, *, pace: str, has_robots: bool | None
    ) -> None:
        self._line = line
        self._page_id = page_id
        self._http = http
        self._pace = pace
        self._has_robots = has_robots
        self._admitted = ""  # what `go_to` has waited for and the browser has not yet asked
        self._held_for: asyncio.Future[None] | None = None
        # On their way: by address, as whom the gate knows them.
        self._open: dict[str, list[str]] = {}
        self._refusal: Exception | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Be asked from now on."""
        kind = {} if self._pace == ALL else {"resourceType": "Document"}
        patterns = [
            {"urlPattern": "http*", "requestStage": stage, **kind}
            for stage in ("Request", "Response")
        ]
        await self._line.register_callback("Fetch.requestPaused", self._on_paused)
        command = {"method": "Fetch.enable", "params": {"patterns": patterns}}
        # The browser does what it is told in turn: this comes before any visit.
        await self._line.execute_command_nowait(command)

    async def admit(self, url: str) -> None:
        """Wait until an address may be visited, before the browser is told to: it has no patience.

        Raises:
            RobotsDisallowed: The site's robots.txt forbids it.
        """
        self._refusal = None
        self._drop_admission()
        if url.lower().startswith(_WEB):
            await asyncio.to_thread(self._wait, url, is_page=True)
            self._admitted = url

    def hold(self, url: str, until: asyncio.Future[None]) -> bool:
        """Hold back what is asked next until something is done; False: nobody asks for this."""
        is_web = url.lower().startswith(_WEB)
        self._held_for = until if is_web else None
        return is_web

    def raise_refusal(self) -> None:
        """Raise why the last page was not asked for, if it was us who held it back."""
        if self._refusal is not None:
            raise self._refusal

    async def close(self) -> None:
        """Let go of the page, and of every turn that is still open."""
        for task in self._tasks:
            task.cancel()
        self._drop_admission()
        for url in [url for urls in self._open.values() for url in urls]:
            self._http.transport.note_answer(url, 0, {})
        self._open.clear()
        await self._line.close()

    def _wait(self, url: str, *, is_page: bool) -> None:
        has_robots = self._http.has_robots if self._has_robots is None else self._has_robots
        self._http.transport.admit(
            url, has_robots=has_robots and is_page, has_budget=self._pace != NONE
        )

    def _drop_admission(self) -> None:
        """Give back the turn of a visit that the browser has not made."""
        asked, self._admitted = self._admitted, ""
        if asked:
            self._http.transport.note_answer(asked, 0, {})

    # ---- what the browser asks ---------------------------------------------------------

    async def _on_paused(self, event: dict[str, Any]) -> None:
        params = event["params"]
        is_answer = "responseStatusCode" in params or "responseErrorReason" in params
        work = self._hear(params) if is_answer else self._let_go(params)
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _let_go(self, params: dict[str, Any]) -> None:
        """Hold a request until its site may be asked."""
        url = params["request"]["url"]
        is_page = params["resourceType"] == "Document" and params["frameId"] == self._page_id
        if is_page:
            self._refusal = None
            await self._wait_for_page()
        try:
            if is_page and self._take_admission(params):
                pass
            elif is_page or self._pace == ALL:
                await asyncio.to_thread(self._wait, url, is_page=is_page)
                self._open.setdefault(url, []).append(url)
        except Exception as error:  # noqa: BLE001 - whoever waits for the page is told
            if is_page:
                self._refusal = error
            await self._say("failRequest", params, errorReason="BlockedByClient")
        else:
            await self._say("continueRequest", params)

    async def _wait_for_page(self) -> None:
        held_for, self._held_for = self._held_for, None
        if held_for is not None:  # whatever comes of it is told to who has made the visit
            await asyncio.wait((held_for,))

    def _take_admission(self, params: dict[str, Any]) -> bool:
        """True iff `go_to` has waited for this one; its address may be written otherwise."""
        url = params["request"]["url"]
        if not self._admitted or origin_of(self._admitted) != origin_of(url):
            return False
        self._open.setdefault(url, []).append(self._admitted)
        self._admitted = ""
        return True

    async def _hear(self, params: dict[str, Any]) -> None:
        """Tell how a site has answered, before the page sees it."""
        asked = self._open.get(params["request"]["url"])
        if asked:
            status = params.get("responseStatusCode", 0)
            headers = {
                each["name"].lower(): each["value"] for each in params.get("responseHeaders", ())
            }
            note = partial(self._http.transport.note_answer, asked.pop(), status, headers)
            # A thread's turn comes late while the browser is busy: only what takes its time.
            if is_complaint(status, headers.get("retry-after")):
                await asyncio.to_thread(note)
            else:
                note()
        await self._say("continueRequest", params)

    async def _say(self, method: str, params: dict[str, Any], **more: str) -> None:
        told = {"requestId": params["requestId"], **more}
        with suppress(PydollException):  # the page has gone
            await self._line.execute_command_nowait({"method": f"Fetch.{method}", "params": told})
