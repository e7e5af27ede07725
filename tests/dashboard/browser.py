"""A real browser that looks at the dashboard, and what it saw that it should not have."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from pydoll.browser.chromium import Chrome
from pydoll.browser.options import ChromiumOptions
from pydoll.browser.tab import Tab
from pydoll.exceptions import CommandFailed

LIMIT_S: Final = 25.0  # of any wait: machines of tests are slow, and nothing here is timed
_ANSWER_S = 5.0
_OPTIONS: Final = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--window-size=1440,900"),
)
_KEY_CODES: Final = {"Escape": 27, "Tab": 9, "Enter": 13}
_AXE: Final = Path(__file__).parent / "axe.min.js.gz"
# What a person sees: text that is there and shown.
_FIND: Final = """
const shown = (each) => each.getClientRects().length > 0;
const find = (selector, words) => [...document.querySelectorAll(selector)].find(
  (each) => shown(each) && !each.disabled
    && (words === null || each.textContent.trim() === words || each.ariaLabel === words));
"""


class Screen:
    """One tab, with what it told of and asked for."""

    def __init__(self, tab: Tab, url: str) -> None:
        self._tab = tab
        self.url = url
        self.faults: list[str] = []  # of the console
        self.addresses: set[str] = set()  # of every request

    async def listen(self) -> None:
        """Keep what the page says and asks for from now on."""
        await self._send("Runtime.enable")
        await self._send("Network.enable")
        await self._send("Log.enable")
        # A person's browser is in front; beside others this one may be told that it is not.
        await self._send("Emulation.setFocusEmulationEnabled", enabled=True)
        await self._tab.on("Runtime.exceptionThrown", self._note_exception)
        await self._tab.on("Log.entryAdded", self._note_entry)
        await self._tab.on("Network.requestWillBeSent", self._note_request)

    async def _note_exception(self, event: dict[str, Any]) -> None:
        self.faults.append(json.dumps(event["params"]["exceptionDetails"])[:600])

    async def _note_entry(self, event: dict[str, Any]) -> None:
        entry = event["params"]["entry"]
        # A refusal by the API is told on the page; the browser tells of it too.
        if entry["level"] == "error" and "status of 4" not in entry["text"]:
            self.faults.append(f"{entry['text']} {entry.get('url', '')}")

    async def _note_request(self, event: dict[str, Any]) -> None:
        self.addresses.add(event["params"]["request"]["url"])

    async def _send(self, method: str, **params: Any) -> Any:
        return await self._tab._execute_command({"method": method, "params": params})

    async def resize(self, width: int) -> None:
        """Take the width of a screen."""
        await self._send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 500,
        )

    async def run(self, script: str) -> Any:
        """Return what a script in the page returns; it may await."""
        wrapped = f"(async () => {{ {_FIND} {script} }})()"
        told = await self._send(
            "Runtime.evaluate",
            expression=wrapped,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,  # a press is a person's: only then may a page write a clipboard
        )
        result = told["result"]
        if "exceptionDetails" in result:
            raise AssertionError(json.dumps(result["exceptionDetails"])[:600])
        return result["result"].get("value")

    async def until(self, condition: str) -> None:
        """Wait until a script's expression holds; the page it held not on is told."""
        try:
            async with asyncio.timeout(LIMIT_S):
                while not await self._holds(condition):
                    pass  # the page itself waits for a while each time
        except TimeoutError:
            text = await self.text()
            raise AssertionError(f"never: {condition}\n{self.faults}\n{text[:3000]}") from None

    async def _holds(self, condition: str) -> bool:
        script = (
            f"for (let turn = 0; turn < 40; turn += 1) {{ if ({condition}) return true;"
            " await new Promise((resolve) => setTimeout(resolve, 25)); } return false;"
        )
        try:
            # A page that goes while it is asked may take its answer along.
            return bool(await asyncio.wait_for(self.run(script), _ANSWER_S))
        except (AssertionError, CommandFailed, TimeoutError):  # between two pages there is none
            return False

    async def see(self, *words: str) -> None:
        """Wait until all of these words are shown."""
        for each in words:
            await self.until(f"document.body.innerText.includes({json.dumps(each)})")

    async def miss(self, words: str) -> None:
        """Wait until these words are shown no more."""
        await self.until(f"!document.body.innerText.includes({json.dumps(words)})")

    async def text(self) -> str:
        """Return what is shown."""
        return str(await self.run("return document.body.innerText"))

    async def load(self, path: str) -> None:
        """Load a page of the gateway anew."""
        await self._tab.go_to("about:blank")
        await self._tab.go_to(self.url + path)

    async def go(self, route: str) -> None:
        """Open a page of the dashboard that is loaded."""
        await self.run(f"location.hash = {json.dumps('#' + route)}")
        await self.until("document.querySelector('main h1')")

    async def click(self, words: str | None, selector: str = "button, a, summary, label") -> None:
        """Press what has these words, once it is there."""
        told = f"{json.dumps(selector)}, {json.dumps(words)}"
        await self.until(f"find({told})")
        await self.run(f"find({told}).click()")

    async def sign_out(self) -> None:
        """Leave; return when the page that is loaded anew after that is there."""
        await self.run("document.body.dataset.old = 'yes'")
        await self.click("Sign out")
        await self.until("!document.body.dataset.old && document.querySelector('#key')")

    async def fill(self, selector: str, value: str) -> None:
        """Write into a field, or choose in a list, as a person does."""
        found = json.dumps(selector)
        await self.until(f"document.querySelector({found})")
        await self.run(
            f"const field = document.querySelector({found}); field.focus();"
            " const kind = Object.getPrototypeOf(field);"
            f" Object.getOwnPropertyDescriptor(kind, 'value').set.call(field, {json.dumps(value)});"
            " field.dispatchEvent(new Event('input', {bubbles: true}));"
            " field.dispatchEvent(new Event('change', {bubbles: true}));"
        )

    async def press(self, key: str) -> None:
        """Press a key of the keyboard."""
        named: dict[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": _KEY_CODES[key]}
        if key == "Enter":  # it presses links by the character that it makes
            named["text"] = "\r"
        for kind in ("keyDown" if key == "Enter" else "rawKeyDown", "keyUp"):
            await self._send("Input.dispatchKeyEvent", type=kind, **named)

    async def settle(self) -> None:
        """Wait until the page has what it asked for and has drawn it."""
        await self.until("!document.querySelector('main:empty') && document.fonts.status")
        await self.run("await new Promise(requestAnimationFrame)")

    async def violations(self) -> list[str]:
        """Return what axe finds against WCAG 2.2 AA and its own good practices."""
        if not await self.run("return typeof axe === 'object'"):
            source = gzip.decompress(_AXE.read_bytes()).decode()
            await self._send("Runtime.evaluate", expression=source)
        found = await self.run(
            "const told = await axe.run(document, {resultTypes: ['violations']});"
            " return told.violations.map((each) =>"
            " `${each.id}: ${each.nodes.map((node) => node.html).join(' | ').slice(0, 400)}`)"
        )
        return [str(each) for each in found]


@asynccontextmanager
async def opened(url: str, program: str) -> AsyncIterator[Screen]:
    """Start a browser with a profile of its own, and end it."""
    options = ChromiumOptions()  # type: ignore[no-untyped-call]
    options.binary_location = program
    options.start_timeout = 60
    for each in _OPTIONS:
        options.add_argument(each)
    # A socket's path has room for 107 bytes: the browser's own folder must be a short one.
    before = os.environ.get("TMPDIR")
    with tempfile.TemporaryDirectory(prefix="zs", dir="/tmp", ignore_cleanup_errors=True) as folder:
        os.environ["TMPDIR"] = folder
        try:
            options.add_argument(f"--user-data-dir={folder}/profile")
            async with Chrome(options=options) as chrome:
                tab = await chrome.start()
                await tab.go_to("about:blank")  # what its first page asks for is not ours
                screen = Screen(tab, url)
                await screen.listen()
                yield screen
        finally:
            if before is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = before
